package nfs

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
)

var allPorts = Ports{Mountd: 32773, Statd: 32771, StatdOutgoing: 32772}

// Ensure that each set of versions has its daemons with their ports, in the
// order in which the server needs them.
func TestDaemonsStart(t *testing.T) {
	tests := []struct {
		name     string
		versions Versions
		ports    Ports
		commands string
		programs []string
	}{
		{
			"all",
			Versions{V3: true, V42: true},
			allPorts,
			"/usr/sbin/nfsdcld; /usr/sbin/rpc.statd --no-notify --port 32771 --outgoing-port 32772; /usr/sbin/rpc.mountd --port 32773",
			[]string{"nfsdcld", "rpc.statd", "rpc.mountd", "rpc.idmapd"},
		},
		{
			"NFSv3",
			Versions{V3: true},
			Ports{},
			"/usr/sbin/rpc.statd --no-notify; /usr/sbin/rpc.mountd",
			[]string{"rpc.statd", "rpc.mountd"},
		},
		{
			"NFSv4",
			Versions{V41: true},
			allPorts,
			"/usr/sbin/nfsdcld; /usr/sbin/rpc.mountd --port 32773 --no-nfs-version 3",
			[]string{"nfsdcld", "rpc.mountd", "rpc.idmapd"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel()
			k.watches = time.Now()
			d := NewDaemons(k, tt.versions, tt.ports)
			if diff := cmp.Diff(tt.programs, d.Programs()); diff != "" {
				t.Errorf("programs (-want +got):\n%s", diff)
			}
			if d.Running() || len(d.Missing()) == 0 {
				t.Errorf("before: running %v, missing %q", d.Running(), d.Missing())
			}
			for range 2 { // the second time all run already
				if err := d.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			expectCalls(t, k, "nfs.daemons.start: "+DaemonsUnit+": "+tt.commands)
			if !d.Running() || d.Missing() != nil {
				t.Errorf("after: running %v, missing %q", d.Running(), d.Missing())
			}
		})
	}
}

// Ensure that all are started anew when one has died.
func TestDaemonsStartRepairs(t *testing.T) {
	k := newKernel()
	k.watches = time.Now()
	d := NewDaemons(k, Versions{V3: true, V42: true}, Ports{})
	k.spawn(DaemonsUnit, "nfsdcld")
	k.spawn(DaemonsUnit, "rpc.statd")
	if diff := cmp.Diff([]string{"rpc.mountd"}, d.Missing()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if err := d.Start(t.Context()); err != nil || len(k.calls) != 1 {
		t.Errorf("%v, %q", err, k.calls)
	}
}

// Ensure that Start waits until nfsdcld watches for the kernel's pipe, which it
// does only some time after it has gone to the background.
func TestDaemonsStartWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKernel()
		k.watches = k.start.Add(400 * time.Millisecond)
		if err := NewDaemons(k, Versions{V42: true}, Ports{}).Start(t.Context()); err != nil || time.Since(k.start) != 400*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(k.start))
		}
	})
}

func TestDaemonsStartNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := NewDaemons(newKernel(), Versions{V42: true}, Ports{}).Start(ctx)
		checkText(t, err, "journalctl -u "+DaemonsUnit, "not ready: nfsdcld")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v is not the context's", err)
		}
	})
}

func TestDaemonsStartErrors(t *testing.T) {
	k := newKernel()
	k.noProgs = []string{"rpc.statd"}
	if err := NewDaemons(k, Versions{V3: true}, Ports{}).Start(t.Context()); !errors.Is(err, host.ErrNotInstalled) || len(k.calls) != 0 {
		t.Errorf("error %v after %q", err, k.calls)
	}
	k = newKernel()
	k.fails["nfs.daemons.start"] = errKilled
	if err := NewDaemons(k, Versions{V3: true}, Ports{}).Start(t.Context()); !errors.Is(err, errKilled) {
		t.Errorf("error %v", err)
	}
}

// Ensure that only those units of nfs-utils are named that run what we would.
func TestDaemonsForeign(t *testing.T) {
	k := newKernel()
	for unit, comm := range map[string]string{
		"nfsdcld.service": "nfsdcld", "rpc-statd.service": "rpc.statd", "nfs-mountd.service": "rpc.mountd", "nfs-idmapd.service": "rpc.idmapd",
	} {
		k.spawn(unit, comm)
	}
	all := []string{"nfsdcld.service", "rpc-statd.service", "nfs-mountd.service"}
	if diff := cmp.Diff(all, NewDaemons(k, Versions{V3: true, V42: true}, Ports{}).Foreign()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(all[1:], NewDaemons(k, Versions{V3: true}, Ports{}).Foreign()); diff != "" {
		t.Errorf("NFSv3 (-want +got):\n%s", diff)
	}
	if got := NewDaemons(newKernel(), Versions{V3: true}, Ports{}).Foreign(); got != nil {
		t.Errorf("nothing runs: %q", got)
	}
}

// Ensure that rpc.statd alone is ended, by force when it does not listen, and
// not waited for without end.
func TestStopStatd(t *testing.T) {
	tests := []struct {
		name  string
		deaf  []syscall.Signal
		after time.Duration
		first string
		last  string
		ok    bool
	}{
		{"ends", nil, readyPoll, "terminated to rpc.statd after 0s", "terminated to rpc.statd after 0s", true},
		{"hangs", []syscall.Signal{syscall.SIGTERM}, statdTermTime + 2*readyPoll, "terminated to rpc.statd after 0s", "killed to rpc.statd after 1.01s", true},
		{"never", []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}, statdKillTime, "terminated to rpc.statd after 0s", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKernel()
				k.deaf = tt.deaf
				k.spawn(DaemonsUnit, "rpc.statd")
				k.spawn(DaemonsUnit, "rpc.mountd")
				k.spawn("rpc-statd.service", "rpc.statd") // somebody else's
				err := NewDaemons(k, Versions{V3: true}, Ports{}).StopStatd(t.Context())
				if tt.ok != (err == nil) || time.Since(k.start) > tt.after {
					t.Errorf("%v after %v", err, time.Since(k.start))
				}
				if !tt.ok {
					checkText(t, err, "rpc.statd does not end")
				}
				if k.signals[0] != tt.first || tt.last != "" && k.signals[len(k.signals)-1] != tt.last {
					t.Errorf("signals %q", k.signals)
				}
				if len(k.units["rpc-statd.service"]) != 1 {
					t.Error("somebody else's was ended")
				}
			})
		})
	}
	k := newKernel()
	if err := NewDaemons(k, Versions{V3: true}, Ports{}).StopStatd(t.Context()); err != nil || len(k.signals) != 0 {
		t.Errorf("none: %v, %q", err, k.signals)
	}
	k.spawn(DaemonsUnit, "rpc.statd")
	k.fails["nfs.statd.stop"] = syscall.EPERM
	if err := NewDaemons(k, Versions{V3: true}, Ports{}).StopStatd(t.Context()); !errors.Is(err, syscall.EPERM) {
		t.Errorf("error %v", err)
	}
}

func TestDaemonsStop(t *testing.T) {
	k := newKernel()
	d := NewDaemons(k, Versions{V3: true}, Ports{})
	k.spawn(DaemonsUnit, "rpc.mountd")
	if err := d.Stop(t.Context()); err != nil || d.Running() {
		t.Errorf("%v, running %v", err, d.Running())
	}
	expectCalls(t, k, "nfs.daemons.stop: "+DaemonsUnit)
}

// Ensure that rpc.idmapd is started once, unless nfs-utils runs it, and only
// ours is ended.
func TestIDMapd(t *testing.T) {
	k := newKernel()
	d := NewDaemons(k, Versions{V42: true}, Ports{})
	for range 2 {
		if err := d.StartIDMapd(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := d.StopIDMapd(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	k.spawn("nfs-idmapd.service", "rpc.idmapd")
	if err := errors.Join(d.StartIDMapd(t.Context()), d.StopIDMapd(t.Context())); err != nil {
		t.Error(err)
	}
	if err := NewDaemons(k, Versions{V3: true}, Ports{}).StartIDMapd(t.Context()); err != nil {
		t.Error(err)
	}
	expectCalls(t, k, "nfs.idmapd.start: "+IDMapdUnit+": /usr/sbin/rpc.idmapd -S", "nfs.idmapd.stop: "+IDMapdUnit)
	k = newKernel()
	k.noProgs = []string{"rpc.idmapd"}
	if err := NewDaemons(k, Versions{V42: true}, Ports{}).StartIDMapd(t.Context()); !errors.Is(err, host.ErrNotInstalled) {
		t.Errorf("error %v", err)
	}
}
