package agent_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// Ensure that a stop ends with nothing left, whatever it finds and whatever it
// is told.
func TestStop(t *testing.T) {
	tests := []struct {
		name   string
		scene  func(t *testing.T, w *world)
		drbdUp bool
	}{
		{name: "without parameters", scene: func(_ *testing.T, w *world) { clear(w.params) }},
		{name: "with broken parameters", scene: func(_ *testing.T, w *world) { w.params["exports"], w.params["vips"] = "?", "nowhere" }},
		{name: "with a broken DRBD configuration", scene: func(_ *testing.T, w *world) { w.DRBD.Broken = true }},
		{name: "with DRBD's configuration gone", scene: func(_ *testing.T, w *world) { w.DRBD.Configured = false }},
		{name: "without a record", scene: func(_ *testing.T, w *world) { w.Delete(runDir + "/nfs.json") }},
		{name: "with an unreadable record", scene: func(_ *testing.T, w *world) { w.SetFile(runDir+"/nfs.json", "{") }},
		{name: "with DRBD kept up", scene: func(_ *testing.T, w *world) { w.params["drbd_down"] = "no" }, drbdUp: true},
		{name: "with LINSTOR", scene: func(_ *testing.T, w *world) { w.SetFile("/var/lib/linstor.d/res0.res", "") }, drbdUp: true},
		{name: "with LINSTOR, told to take DRBD down", scene: func(_ *testing.T, w *world) {
			w.SetFile("/var/lib/linstor.d/res0.res", "")
			w.params["drbd_down"] = "yes"
		}},
		{name: "of a node without its peer", scene: func(_ *testing.T, w *world) { w.DRBD.LosePeer() }},
		{name: "of a node whose disk failed", scene: func(_ *testing.T, w *world) { w.DRBD.Disk = "Diskless" }},
		{name: "with the server killed", scene: func(t *testing.T, w *world) {
			if err := w.WriteFile("test", "/proc/fs/nfsd/threads", []byte("0")); err != nil {
				t.Fatal(err)
			}
			w.Violations()
		}},
		{name: "with daemons killed", scene: func(_ *testing.T, w *world) { w.Kill9("rpc.statd"); w.Kill9("nfsdcld"); w.Kill9("rpc.mountd") }},
		{name: "with the address gone", scene: func(_ *testing.T, w *world) { w.DropAddress(vip4) }},
		{name: "with the address in the wrong form", scene: func(_ *testing.T, w *world) { w.DropAddress(vip4); w.SetAddress("ens4", vip4+"/32") }},
		{name: "with the volume gone read-only", scene: func(_ *testing.T, w *world) { w.SetReadOnly(volume) }},
		{name: "with a mount on the mount", scene: func(_ *testing.T, w *world) { w.SetMount("/dev/sdb1", volume+"/user-data") }},
		{name: "with a process in the volume", scene: func(_ *testing.T, w *world) { w.Spawn("bash", "cwd", volume+"/user-data") }},
		{name: "with a stubborn process in the volume", scene: func(_ *testing.T, w *world) { w.Spawn("java", "fd 7", volume+"/user-data").Stubborn = true }},
		{name: "with a process that ends by itself", scene: func(_ *testing.T, w *world) {
			w.Spawn("blkid", "fd 3", volume)
			w.On("mount.umount", func() {})
		}},
		{name: "by auto-promote", scene: func(_ *testing.T, w *world) { w.DRBD.AutoPromo = true }},
		{name: "on DRBD 8.4", scene: func(_ *testing.T, w *world) { w.DRBD.Kernel84 = true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.promoted(t)
				tt.scene(t, w)
				w.want(t, "stop", ocf.Success)
				w.clean(t)
				if w.DRBD.Up != tt.drbdUp {
					t.Errorf("DRBD up: got %v, want %v", w.DRBD.Up, tt.drbdUp)
				}
				if _, left := w.File(runDir + "/nfs.json"); left {
					t.Error("the record outlives the stop")
				}
			})
		})
	}
}

// Ensure that a stop where nothing ever ran changes nothing.
func TestStopOfNothing(t *testing.T) {
	tests := []struct {
		name  string
		scene func(w *world)
	}{
		{"never started", func(*world) {}},
		{"not configured", func(w *world) { clear(w.params) }},
		{"nothing installed", func(w *world) { w.Bare(); w.Violations() }},
		{"another NFS server", func(w *world) { w.SetForeignNFSD(16) }},
		{"another file system", func(w *world) { w.SetMount("/dev/sdb1", volume) }},
		{"/var/lib/nfs of somebody else", func(w *world) {
			w.Delete("/var/lib/nfs")
			w.SetDir("/srv/nfs", 0, 0)
			w.SetLink("/var/lib/nfs", "/srv/nfs")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				tt.scene(w)
				threads, mounted, nfs := w.NFSD.Threads, w.Mounted(volume), w.Resolve("/var/lib/nfs")
				w.want(t, "stop", ocf.Success)
				if w.NFSD.Threads != threads || w.Mounted(volume) != mounted || w.Resolve("/var/lib/nfs") != nfs {
					t.Errorf("threads %d, mount %q, state %q were somebody else's", threads, mounted, nfs)
				}
				w.Violations()
			})
		})
	}
}

// Ensure that processes elsewhere are left alone, and those on the volume are
// named when they do not end.
func TestStopBusy(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		away := w.Spawn("vim", "fd 4", "/etc")
		polite := w.Spawn("bash", "cwd", volume)
		stuck := w.Spawn("dd", "fd 1", volume+"/user-data")
		stuck.Immortal = true
		w.want(t, "stop", ocf.ErrGeneric)
		w.wantReason(t, "held by dd[")
		w.wantReason(t, "(fd 1 /home/nfs/user-data)")
		if !w.Alive(away.PID) || w.Alive(polite.PID) {
			t.Errorf("away alive: %v, polite alive: %v", w.Alive(away.PID), w.Alive(polite.PID))
		}
		if slices.Contains(w.Leftovers(), "address "+vip4) {
			t.Error("the address stays while the volume is busy")
		}
		stuck.Immortal = false
		w.want(t, "stop", ocf.Success)
		w.clean(t)
	})
}

// Ensure that the cluster's own processes are never ended, whatever they hold.
func TestStopSparesCluster(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		var spared []int
		for _, command := range []string{"pacemaker-execd", "corosync", "systemd-journald"} {
			spared = append(spared, w.Spawn(command, "cwd", volume).PID)
		}
		w.want(t, "stop", ocf.ErrGeneric)
		w.wantReason(t, "held by pacemaker-execd[")
		for _, pid := range spared {
			if !w.Alive(pid) {
				t.Errorf("process %d was ended", pid)
			}
		}
	})
}

// Ensure that what a failed demotion left undone is done by what comes next,
// though nothing of the group can be seen any more.
func TestFailedDemoteIsCompleted(t *testing.T) {
	for _, next := range []string{"start", "stop", "demote"} {
		t.Run(next, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.promoted(t)
				w.clients(t)
				w.FailOnce("peers.destroy", errInjected)
				w.want(t, "demote", ocf.ErrGeneric)
				w.want(t, next, ocf.Success)
				w.hasReached(t, next)
			})
		})
	}
}

// Ensure that a file system that no process holds is reported as such.
func TestStopPinned(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		w.Pinned = true
		w.want(t, "stop", ocf.ErrGeneric)
		w.wantReason(t, "no process holds it")
	})
}

// Ensure that somebody who holds the device beside the mount is waited for, and
// then reported.
func TestStopDeviceHeld(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		w.DRBD.HeldOpen = true
		w.want(t, "stop", ocf.ErrGeneric)
		w.wantReason(t, "look for holders of /dev/drbd1000")
		n := 0
		w.On("drbd.secondary", func() {
			if n++; n > 3 {
				w.DRBD.HeldOpen = false // udev lets go
			}
		})
		w.want(t, "stop", ocf.Success)
		w.clean(t)
	})
}

// Ensure that a demotion over suspended I/O either ends the suspension or does
// nothing at all: an unmount would hang for ever.
func TestDemoteSuspended(t *testing.T) {
	tests := []struct {
		name, reason string
		is84, ends   bool
	}{
		{name: "9, no quorum", reason: "quorum", ends: true},
		{name: "9, no data", reason: "no-data", ends: true},
		{name: "9, fence handler", reason: "fencing"},
		{name: "9, administrator", reason: "user"},
		{name: "8.4, no data", reason: "no-data", is84: true},
	}
	for _, tt := range tests {
		for _, action := range []string{"demote", "stop"} {
			t.Run(tt.name+"/"+action, func(t *testing.T) {
				on(t, func(t *testing.T, w *world) {
					w.DRBD.Kernel84 = tt.is84
					w.promoted(t)
					w.Suspend(tt.reason)
					if tt.ends {
						w.want(t, action, ocf.Success)
						w.clean(t)
						if !w.did("drbd.secondary-force") {
							t.Errorf("did %v", w.Ops())
						}
						return
					}
					w.want(t, action, ocf.ErrGeneric)
					w.wantReason(t, "fence this node: DRBD I/O is suspended ("+tt.reason+")")
					if w.did("mount.umount") {
						t.Error("umount over suspended I/O")
					}
				})
			})
		}
	}
}

// Ensure that one failed look at DRBD is no leave to unmount over suspended I/O.
func TestDemoteSuspendedLookFails(t *testing.T) {
	for _, action := range []string{"start", "demote", "stop"} {
		for nth := 1; nth <= 3; nth++ {
			t.Run(fmt.Sprintf("%s/%d", action, nth), func(t *testing.T) {
				on(t, func(t *testing.T, w *world) {
					w.promoted(t)
					w.Kill9("nfsdcld") // or start would adopt it
					w.Suspend("fencing")
					w.FailNth("drbd.status", nth, errInjected)
					w.want(t, action, ocf.ErrGeneric)
					if w.did("mount.umount") {
						t.Error("umount over suspended I/O")
					}
				})
			})
		}
	}
}

// Ensure that a demotion of what is not even there says so.
func TestDemoteOfNothing(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		set := w.params
		w.params = nil
		w.want(t, "demote", ocf.ErrConfigured)
		w.wantReason(t, "drbd_resource is not set")
		w.params = set
		w.want(t, "demote", ocf.NotRunning)
		w.wantReason(t, "DRBD is down")
	})
}

// Ensure that a demotion without parameters uses those of the last start.
func TestDemoteWithoutParameters(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		clear(w.params)
		w.want(t, "demote", ocf.Success)
		w.clean(t)
	})
}

// Ensure that the clients of rpc.statd's list are told after the next promotion,
// and that lockd finds a rpc.statd when it ends, whatever became of the daemon;
// only where the list cannot be put aside rpc.statd has to end before.
func TestDemoteKeepsLockClients(t *testing.T) {
	tests := []struct {
		name       string
		scene      func(w *world)
		unanswered int
	}{
		{"statd runs", func(*world) {}, 0},
		{"statd was killed", func(w *world) { w.Kill9("rpc.statd") }, 0},
		{"all daemons were killed", func(w *world) { w.Kill9("rpc.statd"); w.Kill9("nfsdcld"); w.Kill9("rpc.mountd") }, 0},
		{"statd was killed, and a demotion after it was", func(w *world) {
			w.Kill9("rpc.statd")
			w.Kill("nfs.statd.start", 1, hosttest.Before)
			w.act("demote")
			w.Clear()
		}, 0},
		{"statd cannot be started again", func(w *world) { w.Kill9("rpc.statd"); w.Fail("nfs.statd.start", errInjected) }, 1},
		{"the list cannot be put aside", func(w *world) { w.Fail("nfs.retire", errInjected); w.Find("rpc.statd").Stubborn = true }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.promoted(t)
				w.SetLockClient(stateDir, "client99")
				tt.scene(w)
				w.want(t, "demote", ocf.Success)
				w.clean(t)
				if w.NFSD.Unanswered != tt.unanswered {
					t.Errorf("lockd has waited %d times in vain for rpc.statd, want %d", w.NFSD.Unanswered, tt.unanswered)
				}
				w.Clear()
				w.want(t, "promote", ocf.Success)
				if !slices.Equal(w.Notified, []string{"client99"}) {
					t.Errorf("notified: %v", w.Notified)
				}
			})
		})
	}
}
