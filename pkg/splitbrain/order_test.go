package splitbrain

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// Ensure that an order given on either node is followed whatever the policy is,
// with its own mode of snapshots, and that it ends with its split brain.
func TestOrder(t *testing.T) {
	for _, given := range []int{0, 1} {
		for _, kind := range []PolicyKind{Manual, KeepNode} {
			w := splitWorld(Policy{Kind: kind, Keep: "beta", Snapshot: SnapshotOff, CoolDown: time.Hour, Resolutions: 1})
			a, b := w.nodes[0], w.nodes[1]
			w.seconds(3)
			for _, n := range w.nodes {
				if s := n.m.Status(); s.Phase != PhaseHeld {
					t.Fatalf("%s before the order: %+v", n.name, s)
				}
			}
			w.order(w.nodes[given], b.i, SnapshotRequired)
			w.seconds(40)
			for _, n := range w.nodes {
				wantPhase(t, n, PhaseNone, "")
				if n.disk.Order.given() || len(n.disk.History) != 0 {
					t.Errorf("%s remembers the order %+v, and for the cool-down %v", n.name, n.disk.Order, n.disk.History)
				}
			}
			if w.broken != "" || len(w.sent) != 1 || w.sent[0].node != b.i || !w.sent[0].order || len(b.kept) != 1 || len(a.kept) != 0 {
				t.Errorf("order on %s, policy %s: %s sent %+v, %d snapshots", w.nodes[given].name, kind, w.broken, w.sent, len(b.kept))
			}
		}
	}
}

// Ensure that two nodes with different orders do nothing, and that whoever gives
// one of them again ends that, on either node.
func TestOrdersDiffer(t *testing.T) {
	for _, again := range []int{0, 1} {
		w := splitWorld(Policy{Kind: Manual})
		a, b := w.nodes[0], w.nodes[1]
		w.seconds(3)
		a.demote()
		w.seconds(3)
		w.order(a, a.i, SnapshotOff)
		w.order(b, b.i, SnapshotOff)
		w.seconds(20)
		for _, n := range w.nodes {
			wantPhase(t, n, PhaseHeld, RefusalOrdersDiffer)
		}
		if len(w.sent) != 0 || a.disk.Commitment != "" || b.disk.Commitment != "" {
			t.Errorf("sent %v, promises %q and %q", w.sent, a.disk.Commitment, b.disk.Commitment)
		}
		victim := 1 - again // as the other node was told
		w.order(w.nodes[again], victim, SnapshotOff)
		w.seconds(40)
		for _, n := range w.nodes {
			wantPhase(t, n, PhaseNone, "")
		}
		if w.broken != "" || len(w.sent) != 1 || w.sent[0].node != victim {
			t.Errorf("%s sent %+v", w.broken, w.sent)
		}
	}
}

// Ensure that the node that was given an order waits for the other one, and that
// a person may change an order that nobody has begun to follow.
func TestOrderChanged(t *testing.T) {
	w := splitWorld(Policy{Kind: Manual})
	a, b := w.nodes[0], w.nodes[1]
	w.seconds(3)
	a.demote()
	w.seconds(3)
	b.stop()
	w.order(a, a.i, SnapshotOff)
	w.seconds(3)
	wantPhase(t, a, PhaseHeld, RefusalOrderAlone)
	w.order(a, b.i, SnapshotOff)
	b.start()
	w.seconds(40)
	if w.broken != "" || len(w.sent) != 1 || w.sent[0].node != b.i {
		t.Errorf("%s sent %+v", w.broken, w.sent)
	}
}

// Ensure that what an order is about may not change: it is void then, for good,
// and a person is told.
func TestOrderVoid(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(w *world)
		why    string
	}{
		"the victim is promoted": {func(w *world) { w.nodes[1].promote(); w.seconds(3); w.nodes[1].demote() }, "it is in use there"},
		"a new generation":       {func(w *world) { w.nodes[1].ids.Current = 0x9990; w.seconds(15) }, "the data has changed since"},
		"nobody does anything":   {func(w *world) { w.now = w.now.Add(11 * time.Minute); w.seconds(2) }, "for 10m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			w := splitWorld(Policy{Kind: Manual})
			a, b := w.nodes[0], w.nodes[1]
			w.seconds(3)
			var told []string
			b.alerts = &told
			w.order(a, b.i, SnapshotOff)
			a.quiet()
			a.stop() // it does not promise
			b.give(PeerEvidence{a.published[len(a.published)-1]})
			b.quiet()
			if !b.m.rec.Order.given() {
				t.Fatalf("not taken over: %+v", b.m.Status())
			}
			tt.change(w)
			w.seconds(20)
			if got := b.m.Status().Order; got.given() || !strings.Contains(strings.Join(told, "\n"), tt.why) {
				t.Errorf("order %+v, told %q, want %q", got, told, tt.why)
			}
			wantPhase(t, b, PhaseHeld, RefusalOrderVoid)
			if len(w.sent) != 0 {
				t.Errorf("sent %v", w.sent)
			}
		})
	}
}

// Ensure that an order that came to nothing does not let the policy have another
// try: it may have been against it.
func TestOrderVoidStopsPolicy(t *testing.T) {
	w := splitWorld(auto(DiscardSecondary))
	a, b := w.nodes[0], w.nodes[1]
	until[Discard](t, w, b)
	a.stop()
	w.seconds(40)
	wantPhase(t, b, PhaseHeld, RefusalHandshake)
	sent := len(w.sent)
	w.order(b, a.i, SnapshotOff) // which serves
	a.start()
	w.seconds(60)
	wantPhase(t, b, PhaseHeld, RefusalOrderVoid)
	if len(w.sent) != sent {
		t.Errorf("sent %+v", w.sent)
	}
	for _, n := range w.nodes {
		n.handle(Lift{})
	}
	w.seconds(40)
	wantPhase(t, b, PhaseNone, "")
}

// overrides says what an order does about each refusal: "goes on" where the
// policy, the cool-down or an earlier attempt is what stands against it, and
// otherwise what is said instead, because it is about the data.
var overrides = map[Refusal]string{
	RefusalManual: "goes on", RefusalPolicyBroken: "goes on", RefusalPolicy: "goes on", RefusalPolicyDiffer: "goes on",
	RefusalNoWord: "goes on", RefusalBothPrimary: "victim-in-use", RefusalNoPrimary: "goes on", RefusalEqual: "goes on",
	RefusalNoChanges: "goes on", RefusalNoTimes: "goes on", RefusalCoolDown: "goes on",

	RefusalPeerMissing: "stays", RefusalMismatch: "stays", RefusalNotProven: "stays", RefusalUnrelated: "stays",
	RefusalFullSync: "stays", RefusalVolumes: "stays", RefusalMixed: "stays", RefusalMoreNodes: "stays",
	RefusalDisk: "stays", RefusalVictimInUse: "stays", RefusalOrderAlone: "stays", RefusalOrdersDiffer: "stays",

	RefusalTried: "goes on", RefusalOrderVoid: "goes on", RefusalMarker: "goes on", RefusalLook: "goes on", RefusalSnapshot: "goes on", RefusalDiscard: "goes on",
	RefusalHandshake: "goes on", RefusalInterrupted: "goes on", RefusalState: "goes on",
	RefusalCommitted: "stays", RefusalBegun: "goes on", RefusalLost: "stays",
}

// Ensure that it was thought of each refusal what an order does about it: those
// of Decide by both nodes' evidence, in TestDecideByOrder,
// that a machine is held for by what the victim then does.
func TestOrderOverrides(t *testing.T) {
	for _, r := range AllRefusals() {
		if overrides[r] == "" {
			t.Errorf("%s is not in the table", r)
		}
	}
	for r, want := range overrides {
		if refusals[r].lasting != final {
			continue
		}
		t.Run(string(r), func(t *testing.T) {
			w := splitWorld(Policy{Kind: Manual})
			b := w.nodes[1]
			w.seconds(3)
			id := Incident(w.nodes[0].published[len(w.nodes[0].published)-1], b.published[len(b.published)-1])
			switch r {
			case RefusalCommitted:
				b.m.rec.Commitment = id
			case RefusalTried:
				b.m.rec.Tried = id
			case RefusalBegun:
				b.m.rec.Intent = "another"
			case RefusalLost:
				b.stop()
				b.disk = Lost("r0", "alpha")
				b.start()
				w.seconds(3)
			}
			if r != RefusalLost {
				b.m.now = w.now
				b.m.hold(r)
			}
			w.order(w.nodes[0], b.i, SnapshotOff)
			w.seconds(40)
			s := b.m.Status()
			if got := map[bool]string{true: "goes on", false: "stays"}[s.Phase == PhaseNone]; got != want || got == "stays" && s.Refusal != r {
				t.Errorf("%s %s: %s, want %s", s.Phase, s.Refusal, got, want)
			}
			if w.broken != "" || (len(w.sent) > 0) != (want == "goes on") {
				t.Errorf("%s sent %v", w.broken, w.sent)
			}
		})
	}
}

// Ensure that a node that lost its record may keep its data by order, once DRBD
// certainly holds nothing of it.
func TestOrderAfterLostRecord(t *testing.T) {
	w := splitWorld(Policy{Kind: Manual})
	a, b := w.nodes[0], w.nodes[1]
	w.seconds(3)
	a.stop()
	a.disk = Lost("r0", "beta")
	a.start()
	w.seconds(3)
	wantPhase(t, a, PhaseHeld, RefusalLost)
	w.order(b, b.i, SnapshotRequired)
	w.seconds(60)
	for _, n := range w.nodes {
		wantPhase(t, n, PhaseNone, "")
	}
	if w.broken != "" || len(w.sent) != 1 || w.sent[0].node != b.i {
		t.Errorf("%s sent %+v", w.broken, w.sent)
	}
}

// Ensure that what is no order, or about nothing, is not taken.
func TestNoOrder(t *testing.T) {
	m := NewMachine("alpha", "r0", "beta", Record{})
	m.Handle(noon, PolicyChanged{Policy: Policy{Kind: Manual}})
	m.Handle(noon, StateChanged{Connection: drbd.ConnStandAlone, Role: drbd.RoleSecondary})
	m.Handle(noon, Ordered{"5f1c", "beta", SnapshotOff})
	if o := m.Status().Order; o.given() {
		t.Errorf("without a split brain: %+v", o)
	}
	m.Handle(noon, Word{WordHelper, noon})
	for _, in := range []Ordered{{"", "beta", SnapshotOff}, {"5f1c", "gamma", SnapshotOff}, {"5f1c", "beta", "perhaps"}} {
		if m.Handle(noon, in); m.Status().Order.given() {
			t.Errorf("taken: %+v", in)
		}
	}
	m.Handle(noon, Ordered{"5f1c", "beta", SnapshotOff})
	first := m.Status().Order
	m.Handle(noon.Add(-time.Hour), Ordered{"5f1c", "alpha", SnapshotOff})
	if diff := cmp.Diff(Order{"5f1c", "alpha", SnapshotOff, "alpha", first.At.Add(1)}, m.Status().Order); diff != "" {
		t.Errorf("after the clock was set back (-want +got):\n%s", diff)
	}
}

// Ensure that the peer is missing once it has not renewed its evidence for a
// while, by this node's clock.
func TestPeerSilent(t *testing.T) {
	w := splitWorld(auto(DiscardYoungerPrimary))
	a, b := w.nodes[0], w.nodes[1]
	b.last = time.Time{}
	b.give(b.group())
	w.seconds(20)
	wantPhase(t, a, PhaseHeld, RefusalNoTimes)
	b.stop()
	w.now = w.now.Add(peerSilence)
	w.seconds(2)
	a.give(PeerEvidence{b.published[len(b.published)-1]}) // as Pacemaker still has it
	w.seconds(2)
	if a.m.fresh() != nil {
		t.Error("what a daemon that ended has left counts as news")
	}
	restart(t, a)
	w.seconds(2)
	if a.m.fresh() != nil {
		t.Error("after a restart it counts again")
	}
	b.start()
	w.seconds(20)
	if a.m.fresh() == nil {
		t.Error("the peer is still missing")
	}
}

// Ensure that since when the nodes are without each other is shown.
func TestLostAt(t *testing.T) {
	w := splitWorld(Policy{Kind: Manual})
	b := w.nodes[1]
	w.seconds(3)
	e := b.published[len(b.published)-1]
	if e.LostAt.IsZero() || e.LostAt.After(b.last) {
		t.Errorf("the connection ended at %v, and %s was promoted at %v", e.LostAt, b.name, b.last)
	}
}
