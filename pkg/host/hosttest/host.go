package hosttest

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Host is one machine. Use [New]. Its exported fields are facts that a test may
// change between actions, and within one from a hook of [Host.On].
type Host struct {
	DRBD *DRBD
	NFSD *NFSD

	// Programs are the names of the programs that are installed.
	Programs map[string]bool
	// Modules are the kernel modules that can be loaded: true when loaded.
	Modules map[string]bool
	// Interfaces are the network interfaces, Addrs what is on them.
	Links []host.Interface
	Addrs []host.Address
	// Neighbours are the addresses that other machines answer for.
	Neighbours map[netip.Addr]bool
	// Sockets are the established TCP connections.
	Sockets []host.TCPSocket
	// Blocked is the block of ports, nil when there is none.
	Blocked *host.Block
	// NoExchange makes the file system refuse RENAME_EXCHANGE.
	NoExchange bool
	// Name is what "uname -n" prints.
	Name string
	// Parent is the identity of the process that runs the actions.
	Parent string
	// Pinned keeps every file system busy without any process, as a loop
	// device does.
	Pinned bool

	// What was done, for tests to look at.
	Scores    []string // arguments of crm_attribute: the score, "" for deleted
	Announced []string // addresses of gratuitous ARP and neighbour advertisements
	Tickled   []host.TCPSocket
	Started   [][]string // commands of all transient units
	Notified  []string   // clients that sm-notify was told of

	// orphaned are connections whose owner has ended and whose end the other
	// side has not heard of.
	orphaned []host.TCPSocket
	statd    string // rpc.statd's directory below a state directory: "/statd" or ""

	t      testing.TB
	mu     sync.Mutex
	cancel context.CancelFunc
	dead   bool
	half   bool // the effect of this call is cut in the middle
	ops    []string
	looks  []string
	argv   []string        // programs that ran, with their arguments
	waits  map[string]bool // by label: has a context
	faults []*fault
	hooks  map[string][]func()
	tools  map[string]func(c host.Cmd) (string, error)

	running map[string]Program // programs of Stream and StreamInput

	mounts  []*mounted
	lastID  int
	procs   map[int]*Process
	lastPID int
	units   map[string]*unit
	local   []netip.Prefix           // the machine's own addresses
	locks   map[string]chan struct{} // closed when the lock is released
	taken   []string                 // locks of the running action
	resumed chan struct{}            // closed when suspended I/O goes on
	kmsg    *kmsg                    // the kernel's log since boot

	violations []string
	known      []string // rules that are broken already
}

// programs of a node on which everything is installed.
var programs = []string{
	"drbdadm", "drbdsetup", "exportfs", "modprobe", "nfsdcld", "rpc.statd", "rpc.mountd", "rpc.idmapd",
	"sm-notify", "rpcbind", "crm_attribute",
}

// New returns a node as AlmaLinux 8 with everything installed and configured,
// right after boot: no group was ever started, DRBD is down, its configuration
// is there, and the peer is up with good data. The end of the test fails it
// when a call has broken what must always hold.
func New(t testing.TB) *Host {
	t.Helper()
	h := &Host{
		t:          t,
		statd:      "/statd",
		Programs:   map[string]bool{},
		Modules:    map[string]bool{"drbd": false, "nfsd": false, "xfs": false},
		Neighbours: map[netip.Addr]bool{},
		Name:       "drbdtest1",
		Parent:     "100@1000",
		hooks:      map[string][]func(){},
		tools:      map[string]func(c host.Cmd) (string, error){},
		running:    map[string]Program{},
		waits:      map[string]bool{},
		procs:      map[int]*Process{},
		lastPID:    1000,
		units:      map[string]*unit{},
		locks:      map[string]chan struct{}{},
		resumed:    make(chan struct{}),
	}
	close(h.resumed)
	for _, p := range programs {
		h.Programs[p] = true
	}
	h.DRBD = newDRBD()
	h.NFSD = newNFSD()
	h.mounts = []*mounted{{Mount: host.Mount{ID: 1, Major: 253, Dir: "/", Type: "xfs", Source: "/dev/sda1"}, root: newDir(0o755)}}
	h.lastID = 1
	h.procs[1] = &Process{PID: 1, Command: "systemd"}
	h.files()
	h.bootKmsg()
	h.network()
	h.startService("rpcbind.service", "rpcbind")
	t.Cleanup(func() {
		for _, v := range h.Violations() {
			t.Errorf("hosttest: %s", v)
		}
	})
	return h
}

func (h *Host) files() {
	for _, dir := range []string{"/run", "/etc", "/dev", "/home", "/proc/fs/nfsd", "/usr/sbin"} {
		h.SetDir(dir, 0, 0)
	}
	h.SetFile("/etc/nfs.conf", "[general]\npipefs-directory=/run/rpc_pipefs\n")
	h.SetFile("/etc/exports", "")
	h.SetFile("/etc/redhat-release", "AlmaLinux release 8.10 (Cerulean Leopard)\n")
	for _, f := range []string{"etab", "rmtab", "statd/state"} {
		h.SetFile("/var/lib/nfs/"+f, "")
	}
	h.SetDir("/var/lib/nfs/rpc_pipefs", 0, 0)
	h.SetDir("/var/lib/nfs/v4recovery", 0, 0)
	for _, d := range []string{"statd", "statd/sm", "statd/sm.bak"} {
		h.SetDir("/var/lib/nfs/"+d, 29, 29)
	}
	h.SetFile("/etc/drbd.d/res0.res", "resource res0 {}")
}

// Debian makes the machine a Debian one, where rpc.statd keeps its lists at the
// top of the state directory. Call it first.
func (h *Host) Debian() {
	h.Delete("/etc/redhat-release")
	h.Delete("/var/lib/nfs/statd")
	h.SetFile("/var/lib/nfs/state", "")
	h.SetDir("/var/lib/nfs/sm", 102, 65534)
	h.SetDir("/var/lib/nfs/sm.bak", 102, 65534)
	h.statd = ""
}

// Bare takes everything off the machine that is not on a freshly installed one.
func (h *Host) Bare() {
	clear(h.Programs)
	clear(h.Modules)
	h.Delete("/var/lib/nfs")
	h.Delete("/etc/nfs.conf")
	h.Delete("/etc/drbd.d")
	h.DRBD.Configured = false
}

// Reboot ends everything that does not survive a loss of power. The volume and
// the files of the machine stay.
func (h *Host) Reboot() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mounts = h.mounts[:1]
	maps.DeleteFunc(h.procs, func(pid int, _ *Process) bool { return pid != 1 })
	clear(h.units)
	h.NFSD.reset()
	h.resume()
	h.DRBD.down()
	h.Blocked, h.Sockets, h.orphaned = nil, nil, nil
	h.Addrs = slices.DeleteFunc(h.Addrs, func(a host.Address) bool { return !slices.Contains(h.local, a.Prefix) })
	for m := range h.Modules {
		h.Modules[m] = false
	}
	l, err := h.find("/run", true)
	h.setup(err)
	clear(l.node.entries)
	h.bootKmsg()
	h.startService("rpcbind.service", "rpcbind")
}

// LookPath returns the absolute path of program name.
func (h *Host) LookPath(name string) (string, error) {
	return look(noContext, h, "program "+name, func() (string, error) {
		if !h.Programs[path.Base(name)] && h.tools[path.Base(name)] == nil {
			return "", fmt.Errorf("%s: %w", name, host.ErrNotInstalled)
		}
		if strings.HasPrefix(name, "/") {
			return name, nil
		}
		return "/usr/sbin/" + name, nil
	})
}

// Hostname returns Name.
func (h *Host) Hostname() (string, error) { return h.Name, nil }

// Self is the process of the running action. It holds nothing.
func (h *Host) Self() int { return 999 }

// ParentIdentity names the process that runs the actions.
func (h *Host) ParentIdentity() string { return h.Parent }

// Lock takes the lock on path and waits for it until ctx ends. The end of the
// action releases it.
func (h *Host) Lock(ctx context.Context, path string) (unlock func(), err error) {
	for {
		var held chan struct{}
		err := h.do(ctx, "lock", func() error {
			if err := h.put(path, &node{mode: 0o600}); err != nil {
				return err
			}
			if held = h.locks[path]; held == nil {
				h.locks[path] = make(chan struct{})
				if h.cancel != nil {
					h.taken = append(h.taken, path)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if held == nil {
			return func() {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.unlock(path)
			}, nil
		}
		select {
		case <-held:
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s is held by another action: %w", path, ctx.Err())
		}
	}
}

func (h *Host) unlock(path string) {
	if held := h.locks[path]; held != nil {
		close(held)
		delete(h.locks, path)
	}
}
