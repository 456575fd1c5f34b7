package daemon

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/splitbrain/marker"
)

// settled makes sure of what must hold at the end of every story in which one
// thing has gone wrong: at most the victim's data was discarded, once, and a
// snapshot has it; the split brain is over, or a person is told why not; and a
// node that is no victim any more is no longer kept from being promoted.
func (w *world) settled(t *testing.T) string {
	t.Helper()
	if got := w.discards(t, true); got[0] > 0 || got[1] > 1 {
		t.Errorf("discarded %v", got)
	}
	w.untouched(t)
	var ends []string
	for _, n := range w.nodes {
		s := n.status()
		end := string(s.Phase)
		switch s.Phase {
		case splitbrain.PhaseNone:
			if n.side.conn != "Connected" {
				t.Errorf("%s says that all is well and is %s", n.Name, n.side.conn)
			}
		case splitbrain.PhaseHeld:
			end += " " + string(s.Refusal)
			if !strings.Contains(n.log.String(), "refusal="+string(s.Refusal)) {
				t.Errorf("%s holds for %s and did not tell:\n%s", n.Name, s.Refusal, n.log.String())
			}
		case splitbrain.PhaseDecided: // the survivor keeps its promise
		default:
			t.Errorf("%s is still %s: %+v", n.Name, s.Phase, s)
		}
		if _, there := n.File(marker.Path(resource)); there && !s.MayBeSent || !there && len(w.flags[n.Name]) > 0 {
			t.Errorf("%s (%s): marker %v, attributes %v", n.Name, end, there, w.flags[n.Name])
		}
		for _, c := range n.Commands() {
			if strings.Contains(c, "--discard-my-data") && n != w.nodes[1] {
				t.Errorf("%s ran %s", n.Name, c)
			}
		}
		ends = append(ends, end)
	}
	return strings.Join(ends, ", ")
}

// Ensure that a daemon that is killed at any effect goes on or holds when it
// comes back, and that nothing is discarded twice.
func TestKilled(t *testing.T) {
	var table strings.Builder
	for _, kernel := range []string{"9", "8.4"} {
		for i := range 2 {
			for _, effect := range Effects() {
				for _, when := range []string{"before", "after"} {
					name := fmt.Sprintf("%s drbdtest%d %s %s", kernel, i+1, when, effect)
					t.Run(name, func(t *testing.T) { fmt.Fprintf(&table, "%s: %s\n", name, killed(t, kernels[kernel], i, effect, when)) })
				}
			}
		}
	}
	golden(t, "killed.golden", table.String())
}

func killed(t *testing.T, v84 bool, i int, effect, when string) (end string) {
	story(t, v84, automatic("discard-secondary"), func(w *world) {
		n := w.nodes[i]
		if effect == "withdraw" {
			w.nodes[0].Fail("splitbrain.disconnect", errBusy) // the survivor does not come
		}
		w.pair.unplug(true)
		w.sleep(time.Second)
		if effect != "save" {
			n.SetFile(FaultPointPath, effect+" "+when)
		}
		w.diverge(8*mib, 2*mib)
		if effect == "save" {
			n.SetFile(FaultPointPath, effect+" "+when)
		}
		w.sleep(time.Minute)
		_, left := n.File(FaultPointPath)
		if !left {
			if !n.end() {
				t.Error("it was not killed")
			}
			n.start()
		}
		w.sleep(3 * time.Minute)
		end = w.settled(t)
		if left {
			end += " (never got there)"
		}
	})
	return end
}

// Ensure that no call that fails once in a resolution costs data that it should
// not, and that the end of each story is known. "By the way" is what is not told,
// because it is done again a moment later.
func TestEachCallFails(t *testing.T) {
	var table strings.Builder
	for _, kernel := range []string{"9", "8.4"} {
		for i := range 2 {
			for _, op := range opsOf(t, kernels[kernel], i) {
				name := fmt.Sprintf("%s drbdtest%d %s", kernel, i+1, op)
				t.Run(name, func(t *testing.T) {
					story(t, kernels[kernel], automatic("discard-secondary"), func(w *world) {
						w.nodes[i].FailOnce(op, syscall.EIO)
						w.diverge(8*mib, 2*mib)
						w.sleep(3 * time.Minute)
						told := ""
						if !strings.Contains(w.nodes[i].log.String(), syscall.EIO.Error()) {
							told = ", by the way"
						}
						fmt.Fprintf(&table, "%s: %s%s\n", name, w.settled(t), told)
					})
				})
			}
		}
	}
	golden(t, "faults.golden", table.String())
}

// opsOf are the calls of a node in a resolution, after both have started.
func opsOf(t *testing.T, v84 bool, i int) (ops []string) {
	t.Helper()
	story(t, v84, automatic("discard-secondary"), func(w *world) {
		before := len(w.nodes[i].Ops())
		w.diverge(8*mib, 2*mib)
		w.sleep(time.Minute)
		ops = w.nodes[i].Ops()[before:]
		ops = append(ops, "mounts", "read /proc/sys/kernel/random/boot_id")
	})
	slices.Sort(ops)
	return slices.Compact(ops)
}

// Ensure that a call that fails for good, or hangs, keeps the rest going, and
// ends in a hold that is told.
func TestCallsFailForGood(t *testing.T) {
	for _, tt := range []struct {
		op   string
		node int
		hang bool
		want [2]splitbrain.Refusal // "" is resolved
		told string
	}{
		{"splitbrain.save", 1, false, [2]splitbrain.Refusal{splitbrain.RefusalPeerMissing, splitbrain.RefusalState}, "cannot be saved"},
		{"splitbrain.marker-set", 1, false, [2]splitbrain.Refusal{"decided", splitbrain.RefusalMarker}, "could not be told to refuse promotion"},
		{"pacemaker.set", 1, true, [2]splitbrain.Refusal{"decided", splitbrain.RefusalMarker}, "could not be told to refuse promotion"},
		{"snapshot.lvcreate", 1, true, [2]splitbrain.Refusal{"decided", splitbrain.RefusalSnapshot}, "snapshot of res0 before discarding"},
		{"lock", 1, true, [2]splitbrain.Refusal{"decided", splitbrain.RefusalLook}, "could not be read under the agent's lock"},
		{"splitbrain.disconnect", 0, false, [2]splitbrain.Refusal{"decided", splitbrain.RefusalHandshake}, ""},
		{"splitbrain.connect-discard", 1, true, [2]splitbrain.Refusal{"decided", splitbrain.RefusalDiscard}, "discarding res0"},
		{"splitbrain.get-gi", 1, false, [2]splitbrain.Refusal{splitbrain.RefusalNotProven, splitbrain.RefusalNotProven}, ""},
	} {
		t.Run(tt.op, func(t *testing.T) {
			w := story(t, false, automatic("discard-secondary"), func(w *world) {
				n := w.nodes[tt.node]
				if tt.hang {
					n.Hang(tt.op)
				} else {
					n.Fail(tt.op, syscall.EIO)
				}
				w.diverge(8*mib, 2*mib)
				w.sleep(10 * time.Minute)
				for i, n := range w.nodes {
					s := n.status()
					if got := s.Refusal; got != tt.want[i] && string(s.Phase) != string(tt.want[i]) {
						t.Errorf("%s: %s %s", n.Name, s.Phase, s.Refusal)
					}
				}
			})
			if got := w.discards(t, true); got != [2]int{} {
				t.Errorf("discarded %v", got)
			}
			if log := w.nodes[1].log.String(); !strings.Contains(log, tt.told) {
				t.Errorf("%q is not told:\n%s", tt.told, log)
			}
		})
	}
}

// Ensure that the end of the daemon in the middle of a snapshot waits for it, and
// begins nothing after it.
func TestEndsInSnapshot(t *testing.T) {
	story(t, false, automatic("discard-secondary"), func(w *world) {
		victim := w.nodes[1]
		create := victim.create
		victim.Tool("lvcreate", func(c host.Cmd) (string, error) {
			time.Sleep(time.Minute)
			return create(c)
		})
		w.diverge(8*mib, 2*mib)
		w.sleep(20 * time.Second)
		if s := victim.status(); s.Phase != splitbrain.PhaseSnapshotting {
			t.Errorf("%+v", s)
		}
		began := time.Now()
		if victim.end() {
			t.Error("it was killed")
		}
		if took := time.Since(began); took < 30*time.Second || took > time.Minute {
			t.Errorf("it ended after %v", took)
		}
		if c := strings.Join(victim.changed(), "\n"); strings.Contains(c, "connect") || !strings.Contains(victim.notified.String(), "STOPPING=1") {
			t.Errorf("ran\n%s\nand told systemd\n%s", c, victim.notified.String())
		}
		victim.start()
		w.sleep(3 * time.Minute)
		if end := w.settled(t); end != "none, none" {
			t.Errorf("it ended %s", end)
		}
		if n := len(victim.lvs); n != 2 {
			t.Errorf("there are %d volumes", n)
		}
	})
}
