package host_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// node is a machine of a test: a network namespace with a thread that lives in
// it. Nothing in it can reach the real network.
type node struct {
	*host.Host
	t     *testing.T
	fd    int         // of the namespace
	calls chan func() // closed by cleanup
}

// newNode makes a namespace with loopback up, or skips the test.
func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{Host: host.New(nil), t: t, calls: make(chan func())}
	ready := make(chan error)
	go n.live(ready)
	if err := <-ready; err != nil {
		t.Skipf("no network namespace here (needs root): %v", err)
	}
	t.Cleanup(func() {
		close(n.calls)
		_ = unix.Close(n.fd)
	})
	return n
}

// live runs calls on one thread. The thread is never unlocked, so it ends with
// the goroutine instead of going back to the runtime in a foreign namespace.
func (n *node) live(ready chan<- error) {
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_NEWNET)
	if err == nil {
		n.fd, err = unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err == nil {
		err = linkUp("lo")
	}
	ready <- err
	if err != nil {
		return
	}
	for f := range n.calls {
		f()
	}
}

// do runs f inside the node and waits. f must not start goroutines that open
// sockets: they would open them outside.
func (n *node) do(f func()) {
	done := make(chan struct{})
	n.calls <- func() { defer close(done); f() }
	<-done
}

// must runs f inside the node and ends the test when it fails.
func (n *node) must(f func() error) {
	n.t.Helper()
	var err error
	n.do(func() { err = f() })
	if err != nil {
		n.t.Fatal(err)
	}
}

func linkUp(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return netlink.LinkSetUp(l)
}

// network puts nodes on one Ethernet segment: a bridge in a namespace of its
// own. Each gets an interface called eth0.
func newNetwork(t *testing.T, nodes ...*node) {
	t.Helper()
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
	for i, n := range nodes {
		sw.plug(br, fmt.Sprintf("port%d", i), n, "eth0")
	}
}

// plug adds an interface called name to n, at the other end of the switch
// port called port.
func (n *node) plug(br *netlink.Bridge, port string, to *node, name string) {
	n.t.Helper()
	n.must(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = port, br.Index
		v := &netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerNamespace: netlink.NsFd(to.fd)}
		if err := netlink.LinkAdd(v); err != nil {
			return fmt.Errorf("add %s: %w", port, err)
		}
		return linkUp(port)
	})
	to.must(func() error { return linkUp(name) })
	to.waitFor("carrier", func() bool {
		list, err := to.Interfaces(to.t.Context())
		for _, i := range list {
			if i.Name == name {
				return i.Running
			}
		}
		return err != nil
	})
}

// waitFor polls until f holds inside the node, for two seconds.
func (n *node) waitFor(what string, f func() bool) {
	n.t.Helper()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var ok bool
		n.do(func() { ok = f() })
		if ok {
			return
		}
	}
	n.t.Fatalf("no %s within 2 s", what)
}

// add puts an address on eth0 and waits until the node answers for it.
func (n *node) add(prefix string) {
	n.t.Helper()
	p := netip.MustParsePrefix(prefix)
	n.must(func() error { return n.AddAddress(n.t.Context(), "test", "eth0", p) })
	n.waitAnswers(p.Addr())
}

// waitAnswers waits until the kernel has joined the group on which it is asked
// for an IPv6 address. It does so a moment after the address is there.
func (n *node) waitAnswers(addr netip.Addr) {
	n.t.Helper()
	if addr.Is4() {
		return
	}
	group := fmt.Sprintf(" ff0200000000000000000001ff%x ", addr.AsSlice()[13:])
	n.waitFor("multicast group"+group, func() bool {
		b, err := os.ReadFile("/proc/thread-self/net/igmp6")
		return err == nil && strings.Contains(string(b), group)
	})
}

// del takes an address from eth0.
func (n *node) del(prefix string) {
	n.t.Helper()
	n.must(func() error { return n.DelAddress(n.t.Context(), "test", "eth0", netip.MustParsePrefix(prefix)) })
}

func (n *node) mac() net.HardwareAddr {
	n.t.Helper()
	var mac net.HardwareAddr
	n.must(func() error {
		i, err := net.InterfaceByName("eth0")
		if err == nil {
			mac = i.HardwareAddr
		}
		return err
	})
	return mac
}

// listen opens a TCP listener inside the node that ends with the test.
func (n *node) listen(addr string) *net.TCPListener {
	n.t.Helper()
	var l net.Listener
	n.must(func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	n.t.Cleanup(func() { _ = l.Close() })
	return l.(*net.TCPListener)
}

// dial connects from inside the node.
func (n *node) dial(addr string, wait time.Duration) (net.Conn, error) {
	var c net.Conn
	var err error
	n.do(func() { c, err = net.DialTimeout("tcp", addr, wait) })
	if err == nil {
		n.t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// connect gives both ends of a connection from n to l.
func (n *node) connect(l *net.TCPListener) (client, server net.Conn) {
	n.t.Helper()
	return n.connectTo(l, l.Addr().String())
}

// connectTo is connect for a listener on all addresses.
func (n *node) connectTo(l *net.TCPListener, addr string) (client, server net.Conn) {
	n.t.Helper()
	client, err := n.dial(addr, 2*time.Second)
	if err != nil {
		n.t.Fatal(err)
	}
	_ = l.SetDeadline(time.Now().Add(2 * time.Second))
	server, err = l.Accept()
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = server.Close() })
	return client, server
}

// capture opens a packet socket on eth0 inside the node, for one Ethernet
// type. The function it returns gives the next frame for which want holds.
func (n *node) capture(etherType uint16) func(want func([]byte) bool) []byte {
	n.t.Helper()
	var fd int
	n.must(func() (err error) {
		i, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		return errors.Join(
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: etherType<<8 | etherType>>8, Ifindex: i.Index}),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}))
	})
	n.t.Cleanup(func() { _ = unix.Close(fd) })
	return func(want func([]byte) bool) []byte {
		n.t.Helper()
		buf := make([]byte, 2048)
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
			size, _, err := unix.Recvfrom(fd, buf, 0)
			if err == nil && want(buf[:size]) {
				return buf[:size]
			}
		}
		n.t.Fatal("the expected frame did not arrive within 2 s")
		return nil
	}
}

// sysctl writes one of the node's network settings.
func (n *node) sysctl(name, value string) {
	n.t.Helper()
	n.must(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o644) })
}

// timeout returns a context that ends after d or with the test.
func timeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
