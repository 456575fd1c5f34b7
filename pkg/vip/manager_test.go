package vip_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/vip"
)

func newManager(t *testing.T, f *fakeNet, vips string) *vip.Manager {
	t.Helper()
	list, err := vip.Parse(vips)
	if err != nil {
		t.Fatal(err)
	}
	m, err := vip.New(vip.Options{Host: f, VIPs: list})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wantCalls(t *testing.T, f *fakeNet, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, f.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	f.calls = nil
}

// All duplicates are looked for before the first address is added.
func TestStart(t *testing.T) {
	f := newFakeNet()
	m := newManager(t, f, "192.168.2.63/24@ens3, fd00::63/64")
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, f,
		"arp ens3 192.168.2.63",
		"ns ens3 fd00::63",
		"vip.add ens3 192.168.2.63/24",
		"vip.add ens3 fd00::63/64",
		"vip.announce arp ens3 192.168.2.63",
		"vip.announce na ens3 fd00::63")
	if f.waits > vip.DefaultProbeTime {
		t.Errorf("probes waited %v altogether", f.waits)
	}

	// Started again it only announces.
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, f, "vip.announce arp ens3 192.168.2.63", "vip.announce na ens3 fd00::63")
}

// After Check, which adds nothing, Start does not ask the network again.
func TestCheckBeforeStart(t *testing.T) {
	f := newFakeNet()
	m := newManager(t, f, "192.168.2.63/24@ens3")
	if err := m.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, f, "arp ens3 192.168.2.63")
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, f, "vip.add ens3 192.168.2.63/24", "vip.announce arp ens3 192.168.2.63")
}

// A Check that found a duplicate does not spare Start's own.
func TestCheckRefused(t *testing.T) {
	f := newFakeNet()
	f.others["192.168.2.63"] = "52:54:00:aa:bb:cc"
	m := newManager(t, f, "192.168.2.63/24@ens3")
	if err := m.Check(t.Context()); !errors.Is(err, vip.ErrDuplicate) {
		t.Fatalf("Check: %v", err)
	}
	if err := m.Start(t.Context()); !errors.Is(err, vip.ErrDuplicate) {
		t.Fatalf("Start: %v", err)
	}
	wantCalls(t, f, "arp ens3 192.168.2.63", "arp ens3 192.168.2.63")
}

// Only what is missing is probed and added.
func TestStartHalfDone(t *testing.T) {
	f := newFakeNet()
	f.have("ens3", "192.168.2.63/24")
	if err := newManager(t, f, "192.168.2.63/24 192.168.2.64/24").Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, f,
		"arp ens3 192.168.2.64",
		"vip.add ens3 192.168.2.64/24",
		"vip.announce arp ens3 192.168.2.63",
		"vip.announce arp ens3 192.168.2.64")
}

func TestStartDuplicate(t *testing.T) {
	f := newFakeNet()
	f.others["192.168.2.64"] = "52:54:00:aa:bb:cc"
	err := newManager(t, f, "192.168.2.63/24 192.168.2.64/24").Start(t.Context())
	if !errors.Is(err, vip.ErrDuplicate) {
		t.Fatalf("got %v", err)
	}
	want := "192.168.2.64 on ens3: address is in use by another machine: 52:54:00:aa:bb:cc answers for it"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	wantCalls(t, f, "arp ens3 192.168.2.63", "arp ens3 192.168.2.64") // nothing added
}

// Errors come before anything is changed, and name what is wrong.
func TestStartRefused(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		vips string
		set  func(*fakeNet)
		want error
	}{
		{"unknown interface", "192.168.2.63/24@ens9", nil, host.ErrNoInterface},
		{"no interface in the network", "172.16.0.63/24", nil, host.ErrNoInterface},
		{"on another interface", "192.168.2.63/24@ens3", func(f *fakeNet) { f.have("ens4", "192.168.2.63/24") }, vip.ErrMisplaced},
		{"with another prefix", "192.168.2.63/24@ens3", func(f *fakeNet) { f.have("ens3", "192.168.2.63/32") }, vip.ErrMisplaced},
		{"kernel found a duplicate", "fd00::63/64", func(f *fakeNet) {
			f.have("ens3", "fd00::63/64")
			f.addrs[len(f.addrs)-1].DADFailed = true
		}, vip.ErrDuplicate},
		{"interface switched off", "192.168.2.63/24@ens3", func(f *fakeNet) { f.iface("ens3").Up = false }, vip.ErrLinkDown},
		{"addresses unknown", "192.168.2.63/24@ens3", func(f *fakeNet) { f.fail["addresses"] = boom }, boom},
		{"interfaces unknown", "192.168.2.63/24@ens3", func(f *fakeNet) { f.fail["interfaces"] = boom }, boom},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			f := newFakeNet()
			if tc.set != nil {
				tc.set(f)
			}
			err := newManager(t, f, tc.vips).Start(t.Context())
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			wantCalls(t, f)
		})
	}
}

func TestStartFailures(t *testing.T) {
	boom := errors.New("boom")
	for op, want := range map[string]error{"probe": boom, vip.OpAdd: boom, vip.OpAnnounce: nil} {
		t.Run(op, func(t *testing.T) {
			f := newFakeNet()
			f.fail[op] = boom
			if err := newManager(t, f, "192.168.2.63/24").Start(t.Context()); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

// An interface without carrier gets the address, but nobody could answer.
func TestStartNoCarrier(t *testing.T) {
	f := newFakeNet()
	f.iface("ens3").Running = false
	if err := newManager(t, f, "192.168.2.63/24@ens3").Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, f, "vip.add ens3 192.168.2.63/24", "vip.announce arp ens3 192.168.2.63")
}

func TestStartWithoutProbe(t *testing.T) {
	f := newFakeNet()
	list, _ := vip.Parse("192.168.2.63/24")
	m, err := vip.New(vip.Options{Host: f, VIPs: list, ProbeTime: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, f, "vip.add ens3 192.168.2.63/24", "vip.announce arp ens3 192.168.2.63")
}

// The address goes wherever it is; the node's own addresses stay.
func TestStop(t *testing.T) {
	f := newFakeNet()
	f.have("ens3", "192.168.2.63/24")
	f.have("ens4", "192.168.2.63/32")
	m := newManager(t, f, "192.168.2.63/24@ens3, fd00::63/64")
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, f, "vip.delete ens3 192.168.2.63/24", "vip.delete ens4 192.168.2.63/32")
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCalls(t, f)
	if len(f.addrs) != 3 {
		t.Errorf("left: %v", f.addrs)
	}
}

func TestStopGoesOn(t *testing.T) {
	f := newFakeNet()
	boom := errors.New("boom")
	f.fail["vip.delete 192.168.2.63"] = boom
	f.have("ens3", "192.168.2.63/24")
	f.have("ens3", "192.168.2.64/24")
	if err := newManager(t, f, "192.168.2.63/24 192.168.2.64/24").Stop(t.Context()); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	wantCalls(t, f, "vip.delete ens3 192.168.2.63/24", "vip.delete ens3 192.168.2.64/24")
}

func TestStatus(t *testing.T) {
	f := newFakeNet()
	f.have("ens3", "192.168.2.63/24")
	f.have("ens4", "192.168.2.64/24")
	f.have("ens3", "fd00::63/64")
	f.addrs[len(f.addrs)-1].DADFailed = true
	f.iface("ens4").Running = false
	m := newManager(t, f, "192.168.2.63/24 192.168.2.64/24@ens3 fd00::63/64 fd00::64/64")
	got, err := m.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	type state struct {
		Interface                 string
		Present, InPlace, Running bool
	}
	var short []state
	for _, s := range got {
		short = append(short, state{s.Interface, s.Present, s.InPlace, s.Running})
	}
	want := []state{
		{"ens3", true, true, true},
		{"ens4", true, false, false}, // wrong interface, no carrier
		{"ens3", true, false, true},  // another node has it
		{"", false, false, false},
	}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantCalls(t, f)
}

// Each address is looked for right before it is announced.
func TestAnnounceLostAddress(t *testing.T) {
	f := newFakeNet()
	f.have("ens3", "192.168.2.63/24")
	f.have("ens3", "192.168.2.64/24")
	f.onSend = func() { f.addrs = f.addrs[:3] } // both go after the first packet
	err := newManager(t, f, "192.168.2.63/24 192.168.2.64/24").Announce(t.Context())
	if !errors.Is(err, vip.ErrNotOurs) {
		t.Errorf("got %v", err)
	}
	wantCalls(t, f, "vip.announce arp ens3 192.168.2.63")
}

func TestAnnounceNoEthernet(t *testing.T) {
	f := newFakeNet()
	f.have("ens3", "192.168.2.63/24")
	f.fail[vip.OpAnnounce] = host.ErrNoEthernet
	if err := newManager(t, f, "192.168.2.63/24").Announce(t.Context()); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestAnnounceRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeNet()
		f.have("ens3", "192.168.2.63/24")
		m := newManager(t, f, "192.168.2.63/24")
		start := time.Now()
		if err := m.AnnounceRounds(t.Context(), 5, time.Second); err != nil {
			t.Fatal(err)
		}
		if len(f.calls) != 5 || time.Since(start) != 4*time.Second {
			t.Errorf("%d rounds in %v", len(f.calls), time.Since(start))
		}

		// A failure does not end the rounds, the end of the context does.
		f.calls = nil
		f.fail[vip.OpAnnounce] = errors.New("boom")
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		if err := m.AnnounceRounds(ctx, 5, time.Second); !errors.Is(err, context.DeadlineExceeded) || len(f.calls) != 3 {
			t.Errorf("%v after %d rounds", err, len(f.calls))
		}

		// So does the loss of the address.
		f.calls = nil
		f.onSend = func() { f.addrs = nil }
		if err := m.AnnounceRounds(t.Context(), 5, time.Second); !errors.Is(err, vip.ErrNotOurs) || len(f.calls) != 1 {
			t.Errorf("%v after %d rounds", err, len(f.calls))
		}
	})
}

func TestNewErrors(t *testing.T) {
	if _, err := vip.New(vip.Options{VIPs: []vip.VIP{{}}}); err == nil {
		t.Error("no host was accepted")
	}
	if _, err := vip.New(vip.Options{Host: newFakeNet()}); err == nil {
		t.Error("no address was accepted")
	}
}

func TestAddrs(t *testing.T) {
	list, err := vip.Parse("192.168.2.63/24@ens3, fd00::63/64")
	if err != nil {
		t.Fatal(err)
	}
	addrs := vip.Addrs(list)
	if len(addrs) != 2 || addrs[0].String() != "192.168.2.63" || addrs[1].String() != "fd00::63" {
		t.Errorf("got %v", addrs)
	}
}
