package host_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spacei/drbdnfs/pkg/host"
)

// socketCases are the ways a server socket serves clients. The last is an IPv6
// socket with an IPv4 client.
var socketCases = []struct{ name, server, client, bits, listen string }{
	{"IPv4", "192.168.2.63", "192.168.2.10", "/24", "192.168.2.63:2049"},
	{"IPv6", "fd00::63", "fd00::10", "/64", "[fd00::63]:2049"},
	{"Mapped", "192.168.2.63", "192.168.2.10", "/24", "[::]:2049"},
}

// Connections of an address are found and destroyed; those of other addresses
// and listeners stay.
func TestSockets(t *testing.T) {
	for _, tc := range socketCases {
		t.Run(tc.name, func(t *testing.T) {
			server, client := newNode(t), newNode(t)
			newNetwork(t, server, client)
			server.add(tc.server + tc.bits)
			client.add(tc.client + tc.bits)
			l := server.listen(tc.listen)
			c, s := client.connectTo(l, net.JoinHostPort(tc.server, "2049"))
			addr := netip.MustParseAddr(tc.server)

			want := []host.TCPSocket{{Local: netip.MustParseAddrPort(c.RemoteAddr().String()), Remote: netip.MustParseAddrPort(c.LocalAddr().String())}}
			if diff := cmp.Diff(want, server.sockets(addr), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("sockets (-want +got):\n%s", diff)
			}
			if got := server.sockets(netip.MustParseAddr("192.168.2.99")); len(got) != 0 {
				t.Errorf("sockets of another address: %v", got)
			}
			if n := server.destroy(addr); n != 1 {
				t.Errorf("destroyed %d, want 1", n)
			}
			_ = s.SetReadDeadline(time.Now().Add(2 * time.Second))
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNABORTED) {
				t.Errorf("owner sees %v, want ECONNABORTED", err)
			}
			if n := server.destroy(addr); n != 0 {
				t.Errorf("destroyed %d a second time", n)
			}
			if got := server.sockets(addr); len(got) != 0 {
				t.Errorf("left: %v", got)
			}
			client.connectTo(l, net.JoinHostPort(tc.server, "2049"))
		})
	}
}

// A connection that the server has closed, but whose end the client has not
// seen because the ports are blocked, is destroyed too, and silently.
func TestDestroyClosing(t *testing.T) {
	server, client := newNode(t), newNode(t)
	newNetwork(t, server, client)
	server.add("192.168.2.63/24")
	client.add("192.168.2.10/24")
	c, s := client.connect(server.listen("192.168.2.63:2049"))
	server.block("192.168.2.63")
	_ = s.Close()
	addr := netip.MustParseAddr("192.168.2.63")
	if n := server.destroy(addr); n != 1 {
		t.Errorf("destroyed %d, want 1", n)
	}
	_ = c.SetReadDeadline(time.Now().Add(silence))
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Errorf("client sees %v, want nothing", err)
	}
}

// After a take-over a tickle makes a client with a stale connection notice at
// once, where it would have waited for a timer.
func TestTickleTakeover(t *testing.T) {
	for _, tc := range socketCases {
		t.Run(tc.name, func(t *testing.T) {
			testTickle(t, tc.server+tc.bits, tc.client+tc.bits, tc.listen, func(...*node) {})
		})
	}
}

// The same between machines whose firewall tracks connections and drops what
// is invalid, as firewalld does: there a plain acknowledgement does not reach
// the client.
func TestTickleThroughFirewall(t *testing.T) {
	for _, tc := range socketCases[:2] {
		t.Run(tc.name, func(t *testing.T) {
			testTickle(t, tc.server+tc.bits, tc.client+tc.bits, tc.listen, func(nodes ...*node) {
				for _, n := range nodes {
					n.firewall()
				}
			})
		})
	}
}

// testTickle moves a server from one node to another under an established
// connection and tickles the client. prepare gets the new server and the
// client before anything is connected.
func testTickle(t *testing.T, serverPrefix, clientPrefix, listen string, prepare func(...*node)) {
	oldServer, newServer, client := newNode(t), newNode(t), newNode(t)
	newNetwork(t, oldServer, newServer, client)
	prepare(newServer, client)
	oldServer.add(serverPrefix)
	client.add(clientPrefix)
	service := netip.AddrPortFrom(netip.MustParsePrefix(serverPrefix).Addr(), 2049)
	c, _ := client.connectTo(oldServer.listen(listen), service.String())
	remote := netip.MustParseAddrPort(c.LocalAddr().String())

	tickle := func() error { return newServer.SendTickle(t.Context(), "peers.tickle", service, remote) }
	newServer.do(func() {
		if err := tickle(); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("tickle without the address: %v", err)
		}
	})
	oldServer.del(serverPrefix)
	newServer.add(serverPrefix)
	newServer.listen(listen)
	newServer.must(func() error {
		if service.Addr().Is4() {
			return newServer.SendGratuitousARP(t.Context(), "vip.announce", "eth0", service.Addr())
		}
		return newServer.SendUnsolicitedNA(t.Context(), "vip.announce", "eth0", service.Addr())
	})
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Fatalf("before the tickle the client sees %v", err)
	}
	newServer.must(tickle)
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client sees %v, want ECONNRESET", err)
	}
	if _, err := client.dial(service.String(), 2*time.Second); err != nil {
		t.Errorf("reconnect: %v", err)
	}
}

// firewall loads what firewalld does to incoming packets: only answers, new
// connections to the service, and neighbour discovery.
func (n *node) firewall() {
	n.t.Helper()
	const rules = `table inet fw {
		chain input {
			type filter hook input priority filter; policy drop;
			ct state { established, related } accept
			meta l4proto 58 accept
			ct state invalid drop
			tcp dport 2049 ct state new accept
		}
	}`
	var err error
	n.do(func() {
		_, err = n.Run(n.t.Context(), host.Cmd{Op: "test", Name: "nft", Args: []string{"-f", "-"}, Stdin: []byte(rules)})
	})
	if err != nil {
		n.t.Skipf("no firewall for the test: %v", err)
	}
}

// A tickle does no harm to a connection that is alive.
func TestTickleAlive(t *testing.T) {
	server, client := newNode(t), newNode(t)
	newNetwork(t, server, client)
	server.add("192.168.2.63/24")
	client.add("192.168.2.10/24")
	c, s := client.connect(server.listen("192.168.2.63:2049"))
	for range 3 {
		server.must(func() error {
			return server.SendTickle(t.Context(), "peers.tickle", netip.MustParseAddrPort("192.168.2.63:2049"),
				netip.MustParseAddrPort(c.LocalAddr().String()))
		})
	}
	time.Sleep(50 * time.Millisecond) // an answer with a reset would need this long at most
	go func() {
		_, _ = s.Write([]byte("alive"))
		_ = s.Close()
	}()
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	if b, err := io.ReadAll(c); string(b) != "alive" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestTickleErrors(t *testing.T) {
	n := newNode(t)
	n.do(func() {
		v4, v6 := netip.MustParseAddrPort("127.0.0.1:2049"), netip.MustParseAddrPort("[::1]:2049")
		for _, p := range [][2]netip.AddrPort{{v4, v6}, {v6, v4}, {v4, {}}, {{}, {}}} {
			if err := n.SendTickle(t.Context(), "test", p[0], p[1]); err == nil {
				t.Errorf("%v was tickled", p)
			}
		}
	})
}

func (n *node) sockets(addr netip.Addr) []host.TCPSocket {
	n.t.Helper()
	var list []host.TCPSocket
	n.must(func() (err error) {
		list, err = n.TCPSockets(n.t.Context(), addr)
		return err
	})
	return list
}

// destroy skips the test on a kernel that cannot.
func (n *node) destroy(addr netip.Addr) int {
	n.t.Helper()
	var count int
	var err error
	n.do(func() { count, err = n.DestroySockets(n.t.Context(), "test", addr) })
	if errors.Is(err, host.ErrNoSockDestroy) {
		n.t.Skip(err)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return count
}
