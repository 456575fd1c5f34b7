package daemon

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/splitbrain/marker"
)

// automatic is the end of a configuration file with a policy that resolves.
func automatic(policy string, more ...string) string {
	return "\n[metrics]\nlisten = \"off\"\n[split_brain]\npolicy = \"" + policy + "\"\n" + strings.Join(more, "\n") + "\n"
}

var kernels = map[string]bool{"9": false, "8.4": true}

// evidence is what changes with each run of a program, such as times.
var evidence = regexp.MustCompile(`v1:[0-9a-v]+`)

// ran lists what a node ran, with the evidence left out.
func (n *node) ran() []string {
	var list []string
	for _, c := range n.Commands() {
		list = append(list, evidence.ReplaceAllString(c, "EVIDENCE"))
	}
	return list
}

// changed lists what of it changes something, but for the evidence.
func (n *node) changed() []string {
	return slices.DeleteFunc(n.ran(), func(c string) bool {
		for _, looks := range []string{"drbdsetup ", "drbdadm sh-", "crm_mon ", "lvs ", "attrd_updater --query"} {
			if strings.HasPrefix(c, looks) {
				return true
			}
		}
		return strings.HasSuffix(c, "--private")
	})
}

// untouched are facts that no story may change: what the clients see.
func (w *world) untouched(t *testing.T) {
	t.Helper()
	for _, n := range w.nodes {
		if c := strings.Join(n.Commands(), "\n"); strings.Contains(c, "drbdadm primary") || strings.Contains(c, "drbdadm secondary") ||
			strings.Contains(c, "drbdsetup primary") || strings.Contains(c, "drbdsetup secondary") || strings.Contains(c, "umount") {
			t.Errorf("%s: the daemon promoted, demoted or unmounted:\n%s", n.Name, c)
		}
	}
}

// discards counts how often each node's data was overwritten, and makes sure
// that a snapshot holds each, if snapshots are made.
func (w *world) discards(t *testing.T, snapshots bool) [2]int {
	t.Helper()
	var count [2]int
	for i, n := range w.nodes {
		count[i] = len(n.side.overwritten)
		for _, data := range n.side.overwritten {
			if snapshots && !slices.ContainsFunc(n.lvs, func(v lv) bool { return v.data == data }) {
				t.Errorf("%s: generation %016X was discarded and no snapshot has it", n.Name, data)
			}
		}
	}
	return count
}

// idle stops the group, so that neither node is Primary.
func (w *world) idle() {
	n := w.nodes[0]
	if err := n.Unmount(w.t.Context(), "test", "/home/nfs"); err != nil {
		w.t.Error(err)
	}
	n.side.setRole("Secondary")
	w.mu.Lock()
	w.promoted = ""
	w.mu.Unlock()
}

// resolutions are stories that end well, with the node that loses.
var resolutions = []struct {
	name, policy  string
	idle          bool
	first, second int64
	victim        int
}{
	{"secondary", automatic("discard-secondary"), false, 8 * mib, 2 * mib, 1},
	{"least changes", automatic("discard-least-changes"), false, 8 * mib, 2 * mib, 1},
	{"least changes, the other", automatic("discard-least-changes"), true, 2 * mib, 8 * mib, 0},
	{"younger Primary", automatic("discard-younger-primary"), false, 2 * mib, 8 * mib, 1},
	{"keep", automatic("keep-node", `keep = "drbdtest1"`), false, 2 * mib, 8 * mib, 1},
	{"keep, the other", automatic("keep-node", `keep = "drbdtest2"`), true, 8 * mib, 2 * mib, 0},
	{"no snapshot", automatic("discard-secondary", `snapshot = "off"`), false, 8 * mib, 2 * mib, 1},
}

// Ensure that each automatic policy costs the right node's data, once, with the
// data in a snapshot and the agent held off before, and that the other node does
// nothing but connect.
func TestResolves(t *testing.T) {
	for kernel, v84 := range kernels {
		for _, tt := range resolutions {
			t.Run(kernel+" "+tt.name, func(t *testing.T) {
				w := story(t, v84, tt.policy, func(w *world) {
					w.promoteAgain()
					if tt.idle {
						w.idle()
					}
					w.diverge(tt.first, tt.second)
					w.sleep(time.Minute)
					for _, n := range w.nodes {
						if s := n.status(); s.Phase != splitbrain.PhaseNone || s.Resolutions != 1 {
							t.Errorf("%s ends with %+v", n.Name, s)
						}
						if n.side.conn != "Connected" {
							t.Errorf("%s is %s", n.Name, n.side.conn)
						}
					}
				})
				victim, survivor := w.nodes[tt.victim], w.nodes[1-tt.victim]
				want := [2]int{}
				want[tt.victim] = 1
				if got := w.discards(t, tt.name != "no snapshot"); got != want {
					t.Errorf("discarded %v, want %v", got, want)
				}
				w.untouched(t)
				peer := ":" + survivor.Name
				if v84 {
					peer = ""
				}
				attr := "attrd_updater --name drbdnfs-victim-res0 "
				lvcreate := fmt.Sprintf("lvcreate --yes --snapshot --permission r --addtag drbdnfs --addtag drbdnfs.resource=res0 --addtag drbdnfs.volume=0"+
					" --addtag drbdnfs.incident=%s --name %s --size 1073741824b --chunksize 16k drbdpool/res0_00000", incident(victim), snapshotName(victim))
				changes := []string{
					attr + "--update 1", lvcreate, "drbdadm disconnect res0" + peer, "drbdadm connect --discard-my-data res0" + peer, attr + "--delete",
				}
				if tt.name == "no snapshot" {
					changes = slices.Delete(changes, 1, 2)
				}
				got := victim.changed()
				for i := range got { // the size follows from package snapshot
					got[i] = regexp.MustCompile(`--size \d+b`).ReplaceAllString(got[i], "--size 1073741824b")
				}
				if diff := cmp.Diff(changes, got); diff != "" {
					t.Errorf("victim (-want +got):\n%s", diff)
				}
				peer = strings.ReplaceAll(peer, survivor.Name, victim.Name)
				if diff := cmp.Diff([]string{"drbdadm disconnect res0" + peer, "drbdadm connect res0" + peer}, survivor.changed()); diff != "" {
					t.Errorf("survivor (-want +got):\n%s", diff)
				}
				if _, there := victim.File(marker.Path(resource)); there || len(w.flags[victim.Name]) > 0 {
					t.Errorf("the marker is left: file %v, attribute %v", there, w.flags)
				}
				if !strings.Contains(victim.log.String(), `msg="split brain discarded"`) || strings.Contains(survivor.log.String(), `msg="split brain discarded"`) {
					t.Errorf("the wrong node told of a discard:\n%s", victim.log.String())
				}
			})
		}
	}
}

// promoteAgain makes the time of drbdtest1's promotion known.
func (w *world) promoteAgain() {
	w.nodes[0].side.setRole("Secondary")
	w.nodes[0].side.setRole("Primary")
	w.sleep(time.Minute)
}

// incident is that of the snapshot of n, and snapshotName its name.
func incident(n *node) string {
	for _, v := range n.lvs {
		if _, id, ok := strings.Cut(v.tags, "drbdnfs.incident="); ok {
			return id
		}
	}
	return ""
}

func snapshotName(n *node) string { return n.lvs[len(n.lvs)-1].name }

// Ensure that every command is known: those of a story from the first look to
// the last, in their order where they change something, and all forms of those
// that look.
func TestCommands(t *testing.T) {
	for kernel, v84 := range kernels {
		t.Run(kernel, func(t *testing.T) {
			w := story(t, v84, automatic("discard-secondary"), func(w *world) {
				w.diverge(8*mib, 2*mib)
				w.sleep(time.Minute)
				// And one whose survivor does not come.
				w.nodes[0].Fail("splitbrain.disconnect", errBusy)
				w.diverge(8*mib, 2*mib)
				w.sleep(2 * time.Minute)
			})
			var b strings.Builder
			for _, n := range w.nodes {
				looks := n.ran()
				changed := n.changed()
				looks = slices.DeleteFunc(looks, func(c string) bool { return slices.Contains(changed, c) })
				slices.Sort(looks)
				fmt.Fprintf(&b, "%s changes\n\t%s\n%s looks and tells\n\t%s\n", n.Name, strings.Join(changed, "\n\t"),
					n.Name, strings.Join(slices.Compact(looks), "\n\t"))
			}
			text := incidents.ReplaceAllString(b.String(), "incident=INCIDENT")
			golden(t, "commands-"+kernel+".golden", stamps.ReplaceAllString(text, "_sb_TIME"))
		})
	}
}

var (
	incidents = regexp.MustCompile(`incident=[0-9a-f]+`)
	stamps    = regexp.MustCompile(`_sb_\d{8}T\d{6}`)
)

// Ensure that with the policy manual both nodes know within two seconds and do
// nothing, over a restart of the daemon, until a person has resolved it.
func TestManual(t *testing.T) {
	for kernel, v84 := range kernels {
		t.Run(kernel, func(t *testing.T) {
			w := story(t, v84, automatic("manual"), func(w *world) {
				w.diverge(8*mib, 2*mib)
				w.sleep(1500 * time.Millisecond)
				held := func(when string) {
					t.Helper()
					for _, n := range w.nodes {
						if s := n.status(); s.Phase != splitbrain.PhaseHeld || s.Refusal != splitbrain.RefusalManual {
							t.Errorf("%s %s: %+v", n.Name, when, s)
						}
						if !strings.Contains(n.notified.String(), "held (manual)") {
							t.Errorf("%s: systemd is told\n%s", n.Name, n.notified.String())
						}
					}
				}
				held("at once")
				for _, n := range w.nodes {
					if n.end() {
						t.Errorf("%s did not end by itself", n.Name)
					}
					n.start()
				}
				w.sleep(15 * time.Minute)
				held("after a restart")
				w.byHand(1)
				w.sleep(2 * time.Second)
				for _, n := range w.nodes {
					if s := n.status(); s.Phase != splitbrain.PhaseNone {
						t.Errorf("%s after the resolution: %+v", n.Name, s)
					}
					if c := n.changed(); len(c) > 0 {
						t.Errorf("%s ran %v", n.Name, c)
					}
					if found := strings.Count(n.log.String(), `msg="split brain found"`); found != 1 {
						t.Errorf("%s told %d times that it found a split brain", n.Name, found)
					}
					if !strings.Contains(n.log.String(), "is over (by-hand)") {
						t.Errorf("%s did not tell of the resolution:\n%s", n.Name, n.log.String())
					}
				}
			})
			w.untouched(t)
		})
	}
}

// byHand is what the procedure has a person do: node i loses.
func (w *world) byHand(i int) {
	victim, survivor := w.pair.sides[i], w.pair.sides[1-i]
	w.pair.mu.Lock()
	if victim.conn != "StandAlone" {
		victim.lose("StandAlone")
	}
	if survivor.conn != "StandAlone" {
		survivor.lose("StandAlone")
	}
	_, err := victim.connect(hostCmd, true)
	_, err2 := survivor.connect(hostCmd, false)
	w.pair.mu.Unlock()
	if err != nil || err2 != nil {
		w.t.Error(err, err2)
	}
}

// Ensure that what an administrator has disconnected stays so, and that two
// nodes that merely lose each other for a while are no split brain.
func TestNotSplit(t *testing.T) {
	for kernel, v84 := range kernels {
		for name, plot := range map[string]func(w *world){
			"disconnected": func(w *world) {
				w.pair.mu.Lock()
				w.pair.sides[1].leave()
				w.pair.mu.Unlock()
				w.pair.sides[0].write(8 * mib)
			},
			"cut": func(w *world) {
				w.pair.unplug(true)
				w.pair.sides[0].write(8 * mib)
			},
			"disconnected, and the daemons restarted": func(w *world) {
				w.pair.mu.Lock()
				w.pair.sides[1].leave()
				w.pair.mu.Unlock()
				w.sleep(time.Minute)
				for _, n := range w.nodes {
					n.end()
					n.start()
				}
			},
		} {
			t.Run(kernel+" "+name, func(t *testing.T) {
				w := story(t, v84, automatic("discard-secondary"), func(w *world) {
					plot(w)
					before := [2]string{w.pair.sides[0].conn, w.pair.sides[1].conn}
					w.sleep(15 * time.Minute)
					if after := [2]string{w.pair.sides[0].conn, w.pair.sides[1].conn}; after != before {
						t.Errorf("connections %v, then %v", before, after)
					}
				})
				for _, n := range w.nodes {
					if c := n.changed(); len(c) > 0 || strings.Contains(n.log.String(), "split brain") {
						t.Errorf("%s ran %v and told\n%s", n.Name, c, n.log.String())
					}
				}
			})
		}
	}
}
