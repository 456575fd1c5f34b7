package host_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/spacei/drbdnfs/pkg/host"
)

// blockCases are the two families: server address, client address.
var blockCases = []struct{ name, server, other, client, bits string }{
	{"IPv4", "192.168.2.63", "192.168.2.61", "192.168.2.10", "/24"},
	{"IPv6", "fd00::63", "fd00::61", "fd00::10", "/64"},
}

const silence = 300 * time.Millisecond // longer than the first retransmission

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// A blocked port is silent for new connections, where it refused before; other
// ports and other addresses of the node go on to answer.
func TestBlockNewConnections(t *testing.T) {
	for _, tc := range blockCases {
		t.Run(tc.name, func(t *testing.T) {
			server, client := newNode(t), newNode(t)
			newNetwork(t, server, client)
			server.add(tc.server + tc.bits)
			server.add(tc.other + tc.bits)
			client.add(tc.client + tc.bits)
			vip2049, vip22 := net.JoinHostPort(tc.server, "2049"), net.JoinHostPort(tc.server, "22")
			other2049 := net.JoinHostPort(tc.other, "2049")

			refused := func(addr string) {
				t.Helper()
				if _, err := client.dial(addr, 2*time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("%s: %v, want connection refused", addr, err)
				}
			}
			refused(vip2049)
			server.block(tc.server)
			if _, err := client.dial(vip2049, silence); !isTimeout(err) {
				t.Errorf("%s blocked: %v, want a timeout", vip2049, err)
			}
			refused(vip22)
			refused(other2049)
			server.must(func() error { return server.UnblockPorts(t.Context(), "test") })
			refused(vip2049)
		})
	}
}

// While blocked nothing of an established connection gets out: no data, no
// end. After the block the connection goes on.
func TestBlockEstablished(t *testing.T) {
	for _, tc := range blockCases {
		t.Run(tc.name, func(t *testing.T) {
			server, client := newNode(t), newNode(t)
			newNetwork(t, server, client)
			server.add(tc.server + tc.bits)
			client.add(tc.client + tc.bits)
			c, s := client.connect(server.listen(net.JoinHostPort(tc.server, "2049")))

			server.block(tc.server)
			if _, err := s.Write([]byte("data")); err != nil {
				t.Fatal(err)
			}
			_ = s.Close() // queues FIN behind the data
			_ = c.SetReadDeadline(time.Now().Add(silence))
			if n, err := c.Read(make([]byte, 10)); !isTimeout(err) {
				t.Fatalf("read while blocked: %d, %v, want a timeout", n, err)
			}
			server.must(func() error { return server.UnblockPorts(t.Context(), "test") })
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			if b, err := io.ReadAll(c); string(b) != "data" || err != nil {
				t.Errorf("after the block: %q, %v", b, err)
			}
		})
	}
}

// A blocked UDP port gives no ICMP error either.
func TestBlockUDP(t *testing.T) {
	for _, tc := range blockCases {
		t.Run(tc.name, func(t *testing.T) {
			server, client := newNode(t), newNode(t)
			newNetwork(t, server, client)
			server.add(tc.server + tc.bits)
			client.add(tc.client + tc.bits)
			ask := func(wait time.Duration) error {
				var c net.Conn
				client.must(func() (err error) {
					c, err = net.Dial("udp", net.JoinHostPort(tc.server, "2049"))
					return err
				})
				defer func() { _ = c.Close() }()
				_, _ = c.Write([]byte("x"))
				_ = c.SetReadDeadline(time.Now().Add(wait))
				_, err := c.Read(make([]byte, 10))
				return err
			}
			if err := ask(2 * time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("unblocked: %v, want connection refused", err)
			}
			server.block(tc.server)
			if err := ask(silence); !isTimeout(err) {
				t.Errorf("blocked: %v, want a timeout", err)
			}
		})
	}
}

// Loopback is not touched, even with the block on.
func TestBlockLeavesLoopback(t *testing.T) {
	n := newNode(t)
	newNetwork(t, n)
	n.add("192.168.2.63/24")
	n.block("192.168.2.63")
	for _, addr := range []string{"127.0.0.1:2049", "[::1]:2049"} {
		n.connect(n.listen(addr))
	}
}

// Blocking replaces, unblocking and asking are idempotent.
func TestBlockStates(t *testing.T) {
	n := newNode(t)
	newNetwork(t, n)
	n.add("192.168.2.63/24")
	want := func(blocked bool) {
		t.Helper()
		n.must(func() error {
			got, err := n.PortsBlocked(t.Context())
			if got != blocked {
				t.Errorf("blocked is %v, want %v", got, blocked)
			}
			return err
		})
	}
	unblock := func() error { return n.UnblockPorts(t.Context(), "test") }
	n.must(unblock)
	want(false)
	n.block("192.168.2.63")
	want(true)
	n.block("192.168.2.64", "fd00::64") // now for other addresses
	want(true)
	n.connect(n.listen("192.168.2.63:2049"))
	n.must(unblock)
	n.must(unblock)
	want(false)
	n.must(func() error { // nothing else is left
		c, err := nftables.New()
		if err != nil {
			return err
		}
		tables, err := c.ListTables()
		if len(tables) != 0 {
			t.Errorf("%d tables left", len(tables))
		}
		return err
	})
}

func TestBlockNothing(t *testing.T) {
	h := host.New(nil)
	for _, b := range []host.Block{{}, {TCP: []uint16{1}}, {Addrs: []netip.Addr{netip.MustParseAddr("192.168.2.63")}}} {
		if err := h.BlockPorts(t.Context(), "test", b); err == nil {
			t.Errorf("%v was blocked", b)
		}
	}
}

// The rules read back by another program are the ones that were meant.
func TestBlockListing(t *testing.T) {
	n := newNode(t)
	newNetwork(t, n)
	n.block("192.168.2.63", "fd00::63")
	var out host.Result
	var err error
	n.do(func() {
		out, err = n.Run(t.Context(), host.Cmd{Op: "test", Name: "nft", Args: []string{"list", "table", "inet", "drbdnfs"}})
	})
	if errors.Is(err, host.ErrNotInstalled) {
		t.Skip("nft is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	// Only what every version of nft prints alike.
	var got []string
	for line := range strings.Lines(string(out.Stdout)) {
		if line = strings.TrimSpace(line); strings.HasSuffix(line, "drop") || strings.HasPrefix(line, "elements") {
			got = append(got, line)
		}
	}
	want := []string{
		"elements = { 111, 2049 }",
		"elements = { 111, 2049 }",
		"elements = { 192.168.2.63 }",
		"elements = { fd00::63 }",
		"ip daddr @addr4 tcp dport @tcp drop",
		"ip daddr @addr4 udp dport @udp drop",
		"ip6 daddr @addr6 tcp dport @tcp drop",
		"ip6 daddr @addr6 udp dport @udp drop",
		"ip saddr @addr4 tcp sport @tcp drop",
		"ip saddr @addr4 udp sport @udp drop",
		"ip6 saddr @addr6 tcp sport @tcp drop",
		"ip6 saddr @addr6 udp sport @udp drop",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// block silences port 2049 and a few more of the addresses.
func (n *node) block(addrs ...string) {
	n.t.Helper()
	b := host.Block{TCP: []uint16{111, 2049}, UDP: []uint16{111, 2049}}
	for _, a := range addrs {
		b.Addrs = append(b.Addrs, netip.MustParseAddr(a))
	}
	n.must(func() error { return n.BlockPorts(n.t.Context(), "test", b) })
}
