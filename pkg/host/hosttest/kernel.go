package hosttest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spacei/drbdnfs/pkg/host"
)

// NFSD is the kernel's NFS server.
type NFSD struct {
	Threads int
	Scope   string // server scope of the threads
	Stuck   bool   // threads read requests and never answer, and do not end
	NoWatch bool   // nfsdcld starts and never watches for its pipe
	// Tracked tells whether nfsdcld ran when the threads were started.
	Tracked bool
	// Unanswered counts how often lockd ended with clients to unmonitor and no
	// rpc.statd to tell.
	Unanswered int

	ports   []int
	control map[string]string // last value written to each control file
	holds   bool              // the caches refer to the volume
	// monitored are the clients that rpc.statd watches for lockd.
	monitored map[string]bool
}

func newNFSD() *NFSD {
	return &NFSD{control: map[string]string{}, monitored: map[string]bool{}}
}

func (n *NFSD) reset() { *n = *newNFSD() }

// Control returns what was last written to the control file path, such as
// "/proc/fs/nfsd/versions".
func (h *Host) Control(path string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.NFSD.control[path]
}

// SetForeignNFSD starts threads as nfs-server.service does.
func (h *Host) SetForeignNFSD(threads int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Modules["nfsd"] = true
	if h.mountOn("/proc/fs/nfsd") == nil {
		h.setup(h.mount("nfsd", "/proc/fs/nfsd", "nfsd", ""))
	}
	h.NFSD.Threads, h.NFSD.ports = threads, []int{2049}
}

// SetThreads sets the number of threads, as somebody with a shell does.
func (h *Host) SetThreads(count int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setThreads(count)
}

// files of the server that can be read and written while it is configured.
var nfsdFiles = []string{"threads", "portlist", "versions", "nfsv4leasetime", "nfsv4gracetime"}

// lockdFiles come with the module.
var lockdFiles = []string{
	"/proc/fs/lockd/nlm_end_grace", "/proc/sys/fs/nfs/nlm_grace_period",
	"/proc/sys/fs/nfs/nlm_tcpport", "/proc/sys/fs/nfs/nlm_udpport",
}

// generated returns the file of the kernel at p, nil when there is none.
func (h *Host) generated(p string) *node {
	if !strings.HasPrefix(p, "/proc/") && !strings.HasPrefix(p, "/sys/") {
		return nil
	}
	p = path.Clean(p)
	file := func(text string) *node { return &node{mode: 0o644, data: []byte(text)} }
	dir, base := path.Split(p)
	switch {
	case p == "/proc/drbd" && h.Modules["drbd"]:
		return file(h.DRBD.version())
	case p == "/proc/filesystems":
		text := "nodev\tproc\n\text4\n"
		if h.Modules["xfs"] {
			text += "\txfs\n"
		}
		return file(text)
	case dir == "/sys/module/" && h.Modules[base]:
		return newDir(0o755)
	case dir == "/proc/fs/nfsd/" && h.mountOn("/proc/fs/nfsd") != nil && slices.Contains(nfsdFiles, base):
		return file(h.nfsdFile(base))
	case slices.Contains(lockdFiles, p) && h.Modules["nfsd"]:
		return file(h.NFSD.control[p] + "\n")
	case strings.HasPrefix(p, "/proc/net/rpc/") && base == "flush" && h.Modules["nfsd"]:
		return file("0\n")
	}
	rest, ok := strings.CutPrefix(p, "/proc/")
	if !ok {
		return nil
	}
	pid, name, _ := strings.Cut(rest, "/")
	return h.process(pidOf(pid), name)
}

func (h *Host) nfsdFile(name string) string {
	n := h.NFSD
	switch name {
	case "threads":
		return strconv.Itoa(n.Threads) + "\n"
	case "portlist":
		var b strings.Builder
		for _, p := range n.ports {
			fmt.Fprintf(&b, "tcp %d\nipv6 tcp %d\n", p, p)
		}
		return b.String()
	}
	return n.control["/proc/fs/nfsd/"+name] + "\n"
}

// control is a write to a file of the kernel.
func (h *Host) control(p, value string) error {
	n := h.NFSD
	switch {
	case p == "/proc/fs/nfsd/threads":
		count, err := strconv.Atoi(value)
		if err != nil || count < 0 {
			return syscall.EINVAL
		}
		h.setThreads(count)
		return nil
	case strings.HasPrefix(p, "/proc/fs/nfsd/"):
		if n.Threads > 0 || len(n.ports) > 0 {
			return syscall.EBUSY
		}
	case strings.HasPrefix(p, "/proc/net/rpc/"):
		if strings.Contains(p, "nfsd.export") && !n.Stuck {
			n.holds = n.Threads > 0
		}
		return nil
	}
	n.control[p] = value
	return nil
}

// setThreads starts or ends threads. When the last ends, its listening sockets
// go, and lockd, which tells rpc.statd to forget its clients: they would never
// be told to reclaim their locks, unless sm.bak has them by then. Without a
// rpc.statd that answers, the real lockd waits a minute for each.
func (h *Host) setThreads(count int) {
	n := h.NFSD
	if count > 0 {
		n.Tracked = n.Tracked || (n.Threads == 0 && h.runs("nfsdcld"))
		n.Threads = count
		n.holds = n.holds || h.exported()
		return
	}
	if n.Stuck {
		return
	}
	if n.Threads > 0 {
		h.unmonitor()
	}
	n.Threads, n.ports, n.Tracked = 0, nil, false
	h.orphaned = append(h.orphaned, h.Sockets...)
	h.Sockets = nil
}

// unmonitor is lockd's end.
func (h *Host) unmonitor() {
	n := h.NFSD
	if len(n.monitored) > 0 && !h.runs("rpc.statd") {
		n.Unanswered++
	} else if l, err := h.find(nfsDir+h.statd+"/sm", true); err == nil {
		for c := range n.monitored {
			if l.node.entries[c] != nil {
				delete(l.node.entries, c)
				h.violate("rpc.statd was there when lockd ended, and forgot %s", c)
			}
		}
	}
	clear(n.monitored)
}

// nfsDir is compiled into the programs of nfs-utils.
const nfsDir = "/var/lib/nfs"

func (h *Host) runs(command string) bool {
	for _, p := range h.procs {
		if p.Command == command {
			return true
		}
	}
	return false
}

// exported reports whether the table of exports has an entry.
func (h *Host) exported() bool {
	l, err := h.find("/var/lib/nfs/etab", true)
	return err == nil && len(l.node.data) > 0
}

// AddNFSDListeners hands listening sockets on port to the server.
func (h *Host) AddNFSDListeners(op string, port int) error {
	return h.do(noContext, op, func() error {
		if h.mountOn("/proc/fs/nfsd") == nil {
			return fmt.Errorf("%s: %w", op, syscall.ENOENT)
		}
		if slices.Contains(h.NFSD.ports, port) {
			return fmt.Errorf("%s: listen on TCP port %d: %w", op, port, syscall.EADDRINUSE)
		}
		h.NFSD.ports = append(h.NFSD.ports, port)
		return nil
	})
}

// StartNFSDThreads starts threads with the server scope scope.
func (h *Host) StartNFSDThreads(op string, threads int, scope string) error {
	return h.do(noContext, op, func() error {
		if h.mountOn("/proc/fs/nfsd") == nil {
			return fmt.Errorf("%s: %w", op, syscall.ENOENT)
		}
		h.NFSD.Scope = scope
		h.setThreads(threads)
		return nil
	})
}

// RPC program numbers.
const (
	programNFS    = 100003
	programMountd = 100005
)

// RPCNull asks the server or mountd at addr, as far as addr can be reached.
func (h *Host) RPCNull(ctx context.Context, addr netip.AddrPort, program, vers uint32) error {
	silent := errors.New("no answer")
	_, err := look(ctx, h, "rpc.null", func() (struct{}, error) {
		here := addr.Addr().IsLoopback() || slices.ContainsFunc(h.Addrs, func(a host.Address) bool { return a.Prefix.Addr() == addr.Addr() })
		blocked := h.Blocked != nil && slices.Contains(h.Blocked.Addrs, addr.Addr())
		switch {
		case !here, blocked, program == programNFS && h.NFSD.Threads > 0 && h.NFSD.Stuck:
			return struct{}{}, silent
		case program == programNFS && h.NFSD.Threads > 0 && slices.Contains(h.NFSD.ports, int(addr.Port())):
			return struct{}{}, nil
		case program == programMountd && h.runs("rpc.mountd"):
			return struct{}{}, nil
		}
		return struct{}{}, fmt.Errorf("NULL call to %s (program %d version %d): %w", addr, program, vers, syscall.ECONNREFUSED)
	})
	if errors.Is(err, silent) {
		<-ctx.Done()
		return fmt.Errorf("NULL call to %s: %w", addr, ctx.Err())
	}
	return err
}
