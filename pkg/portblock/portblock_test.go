package portblock_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/portblock"
)

func addrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

var full = portblock.Ports{NFS: 2049, RPCBind: 111, Mountd: 32773, Statd: 32771, LockdTCP: 32774, LockdUDP: 32775}

func TestCompute(t *testing.T) {
	tests := []struct {
		name  string
		addrs []netip.Addr
		ports portblock.Ports
		want  string
	}{
		{"all ports", addrs("192.168.2.63"), full, "[192.168.2.63] [111 2049 32771 32773 32774] [111 2049 32771 32773 32775]"},
		{"NFSv4 alone", addrs("192.168.2.63"), portblock.Ports{NFS: 2049}, "[192.168.2.63] [2049] [2049]"},
		{"sorted, each once", addrs("fd00::63", "192.168.2.64", "192.168.2.63", "::ffff:192.168.2.64"), portblock.Ports{NFS: 2049}, "[192.168.2.63 192.168.2.64 fd00::63] [2049] [2049]"},
		{"one port for two", addrs("192.168.2.63"), portblock.Ports{Mountd: 4000, Statd: 4000}, "[192.168.2.63] [4000] [4000]"},
		{"TCP alone", addrs("192.168.2.63"), portblock.Ports{LockdTCP: 4000}, "[192.168.2.63] [4000] []"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			b, err := portblock.Compute(tc.addrs, tc.ports)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(b.Addrs, b.TCP, b.UDP); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestComputeErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		addrs []netip.Addr
		ports portblock.Ports
	}{
		"no address":     {nil, full},
		"no port":        {addrs("192.168.2.63"), portblock.Ports{}},
		"loopback":       {addrs("192.168.2.63", "127.0.0.1"), full},
		"loopback, IPv6": {addrs("::1"), full},
		"mapped":         {addrs("::ffff:127.0.0.1"), full},
		"unspecified":    {addrs("0.0.0.0"), full},
		"multicast":      {addrs("224.0.0.1"), full},
		"zero value":     {[]netip.Addr{{}}, full},
	} {
		if b, err := portblock.Compute(tc.addrs, tc.ports); err == nil {
			t.Errorf("%s: accepted as %v", name, b)
		}
	}
}

// fakeHost is a machine that has a block or not.
type fakeHost struct {
	block *host.Block
	ops   []string
	err   error
}

func (f *fakeHost) BlockPorts(_ context.Context, op string, b host.Block) error {
	f.ops = append(f.ops, op)
	if f.err == nil {
		f.block = &b
	}
	return f.err
}

func (f *fakeHost) UnblockPorts(_ context.Context, op string) error {
	f.ops = append(f.ops, op)
	if f.err == nil {
		f.block = nil
	}
	return f.err
}

func (f *fakeHost) PortsBlocked(context.Context) (bool, error) { return f.block != nil, f.err }

func TestBlocker(t *testing.T) {
	f := &fakeHost{}
	want, err := portblock.Compute(addrs("192.168.2.63"), full)
	if err != nil {
		t.Fatal(err)
	}
	b := portblock.New(f, want)
	status := func(want bool) {
		t.Helper()
		if got, err := b.Status(t.Context()); got != want || err != nil {
			t.Errorf("blocked is %v, %v, want %v", got, err, want)
		}
	}
	status(false)
	for range 2 {
		if err := b.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		status(true)
	}
	if diff := cmp.Diff(&want, f.block, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("block (-want +got):\n%s", diff)
	}
	for range 2 {
		if err := b.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
		status(false)
	}
	ops := []string{portblock.OpBlock, portblock.OpBlock, portblock.OpUnblock, portblock.OpUnblock}
	if diff := cmp.Diff(ops, f.ops); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}

	f.err = errors.New("boom")
	_, statusErr := b.Status(t.Context())
	for name, err := range map[string]error{"Ensure": b.Ensure(t.Context()), "Remove": b.Remove(t.Context()), "Status": statusErr} {
		if !errors.Is(err, f.err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
