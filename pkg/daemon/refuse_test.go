package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// refused are stories in which nothing may be discarded. node is the one that
// says why.
var refused = []struct {
	name, policy string
	plot         func(w *world) // before the two nodes are apart
	node         int
	want         splitbrain.Refusal
}{
	{"victim is Primary", automatic("keep-node", `keep = "drbdtest2"`), func(*world) {}, 0, splitbrain.RefusalVictimInUse},
	{"victim has it mounted", automatic("discard-secondary"), func(w *world) { w.nodes[1].SetMount("/dev/drbd1000", "/mnt") }, 1, splitbrain.RefusalVictimInUse},
	{"victim is promoted", automatic("discard-secondary"), func(w *world) { w.locked(func() { w.promoted = "drbdtest2" }) }, 1, splitbrain.RefusalVictimInUse},
	{"nobody coordinates the cluster", automatic("discard-secondary"), func(w *world) { w.locked(func() { w.noDC = true }) }, 1, splitbrain.RefusalVictimInUse},
	{"mounts cannot be read", automatic("discard-secondary"), func(w *world) { w.nodes[1].Fail("mounts", errBusy) }, 1, splitbrain.RefusalVictimInUse},
	{"survivor says nothing", automatic("discard-secondary"), func(w *world) { w.locked(func() { w.deaf["drbdtest1"] = true }) }, 1, splitbrain.RefusalPeerMissing},
	{"victim says nothing", automatic("discard-secondary"), func(w *world) { w.locked(func() { w.deaf["drbdtest2"] = true }) }, 0, splitbrain.RefusalPeerMissing},
	// Pacemaker still has what it said last.
	{"survivor's daemon is down", automatic("discard-secondary"), func(w *world) { w.nodes[0].end() }, 1, splitbrain.RefusalPeerMissing},
	{"no cluster", automatic("discard-secondary"), func(w *world) { w.locked(func() { w.stopped = true }) }, 1, splitbrain.RefusalPeerMissing},
	{"no room for a snapshot", automatic("discard-secondary"), func(w *world) { w.locked(func() { w.nodes[1].free = 8 * mib }) }, 1, splitbrain.RefusalSnapshot},
	{"no logical volume", automatic("discard-secondary"), func(w *world) { w.locked(func() { w.nodes[1].lvs = nil }) }, 1, splitbrain.RefusalSnapshot},
	{"configuration broken", automatic("discard-secondary"), func(w *world) { w.rewrite(1, "[split_brain") }, 0, splitbrain.RefusalPolicyBroken},
	{"configuration broken here", automatic("discard-secondary"), func(w *world) { w.rewrite(1, "[split_brain") }, 1, splitbrain.RefusalPolicyBroken},
	{"other policy", automatic("discard-secondary"), func(w *world) { w.rewrite(1, automatic("discard-least-changes")) }, 1, splitbrain.RefusalPolicyDiffer},
	{"other options", automatic("discard-secondary"), func(w *world) { w.rewrite(0, automatic("discard-secondary", `snapshot = "off"`)) }, 1, splitbrain.RefusalPolicyDiffer},
	{"no file", automatic("discard-secondary"), func(w *world) { w.without(0); w.without(1) }, 1, splitbrain.RefusalManual},
	{"nobody is Primary", automatic("discard-secondary"), func(w *world) { w.idle() }, 1, splitbrain.RefusalNoPrimary},
	{"promotion not seen", automatic("discard-younger-primary"), func(*world) {}, 1, splitbrain.RefusalNoTimes},
}

// rewrite gives a node other settings, as an administrator does.
func (w *world) rewrite(i int, policy string) {
	w.nodes[i].configure(policy)
	w.nodes[i].ask((*owner).reload)
}

func (w *world) without(i int) {
	w.nodes[i].Delete(config.DefaultFile)
	w.nodes[i].ask((*owner).reload)
}

// Ensure that nothing is discarded where it must not be, on either kernel, that
// the reason is told, and that a restart changes nothing about it.
func TestRefuses(t *testing.T) {
	for kernel, v84 := range kernels {
		for _, tt := range refused {
			if v84 && tt.want == splitbrain.RefusalManual {
				continue // nobody knows the peer's name without a file, see TestPeerWithoutName
			}
			t.Run(kernel+" "+tt.name, func(t *testing.T) {
				w := story(t, v84, tt.policy, func(w *world) {
					tt.plot(w)
					w.diverge(8*mib, 2*mib)
					w.sleep(2 * time.Minute)
					n := w.nodes[tt.node]
					check := func(when string) {
						t.Helper()
						if s := n.status(); s.Phase != splitbrain.PhaseHeld || s.Refusal != tt.want {
							t.Errorf("%s %s: %+v", n.Name, when, s)
						}
					}
					check("at first")
					n.end()
					n.start()
					w.sleep(time.Minute)
					check("after a restart")
				})
				if got := w.discards(t, true); got != [2]int{} {
					t.Errorf("discarded %v", got)
				}
				w.untouched(t)
				for _, n := range w.nodes {
					if c := strings.Join(n.changed(), "\n"); strings.Contains(c, "connect") {
						t.Errorf("%s ran\n%s", n.Name, c)
					}
				}
				if log := w.nodes[tt.node].log.String(); !strings.Contains(log, "refusal="+string(tt.want)) {
					t.Errorf("%s did not tell:\n%s", w.nodes[tt.node].Name, log)
				}
			})
		}
	}
}

// Ensure that a snapshot that fails does not stop a discard where the policy
// says so, and that this is told.
func TestSnapshotIfPossible(t *testing.T) {
	w := story(t, false, automatic("discard-secondary", `snapshot = "if-possible"`), func(w *world) {
		w.locked(func() { w.nodes[1].free = 0 })
		w.diverge(8*mib, 2*mib)
		w.sleep(time.Minute)
	})
	if got := w.discards(t, false); got != [2]int{0, 1} {
		t.Errorf("discarded %v", got)
	}
	if log := w.nodes[1].log.String(); !strings.Contains(log, "the discard goes on by policy") || !strings.Contains(log, "no room for a snapshot") {
		t.Errorf("the failure is not told:\n%s", log)
	}
}

// Ensure that the third split brain of a day is left to a person.
func TestCoolDown(t *testing.T) {
	w := story(t, false, automatic("discard-secondary"), func(w *world) {
		for range 3 {
			w.diverge(8*mib, 2*mib)
			w.sleep(2 * time.Minute)
		}
		for _, n := range w.nodes {
			if s := n.status(); s.Refusal != splitbrain.RefusalCoolDown || s.Resolutions != 2 {
				t.Errorf("%s: %+v", n.Name, s)
			}
		}
		w.byHand(1)
		w.sleep(time.Second)
		for _, n := range w.nodes {
			if s := n.status(); s.Phase != splitbrain.PhaseNone {
				t.Errorf("%s by hand: %+v", n.Name, s)
			}
		}
	})
	if got := w.discards(t, false); got != [2]int{0, 3} {
		t.Errorf("discarded %v", got)
	}
}

// Ensure that mending the cause lets a resolution go on where waiting for it was
// the reason to refuse.
func TestGoesOn(t *testing.T) {
	for name, mend := range map[string]struct{ plot, mend func(w *world) }{
		"configuration": {func(w *world) { w.rewrite(1, "[split_brain") }, func(w *world) { w.rewrite(1, automatic("discard-secondary")) }},
		"policy":        {func(w *world) { w.rewrite(0, automatic("manual")) }, func(w *world) { w.rewrite(0, automatic("discard-secondary")) }},
		"cluster":       {func(w *world) { w.locked(func() { w.stopped = true }) }, func(w *world) { w.locked(func() { w.stopped = false }) }},
		"peer":          {func(w *world) { w.nodes[0].end() }, func(w *world) { w.nodes[0].start() }},
		"attributes lost": {func(w *world) { w.rewrite(0, automatic("manual")) }, func(w *world) {
			w.mu.Lock()
			clear(w.private)
			w.mu.Unlock()
			w.sleep(5 * time.Second)
			w.rewrite(0, automatic("discard-secondary"))
		}},
	} {
		for kernel, v84 := range kernels {
			t.Run(kernel+" "+name, func(t *testing.T) {
				w := story(t, v84, automatic("discard-secondary"), func(w *world) {
					mend.plot(w)
					w.diverge(8*mib, 2*mib)
					w.sleep(time.Minute)
					if got := w.discards(t, true); got != [2]int{} {
						t.Errorf("discarded %v too early", got)
					}
					mend.mend(w)
					w.sleep(2 * time.Minute)
				})
				if got := w.discards(t, true); got != [2]int{0, 1} {
					t.Errorf("discarded %v\n%s", got, w.nodes[0].log.String())
				}
			})
		}
	}
}
