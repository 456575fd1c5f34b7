package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrNoInterface reports a network interface that this machine does not have,
// or a prefix that none of its interfaces is in.
var ErrNoInterface = errors.New("no such network interface")

// ErrAmbiguousInterface reports a prefix that several interfaces are in.
var ErrAmbiguousInterface = errors.New("more than one network interface has this prefix")

// ErrIPv6Disabled reports an interface that can hold no IPv6 address because
// IPv6 is switched off, by sysctl or for the whole kernel.
var ErrIPv6Disabled = errors.New("IPv6 is disabled on the interface")

// Address is one IP address of a network interface.
type Address struct {
	Interface string       // name of the interface
	Index     int          // the interface's number
	Prefix    netip.Prefix // the address itself with its prefix length, not masked
	Secondary bool         // IPv4 only: not the first address of its network on the interface
	Tentative bool         // IPv6 only: duplicate address detection has not ended, not usable yet
	DADFailed bool         // IPv6 only: another node has the address
}

// Interface is one network interface and its state.
type Interface struct {
	Name     string           // name
	Index    int              // number, stable while the interface exists
	MAC      net.HardwareAddr // Ethernet address; empty for what has none (tunnels) and for loopback
	Up       bool             // switched on by the administrator
	Running  bool             // operational: up and with carrier, or of a kind without carrier
	Loopback bool             // the loopback interface
}

// Interfaces returns all network interfaces, in the kernel's order. The source
// is one rtnetlink dump; nothing is waited for.
func (h *Host) Interfaces(ctx context.Context) ([]Interface, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ifs, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	list := make([]Interface, 0, len(ifs))
	for _, i := range ifs {
		list = append(list, newInterface(i))
	}
	return list, nil
}

func newInterface(i net.Interface) Interface {
	n := Interface{
		Name:     i.Name,
		Index:    i.Index,
		Up:       i.Flags&net.FlagUp != 0,
		Running:  i.Flags&net.FlagRunning != 0,
		Loopback: i.Flags&net.FlagLoopback != 0,
	}
	if len(i.HardwareAddr) == 6 && !n.Loopback {
		n.MAC = i.HardwareAddr
	}
	return n
}

// findInterface returns the interface called name, or an error that is
// [ErrNoInterface] and lists the names that there are.
func (h *Host) findInterface(ctx context.Context, name string) (Interface, error) {
	list, err := h.Interfaces(ctx)
	if err != nil {
		return Interface{}, err
	}
	i := slices.IndexFunc(list, func(i Interface) bool { return i.Name == name })
	if i < 0 {
		return Interface{}, fmt.Errorf("%s: %w (this node has %s)", name, ErrNoInterface, interfaceNames(list))
	}
	return list[i], nil
}

func interfaceNames(list []Interface) string {
	var names []string
	for _, i := range list {
		if !i.Loopback {
			names = append(names, i.Name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// InterfaceFor returns the interface on which the address of prefix belongs:
// the one that already holds exactly this address, otherwise the one that has
// another address in the same network. An equal prefix length is preferred
// over a network that merely contains the address. Loopback never counts.
//
// No such interface is [ErrNoInterface], several are [ErrAmbiguousInterface];
// both name what was looked at. Nothing is changed.
func (h *Host) InterfaceFor(ctx context.Context, prefix netip.Prefix) (Interface, error) {
	addrs, err := h.Addresses(ctx)
	if err != nil {
		return Interface{}, err
	}
	list, err := h.Interfaces(ctx)
	if err != nil {
		return Interface{}, err
	}
	return chooseInterface(list, addrs, prefix)
}

// chooseInterface is the decision of [Host.InterfaceFor].
func chooseInterface(list []Interface, addrs []Address, prefix netip.Prefix) (Interface, error) {
	addr, network := prefix.Addr(), prefix.Masked()
	tests := []func(Address) bool{
		func(a Address) bool { return a.Prefix.Addr() == addr },
		func(a Address) bool { return a.Prefix.Masked() == network },
		func(a Address) bool { return a.Prefix.Contains(addr) },
	}
	for _, test := range tests {
		var found []Interface
		for _, i := range list {
			has := slices.ContainsFunc(addrs, func(a Address) bool { return a.Index == i.Index && test(a) })
			if has && !i.Loopback {
				found = append(found, i)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return Interface{}, fmt.Errorf("%s: %w: %s", prefix, ErrAmbiguousInterface, interfaceNames(found))
		}
	}
	return Interface{}, fmt.Errorf("%s: %w in this network (this node has %s)", prefix, ErrNoInterface, interfaceNames(list))
}

// Addresses returns all IPv4 and IPv6 addresses of this machine, loopback
// included, in the kernel's order. The source is one rtnetlink dump. A dump
// that was disturbed by a change is read again, a few times.
func (h *Host) Addresses(ctx context.Context) ([]Address, error) {
	list, err := h.Interfaces(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[int]string, len(list))
	for _, i := range list {
		names[i.Index] = i.Name
	}
	raw, err := dumpAddresses(ctx)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	addrs := make([]Address, 0, len(raw))
	for _, a := range raw {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		ones, _ := a.Mask.Size()
		if a.Peer != nil { // point to point: the prefix length is the peer's
			ones, _ = a.Peer.Mask.Size()
		}
		addrs = append(addrs, Address{
			Interface: names[a.LinkIndex],
			Index:     a.LinkIndex,
			Prefix:    netip.PrefixFrom(ip.Unmap(), ones),
			Secondary: a.IP.To4() != nil && a.Flags&unix.IFA_F_SECONDARY != 0,
			Tentative: a.Flags&unix.IFA_F_TENTATIVE != 0,
			DADFailed: a.Flags&unix.IFA_F_DADFAILED != 0,
		})
	}
	return addrs, nil
}

// dumpTries is how often a dump is read that a concurrent change disturbed.
// The last, disturbed answer is then taken as an error, never as the truth.
const dumpTries = 5

func dumpAddresses(ctx context.Context) ([]netlink.Addr, error) {
	var err error
	for range dumpTries {
		var nh *netlink.Handle
		if nh, err = routeHandle(ctx); err != nil {
			return nil, err
		}
		var list []netlink.Addr
		list, err = nh.AddrList(nil, netlink.FAMILY_ALL)
		nh.Close()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err
		}
	}
	return nil, err
}

// routeHandle opens rtnetlink with a timeout from ctx. The caller closes it.
func routeHandle(ctx context.Context) (*netlink.Handle, error) {
	end, err := netDeadline(ctx)
	if err != nil {
		return nil, err
	}
	nh, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	if err := nh.SetSocketTimeout(max(time.Until(end), time.Millisecond)); err != nil {
		nh.Close()
		return nil, fmt.Errorf("set rtnetlink timeout: %w", err)
	}
	return nh, nil
}

// AddAddress adds prefix (the address with its prefix length) to the
// interface called iface, valid forever, with the network's broadcast address
// for IPv4 and without duplicate address detection for IPv6: detection would
// hold the address back for a second or more, and the caller has asked the
// network already (see [Host.NSProbe]). It is idempotent.
//
// op names the operation. An unknown interface is [ErrNoInterface], an
// interface with IPv6 switched off is [ErrIPv6Disabled].
func (h *Host) AddAddress(ctx context.Context, op, iface string, prefix netip.Prefix) error {
	err := h.addAddress(ctx, iface, prefix)
	if err == nil {
		h.log.Debug("address added", "action", op, "interface", iface, "address", prefix)
	}
	return netError(op, err, "add %s to %s", prefix, iface)
}

func (h *Host) addAddress(ctx context.Context, iface string, prefix netip.Prefix) error {
	i, err := h.findInterface(ctx, iface)
	if err != nil {
		return err
	}
	nh, err := routeHandle(ctx)
	if err != nil {
		return err
	}
	defer nh.Close()
	a := newNetlinkAddr(i.Index, prefix)
	if prefix.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	err = nh.AddrAdd(nil, a)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if prefix.Addr().Is6() && (errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EACCES) && ipv6Disabled(iface)) {
		return ErrIPv6Disabled
	}
	return err
}

// ipv6Disabled reads why the kernel refused an IPv6 address with EACCES. A
// kernel without any IPv6 answers EOPNOTSUPP instead.
func ipv6Disabled(iface string) bool {
	b, err := os.ReadFile(filepath.Join("/proc/sys/net/ipv6/conf", iface, "disable_ipv6"))
	return err == nil && strings.TrimSpace(string(b)) == "1"
}

// DelAddress removes prefix from the interface called iface. It is idempotent:
// an absent address or interface is nil.
//
// The kernel removes the other IPv4 addresses of the same network with the
// first of them unless the sysctl promote_secondaries is on. When that would
// happen DelAddress switches the sysctl on for the interface and logs it,
// because losing the node's own address is never meant.
func (h *Host) DelAddress(ctx context.Context, op, iface string, prefix netip.Prefix) error {
	err := h.delAddress(ctx, op, iface, prefix)
	if err == nil {
		h.log.Debug("address removed", "action", op, "interface", iface, "address", prefix)
	}
	return netError(op, err, "remove %s from %s", prefix, iface)
}

func (h *Host) delAddress(ctx context.Context, op, iface string, prefix netip.Prefix) error {
	addrs, err := h.Addresses(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(addrs, func(a Address) bool { return a.Interface == iface && a.Prefix == prefix })
	if i < 0 {
		return nil
	}
	if takesOthers(addrs, addrs[i]) {
		if err := promoteSecondaries(iface); err != nil {
			return err
		}
		h.log.Warn("first address of its network goes, promote_secondaries keeps the others",
			"action", op, "interface", iface, "address", prefix)
	}
	nh, err := routeHandle(ctx)
	if err != nil {
		return err
	}
	defer nh.Close()
	err = nh.AddrDel(nil, newNetlinkAddr(addrs[i].Index, prefix))
	if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) {
		return nil // gone in the meantime
	}
	return err
}

// takesOthers reports whether the removal of a would take other addresses of
// its interface with it.
func takesOthers(addrs []Address, a Address) bool {
	if !a.Prefix.Addr().Is4() || a.Secondary {
		return false
	}
	return slices.ContainsFunc(addrs, func(b Address) bool {
		return b.Index == a.Index && b.Secondary && b.Prefix.Masked() == a.Prefix.Masked()
	})
}

// promoteSecondaries switches the sysctl on for iface unless it is on for it
// or for all interfaces (net/ipv4/devinet.c takes the OR of the two).
func promoteSecondaries(iface string) error {
	const conf = "/proc/sys/net/ipv4/conf"
	for _, name := range []string{"all", iface} {
		b, err := os.ReadFile(filepath.Join(conf, name, "promote_secondaries"))
		if err == nil && strings.TrimSpace(string(b)) == "1" {
			return nil
		}
	}
	return os.WriteFile(filepath.Join(conf, iface, "promote_secondaries"), []byte("1"), 0o644)
}

func newNetlinkAddr(index int, prefix netip.Prefix) *netlink.Addr {
	addr := prefix.Addr()
	return &netlink.Addr{
		LinkIndex: index,
		IPNet:     &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(prefix.Bits(), addr.BitLen())},
	}
}
