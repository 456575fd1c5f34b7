package splitbrain

import (
	"testing"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// Ensure that each step that fails before the discard holds, or not, as the
// policy says.
func TestVictimFails(t *testing.T) {
	ifPossible := auto(DiscardSecondary)
	ifPossible.Snapshot = SnapshotIfPossible
	tests := []struct {
		name   string
		policy Policy
		fail   func(t *testing.T, w *world, n *modelNode) Input
		want   Refusal
	}{
		{"marker", auto(DiscardSecondary), func(t *testing.T, w *world, n *modelNode) Input {
			return MarkerSet{until[SetMarker](t, w, n).Ticket, errModel}
		}, RefusalMarker},
		{"look", auto(DiscardSecondary), func(t *testing.T, w *world, n *modelNode) Input {
			return Looked{Ticket: until[Look](t, w, n).Ticket, Err: errModel}
		}, RefusalLook},
		{"snapshot required", auto(DiscardSecondary), func(t *testing.T, w *world, n *modelNode) Input {
			return Snapshotted{until[Snapshot](t, w, n).Ticket, "", errModel}
		}, RefusalSnapshot},
		{"snapshot if possible", ifPossible, func(t *testing.T, w *world, n *modelNode) Input {
			return Snapshotted{until[Snapshot](t, w, n).Ticket, "", errModel}
		}, ""},
		{"discard refused", auto(DiscardSecondary), func(t *testing.T, w *world, n *modelNode) Input {
			return Discarded{until[Discard](t, w, n).Ticket, drbd.No, errModel}
		}, RefusalDiscard},
		{"discard, not known", auto(DiscardSecondary), func(t *testing.T, w *world, n *modelNode) Input {
			return Discarded{until[Discard](t, w, n).Ticket, drbd.Unknown, errModel}
		}, RefusalDiscard},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := splitWorld(tt.policy)
			b := w.nodes[1]
			in := tt.fail(t, w, b)
			b.effects = nil
			b.handle(in)
			w.seconds(40)
			if tt.want == "" {
				wantPhase(t, b, PhaseNone, "")
				return
			}
			wantPhase(t, b, PhaseHeld, tt.want)
			if len(w.sent) != 0 || b.marker || b.disk.Commitment != "" {
				t.Errorf("sent %v, marker %v, promise %q", w.sent, b.marker, b.disk.Commitment)
			}
			wantPhase(t, w.nodes[0], PhaseDecided, "")
			if got := w.nodes[0].m.Status().PeerRefusal; got != tt.want {
				t.Errorf("the survivor shows the victim's refusal as %q", got)
			}
		})
	}
}

// Ensure that a victim that is promoted before the marker is there, or whose
// data has changed, discards nothing.
func TestLookFindsAnother(t *testing.T) {
	for name, change := range map[string]func(*modelNode){
		"promoted": func(n *modelNode) { n.marker = false; n.promote() },
		"written":  func(n *modelNode) { n.ids.Current = 0x9990 },
		"mounted":  func(n *modelNode) { n.promoted = true },
	} {
		for _, second := range []bool{false, true} {
			w := splitWorld(auto(DiscardSecondary))
			b := w.nodes[1]
			until[Look](t, w, b)
			if second {
				b.step()
				until[Snapshot](t, w, b)
				b.step()
				until[Look](t, w, b)
			}
			change(b)
			b.step()
			for b.step() {
				if b.m.Status().Phase == PhaseDiscarding {
					t.Errorf("%s: discards", name)
				}
			}
			if b.disk.Intent != "" || b.marker {
				t.Errorf("%s: intent %q, marker %v", name, b.disk.Intent, b.marker)
			}
		}
	}
}

// Ensure that what is not saved is not promised.
func TestPersistFails(t *testing.T) {
	w := splitWorld(auto(DiscardSecondary))
	a := w.nodes[0]
	var p Persist
	for p.Record.Commitment == "" {
		p = until[Persist](t, w, a)
		a.effects = a.effects[1:]
		if p.Record.Commitment == "" {
			a.persist(p.Record, false)
		}
	}
	a.persist(p.Record, true)
	for _, e := range a.published {
		if e.Commitment != "" {
			t.Error("the promise was published")
		}
	}
	wantPhase(t, a, PhaseHeld, RefusalState)
	w.seconds(2)
	if a.disk.Refusal != RefusalState || a.disk.Commitment != "" {
		t.Errorf("on disk: refusal %q, promise %q", a.disk.Refusal, a.disk.Commitment)
	}
	a.handle(Lift{})
	w.seconds(40)
	wantPhase(t, a, PhaseNone, "")
}

// Ensure that a node that promised to survive does not become the victim, even
// when everything else says so.
func TestPromiseIsKept(t *testing.T) {
	w := splitWorld(auto(KeepNode))
	a, b := w.nodes[0], w.nodes[1]
	for a.disk.Commitment == "" {
		until[Persist](t, w, a)
		a.step()
	}
	b.stop()
	a.demote()
	for _, n := range w.nodes {
		n.policy.Keep = "beta"
		n.give(n.configured())
	}
	b.start()
	w.seconds(60)
	wantPhase(t, a, PhaseHeld, RefusalCommitted)
	a.give(Lift{})
	w.seconds(60)
	wantPhase(t, a, PhaseHeld, RefusalCommitted)
	if len(w.sent) != 0 {
		t.Errorf("sent %v", w.sent)
	}
}

// Ensure that a record that says more than this version would write is kept
// to: no promise with an intent, no second discard of one incident.
func TestRecordIsKeptTo(t *testing.T) {
	for _, tt := range []struct {
		name   string
		node   int
		change func(r *Record, incident string)
		want   Refusal
	}{
		{"intent", 0, func(r *Record, _ string) { r.Intent = "another" }, RefusalBegun},
		{"tried", 1, func(r *Record, incident string) { r.Tried = incident }, RefusalTried},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := splitWorld(auto(DiscardSecondary))
			n := w.nodes[tt.node]
			incident := until[Discard](t, w, w.nodes[1]).Incident
			for _, n := range w.nodes {
				n.stop()
				n.disk = Record{}
			}
			n.disk = Record{Version: 1, Revision: 1, Resource: "r0", Peer: n.peer().name, Phase: PhaseFound, Words: []Saying{{WordHelper, w.now}}}
			tt.change(&n.disk, incident)
			for _, n := range w.nodes {
				n.start()
			}
			w.seconds(30)
			wantPhase(t, n, PhaseHeld, tt.want)
			if len(w.sent) != 0 {
				t.Errorf("sent %v", w.sent)
			}
		})
	}
}
