package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	mdnetlink "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrNoNFTables reports a kernel without nf_tables, or without the part of it
// that filters IPv4 and IPv6 together.
var ErrNoNFTables = errors.New("the kernel has no nf_tables (module nf_tables)")

// blockTable is the one table of drbdnfs. The table is the block: while it
// exists the ports are silent.
const blockTable = "drbdnfs"

// Block is what [Host.BlockPorts] silences: every listed port of every listed
// address.
type Block struct {
	Addrs []netip.Addr // service addresses, IPv4 and IPv6
	TCP   []uint16     // TCP ports
	UDP   []uint16     // UDP ports
}

// BlockPorts makes the service ports of the addresses in b silent in both
// directions, for new and for established connections: packets are dropped
// without an answer, and no end or reset of a connection gets out. A client
// sees a network that is slow, not a server that is gone. Other ports and
// other addresses, 127.0.0.1 among them, are not touched.
//
// It replaces an earlier block in one transaction, without a gap. It needs
// neither connection tracking nor the nft program; the kernel loads the
// modules itself. A kernel without them is [ErrNoNFTables].
func (h *Host) BlockPorts(ctx context.Context, op string, b Block) error {
	err := h.blockPorts(ctx, b)
	if err == nil {
		h.log.Debug("ports blocked", "action", op, "addresses", b.Addrs, "tcp", b.TCP, "udp", b.UDP)
	}
	return netError(op, err, "block ports (nft table inet %s)", blockTable)
}

func (h *Host) blockPorts(ctx context.Context, b Block) error {
	if len(b.Addrs) == 0 || len(b.TCP)+len(b.UDP) == 0 {
		return errors.New("no address or no port to block")
	}
	c, err := nftConn(ctx)
	if err != nil {
		return err
	}
	// The question is needed for more than its answer: a batch to a kernel
	// without nf_tables gets one refusal instead of an answer per message,
	// and the library would wait for the others until the deadline.
	there, err := tableExists(c)
	if err != nil {
		return err
	}
	t := &nftables.Table{Name: blockTable, Family: nftables.TableFamilyINet}
	if there {
		c.AddTable(t) // so that the removal does not fail if it has gone since
		c.DelTable(t)
	}
	c.AddTable(t)
	if err := addBlock(c, t, b); err != nil {
		return err
	}
	return nftError(c.Flush())
}

// UnblockPorts removes the block. It is idempotent: no block is nil, and so is
// a kernel without nf_tables.
func (h *Host) UnblockPorts(ctx context.Context, op string) error {
	err := h.unblockPorts(ctx)
	if err == nil {
		h.log.Debug("ports unblocked", "action", op)
	}
	return netError(op, err, "unblock ports (nft table inet %s)", blockTable)
}

func (h *Host) unblockPorts(ctx context.Context) error {
	c, err := nftConn(ctx)
	if err != nil {
		return err
	}
	there, err := tableExists(c)
	if errors.Is(err, ErrNoNFTables) {
		return nil
	}
	if err != nil || !there {
		return err
	}
	c.DelTable(&nftables.Table{Name: blockTable, Family: nftables.TableFamilyINet})
	if err := nftError(c.Flush()); !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// PortsBlocked reports whether the block is there. It does not look at what is
// blocked. A kernel without nf_tables blocks nothing: false. The question may
// make the kernel load its module nf_tables.
func (h *Host) PortsBlocked(ctx context.Context) (bool, error) {
	c, err := nftConn(ctx)
	if err != nil {
		return false, err
	}
	there, err := tableExists(c)
	if errors.Is(err, ErrNoNFTables) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for nft table inet %s: %w", blockTable, err)
	}
	return there, nil
}

// nftConn returns a connection that opens a socket per exchange, in the
// network namespace of the calling thread, and ends each with ctx.
func nftConn(ctx context.Context) (*nftables.Conn, error) {
	end, err := netDeadline(ctx)
	if err != nil {
		return nil, err
	}
	return nftables.New(nftables.WithSockOptions(func(c *mdnetlink.Conn) error { return c.SetDeadline(end) }))
}

func tableExists(c *nftables.Conn) (bool, error) {
	_, err := c.ListTableOfFamily(blockTable, nftables.TableFamilyINet)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if errors.Is(err, unix.EINVAL) { // nfnetlink_rcv_msg: nobody handles this subsystem
		return false, fmt.Errorf("%w: %w", ErrNoNFTables, err)
	}
	return err == nil, nftError(err)
}

// nftError recognises a kernel that lacks a part: nfnetlink_rcv_batch answers
// EOPNOTSUPP for a subsystem and nf_tables for a family that nobody handles;
// without netfilter netlink there is no such socket.
func nftError(err error) error {
	for _, no := range []error{unix.EOPNOTSUPP, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT} {
		if errors.Is(err, no) {
			return fmt.Errorf("%w: %w", ErrNoNFTables, err)
		}
	}
	return err
}

// addBlock queues sets, chains and rules of the block. Listed by nft:
//
//	chain in  { type filter hook prerouting priority raw; ip daddr @addr4 tcp dport @tcp drop ... }
//	chain out { type filter hook output priority raw; ip saddr @addr4 tcp sport @tcp drop ... }
//
// The incoming side is at prerouting and not at input, so that packets to an
// address that has just been removed are not answered by an ICMP error either.
// The priority is before connection tracking, which need not know.
func addBlock(c *nftables.Conn, t *nftables.Table, b Block) error {
	in := addChain(c, t, "in", nftables.ChainHookPrerouting)
	out := addChain(c, t, "out", nftables.ChainHookOutput)
	tcp, err := addPortSet(c, t, "tcp", b.TCP)
	if err != nil {
		return err
	}
	udp, err := addPortSet(c, t, "udp", b.UDP)
	if err != nil {
		return err
	}
	for _, f := range []family{ipv4Family, ipv6Family} {
		addrs, err := addAddrSet(c, t, f, b.Addrs)
		if err != nil {
			return err
		}
		for _, p := range []struct {
			proto byte
			ports *nftables.Set
		}{{unix.IPPROTO_TCP, tcp}, {unix.IPPROTO_UDP, udp}} {
			if addrs == nil || p.ports == nil {
				continue
			}
			c.AddRule(&nftables.Rule{Table: t, Chain: in, Exprs: dropRule(f, f.daddr, addrs, p.proto, dportOffset, p.ports)})
			c.AddRule(&nftables.Rule{Table: t, Chain: out, Exprs: dropRule(f, f.saddr, addrs, p.proto, sportOffset, p.ports)})
		}
	}
	return nil
}

// family is where the two IP versions keep their addresses.
type family struct {
	nfproto      byte
	set          string
	key          nftables.SetDatatype
	saddr, daddr uint32 // offsets in the network header
}

var (
	ipv4Family = family{unix.NFPROTO_IPV4, "addr4", nftables.TypeIPAddr, 12, 16}
	ipv6Family = family{unix.NFPROTO_IPV6, "addr6", nftables.TypeIP6Addr, 8, 24}
)

// Offsets of the ports in the TCP and UDP headers.
const (
	sportOffset = 0
	dportOffset = 2
)

func addChain(c *nftables.Conn, t *nftables.Table, name string, hook *nftables.ChainHook) *nftables.Chain {
	accept := nftables.ChainPolicyAccept
	return c.AddChain(&nftables.Chain{
		Name: name, Table: t, Type: nftables.ChainTypeFilter,
		Hooknum: hook, Priority: nftables.ChainPriorityRaw, Policy: &accept,
	})
}

// addPortSet returns nil for no ports: an empty set would only make the
// listing longer.
func addPortSet(c *nftables.Conn, t *nftables.Table, name string, ports []uint16) (*nftables.Set, error) {
	if len(ports) == 0 {
		return nil, nil
	}
	elems := make([]nftables.SetElement, 0, len(ports))
	for _, p := range ports {
		elems = append(elems, nftables.SetElement{Key: binary.BigEndian.AppendUint16(nil, p)})
	}
	s := &nftables.Set{Table: t, Name: name, KeyType: nftables.TypeInetService}
	return s, c.AddSet(s, elems)
}

func addAddrSet(c *nftables.Conn, t *nftables.Table, f family, addrs []netip.Addr) (*nftables.Set, error) {
	var elems []nftables.SetElement
	for _, a := range addrs {
		if b := a.Unmap().AsSlice(); len(b) == int(f.key.Bytes) {
			elems = append(elems, nftables.SetElement{Key: b})
		}
	}
	if len(elems) == 0 {
		return nil, nil
	}
	s := &nftables.Set{Table: t, Name: f.set, KeyType: f.key}
	return s, c.AddSet(s, elems)
}

// dropRule matches family, address, protocol and port, in this order, and
// drops.
func dropRule(f family, addrOffset uint32, addrs *nftables.Set, proto byte, portOffset uint32, ports *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{f.nfproto}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: addrOffset, Len: f.key.Bytes},
		&expr.Lookup{SourceRegister: 1, SetName: addrs.Name, SetID: addrs.ID},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: portOffset, Len: 2},
		&expr.Lookup{SourceRegister: 1, SetName: ports.Name, SetID: ports.ID},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}
