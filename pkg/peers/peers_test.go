package peers_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/peers"
)

// fakeNet is a machine with TCP connections.
type fakeNet struct {
	sockets map[string][]host.TCPSocket // by local address
	fail    map[string]error            // by address
	tickled []string
	ops     []string
}

func (f *fakeNet) TCPSockets(_ context.Context, local netip.Addr) ([]host.TCPSocket, error) {
	return f.sockets[local.String()], f.fail[local.String()]
}

func (f *fakeNet) DestroySockets(_ context.Context, op string, local netip.Addr) (int, error) {
	f.ops = append(f.ops, op)
	if err := f.fail[local.String()]; err != nil {
		return 0, err
	}
	n := len(f.sockets[local.String()])
	delete(f.sockets, local.String())
	return n, nil
}

func (f *fakeNet) SendTickle(_ context.Context, op string, local, remote netip.AddrPort) error {
	f.ops = append(f.ops, op)
	f.tickled = append(f.tickled, local.String()+" "+remote.String())
	return f.fail[remote.Addr().String()]
}

func (f *fakeNet) have(lines ...string) {
	for _, c := range conns(lines...) {
		local := c.Local.Addr().String()
		f.sockets[local] = append(f.sockets[local], host.TCPSocket{Local: c.Local, Remote: c.Remote})
	}
}

func newPeers(t *testing.T) (*fakeNet, *peers.Peers) {
	t.Helper()
	f := &fakeNet{sockets: map[string][]host.TCPSocket{}, fail: map[string]error{}}
	p, err := peers.New(peers.Options{
		Host:  f,
		Addrs: []netip.Addr{netip.MustParseAddr("192.168.2.63"), netip.MustParseAddr("fd00::63")},
		Ports: []uint16{2049, 32773},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, p
}

func TestCollect(t *testing.T) {
	f, p := newPeers(t)
	f.have(
		"192.168.2.63:2049 192.168.2.10:812",
		"192.168.2.63:22 192.168.2.10:50000",  // another service
		"192.168.2.63:2049 192.168.2.63:900",  // this machine itself
		"192.168.2.63:32773 192.168.2.9:1001", // mountd
		"[fd00::63]:2049 [fd00::10]:700",
	)
	list, err := p.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := peers.NewList(conns("192.168.2.63:2049 192.168.2.10:812", "192.168.2.63:32773 192.168.2.9:1001", "[fd00::63]:2049 [fd00::10]:700"))
	if !list.Equal(want) {
		t.Errorf("got %v, want %v", list, want)
	}

	// One address that cannot be asked does not hide the other.
	boom := errors.New("boom")
	f.fail["192.168.2.63"] = boom
	list, err = p.Collect(t.Context())
	if !errors.Is(err, boom) || !list.Equal(want[2:]) {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestTickle(t *testing.T) {
	f, p := newPeers(t)
	list := peers.NewList(conns(
		"192.168.2.63:2049 192.168.2.10:812",
		"192.168.2.63:2049 192.168.2.11:812",
		"192.168.2.63:22 192.168.2.10:50000",  // not a port of the service
		"192.168.2.99:2049 192.168.2.10:5000", // not an address of the service
		"[fd00::63]:2049 [fd00::10]:700",
	))
	f.fail["192.168.2.10"] = errors.New("boom")
	n, err := p.Tickle(t.Context(), list)
	if n != 2 || !errors.Is(err, f.fail["192.168.2.10"]) {
		t.Errorf("sent %d, %v", n, err)
	}
	want := []string{"192.168.2.63:2049 192.168.2.10:812", "192.168.2.63:2049 192.168.2.11:812", "[fd00::63]:2049 [fd00::10]:700"}
	if diff := cmp.Diff(want, f.tickled); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.fail["fd00::10"] = errors.New("bang")
	if _, err := p.Tickle(t.Context(), list); err == nil || err.Error() != "boom (and 1 more)" {
		t.Errorf("got %v", err)
	}
}

// Many clients are told over time, and the context ends that.
func TestTickleRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newPeers(t)
		var many []peers.Conn
		for i := range 1000 {
			many = append(many, conns(fmt.Sprintf("192.168.2.63:2049 10.0.%d.%d:812", i/250, i%250+1))...)
		}
		start := time.Now()
		n, err := p.Tickle(t.Context(), peers.NewList(many))
		if n != 1000 || err != nil {
			t.Errorf("sent %d, %v", n, err)
		}
		if d := time.Since(start); d != 450*time.Millisecond {
			t.Errorf("took %v", d)
		}

		f.tickled = nil
		ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
		defer cancel()
		n, err = p.Tickle(ctx, peers.NewList(many))
		if !errors.Is(err, context.DeadlineExceeded) || n != 300 {
			t.Errorf("sent %d, %v", n, err)
		}
	})
}

func TestDestroy(t *testing.T) {
	f, p := newPeers(t)
	f.have("192.168.2.63:2049 192.168.2.10:812", "192.168.2.63:22 192.168.2.10:50000", "[fd00::63]:2049 [fd00::10]:700")
	if n, err := p.Destroy(t.Context()); n != 3 || err != nil {
		t.Errorf("destroyed %d, %v", n, err)
	}
	f.have("[fd00::63]:2049 [fd00::10]:700")
	f.fail["192.168.2.63"] = host.ErrNoSockDestroy
	if n, err := p.Destroy(t.Context()); n != 1 || !errors.Is(err, host.ErrNoSockDestroy) {
		t.Errorf("destroyed %d, %v", n, err)
	}
}

func TestNewErrors(t *testing.T) {
	if _, err := peers.New(peers.Options{Addrs: []netip.Addr{{}}}); err == nil {
		t.Error("no host was accepted")
	}
	if _, err := peers.New(peers.Options{Host: &fakeNet{}}); err == nil {
		t.Error("no address was accepted")
	}
}
