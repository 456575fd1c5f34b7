package splitbrain

import (
	"slices"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func auto(kind PolicyKind) Policy {
	return Policy{Kind: kind, Keep: "alpha", Snapshot: SnapshotRequired, CoolDown: time.Hour, Resolutions: 1}
}

// splitWorld is two nodes that are about to meet after both have written:
// alpha Primary and serving, beta Secondary again.
func splitWorld(p Policy) *world {
	w := newWorld(1)
	for _, n := range w.nodes {
		n.policy = p
		n.start()
	}
	w.handshake()
	w.quiet()
	a, b := w.nodes[0], w.nodes[1]
	w.cut()
	a.promote()
	a.write()
	a.write()
	w.now = w.now.Add(time.Minute)
	b.promote()
	b.write()
	b.demote()
	w.quiet()
	w.link = true
	return w
}

// until lets both nodes go on until one is about to do what is wanted, and
// returns that effect; it is then still the first of the node's effects.
func until[E Effect](t *testing.T, w *world, n *modelNode) E {
	t.Helper()
	for range 60 {
		for range 200 {
			if len(n.effects) > 0 {
				if e, ok := n.effects[0].(E); ok {
					return e
				}
			}
			w.handshake()
			if !n.step() && !n.peer().step() {
				break
			}
		}
		w.now = w.now.Add(time.Second)
		w.nodes[0].give(Tick{})
		w.nodes[1].give(Tick{})
	}
	var none E
	t.Fatalf("%s never came to %T: %+v", n.name, none, n.m.Status())
	return none
}

// seconds lets time go by for both nodes.
func (w *world) seconds(n int) {
	for range n {
		w.handshake()
		w.quiet()
		w.now = w.now.Add(time.Second)
		for _, n := range w.nodes {
			n.give(Tick{})
		}
	}
	w.quiet()
}

// restart kills the daemon and starts it on what it had on disk, through JSON.
func restart(t *testing.T, n *modelNode) {
	t.Helper()
	n.stop()
	if n.disk.Resource != "" {
		data, err := n.disk.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if n.disk, err = UnmarshalRecord(data); err != nil {
			t.Fatal(err)
		}
	}
	n.start()
}

func wantPhase(t *testing.T, n *modelNode, phase Phase, refusal Refusal) {
	t.Helper()
	if s := n.m.Status(); s.Phase != phase || s.Refusal != refusal {
		t.Fatalf("%s is %s %q, want %s %q", n.name, s.Phase, s.Refusal, phase, refusal)
	}
}

// Ensure that a manual policy finds and holds, on both nodes, over a restart,
// and that the repair by hand ends it.
func TestManual(t *testing.T) {
	w := splitWorld(Policy{Kind: Manual})
	w.seconds(2)
	for _, n := range w.nodes {
		wantPhase(t, n, PhaseHeld, RefusalManual)
		restart(t, n)
	}
	w.seconds(20)
	for _, n := range w.nodes {
		wantPhase(t, n, PhaseHeld, RefusalManual)
	}
	a, b := w.nodes[0], w.nodes[1]
	b.conn, b.discard = drbd.ConnConnecting, true
	a.conn = drbd.ConnConnecting
	w.seconds(2)
	for _, n := range w.nodes {
		wantPhase(t, n, PhaseNone, "")
	}
	if len(w.sent) != 0 || len(b.disk.History) != 0 {
		t.Errorf("sent %v, history %v", w.sent, b.disk.History)
	}
}

// Ensure that a restart before anything was sent begins again, with a new
// snapshot, and comes to the end.
func TestRestartBeforeSending(t *testing.T) {
	for _, stop := range []func(*testing.T, *world, *modelNode){
		func(t *testing.T, w *world, n *modelNode) { until[SetMarker](t, w, n) },
		func(t *testing.T, w *world, n *modelNode) { until[Look](t, w, n) },
		func(t *testing.T, w *world, n *modelNode) { until[Snapshot](t, w, n) },
	} {
		w := splitWorld(auto(DiscardSecondary))
		b := w.nodes[1]
		stop(t, w, b)
		restart(t, b)
		w.seconds(30)
		if len(w.sent) != 1 || w.reached != 1 {
			t.Fatalf("sent %v, %d came to a handshake", w.sent, w.reached)
		}
		for _, n := range w.nodes {
			wantPhase(t, n, PhaseNone, "")
		}
		if b.marker {
			t.Error("the marker is still there")
		}
	}
}

// Ensure that a daemon that is killed again and again does not fill the volume
// group with snapshots.
func TestRestartTooOften(t *testing.T) {
	w := splitWorld(auto(DiscardSecondary))
	b := w.nodes[1]
	for range maxAttempts {
		until[Snapshot](t, w, b)
		restart(t, b)
	}
	w.seconds(30)
	wantPhase(t, b, PhaseHeld, RefusalInterrupted)
	if len(w.sent) != 0 {
		t.Errorf("sent %v", w.sent)
	}
}

// Ensure that after a restart with an order that may have been sent nothing is
// sent again: it is withdrawn, unless it has worked.
func TestRestartWhileSending(t *testing.T) {
	for name, executed := range map[string]bool{"before the command": false, "after the command": true} {
		t.Run(name, func(t *testing.T) {
			w := splitWorld(auto(DiscardSecondary))
			b := w.nodes[1]
			discard := until[Discard](t, w, b)
			if executed {
				b.sendDiscard(discard)
			}
			restart(t, b)
			w.seconds(90)
			wantPhase(t, b, PhaseHeld, RefusalInterrupted)
			if b.discard || b.conn != drbd.ConnStandAlone || b.marker {
				t.Errorf("the order is still there: %v, %s, marker %v", b.discard, b.conn, b.marker)
			}
			if want := map[bool]int{false: 0, true: 1}[executed]; len(w.sent) != want {
				t.Errorf("sent %d times, want %d", len(w.sent), want)
			}
			b.handle(Lift{})
			w.seconds(30)
			wantPhase(t, b, PhaseNone, "")
		})
	}
	t.Run("after the handshake", func(t *testing.T) {
		w := splitWorld(auto(DiscardSecondary))
		a, b := w.nodes[0], w.nodes[1]
		b.sendDiscard(until[Discard](t, w, b))
		b.stop()
		a.conn = drbd.ConnConnecting
		w.handshake()
		b.start()
		w.seconds(5)
		wantPhase(t, b, PhaseNone, "")
		if len(w.sent) != 1 || w.reached != 1 || len(b.disk.History) != 1 {
			t.Errorf("sent %v, %d came to a handshake, history %v", w.sent, w.reached, b.disk.History)
		}
	})
}

// Ensure that a survivor that never comes ends the attempt, and that a person's
// lift allows the next.
func TestHandshakeTimeout(t *testing.T) {
	w := splitWorld(auto(DiscardSecondary))
	a, b := w.nodes[0], w.nodes[1]
	until[Discard](t, w, b)
	a.stop()
	w.seconds(29)
	wantPhase(t, b, PhaseDiscarding, "")
	w.seconds(4)
	wantPhase(t, b, PhaseHeld, RefusalHandshake)
	if b.discard || b.marker {
		t.Errorf("order %v, marker %v: want neither", b.discard, b.marker)
	}
	a.start()
	w.seconds(60)
	wantPhase(t, b, PhaseHeld, RefusalHandshake)
	b.handle(Lift{})
	w.seconds(30)
	wantPhase(t, b, PhaseNone, "")
	if len(w.sent) != 2 {
		t.Errorf("sent %v, want twice", w.sent)
	}
}

// Ensure that an order that cannot be withdrawn is withdrawn again and again,
// and meanwhile nobody lifts the hold.
func TestDropIsRepeated(t *testing.T) {
	w := splitWorld(auto(DiscardSecondary))
	a, b := w.nodes[0], w.nodes[1]
	until[Discard](t, w, b)
	a.stop()
	for range 2 {
		drop := until[DropDiscard](t, w, b)
		b.effects = nil
		b.handle(Dropped{drop.Ticket, errModel})
		b.handle(Lift{})
		if s := b.m.Status(); s.Phase != PhaseHeld || !s.MayBeSent {
			t.Fatalf("%s, may be sent %v", s.Phase, s.MayBeSent)
		}
	}
	until[DropDiscard](t, w, b)
	w.seconds(2)
	if s := b.m.Status(); s.MayBeSent || b.marker {
		t.Errorf("may be sent %v, marker %v", s.MayBeSent, b.marker)
	}
}

// Ensure that too many resolutions in a short time end in a hold that only a
// person lifts.
func TestCoolDown(t *testing.T) {
	w := splitWorld(auto(KeepNode))
	w.seconds(40)
	wantPhase(t, w.nodes[1], PhaseNone, "")
	again := func() {
		w.cut()
		a, b := w.nodes[0], w.nodes[1]
		a.promote()
		a.write()
		b.promote()
		b.write()
		b.demote()
		w.link = true
		w.seconds(40)
	}
	again()
	for _, n := range w.nodes {
		wantPhase(t, n, PhaseHeld, RefusalCoolDown)
	}
	w.now = w.now.Add(2 * time.Hour)
	w.seconds(20)
	wantPhase(t, w.nodes[1], PhaseHeld, RefusalCoolDown)
	for _, n := range w.nodes {
		n.handle(Lift{})
	}
	w.seconds(40)
	for _, n := range w.nodes {
		wantPhase(t, n, PhaseNone, "")
	}
}

// Ensure that a promise ends with its split brain: the next may cost the other
// node's data.
func TestVictimsTakeTurns(t *testing.T) {
	p := auto(DiscardSecondary)
	p.Resolutions = 2
	w := splitWorld(p)
	w.seconds(40)
	a, b := w.nodes[0], w.nodes[1]
	w.cut()
	a.write()
	a.demote()
	b.promote()
	b.write()
	w.link = true
	w.seconds(40)
	for _, n := range w.nodes {
		wantPhase(t, n, PhaseNone, "")
		if len(n.disk.History) != 2 {
			t.Errorf("%s remembers %v", n.name, n.disk.History)
		}
	}
	if len(w.sent) != 2 || w.sent[0].node != b.i || w.sent[1].node != a.i {
		t.Errorf("sent %v", w.sent)
	}
}

// Ensure that both nodes' memories count for the cool-down, each incident once.
func TestResolutions(t *testing.T) {
	at := func(incident string, minutes int) Resolution {
		return Resolution{incident, noon.Add(time.Duration(minutes) * time.Minute)}
	}
	own, peer := []Resolution{at("old", -60), at("both", 1), at("own", 2)}, []Resolution{at("both", 1), at("peer", 3), at("old", 4), at("this", 5)}
	if got := resolutions(own, peer, "this", noon); got != 4 {
		t.Errorf("got %d, want 4: both, own, peer, and old again", got)
	}
	if got := resolutions(own, peer, "", noon.Add(4*time.Minute)); got != 1 {
		t.Errorf("later: got %d, want 1", got)
	}
	var p Pledge
	for i := range 20 {
		p.resolvedAutomatically(string(rune('a'+i)), noon.Add(time.Duration(i)*time.Minute))
	}
	p.resolvedAutomatically("t", noon.Add(time.Hour))
	if len(p.History) != maxResolutions || p.History[maxResolutions-1] != at("t", 60) || p.History[0].Incident != "e" {
		t.Errorf("remembers %v", p.History)
	}
}

// Ensure that an administrator's disconnect is looked at and left alone.
func TestStandAloneIsNoSplitBrain(t *testing.T) {
	w := newWorld(1)
	for _, n := range w.nodes {
		n.policy = auto(DiscardSecondary)
		n.start()
	}
	w.handshake()
	w.nodes[0].promote()
	w.quiet()
	for _, n := range w.nodes {
		n.conn = drbd.ConnStandAlone
		n.changed()
	}
	w.nodes[0].write()
	w.seconds(100)
	for _, n := range w.nodes {
		wantPhase(t, n, PhaseNone, "")
		last := n.published[len(n.published)-1]
		if n.conn != drbd.ConnStandAlone || len(last.Volumes) != 1 {
			t.Errorf("%s is %s and shows %v", n.name, n.conn, last.Volumes)
		}
	}
}

// Ensure that identifiers alone prove a split brain, and allow nothing.
func TestFoundByIdentifiers(t *testing.T) {
	w := splitWorld(auto(DiscardSecondary))
	w.link = false
	w.seconds(70)
	for _, n := range w.nodes {
		wantPhase(t, n, PhaseHeld, RefusalNoWord)
		if got := n.m.Status().Proofs; !slices.Equal(got, []string{"identifiers"}) {
			t.Errorf("proofs %v", got)
		}
	}
}

// Ensure that a node that heard nothing learns it from its peer, and that it
// ends with the peer's.
func TestFoundByPeer(t *testing.T) {
	w := splitWorld(Policy{Kind: Manual})
	a, b := w.nodes[0], w.nodes[1]
	w.link = false
	a.give(Word{WordKernel, w.now})
	w.quiet()
	for _, n := range []*modelNode{a, b} {
		wantPhase(t, n, PhaseHeld, RefusalManual)
	}
	if got := b.m.Status().Proofs; !slices.Contains(got, "peer") {
		t.Errorf("proofs %v", got)
	}
}

// Ensure that a lost record does not take two nodes apart that were about to
// meet: what is withdrawn is tried again without an order, and what was apart
// stays so.
func TestLostRecordRejoins(t *testing.T) {
	for conn, want := range map[drbd.ConnectionState]bool{drbd.ConnConnecting: true, drbd.ConnStandAlone: false} {
		m := NewMachine("alpha", "r0", "beta", Lost("r0", "beta"))
		effects := m.Handle(noon, StateChanged{Connection: conn, Role: drbd.RoleSecondary})
		drop, ok := effects[len(effects)-1].(DropDiscard)
		if !ok {
			t.Fatalf("%s: %v", conn, effects)
		}
		m.Handle(noon, StateChanged{Connection: drbd.ConnStandAlone, Role: drbd.RoleSecondary})
		effects = m.Handle(noon, Dropped{Ticket: drop.Ticket})
		if _, got := effects[len(effects)-1].(Reconnect); got != want || m.Status().MayBeSent || m.Status().Refusal != RefusalLost {
			t.Errorf("%s: %v, %+v", conn, effects, m.Status())
		}
	}
}

// Ensure that a record that cannot be trusted discards and promises nothing.
func TestLostRecord(t *testing.T) {
	for name, r := range map[string]Record{"lost": Lost("r0", "beta"), "of another": {Revision: 1, Resource: "r1", Peer: "beta", Phase: PhaseNone}} {
		m := NewMachine("alpha", "r0", "beta", r)
		effects := m.Handle(noon, StateChanged{Connection: drbd.ConnConnecting, Role: drbd.RoleSecondary})
		if _, ok := effects[len(effects)-1].(DropDiscard); !ok || m.Status().Refusal != RefusalLost {
			t.Errorf("%s: %v, %+v", name, effects, m.Status())
		}
		m.Handle(noon, StateChanged{Connection: drbd.ConnConnected, Live: true})
		if got := m.Status().Phase; got != PhaseNone {
			t.Errorf("%s: %s although the connection is live", name, got)
		}
	}
}

func TestPolicyBroken(t *testing.T) {
	w := splitWorld(auto(DiscardSecondary))
	a, b := w.nodes[0], w.nodes[1]
	b.broken = "line 3: unknown key"
	b.give(b.configured())
	w.seconds(20)
	for _, n := range []*modelNode{a, b} {
		wantPhase(t, n, PhaseHeld, RefusalPolicyBroken)
	}
	if got := b.m.Status().PolicyError; got != b.broken {
		t.Errorf("policy error %q", got)
	}
	b.broken = ""
	b.give(b.configured())
	w.seconds(30)
	wantPhase(t, b, PhaseNone, "")
}

// Ensure that nodes that are in use at first get ten minutes to sort
// themselves out, and then a person's attention.
func TestSettling(t *testing.T) {
	for after, want := range map[time.Duration]Phase{time.Minute: PhaseNone, 11 * time.Minute: PhaseHeld} {
		w := splitWorld(auto(DiscardSecondary))
		a, b := w.nodes[0], w.nodes[1]
		b.promote()
		w.seconds(20)
		wantPhase(t, a, PhaseHeld, RefusalBothPrimary)
		w.now = w.now.Add(after)
		w.seconds(1)
		b.demote()
		w.seconds(60)
		if got := b.m.Status().Phase; got != want {
			t.Errorf("after %s: %s, want %s", after, got, want)
		}
	}
}
