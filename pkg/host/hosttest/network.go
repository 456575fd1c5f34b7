package hosttest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// network gives the machine the interfaces lo, ens3 (storage and clients) and
// ens4 (administration).
func (h *Host) network() {
	h.Links = []host.Interface{
		{Name: "lo", Index: 1, Up: true, Running: true, Loopback: true},
		{Name: "ens3", Index: 2, MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0x61}, Up: true, Running: true},
		{Name: "ens4", Index: 3, MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 1, 0x61}, Up: true, Running: true},
	}
	for _, a := range []struct{ iface, prefix string }{
		{"lo", "127.0.0.1/8"},
		{"ens3", "192.168.2.61/24"},
		{"ens3", "fd00:2::61/64"},
		{"ens4", "10.0.0.61/24"},
	} {
		h.SetAddress(a.iface, a.prefix)
		h.local = append(h.local, netip.MustParsePrefix(a.prefix))
	}
}

// SetAddress puts an address on an interface, as somebody else would.
func (h *Host) SetAddress(iface, prefix string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Addrs = append(h.Addrs, host.Address{
		Interface: iface, Index: h.index(iface), Prefix: netip.MustParsePrefix(prefix),
	})
}

// DropAddress takes an address away, as somebody else would.
func (h *Host) DropAddress(addr string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Addrs = slices.DeleteFunc(h.Addrs, func(a host.Address) bool { return a.Prefix.Addr() == netip.MustParseAddr(addr) })
}

// HasAddress reports whether the machine has addr.
func (h *Host) HasAddress(addr string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.has(netip.MustParseAddr(addr))
}

func (h *Host) has(addr netip.Addr) bool {
	return slices.ContainsFunc(h.Addrs, func(a host.Address) bool { return a.Prefix.Addr() == addr })
}

func (h *Host) index(iface string) int {
	for _, i := range h.Links {
		if i.Name == iface {
			return i.Index
		}
	}
	return 0
}

// Interfaces lists the network interfaces.
func (h *Host) Interfaces(ctx context.Context) ([]host.Interface, error) {
	return look(ctx, h, "interfaces", func() ([]host.Interface, error) { return slices.Clone(h.Links), nil })
}

// InterfaceFor returns the interface that has an address in prefix's network.
func (h *Host) InterfaceFor(ctx context.Context, prefix netip.Prefix) (host.Interface, error) {
	return look(ctx, h, "interfaces", func() (host.Interface, error) {
		var found []host.Interface
		for _, i := range h.Links {
			in := func(a host.Address) bool { return a.Index == i.Index && a.Prefix.Masked() == prefix.Masked() }
			if !i.Loopback && slices.ContainsFunc(h.Addrs, in) {
				found = append(found, i)
			}
		}
		switch len(found) {
		case 0:
			return host.Interface{}, fmt.Errorf("%s: %w", prefix, host.ErrNoInterface)
		case 1:
			return found[0], nil
		}
		return host.Interface{}, fmt.Errorf("%s: %w", prefix, host.ErrAmbiguousInterface)
	})
}

// Addresses lists all addresses.
func (h *Host) Addresses(ctx context.Context) ([]host.Address, error) {
	return look(ctx, h, "addresses", func() ([]host.Address, error) { return slices.Clone(h.Addrs), nil })
}

// AddAddress adds prefix to the interface called iface.
func (h *Host) AddAddress(ctx context.Context, op, iface string, prefix netip.Prefix) error {
	return h.do(ctx, op, func() error {
		if h.index(iface) == 0 {
			return fmt.Errorf("%s: add %s to %s: %w", op, prefix, iface, host.ErrNoInterface)
		}
		a := host.Address{Interface: iface, Index: h.index(iface), Prefix: prefix}
		if !slices.ContainsFunc(h.Addrs, func(o host.Address) bool { return o.Index == a.Index && o.Prefix == a.Prefix }) {
			h.Addrs = append(h.Addrs, a)
		}
		return nil
	})
}

// DelAddress removes prefix from the interface called iface.
func (h *Host) DelAddress(ctx context.Context, op, iface string, prefix netip.Prefix) error {
	return h.do(ctx, op, func() error {
		if slices.Contains(h.local, prefix) {
			h.violate("%s: %s is the machine's own address", op, prefix)
		}
		h.Addrs = slices.DeleteFunc(h.Addrs, func(a host.Address) bool { return a.Interface == iface && a.Prefix == prefix })
		return nil
	})
}

// ARPProbe asks whether another machine has addr, for at most wait.
func (h *Host) ARPProbe(ctx context.Context, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error) {
	return h.probe(ctx, "probe", iface, addr, wait)
}

// NSProbe asks whether another machine has the IPv6 address addr, for at most
// wait.
func (h *Host) NSProbe(ctx context.Context, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error) {
	return h.probe(ctx, "probe", iface, addr, wait)
}

func (h *Host) probe(ctx context.Context, op, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error) {
	mac, err := look(ctx, h, op, func() (net.HardwareAddr, error) {
		if h.index(iface) == 0 {
			return nil, fmt.Errorf("%s: %w", iface, host.ErrNoInterface)
		}
		if h.Neighbours[addr] {
			return net.HardwareAddr{0x52, 0x54, 0, 0xff, 0, 1}, nil
		}
		return nil, nil
	})
	if err != nil || mac != nil {
		return mac, err
	}
	select {
	case <-time.After(wait):
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// SendGratuitousARP announces addr.
func (h *Host) SendGratuitousARP(ctx context.Context, op, iface string, addr netip.Addr) error {
	return h.announce(ctx, op, iface, addr)
}

// SendUnsolicitedNA announces the IPv6 address addr.
func (h *Host) SendUnsolicitedNA(ctx context.Context, op, iface string, addr netip.Addr) error {
	return h.announce(ctx, op, iface, addr)
}

func (h *Host) announce(ctx context.Context, op, iface string, addr netip.Addr) error {
	return h.do(ctx, op, func() error {
		if h.index(iface) == 0 {
			return fmt.Errorf("%s: %s: %w", op, iface, host.ErrNoInterface)
		}
		if !h.has(addr) {
			h.violate("%s: %s is announced, but not on this machine", op, addr)
		}
		h.Announced = append(h.Announced, addr.String())
		return nil
	})
}

// BlockPorts makes the ports of b silent.
func (h *Host) BlockPorts(ctx context.Context, op string, b host.Block) error {
	return h.do(ctx, op, func() error {
		h.Blocked = &b
		return nil
	})
}

// UnblockPorts removes the block.
func (h *Host) UnblockPorts(ctx context.Context, op string) error {
	return h.do(ctx, op, func() error {
		h.Blocked = nil
		return nil
	})
}

// PortsBlocked reports whether there is a block.
func (h *Host) PortsBlocked(ctx context.Context) (bool, error) {
	return look(ctx, h, "ports", func() (bool, error) { return h.Blocked != nil, nil })
}

// TCPSockets lists the established connections whose local address is local.
func (h *Host) TCPSockets(ctx context.Context, local netip.Addr) ([]host.TCPSocket, error) {
	return look(ctx, h, "sockets", func() ([]host.TCPSocket, error) {
		return slices.DeleteFunc(slices.Clone(h.Sockets), func(s host.TCPSocket) bool { return s.Local.Addr() != local }), nil
	})
}

// DestroySockets ends every connection whose local address is local.
func (h *Host) DestroySockets(ctx context.Context, op string, local netip.Addr) (int, error) {
	n := 0
	err := h.do(ctx, op, func() error {
		before := len(h.Sockets) + len(h.orphaned)
		at := func(s host.TCPSocket) bool { return s.Local.Addr() == local }
		h.Sockets, h.orphaned = slices.DeleteFunc(h.Sockets, at), slices.DeleteFunc(h.orphaned, at)
		n = before - len(h.Sockets) - len(h.orphaned)
		return nil
	})
	return n, err
}

// SendTickle records one tickle.
func (h *Host) SendTickle(ctx context.Context, op string, local, remote netip.AddrPort) error {
	return h.do(ctx, op, func() error {
		h.Tickled = append(h.Tickled, host.TCPSocket{Local: local, Remote: remote})
		return nil
	})
}

// Connect makes an established connection of a client, "192.168.2.99:700", to
// "192.168.2.63:2049".
func (h *Host) Connect(local, remote string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Sockets = append(h.Sockets, host.TCPSocket{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote)})
}
