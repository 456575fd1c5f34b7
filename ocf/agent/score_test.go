package agent_test

import (
	"slices"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/splitbrain/marker"
)

// lastScore is the promotion score that the cluster has for this node, "" for
// none.
func (w *world) lastScore() string {
	if len(w.Scores) == 0 {
		return ""
	}
	return w.Scores[len(w.Scores)-1]
}

// Ensure that the promotion score follows DRBD's state.
func TestScoreLadder(t *testing.T) {
	tests := []struct {
		name  string
		scene func(w *world)
		want  string
	}{
		{"healthy", func(*world) {}, "10000"},
		{"peer gone", func(w *world) { w.DRBD.LosePeer() }, "1000"},
		{"peer fenced", func(w *world) { w.DRBD.LosePeer(); w.DRBD.PeerDisk = "Outdated" }, "10000"},
		{"split brain", func(w *world) { w.DRBD.LosePeer(); w.DRBD.Connection = "StandAlone" }, "1000"},
		{"no local disk", func(w *world) { w.DRBD.Disk = "Diskless" }, "10"},
		{"Consistent", func(w *world) { w.DRBD.LosePeer(); w.DRBD.Disk = "Consistent" }, "5"},
		{"Outdated", func(w *world) { w.DRBD.LosePeer(); w.DRBD.Disk = "Outdated" }, ""},
		{"no quorum", func(w *world) { w.DRBD.Quorum = false }, ""},
		{"suspended", func(w *world) { w.Suspend("no-data") }, ""},
		{"another NFS server", func(w *world) { w.SetForeignNFSD(4) }, ""},
		{"another file system", func(w *world) { w.SetMount("/dev/sdb1", volume) }, ""},
		{"victim of a split brain", func(w *world) { w.SetFile(marker.Path("res0"), ""); w.DRBD.LosePeer() }, ""},
		{"marker left behind, the peer serves good data", func(w *world) { w.SetFile(marker.Path("res0"), "") }, "10000"},
		{"in transition", func(w *world) { w.DRBD.Disk = "Attaching" }, "10000"}, // as it was
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.started(t)
				tt.scene(w)
				w.want(t, "monitor", ocf.Success)
				if got := w.lastScore(); got != tt.want {
					t.Errorf("score %q, want %q (all: %v)", got, tt.want, w.Scores)
				}
			})
		})
	}
}

// Ensure that the score is written when it changes, when the cluster was
// started anew, when the last write is long ago, and otherwise not.
func TestScoreWrittenOnChange(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.started(t)
		check := func(when string, want ...string) {
			t.Helper()
			w.want(t, "monitor", ocf.Success)
			if !slices.Equal(w.Scores, want) {
				t.Errorf("%s: scores %q, want %q", when, w.Scores, want)
			}
			w.Scores = nil
		}
		check("after start", "10000")
		check("at once again")
		time.Sleep(4 * time.Minute)
		check("after some minutes")
		time.Sleep(time.Minute + time.Second)
		check("after more minutes", "10000")
		w.Parent = "200@9000"
		check("by another executor", "10000")
		w.DRBD.LosePeer()
		check("peer gone", "1000")
		w.DRBD.Quorum = false
		check("quorum lost", "")
		check("still lost")
		w.SetFile(runDir+"/nfs.score", "garbage")
		check("cache unreadable", "")
		w.DRBD.Quorum = true
		check("quorum back", "1000")
	})
}

// Ensure that the score is written by start, kept by promote and demote, and
// deleted by stop; and that a notification refreshes it after the fact only.
func TestScoreThroughLife(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		for _, s := range []struct {
			action string
			notify string
			scene  func()
			want   []string
		}{
			{action: "start", want: []string{"10000"}},
			{action: "promote"},
			{action: "notify", notify: "pre", scene: func() { w.DRBD.LosePeer(); w.DRBD.Role = "Secondary" }},
			{action: "notify", notify: "post", want: []string{"1000"}},
			{action: "start", want: []string{"1000"}, scene: func() { w.act("stop"); w.Scores = nil }},
			{action: "stop", want: []string{""}},
			{action: "stop", want: []string{""}}, // the cache is gone: better once too often
		} {
			if s.scene != nil {
				s.scene()
			}
			w.meta["notify_type"] = s.notify
			w.want(t, s.action, ocf.Success)
			if !slices.Equal(w.Scores, s.want) {
				t.Errorf("%s %s: scores %q, want %q", s.action, s.notify, w.Scores, s.want)
			}
			w.Scores = nil
		}
	})
}

// Ensure that the attribute daemon decides nothing: when it fails or hangs,
// each action has the code that it would have had, soon enough, and the next
// monitor writes the score.
func TestScoreDecidesNothing(t *testing.T) {
	faults := []struct {
		name  string
		scene func(w *world)
	}{
		{"fails", func(w *world) { w.Fail("score.write", errInjected) }},
		{"hangs", func(w *world) { w.Hang("score.write") }},
		{"not installed", func(w *world) { delete(w.Programs, "crm_attribute") }},
		{"cache cannot be written", func(w *world) { w.Fail("score.cache", errInjected) }},
		{"cache cannot be removed", func(w *world) { w.Fail("score.forget", errInjected) }},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				f.scene(w)
				for _, s := range []struct {
					action string
					code   ocf.Code
				}{
					{"start", ocf.Success},
					{"monitor", ocf.Success},
					{"promote", ocf.Success},
					{"monitor", ocf.RunningPromoted},
					{"demote", ocf.Success},
					{"notify", ocf.Success},
					{"stop", ocf.Success},
				} {
					w.meta["notify_type"] = "post"
					w.want(t, s.action, s.code)
					if w.took > 5*time.Second {
						t.Errorf("%s took %v", s.action, w.took)
					}
				}
				w.Clear()
				w.Programs["crm_attribute"] = true
				w.Scores = nil
				w.want(t, "start", ocf.Success)
				w.want(t, "monitor", ocf.Success)
				if got := w.lastScore(); got != "10000" {
					t.Errorf("score %q", got)
				}
			})
		})
	}
}
