package agent_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/host"
)

// Ensure that a monitor of a node that serves sees each thing that can be
// missing, names it, repairs nothing, and that demote, stop and promote get
// over it.
func TestMonitorSees(t *testing.T) {
	tests := []struct {
		name   string
		scene  func(w *world)
		reason string
	}{
		{"mountd killed", func(w *world) { w.Kill9("rpc.mountd") }, "rpc.mountd is not running"},
		{"statd killed", func(w *world) { w.Kill9("rpc.statd") }, "rpc.statd is not running"},
		{"nfsdcld killed", func(w *world) { w.Kill9("nfsdcld") }, "nfsdcld is not running"},
		{"threads at zero", func(w *world) { w.SetThreads(0) }, "no nfsd thread is running"},
		{"address deleted", func(w *world) { w.DropAddress(vip4) }, "address " + vip4 + " is missing"},
		{"address moved", func(w *world) { w.DropAddress(vip4); w.SetAddress("ens4", vip4+"/32") }, "is on ens4 in the wrong form"},
		{"export removed", func(w *world) { w.SetFile(stateDir+"/etab", "") }, volume + "/user-data is not exported to 192.168.2.0/24"},
		{"table of exports removed", func(w *world) { w.Delete(stateDir + "/etab") }, "exports: "},
		{"table of exports hangs", func(w *world) { w.Freeze("read /var/lib/nfs/etab") }, "the volume hangs"},
		{"read-only", func(w *world) { w.SetReadOnly(volume) }, "the volume is mounted read-only"},
		{"mounted over", func(w *world) { w.SetMount("/dev/sdb1", volume) }, "another file system is mounted on the directory"},
		{"state link moved", func(w *world) { w.SetLink("/var/lib/nfs", "/var/lib/nfs.local") }, "/var/lib/nfs does not lead to the volume"},
		{"ports blocked", func(w *world) { w.Blocked = &host.Block{} }, "the ports are blocked"},
		{"DRBD Secondary", func(w *world) { w.DRBD.Role = "Secondary" }, "DRBD is Secondary"},
		{"DRBD without quorum", func(w *world) { w.DRBD.Quorum = false }, "DRBD has no quorum"},
		{"DRBD suspended", func(w *world) { w.Suspend("quorum") }, "DRBD I/O is suspended (quorum)"},
		{"DRBD fails I/O", func(w *world) { w.DRBD.ForceIOFailures = true }, "DRBD fails all I/O"},
		{"no disk anywhere", func(w *world) { w.DRBD.Disk = "Failed"; w.DRBD.LosePeer() }, "no UpToDate data is reachable (local disk Failed)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.promoted(t)
				tt.scene(w)
				w.Violations() // the scene's own
				for _, action := range []string{"monitor", "probe"} {
					w.want(t, action, ocf.FailedPromoted)
					w.wantReason(t, tt.reason)
					if w.did("score.write") {
						continue
					}
					if c := slices.DeleteFunc(w.changes(), isBookkeeping); len(c) > 0 {
						t.Errorf("%s did %v", action, c)
					}
				}
				w.Clear()
				w.want(t, "stop", ocf.Success)
			})
		})
	}
}

func isBookkeeping(op string) bool { return op == "run.dir" || op == "lock" }

// Ensure that a node whose local disk failed serves on from the peer's.
func TestMonitorRemoteData(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		w.DRBD.Disk = "Diskless"
		w.want(t, "monitor", ocf.RunningPromoted)
		w.params["report_degraded"] = "true"
		w.want(t, "monitor", ocf.DegradedPromoted)
		w.wantReason(t, "local disk Diskless")
	})
}

// Ensure that missing redundancy is reported where that is asked for, and only
// there.
func TestReportDegraded(t *testing.T) {
	scenes := []struct {
		name   string
		scene  func(w *world)
		reason string
	}{
		{"healthy", func(*world) {}, ""},
		{"peer gone", func(w *world) { w.DRBD.LosePeer() }, "peer drbdtest2 Connecting"},
		{"split brain", func(w *world) { w.DRBD.LosePeer(); w.DRBD.Connection = "StandAlone" }, "peer drbdtest2 StandAlone"},
		{"resync", func(w *world) { w.DRBD.Replication, w.DRBD.PeerDisk = "SyncSource", "Inconsistent" }, "resyncing"},
		{"peer's disk failed", func(w *world) { w.DRBD.PeerDisk = "Diskless" }, "disk Diskless"},
	}
	for _, role := range []struct {
		name              string
		healthy, degraded ocf.Code
	}{
		{"unpromoted", ocf.Success, ocf.Degraded},
		{"promoted", ocf.RunningPromoted, ocf.DegradedPromoted},
	} {
		for _, s := range scenes {
			t.Run(role.name+"/"+s.name, func(t *testing.T) {
				on(t, func(t *testing.T, w *world) {
					w.started(t)
					if role.name == "promoted" {
						w.want(t, "promote", ocf.Success)
					}
					s.scene(w)
					w.want(t, "monitor", role.healthy)
					w.params["report_degraded"] = "yes"
					want := role.degraded
					if s.reason == "" {
						want = role.healthy
					}
					w.want(t, "monitor", want)
					w.wantReason(t, s.reason)
				})
			})
		}
	}
}

// Ensure that an Unpromoted node with another NFS server on it says so where
// degradation is reported, and is not preferred for a promotion.
func TestMonitorForeignServer(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.started(t)
		w.SetForeignNFSD(8)
		w.want(t, "monitor", ocf.Success)
		if got := w.lastScore(); got != "" {
			t.Errorf("score is %q", got)
		}
		w.params["report_degraded"] = "true"
		w.want(t, "monitor", ocf.Degraded)
		w.wantReason(t, "systemctl disable --now nfs-server")
	})
}

// Ensure that a deep monitor asks the server at each address, and at the last
// depth writes to the volume.
func TestMonitorDeep(t *testing.T) {
	tests := []struct {
		name   string
		level  int
		scene  func(w *world)
		want   ocf.Code
		reason string
	}{
		{"answers", 10, func(*world) {}, ocf.RunningPromoted, ""},
		{"takes a write", 20, func(*world) {}, ocf.RunningPromoted, ""},
		{"kernel threads stuck", 0, func(w *world) { w.NFSD.Stuck = true }, ocf.RunningPromoted, ""},
		{"threads stuck", 10, func(w *world) { w.NFSD.Stuck = true }, ocf.FailedPromoted, "NFS does not answer at 192.168.2.63"},
		{"no write asked for", 10, func(w *world) { w.Fail("volume.write", errInjected) }, ocf.RunningPromoted, ""},
		{"write fails", 20, func(w *world) { w.Fail("volume.write", errInjected) }, ocf.FailedPromoted, "volume takes no write"},
		{"write hangs", 20, func(w *world) { w.Freeze("volume.write") }, ocf.FailedPromoted, "volume takes no write: timed out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.promoted(t)
				w.level = tt.level
				tt.scene(w)
				w.want(t, "monitor", tt.want)
				w.wantReason(t, tt.reason)
				if wrote := w.did("volume.write"); wrote != (tt.level == 20) {
					t.Errorf("wrote to the volume: %v", wrote)
				}
				w.Clear()
			})
		})
	}
}

// Ensure that a monitor has the connections of clients saved when they have
// changed, in the background and never by itself.
func TestMonitorSavesPeers(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		saves := func() int {
			n := 0
			for _, argv := range w.Started {
				if slices.Contains(argv, "save-peers") {
					n++
				}
			}
			return n
		}
		w.want(t, "monitor", ocf.RunningPromoted)
		if n := saves(); n != 0 {
			t.Errorf("without a client: %d savers", n)
		}
		w.Connect(vip4+":2049", "192.168.2.99:701")
		for range 3 {
			w.want(t, "monitor", ocf.RunningPromoted)
		}
		if n := saves(); n != 1 {
			t.Errorf("one client, three monitors: %d savers", n)
		}
		w.Connect(vip4+":2049", "192.168.2.98:702")
		w.want(t, "monitor", ocf.RunningPromoted)
		if n := saves(); n != 2 {
			t.Errorf("another client: %d savers", n)
		}
		w.Connect(vip4+":2049", "192.168.2.97:703")
		w.Fail("peers.start", errInjected)
		w.want(t, "monitor", ocf.RunningPromoted)
	})
}

// Ensure that a monitor that cannot look says so in time, whatever it cannot
// look at.
func TestMonitorCannotLook(t *testing.T) {
	for _, what := range []string{
		"drbd.status", "ports", "addresses", "interfaces", "mounts", "read /proc/fs/nfsd/threads", "stat /var/lib/nfs", "read /proc/drbd",
	} {
		t.Run(what, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.promoted(t)
				w.Fail(what, errInjected)
				w.want(t, "monitor", ocf.ErrGeneric)
				w.wantReason(t, "injected")
			})
		})
	}
	for _, what := range []string{"drbd.status", "ports", "addresses", "interfaces", "sockets", "score.write"} {
		t.Run(what+" hangs", func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.promoted(t)
				w.Hang(what)
				w.Delete(runDir + "/nfs.score")
				code := w.act("monitor")
				if code != ocf.ErrGeneric && code != ocf.RunningPromoted {
					t.Errorf("monitor: %v", code)
				}
				w.checkReason(t, "monitor", code)
				if limit := timeout("monitor"); w.took >= limit {
					t.Errorf("took %v of %v", w.took, limit)
				}
			})
		})
	}
}

// Ensure that a monitor of a node that serves runs one program, drbdsetup, and
// that one round is made of few looks at the machine.
func TestMonitorIsCheap(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		w.want(t, "monitor", ocf.RunningPromoted)
		time.Sleep(10 * time.Second)
		w.want(t, "monitor", ocf.RunningPromoted)
		if got := strings.Join(w.Ops(), " "); got != "run.dir lock drbd.status" {
			t.Errorf("a monitor did: %s", got)
		}
		if n := len(w.Looks()); n > 25 {
			t.Errorf("%d looks: %v", n, w.Looks())
		}
	})
}
