package nfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Files of the kernel's NFS server, Documentation/filesystems/nfs in Linux and
// nfsd(7).
const (
	procNFSD        = "/proc/fs/nfsd"
	procThreads     = procNFSD + "/threads"
	procPortlist    = procNFSD + "/portlist"
	procVersions    = procNFSD + "/versions"
	procLease       = procNFSD + "/nfsv4leasetime"
	procGrace       = procNFSD + "/nfsv4gracetime"
	procEndGrace    = "/proc/fs/lockd/nlm_end_grace"
	sysctlLockdTCP  = "/proc/sys/fs/nfs/nlm_tcpport"
	sysctlLockdUDP  = "/proc/sys/fs/nfs/nlm_udpport"
	sysctlLockGrace = "/proc/sys/fs/nfs/nlm_grace_period"
)

// RPC program numbers.
const (
	programNFS    = 100003
	programMountd = 100005
)

// serverSystem is what Server needs of the machine.
type serverSystem interface {
	fileReader
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	WriteFile(op, path string, data []byte) error
	MkdirAll(op, path string, perm fs.FileMode) error
	Mounts() ([]host.Mount, error)
	Mount(ctx context.Context, op, source, dir, fstype, options string) error
	AddNFSDListeners(op string, port int) error
	StartNFSDThreads(op string, threads int, scope string) error
	RPCNull(ctx context.Context, addr netip.AddrPort, program, vers uint32) error
}

// ServerConfig says how the kernel's NFS server runs.
type ServerConfig struct {
	Threads  int
	Versions Versions
	Ports    Ports
	Lease    time.Duration // NFSv4 lease
	Grace    time.Duration // NFSv4 and NLM grace period, at least Lease
	Scope    string        // NFSv4.1 server scope, the same on all nodes
}

// Server is the kernel's NFS server of this network namespace.
type Server struct {
	sys serverSystem
	cfg ServerConfig
}

// NewServer returns the server that cfg describes. It does nothing yet.
func NewServer(sys serverSystem, cfg ServerConfig) *Server { return &Server{sys: sys, cfg: cfg} }

// Threads returns how many nfsd threads run. No NFS server in the kernel is 0.
func (s *Server) Threads() (int, error) {
	data, err := s.sys.ReadFile(procThreads)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read nfsd threads: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("read nfsd threads: %w", err)
	}
	return n, nil
}

// Prepare loads the kernel's NFS server and mounts its control file system and
// rpc_pipefs where they are not yet. It starts nothing. It belongs into the
// start action: loading modules takes longer than the rest of a promotion.
func (s *Server) Prepare(ctx context.Context) error {
	if err := CheckPipefs(s.sys); err != nil {
		return err
	}
	mounts, err := s.sys.Mounts()
	if err != nil {
		return err
	}
	pipefs := PipefsDir(s.sys)
	haveNFSD, havePipefs := mounted(mounts, procNFSD, "nfsd"), mounted(mounts, pipefs, "rpc_pipefs")
	if haveNFSD && havePipefs {
		return nil
	}
	if _, err := s.sys.Run(ctx, host.Cmd{Op: "nfs.modprobe", Name: "modprobe", Args: []string{"nfsd"}}); err != nil {
		return err
	}
	if !haveNFSD {
		if err := s.mount(ctx, "nfsd", procNFSD, "nfsd"); err != nil {
			return err
		}
	}
	if !havePipefs {
		return s.mount(ctx, "sunrpc", pipefs, "rpc_pipefs")
	}
	return nil
}

func mounted(mounts []host.Mount, dir, fstype string) bool {
	return slices.ContainsFunc(mounts, func(m host.Mount) bool { return m.Dir == dir && m.Type == fstype })
}

func (s *Server) mount(ctx context.Context, source, dir, fstype string) error {
	if !strings.HasPrefix(dir, "/proc/") {
		if err := s.sys.MkdirAll("nfs.pipefs", dir, 0o555); err != nil {
			return err
		}
	}
	err := s.sys.Mount(ctx, "nfs.mount", source, dir, fstype, "")
	if errors.Is(err, fs.ErrExist) || isBusy(err) {
		return nil // systemd mounted it between our look and our call
	}
	return err
}

// Start configures the server and starts its threads: versions, lease and
// grace (which the kernel only takes while there is no thread), lockd's ports,
// listening sockets, threads in the UTS namespace of the scope. It expects
// that no thread runs.
func (s *Server) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.clearListeners(); err != nil {
		return err
	}
	grace := strconv.Itoa(int(s.cfg.Grace.Seconds()))
	settings := []struct {
		path, value string
		v4          bool
	}{
		{procVersions, strings.TrimSuffix(s.cfg.Versions.control(), "\n"), false},
		{procLease, strconv.Itoa(int(s.cfg.Lease.Seconds())), true},
		{procGrace, grace, true},
		{sysctlLockGrace, nlmGrace(s.cfg.Grace), false},
		{sysctlLockdTCP, strconv.Itoa(s.cfg.Ports.LockdTCP), false},
		{sysctlLockdUDP, strconv.Itoa(s.cfg.Ports.LockdUDP), false},
	}
	for _, w := range settings {
		if w.v4 && !s.cfg.Versions.V4() {
			continue
		}
		if err := s.sys.WriteFile("nfs.configure", w.path, []byte(w.value+"\n")); err != nil {
			return fmt.Errorf("write %s to %s: %w", w.value, w.path, err)
		}
	}
	if err := s.sys.AddNFSDListeners("nfs.listen", Port); err != nil {
		return err
	}
	return s.sys.StartNFSDThreads("nfs.threads", s.cfg.Threads, s.cfg.Scope)
}

// nlmGrace is the grace period that lockd accepts: whole tens of seconds up to
// 240 (Linux fs/lockd/svc.c nlm_grace_period_max).
func nlmGrace(d time.Duration) string {
	n := (int(d.Seconds()) + 9) / 10 * 10
	return strconv.Itoa(min(n, 240))
}

// clearListeners removes sockets that an interrupted Start has left in a server
// without threads; the settings could not be written with them.
func (s *Server) clearListeners() error {
	data, err := s.sys.ReadFile(procPortlist)
	if err != nil {
		return fmt.Errorf("the kernel's NFS server is not there: %w", err)
	}
	if strings.TrimSpace(string(data)) == "" {
		return nil
	}
	return s.stopThreads()
}

func (s *Server) stopThreads() error {
	if err := s.sys.WriteFile("nfs.stop", procThreads, []byte("0\n")); err != nil {
		return fmt.Errorf("stop nfsd threads: %w", err)
	}
	return nil
}

// SetThreads changes the number of threads of the running server.
func (s *Server) SetThreads(threads int) error {
	if err := s.sys.WriteFile("nfs.threads", procThreads, []byte(strconv.Itoa(threads)+"\n")); err != nil {
		return fmt.Errorf("set nfsd threads to %d: %w", threads, err)
	}
	return nil
}

// threadsPoll is how often the number of threads is read while they end.
const threadsPoll = 20 * time.Millisecond

// Stop ends all threads, and with them every NFSv4 open, lock and delegation
// and the listening sockets, and waits until they are gone. No server is
// success.
func (s *Server) Stop(ctx context.Context) error {
	if list, err := s.sys.ReadFile(procPortlist); err != nil || strings.TrimSpace(string(list)) == "" {
		if n, err := s.Threads(); err != nil || n == 0 {
			return err
		}
	}
	if err := s.stopThreads(); err != nil {
		return err
	}
	for {
		n, err := s.Threads()
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d nfsd threads do not end, look for hung I/O: %w", n, ctx.Err())
		case <-time.After(threadsPoll):
		}
	}
}

// Answers calls the NULL procedure of the server, in each version that is
// offered, and of mountd at addr. It proves that requests are read and
// answered.
func (s *Server) Answers(ctx context.Context, addr netip.Addr) error {
	type call struct {
		port          int
		program, vers uint32
	}
	var calls []call
	if s.cfg.Versions.V4() {
		calls = append(calls, call{Port, programNFS, 4})
	}
	if s.cfg.Versions.V3 {
		calls = append(calls, call{Port, programNFS, 3})
		if s.cfg.Ports.Mountd != 0 {
			calls = append(calls, call{s.cfg.Ports.Mountd, programMountd, 3})
		}
	}
	for _, c := range calls {
		if err := s.sys.RPCNull(ctx, netip.AddrPortFrom(addr, uint16(c.port)), c.program, c.vers); err != nil {
			return err
		}
	}
	return nil
}

// EndLockGrace ends lockd's grace period at once. That is only right when no
// client holds an NFSv3 lock that it would reclaim; new locks of both protocols
// wait for it otherwise.
func (s *Server) EndLockGrace() error {
	if err := s.sys.WriteFile("nfs.endgrace", procEndGrace, []byte("Y\n")); err != nil {
		return fmt.Errorf("end the grace period of lockd: %w", err)
	}
	return nil
}

// exportCaches are the kernel's caches that hold references to exports and the
// file systems below them.
var exportCaches = []string{"auth.unix.ip", "auth.unix.gid", "nfsd.fh", "nfsd.export"}

// FlushCaches empties the kernel's export caches, as exportfs -f does.
func (s *Server) FlushCaches(now time.Time) error {
	var errs []error
	stamp := []byte(strconv.FormatInt(now.Unix(), 10) + "\n")
	for _, c := range exportCaches {
		err := s.sys.WriteFile("nfs.flush", "/proc/net/rpc/"+c+"/flush", stamp)
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
