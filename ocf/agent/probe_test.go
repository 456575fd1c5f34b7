package agent_test

import (
	"slices"
	"testing"

	"github.com/spacei/drbdnfs/ocf"
)

// changes are the calls of the last action that changed the machine: all but
// questions to DRBD.
func (w *world) changes() []string {
	return slices.DeleteFunc(w.Ops(), func(op string) bool { return op == "drbd.status" })
}

// Ensure that a probe answers on any node, and changes nothing there.
func TestProbe(t *testing.T) {
	tests := []struct {
		name   string
		scene  func(w *world)
		want   ocf.Code
		reason string
	}{
		{name: "nothing installed", scene: func(w *world) { w.Bare() }, want: ocf.NotRunning},
		{name: "never started", scene: func(*world) {}, want: ocf.NotRunning},
		{name: "DRBD not configured", scene: func(w *world) { w.DRBD.Configured = false }, want: ocf.NotRunning},
		{name: "no parameters", scene: func(w *world) { clear(w.params) }, want: ocf.NotRunning},
		{name: "bad parameters", scene: func(w *world) { w.params["exports"] = "relative *(rw)" }, want: ocf.NotRunning},
		{name: "module loaded, resource down", scene: func(w *world) { w.Modules["drbd"] = true }, want: ocf.NotRunning},
		{name: "module loaded, tools gone", scene: func(w *world) { w.SetUp(); delete(w.Programs, "drbdsetup") }, want: ocf.NotRunning},
		{name: "DRBD brought up by somebody", scene: func(w *world) { w.SetUp() }, want: ocf.NotRunning},
		{name: "DRBD 8.4 brought up by somebody", scene: func(w *world) { w.DRBD.Kernel84 = true; w.SetUp() }, want: ocf.NotRunning},
		{name: "DRBD Primary by somebody", scene: func(w *world) { w.SetUp(); w.DRBD.Role = "Primary" }, want: ocf.FailedPromoted, reason: "not mounted"},
		{name: "address left", scene: func(w *world) { w.SetAddress("ens3", vip4+"/24") }, want: ocf.FailedPromoted, reason: "DRBD is down"},
		{name: "NFS state link broken", scene: func(w *world) { w.SetDir("/var/lib/nfs.local", 0, 0); w.Delete("/var/lib/nfs") }, want: ocf.NotRunning},
		{name: "foreign NFS server", scene: func(w *world) { w.SetForeignNFSD(8) }, want: ocf.NotRunning},
		{name: "foreign mount", scene: func(w *world) { w.SetUp(); w.SetMount("/dev/sdb1", volume) }, want: ocf.NotRunning},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				tt.scene(w)
				w.want(t, "probe", tt.want)
				w.wantReason(t, tt.reason)
				if c := w.changes(); len(c) > 0 {
					t.Errorf("a probe did %v", c)
				}
				w.Violations() // the scene's own
			})
		})
	}
}

// Ensure that a node on which somebody else has brought DRBD up is started before
// it is promoted, and that a promotion without a start makes up for it.
func TestPromoteWithoutStart(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.SetUp()
		w.want(t, "probe", ocf.NotRunning)
		w.want(t, "start", ocf.Success)
		w.want(t, "probe", ocf.Success)
		w.want(t, "promote", ocf.Success)
	})
	on(t, func(t *testing.T, w *world) {
		w.SetUp()
		w.FailOnce("nfs.modprobe", errInjected)
		w.want(t, "promote", ocf.ErrGeneric)
		w.want(t, "promote", ocf.Success)
		w.want(t, "monitor", ocf.RunningPromoted)
		w.want(t, "stop", ocf.Success)
		w.clean(t)
	})
}

// Ensure that after a loss of power a node that served answers a probe as
// stopped, and starts.
func TestProbeAfterReboot(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		w.Reboot()
		w.want(t, "probe", ocf.NotRunning) // although /var/lib/nfs still leads to a volume that is not mounted
		w.want(t, "stop", ocf.Success)
		w.want(t, "probe", ocf.NotRunning)
		w.promoted(t)
	})
}

// Ensure that a probe, a notification and a validation do not wait for another
// action, and that a monitor does.
func TestLock(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.started(t)
		unlock, err := w.Lock(t.Context(), runDir+"/nfs.lock")
		if err != nil {
			t.Fatal(err)
		}
		w.want(t, "probe", ocf.Success)
		w.want(t, "validate-all", ocf.Success)
		w.want(t, "notify", ocf.Success)
		if w.took > 0 {
			t.Errorf("notify took %v", w.took)
		}
		for _, action := range []string{"monitor", "start", "promote", "demote", "stop", "reload-agent"} {
			w.want(t, action, ocf.ErrGeneric)
			w.wantReason(t, "held by another action: timed out")
		}
		unlock()
		w.want(t, "monitor", ocf.Success)
	})
}
