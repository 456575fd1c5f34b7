package group

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/mount"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/peers"
	"github.com/spacei/drbdnfs/pkg/portblock"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// System is everything that the group needs of the machine; [*host.Host] is
// it, and the fake world of package hosttest.
type System interface {
	// Programs, units and processes.
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	LookPath(name string) (string, error)
	StartTransient(ctx context.Context, op string, u host.Unit) error
	StartUnit(ctx context.Context, op, name string) error
	StopUnit(ctx context.Context, op, name string) error
	UnitProcesses(name string) []int
	Signal(op string, pid int, sig syscall.Signal) error
	Self() int

	// Files.
	ReadFile(path string) ([]byte, error)
	WriteFile(op, path string, data []byte) error
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	Lstat(path string) (fs.FileInfo, error)
	Stat(path string) (fs.FileInfo, error)
	Readlink(path string) (string, error)
	ReadDir(path string) ([]string, error)
	MkdirAll(op, path string, perm fs.FileMode) error
	Remove(op, path string) error
	RemoveAll(op, path string) error
	Rename(op, from, to string) error
	Exchange(op, a, b string) error
	ReplaceSymlink(op, target, path string) error
	CopyTree(op, src, dst string, skip ...string) error
	Owner(path string) (uid, gid int, err error)
	Chown(op, path string, uid, gid int) error

	// Mounts.
	Mounts() ([]host.Mount, error)
	Mount(ctx context.Context, op, source, dir, fstype, options string) error
	Unmount(ctx context.Context, op, dir string) error
	BlockDevice(path string) (major, minor int, err error)
	Holders(ctx context.Context, mountID int, dir string) ([]host.Holder, error)

	// The kernel's NFS server.
	AddNFSDListeners(op string, port int) error
	StartNFSDThreads(op string, threads int, scope string) error
	RPCNull(ctx context.Context, addr netip.AddrPort, program, vers uint32) error

	// The network.
	InterfaceFor(ctx context.Context, prefix netip.Prefix) (host.Interface, error)
	Interfaces(ctx context.Context) ([]host.Interface, error)
	Addresses(ctx context.Context) ([]host.Address, error)
	AddAddress(ctx context.Context, op, iface string, prefix netip.Prefix) error
	DelAddress(ctx context.Context, op, iface string, prefix netip.Prefix) error
	ARPProbe(ctx context.Context, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error)
	NSProbe(ctx context.Context, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error)
	SendGratuitousARP(ctx context.Context, op, iface string, addr netip.Addr) error
	SendUnsolicitedNA(ctx context.Context, op, iface string, addr netip.Addr) error
	BlockPorts(ctx context.Context, op string, b host.Block) error
	UnblockPorts(ctx context.Context, op string) error
	PortsBlocked(ctx context.Context) (bool, error)
	TCPSockets(ctx context.Context, local netip.Addr) ([]host.TCPSocket, error)
	DestroySockets(ctx context.Context, op string, local netip.Addr) (int, error)
	SendTickle(ctx context.Context, op string, local, remote netip.AddrPort) error
}

var _ System = (*host.Host)(nil)

// Options are what New needs.
type Options struct {
	System System
	Log    *slog.Logger // nil discards
	Config Config
	// Params are the raw parameters behind Config, kept in the record for a
	// stop that gets none.
	Params map[string]string
	// Program is the absolute path of this program. The announcer and the
	// saver of peers run it again, with the words "announce" and "save-peers".
	Program string
	// Boundary is called at each step's boundaries; nil does nothing.
	Boundary Boundary
}

// Group is one group on this node. One action at a time may use it: callers
// hold the lock of the instance.
type Group struct {
	sys      System
	log      *slog.Logger
	cfg      Config
	program  string
	boundary Boundary

	drbd    *admin.Admin
	state   *nfs.State
	server  *nfs.Server
	daemons *nfs.Daemons
	vips    *vip.Manager
	block   *portblock.Blocker
	peers   *peers.Peers

	seen   *drbd.Resource // as Inspect saw it last, nil before
	mu     sync.Mutex     // guards record: steps of one stage run at once
	record Record

	ours     bool // nfsd threads were this program's when Down began
	recorded bool // there was a record: an action has run on this node since it booted
	// unfinished: the last action failed or was killed. What it has left may be
	// nothing that Inspect sees, such as connections without an address.
	unfinished bool
}

// New returns the group that o describes and reads its record. It changes
// nothing. A record that cannot be read is treated as none, with a warning: it
// may never keep a node from being cleaned up.
func New(o Options) (*Group, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Boundary == nil {
		o.Boundary = func(string, string, string) {}
	}
	c := o.Config
	g := &Group{
		sys: o.System, log: o.Log, cfg: c, program: o.Program, boundary: o.Boundary,
		drbd:    admin.New(o.System),
		state:   nfs.NewState(o.System, c.StateDir),
		server:  nfs.NewServer(o.System, c.Server),
		daemons: nfs.NewDaemons(o.System, c.Server.Versions, c.Server.Ports),
	}
	if err := g.newNetwork(); err != nil {
		return nil, err
	}
	rec, err := LoadRecord(o.System, c.Instance)
	if err != nil {
		o.Log.Warn("record is unreadable, going on without it", "err", err)
	}
	g.record, g.recorded = rec, err != nil || rec.Params != nil
	g.unfinished = err != nil || rec.Action != ""
	if o.Params != nil {
		g.record.Params = o.Params
	}
	return g, nil
}

// newNetwork makes the parts that belong to the service addresses.
func (g *Group) newNetwork() (err error) {
	addrs, ports := vip.Addrs(g.cfg.VIPs), blockedPorts(g.cfg.Server)
	if g.vips, err = vip.New(vip.Options{Host: g.sys, Log: g.log, VIPs: g.cfg.VIPs}); err != nil {
		return err
	}
	block, err := portblock.Compute(addrs, ports)
	if err != nil {
		return err
	}
	g.block = portblock.New(g.sys, block)
	g.peers, err = peers.New(peers.Options{Host: g.sys, Addrs: addrs, Ports: ports.TCP()})
	return err
}

// rpcbindPort is where NFSv3 clients ask for the other ports.
const rpcbindPort = 111

// blockedPorts are the ports that clients use of the service.
func blockedPorts(c nfs.ServerConfig) portblock.Ports {
	p := portblock.Ports{NFS: nfs.Port}
	if c.Versions.V3 {
		p.RPCBind = rpcbindPort
		p.Mountd, p.Statd = uint16(c.Ports.Mountd), uint16(c.Ports.Statd)
		p.LockdTCP, p.LockdUDP = uint16(c.Ports.LockdTCP), uint16(c.Ports.LockdUDP)
	}
	return p
}

// Status is the state of the DRBD resource in the kernel; nil when it is not
// up or the module is not loaded.
func (g *Group) Status(ctx context.Context) (*drbd.Resource, error) {
	r, err := g.drbd.Status(ctx, g.cfg.Resource)
	if errors.Is(err, admin.ErrModuleNotLoaded) || errors.Is(err, admin.ErrUnknownResource) {
		return nil, nil
	}
	return r, err
}

// device returns the block device: the configured one, the one of the kernel's
// resource, or the one that the last action used.
func (g *Group) device(r *drbd.Resource) string {
	if g.cfg.Device != "" {
		return g.cfg.Device
	}
	if r != nil {
		if ds := r.SortedDevices(); len(ds) > 0 {
			return "/dev/drbd" + strconv.Itoa(ds[0].Minor)
		}
	}
	return g.record.Device
}

func (g *Group) filesystem(device string) *mount.Filesystem {
	return mount.New(g.sys, g.log, mount.Config{
		Device: device, Dir: g.cfg.Dir, Type: g.cfg.FSType, Options: g.cfg.MountOptions,
	})
}

// mustStatus is Status where the resource has to be up.
func (g *Group) mustStatus(ctx context.Context) (*drbd.Resource, error) {
	r, err := g.Status(ctx)
	if err == nil && r == nil {
		return nil, fmt.Errorf("DRBD resource %s is not up", g.cfg.Resource)
	}
	return r, err
}
