package host_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/vip/frame"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// probeCase is one family of the two probes.
type probeCase struct {
	name  string
	addr  netip.Addr
	bits  string
	probe func(*node) func(context.Context, string, netip.Addr, time.Duration) (net.HardwareAddr, error)
}

var probeCases = []probeCase{
	{"ARP", netip.MustParseAddr("192.168.2.63"), "/24", func(n *node) func(context.Context, string, netip.Addr, time.Duration) (net.HardwareAddr, error) {
		return n.ARPProbe
	}},
	{"NS", netip.MustParseAddr("fd00::63"), "/64", func(n *node) func(context.Context, string, netip.Addr, time.Duration) (net.HardwareAddr, error) {
		return n.NSProbe
	}},
}

// A probe finds a machine that has the address, quickly, and nobody otherwise.
func TestProbe(t *testing.T) {
	for _, tc := range probeCases {
		t.Run(tc.name, func(t *testing.T) {
			a, b := newNode(t), newNode(t)
			newNetwork(t, a, b)
			want := b.mac()
			a.do(func() {
				start := time.Now()
				mac, err := tc.probe(a)(t.Context(), "eth0", tc.addr, 200*time.Millisecond)
				if mac != nil || err != nil {
					t.Errorf("nobody has it, got %v, %v", mac, err)
				}
				if d := time.Since(start); d < 200*time.Millisecond || d > time.Second {
					t.Errorf("waited %v for 200ms", d)
				}
			})
			b.add(tc.addr.String() + tc.bits)
			a.do(func() {
				start := time.Now()
				mac, err := tc.probe(a)(t.Context(), "eth0", tc.addr, 5*time.Second)
				if err != nil || !bytes.Equal(mac, want) {
					t.Errorf("got %v, %v, want %v", mac, err, want)
				}
				if d := time.Since(start); d > 2*time.Second {
					t.Errorf("an answer took %v", d)
				}
			})
		})
	}
}

// A probe ends with its context.
func TestProbeContext(t *testing.T) {
	n := newNode(t)
	newNetwork(t, n)
	n.do(func() {
		start := time.Now()
		_, err := n.ARPProbe(timeout(t, 50*time.Millisecond), "eth0", netip.MustParseAddr("192.168.2.63"), time.Minute)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// An answer from this machine's other interface is no duplicate, and neither
// is a probe that somebody else sends.
func TestProbeIgnores(t *testing.T) {
	n, other := newNode(t), newNode(t)
	sw := newNode(t)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br0"
	br := &netlink.Bridge{LinkAttrs: attrs}
	var err error
	sw.do(func() { err = netlink.LinkAdd(br) })
	if err != nil {
		t.Skipf("no bridge in this kernel: %v", err)
	}
	sw.must(func() error { return linkUp("br0") })
	sw.plug(br, "port0", n, "eth0")
	sw.plug(br, "port1", n, "eth1")
	sw.plug(br, "port2", other, "eth0")
	addr := netip.MustParseAddr("192.168.2.63")
	n.must(func() error { return n.AddAddress(t.Context(), "test", "eth1", netip.PrefixFrom(addr, 24)) })

	foreign := make(chan struct{})
	go func() {
		defer close(foreign)
		other.do(func() { _, _ = other.ARPProbe(t.Context(), "eth0", addr, 200*time.Millisecond) })
	}()
	n.do(func() {
		mac, err := n.ARPProbe(t.Context(), "eth0", addr, 300*time.Millisecond)
		if mac != nil || err != nil {
			t.Errorf("got %v, %v", mac, err)
		}
	})
	<-foreign
}

func TestProbeErrors(t *testing.T) {
	n := newNode(t)
	n.do(func() {
		addr := netip.MustParseAddr("192.168.2.63")
		if _, err := n.ARPProbe(t.Context(), "lo", addr, time.Second); !errors.Is(err, host.ErrNoEthernet) {
			t.Errorf("loopback: %v", err)
		}
		if _, err := n.ARPProbe(t.Context(), "nosuch", addr, time.Second); !errors.Is(err, host.ErrNoInterface) {
			t.Errorf("unknown interface: %v", err)
		}
		if err := n.SendGratuitousARP(t.Context(), "vip.announce", "lo", addr); !errors.Is(err, host.ErrNoEthernet) {
			t.Errorf("announce on loopback: %v", err)
		}
	})
}

// Both forms of gratuitous ARP arrive, and a neighbour's cache follows them.
func TestGratuitousARP(t *testing.T) {
	server, client := newNode(t), newNode(t)
	newNetwork(t, server, client)
	client.add("192.168.2.10/24")
	server.add("192.168.2.63/24")
	addr := netip.MustParseAddr("192.168.2.63")
	client.staleNeighbour(addr)

	next := client.capture(unix.ETH_P_ARP)
	request, reply := frame.GratuitousARP(server.mac(), addr)
	server.must(func() error { return server.SendGratuitousARP(t.Context(), "vip.announce", "eth0", addr) })
	for _, want := range [][]byte{request, reply} {
		next(func(b []byte) bool { return len(b) >= len(want) && bytes.Equal(b[:len(want)], want) })
	}
	client.wantNeighbour(addr, server.mac())
}

// The advertisement arrives, and a neighbour's cache follows it.
func TestUnsolicitedNA(t *testing.T) {
	server, client := newNode(t), newNode(t)
	newNetwork(t, server, client)
	client.add("fd00::10/64")
	server.add("fd00::63/64")
	addr := netip.MustParseAddr("fd00::63")
	client.staleNeighbour(addr)

	next := client.capture(unix.ETH_P_IPV6)
	want := frame.UnsolicitedNA(server.mac(), addr)
	server.must(func() error { return server.SendUnsolicitedNA(t.Context(), "vip.announce", "eth0", addr) })
	next(func(b []byte) bool { return bytes.Equal(b, want) })
	client.wantNeighbour(addr, server.mac())
}

// staleNeighbour makes the node believe in a hardware address that is gone.
func (n *node) staleNeighbour(addr netip.Addr) {
	n.t.Helper()
	n.must(func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{
			LinkIndex: l.Attrs().Index, State: netlink.NUD_STALE, IP: addr.AsSlice(),
			HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 0xee},
		})
	})
}

func (n *node) wantNeighbour(addr netip.Addr, mac net.HardwareAddr) {
	n.t.Helper()
	n.waitFor("neighbour "+mac.String(), func() bool {
		list, err := netlink.NeighList(0, netlink.FAMILY_ALL)
		for _, e := range list {
			if e.IP.Equal(addr.AsSlice()) {
				return bytes.Equal(e.HardwareAddr, mac)
			}
		}
		return err != nil
	})
}
