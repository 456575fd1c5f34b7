package host

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestChooseInterface(t *testing.T) {
	list := []Interface{
		{Name: "lo", Index: 1, Loopback: true},
		{Name: "ens3", Index: 2},
		{Name: "ens4", Index: 3},
		{Name: "ens5", Index: 4},
	}
	addrs := func(pairs ...any) (out []Address) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, Address{Index: pairs[i].(int), Prefix: netip.MustParsePrefix(pairs[i+1].(string))})
		}
		return out
	}
	tests := []struct {
		name  string
		addrs []Address
		vip   string
		want  string
		err   error
	}{
		{"one in the network", addrs(1, "127.0.0.1/8", 2, "192.168.2.61/24", 3, "10.0.0.1/24"), "192.168.2.63/24", "ens3", nil},
		{"holder before neighbour", addrs(2, "192.168.2.61/24", 3, "192.168.2.63/24"), "192.168.2.63/24", "ens4", nil},
		{"holder with another prefix", addrs(3, "192.168.2.63/32"), "192.168.2.63/24", "ens4", nil},
		{"equal length before containing", addrs(2, "192.168.0.1/16", 3, "192.168.2.61/24"), "192.168.2.63/24", "ens4", nil},
		{"containing network", addrs(2, "192.168.0.1/16"), "192.168.2.63/32", "ens3", nil},
		{"two addresses of one interface", addrs(2, "192.168.2.61/24", 2, "192.168.2.62/24"), "192.168.2.63/24", "ens3", nil},
		{"two interfaces", addrs(2, "192.168.2.61/24", 3, "192.168.2.62/24"), "192.168.2.63/24", "", ErrAmbiguousInterface},
		{"none", addrs(2, "10.0.0.1/24"), "192.168.2.63/24", "", ErrNoInterface},
		{"loopback", addrs(1, "127.0.0.1/8"), "127.0.0.63/8", "", ErrNoInterface},
		{"IPv6", addrs(2, "192.168.2.61/24", 3, "fd00::61/64"), "fd00::63/64", "ens4", nil},
		{"no address at all", nil, "fd00::63/64", "", ErrNoInterface},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := chooseInterface(list, tc.addrs, netip.MustParsePrefix(tc.vip))
			if got.Name != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %q, %v, want %q, %v", got.Name, err, tc.want, tc.err)
			}
		})
	}
}

func TestTakesOthers(t *testing.T) {
	a := func(index int, prefix string, secondary bool) Address {
		return Address{Index: index, Prefix: netip.MustParsePrefix(prefix), Secondary: secondary}
	}
	first := a(2, "192.168.2.63/24", false)
	tests := []struct {
		name  string
		other Address
		of    Address
		want  bool
	}{
		{"secondary in the same network", a(2, "192.168.2.61/24", true), first, true},
		{"itself secondary", a(2, "192.168.2.61/24", false), a(2, "192.168.2.63/24", true), false},
		{"other network", a(2, "10.0.0.1/24", true), first, false},
		{"other prefix length", a(2, "192.168.2.61/25", true), first, false},
		{"other interface", a(3, "192.168.2.61/24", true), first, false},
		{"IPv6", a(2, "fd00::61/64", true), a(2, "fd00::63/64", false), false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if got := takesOthers([]Address{tc.of, tc.other}, tc.of); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// A socket read from a dump is named again with the same bytes in the request.
func TestDiagSocket(t *testing.T) {
	const (
		ports  = "0801" + "032c"
		addrs4 = "c0a8023f000000000000000000000000" + "c0a8020a000000000000000000000000"
		tail   = "02000000" + "1122334455667788" // interface, cookie
	)
	msg, _ := hex.DecodeString("02010000" + ports + addrs4 + tail + "0000000000000000000000000000000000000000")
	d, ok := parseDiag(msg)
	if !ok {
		t.Fatal("not parsed")
	}
	if got, want := d.addrPort(d.src, d.sport).String(), "192.168.2.63:2049"; got != want {
		t.Errorf("local %s, want %s", got, want)
	}
	if got, want := d.addrPort(d.dst, d.dport).String(), "192.168.2.10:812"; got != want {
		t.Errorf("remote %s, want %s", got, want)
	}
	want := "02060000" + "00000000" + ports + addrs4 + tail
	if diff := cmp.Diff(want, hex.EncodeToString(d.Serialize())); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if _, ok := parseDiag(msg[:diagMessageLen-1]); ok {
		t.Error("a short message was parsed")
	}

	mapped := diagSocket{family: unix.AF_INET6}
	if got, want := mapped.addrPort(netip.MustParseAddr("::ffff:192.168.2.63").As16(), 1).String(), "192.168.2.63:1"; got != want {
		t.Errorf("mapped %s, want %s", got, want)
	}
}

// The states of a destroy request are all but CLOSE, LISTEN and TIME-WAIT.
func TestAllStates(t *testing.T) {
	for state := range 16 {
		want := state >= 1 && state <= 12 && state != tcpTimeWait && state != tcpClose && state != tcpListen
		if got := allStates&(1<<state) != 0; got != want {
			t.Errorf("state %d is %v, want %v", state, got, want)
		}
	}
}

func TestNetErrorMessage(t *testing.T) {
	err := netError("vip.add", unix.EPERM, "add %s to %s", "192.168.2.63/24", "ens3")
	if want := "add 192.168.2.63/24 to ens3: operation not permitted"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if !errors.Is(err, unix.EPERM) {
		t.Error("the cause is hidden")
	}
	if err := netError("vip.add", nil, "x"); err != nil {
		t.Errorf("no cause, got %v", err)
	}
}
