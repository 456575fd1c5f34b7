package host_test

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/peers"
	"github.com/spacei/drbdnfs/pkg/portblock"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// storageNode is a node with everything that moves a service address.
type storageNode struct {
	*node
	vips    *vip.Manager
	blocker *portblock.Blocker
	peers   *peers.Peers
}

const serviceAddrs = "192.168.2.63/24, fd00::63/64@eth0"

func newStorageNode(t *testing.T) *storageNode {
	t.Helper()
	n := newNode(t)
	vips, err := vip.Parse(serviceAddrs)
	if err != nil {
		t.Fatal(err)
	}
	s := &storageNode{node: n}
	if s.vips, err = vip.New(vip.Options{Host: n.Host, VIPs: vips}); err != nil {
		t.Fatal(err)
	}
	block, err := portblock.Compute(vip.Addrs(vips), portblock.Ports{NFS: 2049})
	if err != nil {
		t.Fatal(err)
	}
	s.blocker = portblock.New(n.Host, block)
	if s.peers, err = peers.New(peers.Options{Host: n.Host, Addrs: vip.Addrs(vips), Ports: []uint16{2049}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// A service address moves from one node to the other in the order of a demote
// and a promote. The clients see nothing of it but one reset at the end, and
// connect to the new node at once.
func TestTakeover(t *testing.T) {
	t.Run("IPv4", func(t *testing.T) { testTakeover(t, "192.168.2.10/24", "192.168.2.63:2049") })
	t.Run("IPv6", func(t *testing.T) { testTakeover(t, "fd00::10/64", "[fd00::63]:2049") })
}

func testTakeover(t *testing.T, clientPrefix, service string) {
	a, b, client := newStorageNode(t), newStorageNode(t), newNode(t)
	newNetwork(t, a.node, b.node, client)
	a.add("192.168.2.61/24")
	b.add("192.168.2.62/24")
	client.add(clientPrefix)

	a.must(func() error { return a.vips.Start(t.Context()) })
	a.waitAnswers(netip.MustParseAddr("fd00::63"))
	b.do(func() {
		err := b.vips.Start(t.Context())
		if !errors.Is(err, vip.ErrDuplicate) || !strings.Contains(err.Error(), a.mac().String()) {
			t.Errorf("second holder: %v", err)
		}
	})
	l := a.listen(":2049")
	c, s := client.connectTo(l, service)
	saved := a.demote(l, s)

	b.must(func() error { return b.blocker.Ensure(t.Context()) })
	b.must(func() error { return b.vips.Start(t.Context()) })
	b.listen(":2049")
	_ = c.SetReadDeadline(time.Now().Add(silence))
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Fatalf("during the move the client sees %v", err)
	}
	b.must(func() error { return b.blocker.Remove(t.Context()) })
	b.must(func() error {
		list, skipped := peers.Parse(saved)
		n, err := b.peers.Tickle(t.Context(), list)
		if n != 1 || skipped != 0 {
			t.Errorf("tickled %d of %q, skipped %d", n, saved, skipped)
		}
		return err
	})
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after the tickle the client sees %v, want ECONNRESET", err)
	}
	if _, err := client.dial(service, 2*time.Second); err != nil {
		t.Errorf("reconnect: %v", err)
	}
}

// demote gives the service away: the list of clients is saved, then silence,
// then address and server go, and what is left of the connections.
func (s *storageNode) demote(server ...io.Closer) (saved []byte) {
	s.t.Helper()
	ctx := s.t.Context()
	s.must(func() error {
		list, err := s.peers.Collect(ctx)
		saved = list.Text()
		return err
	})
	s.must(func() error { return s.blocker.Ensure(ctx) })
	s.must(func() error { return s.vips.Stop(ctx) })
	for _, c := range server {
		_ = c.Close()
	}
	s.destroyAll()
	s.must(func() error { return s.blocker.Remove(ctx) })
	return saved
}

// destroyAll ends what is left of the service's connections, if the kernel
// can.
func (s *storageNode) destroyAll() {
	s.t.Helper()
	for _, a := range []string{"192.168.2.63", "fd00::63"} {
		s.destroy(netip.MustParseAddr(a))
	}
	s.must(func() error {
		list, err := s.peers.Collect(s.t.Context())
		if len(list) != 0 {
			s.t.Errorf("connections left: %v", list)
		}
		return err
	})
}

// The addresses of a node are in place after a start, also a repeated one, and
// gone after a stop.
func TestManagerOnHost(t *testing.T) {
	n := newStorageNode(t)
	newNetwork(t, n.node)
	n.add("192.168.2.61/24")
	for range 2 {
		n.must(func() error { return n.vips.Start(t.Context()) })
		n.must(func() error {
			states, err := n.vips.Status(t.Context())
			for _, s := range states {
				if !s.InPlace || !s.Running || s.Interface != "eth0" {
					t.Errorf("started, but %+v", s)
				}
			}
			return err
		})
	}
	for range 2 {
		n.must(func() error { return n.vips.Stop(t.Context()) })
	}
	if got := n.prefixes(); len(got) != 1 || got[0] != "192.168.2.61/24" {
		t.Errorf("left: %v", got)
	}
	n.do(func() {
		if err := n.vips.Announce(t.Context()); !errors.Is(err, vip.ErrNotOurs) {
			t.Errorf("announce without the address: %v", err)
		}
	})
}
