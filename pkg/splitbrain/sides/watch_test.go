package sides_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/splitbrain/sides"
)

// say is what one node says from a second on.
type say struct {
	second  int
	node    string
	ordered bool
	phase   splitbrain.Phase
	refusal splitbrain.Refusal
	live    bool
}

// play lets a watch see what the nodes say, each second, until it is over.
func play(t *testing.T, script []say, limit int) (lines []string, ended int, w *sides.Watch, err error) {
	t.Helper()
	w = sides.NewWatch(sides.Pair{Resource: "res0", Node: "drbdtest1", Peer: "drbdtest2"}, "5f1c", "drbdtest2", now)
	said := map[string]splitbrain.Evidence{}
	for second := range limit {
		for _, s := range script {
			if s.second != second {
				continue
			}
			e := splitbrain.Evidence{Standing: splitbrain.Standing{Node: s.node, Phase: s.phase, Refusal: s.refusal, Live: s.live}}
			if s.ordered {
				e.Order = splitbrain.Order{Incident: "5f1c", Victim: "drbdtest2", Snapshot: splitbrain.SnapshotRequired}
			}
			if s.phase == splitbrain.PhaseDiscarding {
				e.Snapshot = "drbdpool/x"
			}
			said[s.node] = e
		}
		fresh, over, err := w.See(now.Add(time.Duration(second)*time.Second), said)
		lines = append(lines, fresh...)
		if over {
			return lines, second, w, err
		}
	}
	return lines, limit, w, nil
}

// Ensure that each step of a resolution is shown once, in order, and that it ends
// when both nodes are connected.
func TestWatchResolved(t *testing.T) {
	lines, ended, w, err := play(t, []say{
		{0, "drbdtest1", false, splitbrain.PhaseHeld, splitbrain.RefusalManual, false},
		{0, "drbdtest2", false, splitbrain.PhaseHeld, splitbrain.RefusalManual, false},
		{1, "drbdtest1", true, splitbrain.PhaseHeld, splitbrain.RefusalOrderAlone, false},
		{9, "drbdtest2", true, splitbrain.PhaseDecided, "", false},
		{10, "drbdtest1", true, splitbrain.PhaseDecided, "", false},
		{11, "drbdtest2", true, splitbrain.PhaseSnapshotting, "", false},
		{14, "drbdtest2", true, splitbrain.PhaseDiscarding, "", false},
		{15, "drbdtest1", true, splitbrain.PhaseReconnecting, "", false},
		{16, "drbdtest1", false, splitbrain.PhaseNone, "", true},
		{17, "drbdtest2", false, splitbrain.PhaseNone, "", true},
	}, 60)
	want := []string{
		"drbdtest1: knows the order", "drbdtest1: held: a person's order is known on one node only",
		"drbdtest2: knows the order", "drbdtest2: is to discard its data; waits for the promise of the other node",
		"drbdtest1: promises to keep its data", "drbdtest2: holds off promotion, looks, and keeps a snapshot",
		"drbdtest2: tells DRBD to connect and to discard", "drbdtest1: connects", "drbdtest1: connected", "drbdtest2: connected",
	}
	if diff := cmp.Diff(want, lines); diff != "" || err != nil || ended != 17 || w.Snapshots != "drbdpool/x" {
		t.Errorf("ended at %d, %v, snapshots %q (-want +got):\n%s", ended, err, w.Snapshots, diff)
	}
}

// Ensure that what does not come to an end is told as such, with what to do.
func TestWatchEnds(t *testing.T) {
	both := func(second int, phase splitbrain.Phase, r splitbrain.Refusal) []say {
		return []say{{second, "drbdtest1", true, phase, r, false}, {second, "drbdtest2", true, phase, r, false}}
	}
	for _, tt := range []struct {
		name   string
		script []say
		ended  int
		err    error
		text   string
	}{
		{"not taken", []say{{0, "drbdtest1", false, splitbrain.PhaseHeld, splitbrain.RefusalManual, false}}, 16, sides.ErrHeld, "has not taken the order"},
		{"nobody says anything", nil, 16, sides.ErrHeld, "has not taken the order"},
		{"held", append(both(1, splitbrain.PhaseDecided, ""), both(3, splitbrain.PhaseHeld, splitbrain.RefusalSnapshot)...), 8, sides.ErrHeld, "make room in the volume group"},
		{"two orders", both(1, splitbrain.PhaseHeld, splitbrain.RefusalOrdersDiffer), 6, sides.ErrHeld, "different orders"},
		{"held for a moment", append(both(1, splitbrain.PhaseHeld, splitbrain.RefusalTried), say{3, "drbdtest1", false, splitbrain.PhaseNone, "", true}, say{3, "drbdtest2", false, splitbrain.PhaseNone, "", true}), 3, nil, ""},
		{"void", append(both(1, splitbrain.PhaseDecided, ""), say{9, "drbdtest2", false, splitbrain.PhaseHeld, splitbrain.RefusalOrderAlone, false}), 14, sides.ErrHeld, "the order is void on drbdtest2"},
		{"no end", both(1, splitbrain.PhaseDecided, ""), 721, sides.ErrUnknown, "drbdnfs split-brain show res0"},
		{"one node connected, the other silent", append(both(1, splitbrain.PhaseDecided, ""), say{9, "drbdtest1", false, splitbrain.PhaseNone, "", true}), 20, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, ended, _, err := play(t, tt.script, 1000)
			if ended != tt.ended || !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("ended at %d with %v, want %d, %q", ended, err, tt.ended, tt.text)
			}
		})
	}
}
