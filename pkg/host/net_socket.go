package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ErrNoSockDestroy reports a kernel that cannot end connections on request
// (built without CONFIG_INET_DIAG_DESTROY).
var ErrNoSockDestroy = errors.New("the kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY)")

// ErrNoSockDiag reports a kernel that cannot list connections (no module
// tcp_diag).
var ErrNoSockDiag = errors.New("the kernel cannot list TCP sockets (module tcp_diag)")

// TCPSocket is one TCP connection of this machine, whoever owns it: a process
// or, as with nfsd, the kernel. Addresses mapped into IPv6 are given as IPv4.
type TCPSocket struct {
	Local  netip.AddrPort // this end
	Remote netip.AddrPort // the other end
}

// TCP states as the kernel numbers them (include/net/tcp_states.h).
const (
	tcpEstablished = 1
	tcpFinWait2    = 5
	tcpTimeWait    = 6
	tcpClose       = 7
	tcpListen      = 10
)

// allStates is every state in which a connection can be destroyed: not those
// that are closed, not TIME-WAIT, which 4.18 refuses to destroy and which
// hinders nobody, and not listeners.
const allStates = 1<<13 - 1 - (1 << tcpTimeWait) - (1 << tcpClose) - (1 << tcpListen) - 1

// TCPSockets returns the established TCP connections whose local address is
// local, sorted by local and then remote address. IPv6 sockets that serve IPv4
// clients are included. The source is inet_diag, which sees the kernel's own
// sockets too; a kernel without it is [ErrNoSockDiag].
func (h *Host) TCPSockets(ctx context.Context, local netip.Addr) ([]TCPSocket, error) {
	found, err := dumpTCP(ctx, local, 1<<tcpEstablished)
	if err != nil {
		return nil, fmt.Errorf("list connections of %s: %w", local, err)
	}
	list := make([]TCPSocket, 0, len(found))
	for _, d := range found {
		list = append(list, TCPSocket{Local: d.addrPort(d.src, d.sport), Remote: d.addrPort(d.dst, d.dport)})
	}
	slices.SortFunc(list, func(a, b TCPSocket) int {
		if c := a.Local.Compare(b.Local); c != 0 {
			return c
		}
		return a.Remote.Compare(b.Remote)
	})
	return slices.Compact(list), nil
}

// DestroySockets ends every TCP connection whose local address is local, in
// whatever state, and returns how many. Owners see ECONNABORTED, the other
// ends a reset unless ports are blocked. Listening sockets stay. It is
// idempotent; a connection that ends by itself meanwhile is not counted.
//
// It goes on after a connection that the kernel refuses to end and returns the
// first such error; a kernel that cannot do it at all is [ErrNoSockDestroy].
func (h *Host) DestroySockets(ctx context.Context, op string, local netip.Addr) (int, error) {
	n, err := destroySockets(ctx, local)
	if n > 0 {
		h.log.Debug("connections destroyed", "action", op, "address", local, "count", n)
	}
	return n, netError(op, err, "destroy connections of %s", local)
}

func destroySockets(ctx context.Context, local netip.Addr) (int, error) {
	found, err := dumpTCP(ctx, local, allStates)
	if errors.Is(err, ErrNoSockDiag) {
		return 0, fmt.Errorf("%w: %w", ErrNoSockDestroy, err)
	}
	if err != nil || len(found) == 0 {
		return 0, err
	}
	s, err := netlinkSocket(ctx, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	n := 0
	var first error
	for _, d := range found {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		req := netlinkRequest(s, unix.NETLINK_SOCK_DIAG, nl.SOCK_DESTROY, unix.NLM_F_ACK)
		req.AddData(&d)
		_, err := req.Execute(unix.NETLINK_SOCK_DIAG, 0)
		switch {
		case err == nil:
			n++
		case errors.Is(err, unix.ENOENT): // ended by itself
		case errors.Is(err, unix.EOPNOTSUPP) && d.state == tcpFinWait2:
			// Half of a TIME-WAIT: shown in this state, but refused by 4.18.
		case errors.Is(err, unix.EOPNOTSUPP):
			return n, ErrNoSockDestroy
		case first == nil:
			first = fmt.Errorf("%s: %w", d.addrPort(d.dst, d.dport), err)
		}
	}
	return n, first
}

// dumpTCP returns the TCP sockets of local in one of states, a bit set. Two
// dumps are needed: the one of IPv4 does not show IPv6 sockets that have IPv4
// clients.
func dumpTCP(ctx context.Context, local netip.Addr, states uint32) ([]diagSocket, error) {
	local = local.Unmap().WithZone("")
	families := []uint8{unix.AF_INET6}
	if local.Is4() {
		families = append(families, unix.AF_INET)
	}
	var list []diagSocket
	for _, f := range families {
		found, err := dumpFamily(ctx, f, local, states)
		if errors.Is(err, unix.ENOENT) { // net/ipv4/inet_diag.c: no handler for the protocol
			return nil, ErrNoSockDiag
		}
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

func dumpFamily(ctx context.Context, family uint8, local netip.Addr, states uint32) ([]diagSocket, error) {
	var err error
	for range dumpTries {
		var list []diagSocket
		list, err = dumpOnce(ctx, family, local, states)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err
		}
	}
	return nil, err
}

func dumpOnce(ctx context.Context, family uint8, local netip.Addr, states uint32) ([]diagSocket, error) {
	s, err := netlinkSocket(ctx, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	req := netlinkRequest(s, unix.NETLINK_SOCK_DIAG, nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	req.AddData(&diagSocket{family: family, states: states})
	var list []diagSocket
	err = req.ExecuteIter(unix.NETLINK_SOCK_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(msg []byte) bool {
		d, ok := parseDiag(msg)
		if ok && d.addrPort(d.src, d.sport).Addr() == local && 1<<d.state&states != 0 {
			list = append(list, d)
		}
		return true
	})
	return list, err
}

// diagSocket is one socket in inet_diag's terms, both as the answer of a dump
// and as the request that names it again.
type diagSocket struct {
	family       uint8
	state        uint8
	states       uint32 // of a request: bit set of states
	sport, dport uint16
	src, dst     [16]byte // an IPv4 address is in the first four
	iface        uint32
	cookie       [8]byte
}

const (
	diagRequestLen = 56 // struct inet_diag_req_v2
	diagMessageLen = 72 // struct inet_diag_msg without attributes
)

// parseDiag reads struct inet_diag_msg (include/uapi/linux/inet_diag.h).
func parseDiag(b []byte) (diagSocket, bool) {
	if len(b) < diagMessageLen {
		return diagSocket{}, false
	}
	return diagSocket{
		family: b[0],
		state:  b[1],
		sport:  binary.BigEndian.Uint16(b[4:]),
		dport:  binary.BigEndian.Uint16(b[6:]),
		src:    [16]byte(b[8:24]),
		dst:    [16]byte(b[24:40]),
		iface:  binary.NativeEndian.Uint32(b[40:]),
		cookie: [8]byte(b[44:52]),
	}, true
}

// Len implements nl.NetlinkRequestData.
func (d *diagSocket) Len() int { return diagRequestLen }

// Serialize implements nl.NetlinkRequestData: struct inet_diag_req_v2.
func (d *diagSocket) Serialize() []byte {
	b := make([]byte, diagRequestLen)
	b[0] = d.family
	b[1] = unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], d.states)
	binary.BigEndian.PutUint16(b[8:], d.sport)
	binary.BigEndian.PutUint16(b[10:], d.dport)
	copy(b[12:28], d.src[:])
	copy(b[28:44], d.dst[:])
	binary.NativeEndian.PutUint32(b[44:], d.iface)
	copy(b[48:56], d.cookie[:])
	return b
}

func (d *diagSocket) addrPort(addr [16]byte, port uint16) netip.AddrPort {
	if d.family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr[:4])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(addr).Unmap(), port)
}
