package peers_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spacei/drbdnfs/pkg/peers"
)

// conns reads "local remote" pairs.
func conns(lines ...string) (out []peers.Conn) {
	for _, l := range lines {
		local, remote, _ := strings.Cut(l, " ")
		out = append(out, peers.Conn{Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote)})
	}
	return out
}

const text = `# drbdnfs peers 1
192.168.2.63:2049 192.168.2.9:1001
192.168.2.63:2049 192.168.2.10:812
[fd00::63]:2049 [fd00::10]:700
`

func TestText(t *testing.T) {
	list := peers.NewList(conns(
		"[fd00::63]:2049 [fd00::10]:700",
		"192.168.2.63:2049 192.168.2.10:812",
		"[::ffff:192.168.2.63]:2049 [::ffff:192.168.2.10]:812",
		"192.168.2.63:2049 192.168.2.9:1001",
	))
	if diff := cmp.Diff(text, string(list.Text())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, skipped := peers.Parse(list.Text())
	if !again.Equal(list) || skipped != 0 {
		t.Errorf("read back: %v, %d skipped", again, skipped)
	}
}

func TestTextEmpty(t *testing.T) {
	list, skipped := peers.Parse(peers.List(nil).Text())
	if len(list) != 0 || skipped != 0 || !list.Equal(nil) {
		t.Errorf("got %v, %d skipped", list, skipped)
	}
}

// Whatever a file holds, the good lines are taken.
func TestParseTolerates(t *testing.T) {
	const good = "192.168.2.63:2049 192.168.2.10:812"
	tests := []struct {
		name    string
		in      string
		want    []string
		skipped int
	}{
		{"nothing", "", nil, 0},
		{"no header", good + "\n", []string{good}, 0},
		{"later version with more fields", "# drbdnfs peers 2\n" + good + " since=12\n", []string{good}, 0},
		{"line ends of another system", "# drbdnfs peers 1\r\n" + good + "\r\n", []string{good}, 0},
		{"blank lines", "\n\n" + good + "\n\n", []string{good}, 0},
		{"cut off in the last line", good + "\n192.168.2.63:2049 192.168.2.10:81", []string{good}, 1},
		{"cut off behind the first field", good + "\n192.168.2.63:2049\n", []string{good}, 1},
		{"zero bytes after a crash", good + "\n" + strings.Repeat("\x00", 100), []string{good}, 1},
		{"host name", "server:2049 client:812\n" + good + "\n", []string{good}, 1},
		{"bad client", "192.168.2.63:2049 client\n" + good + "\n", []string{good}, 1},
		{"no ports", "192.168.2.63 192.168.2.10\n", nil, 1},
		{"port 0", "192.168.2.63:2049 192.168.2.10:0\n", nil, 1},
		{"port too big", "192.168.2.63:2049 192.168.2.10:65536\n", nil, 1},
		{"mixed families", "192.168.2.63:2049 [fd00::10]:812\n", nil, 1},
		{"broadcast of a group", "192.168.2.63:2049 224.0.0.1:812\n", nil, 1},
		{"unspecified", "192.168.2.63:2049 0.0.0.0:812\n", nil, 1},
		{"twice", good + "\n" + good + "\n", []string{good}, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			list, skipped := peers.Parse([]byte(tc.in))
			if want := peers.List(conns(tc.want...)); !list.Equal(want) || skipped != tc.skipped {
				t.Errorf("got %v, %d skipped, want %v, %d", list, skipped, want, tc.skipped)
			}
		})
	}
}

func TestListBounds(t *testing.T) {
	var many []peers.Conn
	for i := range peers.MaxConns + 5 {
		many = append(many, peers.Conn{
			Local:  netip.MustParseAddrPort("192.168.2.63:2049"),
			Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 812),
		})
	}
	if n := len(peers.NewList(many)); n != peers.MaxConns {
		t.Errorf("%d connections", n)
	}
	var b strings.Builder
	for range 3 {
		for _, c := range many {
			fmt.Fprintln(&b, c)
		}
	}
	if list, _ := peers.Parse([]byte(b.String())); len(list) != peers.MaxConns {
		t.Errorf("%d connections read", len(list))
	}
}

func TestEqual(t *testing.T) {
	a := peers.NewList(conns("192.168.2.63:2049 192.168.2.10:812", "192.168.2.63:2049 192.168.2.11:812"))
	b := peers.NewList(conns("192.168.2.63:2049 192.168.2.11:812", "192.168.2.63:2049 192.168.2.10:812"))
	if !a.Equal(b) {
		t.Error("order made a difference")
	}
	if a.Equal(b[:1]) || a.Equal(nil) {
		t.Error("a shorter list is equal")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(text))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := peers.Parse(b)
		again, skipped := peers.Parse(list.Text())
		if !again.Equal(list) || skipped != 0 {
			t.Errorf("%q gave %v, read back as %v with %d skipped", b, list, again, skipped)
		}
	})
}
