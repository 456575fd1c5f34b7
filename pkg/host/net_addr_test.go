package host_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// prefixes lists the addresses of eth0 except link-local ones.
func (n *node) prefixes() []string {
	n.t.Helper()
	var got []string
	n.must(func() error {
		addrs, err := n.Addresses(n.t.Context())
		for _, a := range addrs {
			if a.Interface == "eth0" && !a.Prefix.Addr().IsLinkLocalUnicast() {
				got = append(got, a.Prefix.String())
			}
		}
		slices.Sort(got)
		return err
	})
	return got
}

// Addresses can be added and removed twice, in both families.
func TestAddressRoundTrip(t *testing.T) {
	n := newNode(t)
	newNetwork(t, n)
	for _, p := range []string{"192.168.2.61/24", "192.168.2.63/24", "192.168.2.63/24", "fd00::63/64", "fd00::63/64", "10.9.9.9/32"} {
		n.add(p)
	}
	want := []string{"10.9.9.9/32", "192.168.2.61/24", "192.168.2.63/24", "fd00::63/64"}
	if diff := cmp.Diff(want, n.prefixes()); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	for _, p := range []string{"192.168.2.63/24", "192.168.2.63/24", "fd00::63/64", "fd00::63/64"} {
		n.del(p)
	}
	if diff := cmp.Diff([]string{"10.9.9.9/32", "192.168.2.61/24"}, n.prefixes()); diff != "" {
		t.Errorf("addresses after removal (-want +got):\n%s", diff)
	}
}

// A new address has what the kernel should have been told: forever, broadcast
// for IPv4, no duplicate address detection for IPv6.
func TestAddAddressAttributes(t *testing.T) {
	n := newNode(t)
	newNetwork(t, n)
	n.add("192.168.2.63/24")
	n.add("fd00::63/64")
	n.must(func() error {
		list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
		for _, a := range list {
			switch a.IP.String() {
			case "192.168.2.63":
				if a.Broadcast.String() != "192.168.2.255" {
					t.Errorf("broadcast %s", a.Broadcast)
				}
			case "fd00::63":
				if a.Flags&unix.IFA_F_NODAD == 0 || a.Flags&unix.IFA_F_TENTATIVE != 0 {
					t.Errorf("flags %#x, want NODAD and not tentative", a.Flags)
				}
			default:
				continue
			}
			if uint32(a.ValidLft) != 0xffffffff || a.Flags&unix.IFA_F_PERMANENT == 0 {
				t.Errorf("%s is not valid forever: %d, flags %#x", a.IP, a.ValidLft, a.Flags)
			}
		}
		return err
	})
}

// Removing the first address of a network leaves the others.
func TestDelAddressKeepsSecondaries(t *testing.T) {
	n := newNode(t)
	newNetwork(t, n)
	n.sysctl("ipv4/conf/all/promote_secondaries", "0")
	n.sysctl("ipv4/conf/eth0/promote_secondaries", "0")
	n.add("192.168.2.63/24")
	n.add("192.168.2.61/24")
	n.del("192.168.2.63/24")
	if diff := cmp.Diff([]string{"192.168.2.61/24"}, n.prefixes()); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func TestAddressErrors(t *testing.T) {
	n := newNode(t)
	newNetwork(t, n)
	v4, v6 := netip.MustParsePrefix("192.168.2.63/24"), netip.MustParsePrefix("fd00::63/64")

	n.do(func() {
		ctx := t.Context()
		err := n.AddAddress(ctx, "vip.add", "nosuch", v4)
		if !errors.Is(err, host.ErrNoInterface) {
			t.Errorf("unknown interface: %v", err)
		}
		var ne *host.NetError
		if !errors.As(err, &ne) || ne.Op != "vip.add" {
			t.Errorf("no operation in %v", err)
		}
		want := "add 192.168.2.63/24 to nosuch: nosuch: no such network interface (this node has eth0)"
		if err.Error() != want {
			t.Errorf("message %q, want %q", err, want)
		}
		if err := n.DelAddress(ctx, "vip.delete", "nosuch", v4); err != nil {
			t.Errorf("removal from an unknown interface: %v", err)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := n.AddAddress(ended, "vip.add", "eth0", v4); !errors.Is(err, context.Canceled) {
			t.Errorf("ended context: %v", err)
		}
	})

	n.sysctl("ipv6/conf/eth0/disable_ipv6", "1")
	n.do(func() {
		if err := n.AddAddress(t.Context(), "vip.add", "eth0", v6); !errors.Is(err, host.ErrIPv6Disabled) {
			t.Errorf("IPv6 disabled: %v", err)
		}
	})
}

// The state of links follows the administrator and the cable.
func TestInterfacesState(t *testing.T) {
	n := newNode(t)
	newNetwork(t, n)
	get := func() (eth, lo host.Interface) {
		n.must(func() error {
			list, err := n.Interfaces(t.Context())
			for _, i := range list {
				switch i.Name {
				case "eth0":
					eth = i
				case "lo":
					lo = i
				}
			}
			return err
		})
		return eth, lo
	}
	eth, lo := get()
	if !eth.Up || !eth.Running || eth.Loopback || len(eth.MAC) != 6 {
		t.Errorf("eth0 is %+v", eth)
	}
	if !lo.Loopback || lo.MAC != nil {
		t.Errorf("lo is %+v", lo)
	}
	n.must(func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(l)
	})
	if eth, _ = get(); eth.Up || eth.Running {
		t.Errorf("eth0 switched off is %+v", eth)
	}
}

func TestInterfaceFor(t *testing.T) {
	n := newNode(t)
	newNetwork(t, n)
	n.add("192.168.2.61/24")
	n.do(func() {
		i, err := n.InterfaceFor(t.Context(), netip.MustParsePrefix("192.168.2.63/24"))
		if err != nil || i.Name != "eth0" {
			t.Errorf("got %q, %v", i.Name, err)
		}
		if _, err := n.InterfaceFor(t.Context(), netip.MustParsePrefix("10.0.0.1/24")); !errors.Is(err, host.ErrNoInterface) {
			t.Errorf("foreign network: %v", err)
		}
		if _, err := n.InterfaceFor(t.Context(), netip.MustParsePrefix("127.0.0.2/8")); !errors.Is(err, host.ErrNoInterface) {
			t.Errorf("loopback was chosen: %v", err)
		}
	})
}
