package portblock

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Names of the operations, for logs and fault injection.
const (
	OpBlock   = "portblock.block"
	OpUnblock = "portblock.unblock"
)

// Ports are the ports that clients use of an NFS server. A zero port is not
// used and is left out. The port from which statd sends is not among them:
// nothing connects to it.
type Ports struct {
	NFS      uint16 // nfsd, TCP and UDP
	RPCBind  uint16 // rpcbind, TCP and UDP; only for NFSv3
	Mountd   uint16 // mountd, TCP and UDP; only for NFSv3
	Statd    uint16 // statd, TCP and UDP; only for NFSv3
	LockdTCP uint16 // the lock manager; only for NFSv3
	LockdUDP uint16 // the lock manager; only for NFSv3
}

// TCP returns the TCP ports, sorted, each once.
func (p Ports) TCP() []uint16 { return set(p.NFS, p.RPCBind, p.Mountd, p.Statd, p.LockdTCP) }

// UDP returns the UDP ports, sorted, each once. NFS over UDP is long gone from
// the defaults, but a server that still has it must be silent as well.
func (p Ports) UDP() []uint16 { return set(p.NFS, p.RPCBind, p.Mountd, p.Statd, p.LockdUDP) }

func set(ports ...uint16) []uint16 {
	ports = slices.DeleteFunc(ports, func(p uint16) bool { return p == 0 })
	slices.Sort(ports)
	return slices.Compact(ports)
}

// Compute returns the block for the service addresses addrs and the ports p:
// sorted, without duplicates, addresses mapped into IPv6 as IPv4. No address,
// no port, and an address that must never be blocked (loopback, unspecified,
// multicast) are errors.
func Compute(addrs []netip.Addr, p Ports) (host.Block, error) {
	b := host.Block{TCP: p.TCP(), UDP: p.UDP()}
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		if !a.IsValid() || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() {
			return host.Block{}, fmt.Errorf("block ports of %s: not a service address", a)
		}
		b.Addrs = append(b.Addrs, a)
	}
	slices.SortFunc(b.Addrs, netip.Addr.Compare)
	b.Addrs = slices.Compact(b.Addrs)
	if len(b.Addrs) == 0 {
		return host.Block{}, errors.New("block ports: no service address")
	}
	if len(b.TCP) == 0 && len(b.UDP) == 0 {
		return host.Block{}, errors.New("block ports: no port")
	}
	return b, nil
}

// blocker is the part of package host that this package uses.
type blocker interface {
	BlockPorts(ctx context.Context, op string, b host.Block) error
	UnblockPorts(ctx context.Context, op string) error
	PortsBlocked(ctx context.Context) (bool, error)
}

var _ blocker = (*host.Host)(nil)

// Blocker switches one block on and off. Use [New]. It holds no state and is
// safe for concurrent use as far as its host is.
type Blocker struct {
	host  blocker
	block host.Block
}

// New returns a Blocker of b on h. For a stop without parameters b may be
// empty; then [Blocker.Ensure] is an error and the rest works.
func New(h blocker, b host.Block) *Blocker { return &Blocker{host: h, block: b} }

// Ensure makes the ports silent. It is idempotent: an earlier block, which may
// have been for other addresses or ports, is replaced without a gap. The
// errors are those of [host.Host.BlockPorts].
func (b *Blocker) Ensure(ctx context.Context) error {
	return b.host.BlockPorts(ctx, OpBlock, b.block)
}

// Remove opens the ports. It is idempotent. The errors are those of
// [host.Host.UnblockPorts].
func (b *Blocker) Remove(ctx context.Context) error {
	return b.host.UnblockPorts(ctx, OpUnblock)
}

// Status reports whether ports are silent. It does not look at which: a block
// that is left over from other parameters counts too.
func (b *Blocker) Status(ctx context.Context) (bool, error) {
	return b.host.PortsBlocked(ctx)
}
