package splitbrain

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
)

var (
	modelSeed  = flag.Uint64("model.seed", 0, "the one history to run, as printed by a failure, and to show")
	modelCount = flag.Uint64("model.count", 100_000, "how many histories to run")
)

var errModel = errors.New("injected")

// world is two nodes with a model of DRBD between them. Time goes on only by
// ticks. What is written is a bit of a set, so that one can see who lacks what.
type world struct {
	*rand.Rand
	now     time.Time
	nodes   [2]*modelNode
	link    bool
	uuids   gi.UUID
	writes  uint64
	faults  bool
	chaos   int  // of 100 steps, how many disturb
	hand    bool // a person may resolve it
	orders  bool // a person may order the daemons to
	cheat   cheat
	trace   []string
	verbose bool
	broken  string // the first invariant that did not hold

	sent    []sending // discards that DRBD was really told by the daemons
	epoch   int       // counts the times the connection became live
	reached int       // discards that came to a handshake
	given   []decree  // all orders that a person gave
	obeyed  int       // discards that were sent by order
}

type sending struct {
	node, epoch int
	at          time.Time
	order       bool // a person's
}

// decree is an order as the person meant it: of what both nodes had said of
// their generations then.
type decree struct {
	victim   int
	currents [2]gi.UUID
	snapshot SnapshotMode
}

// cheat makes one part of the world, or of the machine as seen from it, lie:
// each must be caught, or the test would prove nothing.
type cheat int

const (
	honest           cheat = iota
	forgePromise           // evidence arrives with a promise that the peer did not give
	forgetPromise          // a restart loses the promise
	forgetSent             // a restart loses that DRBD may hold the order to discard
	ignoreMarker           // the agent promotes although the marker is set
	lieWhenLooking         // a look says what was published, not what is
	lieAboutSnapshot       // a snapshot that failed is reported as made
	ignoreSaving           // what follows a failed Persist is done all the same
	forgetHistory          // nobody remembers earlier resolutions
	forgeDivergence        // identifiers arrive as if both had written
	forgePolicy            // the machine is told another policy than the configured
	forgeOrder             // evidence arrives with an order that nobody gave
	renewOrder             // an order of an earlier split brain is taken for one of this
	cheats
)

type modelNode struct {
	w      *world
	i      int
	name   string
	m      *Machine // nil: the daemon is down
	disk   Record
	policy Policy
	broken string

	role      drbd.Role
	conn      drbd.ConnectionState
	discard   bool // DRBD holds the order
	byDaemon  bool // that order is the daemon's
	promoted  bool
	marker    bool
	ids       gi.Identifiers
	data      uint64
	since     time.Time
	last      time.Time
	pendWords []Word // a handler's records, read when the daemon starts

	published []Evidence // all that was ever published
	effects   []Effect   // not done yet
	inputs    []Input    // not handled yet
	kept      []uint64   // data in snapshots
	lifted    time.Time
	earlier   Order  // that the node knew last
	again     int    // so many discards had been sent when a person last asked for another
	known     Policy // that the daemon has heard of
	ordered   Policy // that it had when it told DRBD to discard, or what a person had ordered
	orderedAt time.Time
	byOrder   bool
	alerts    *[]string // what people are told, where a test wants to know
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 0x5b)), now: time.Unix(1_800_000_000, 0).UTC(), link: true, uuids: 0x100}
	for i := range w.nodes {
		w.nodes[i] = &modelNode{
			w: w, i: i, name: [2]string{"alpha", "beta"}[i], role: drbd.RoleSecondary, conn: drbd.ConnConnecting,
			ids: gi.Identifiers{Current: 0x10}, data: 1,
		}
	}
	w.writes = 1
	return w
}

func (w *world) logf(format string, args ...any) {
	if w.verbose {
		w.trace = append(w.trace, w.now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
	}
}

// violate notes that an invariant does not hold.
func (w *world) violate(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
		w.logf("VIOLATED: %s", w.broken)
	}
}

// fault is true once in so many times, or less in a quieter history.
func (w *world) fault(once int) bool {
	return w.faults && w.IntN(once*40) < w.chaos
}

func (n *modelNode) peer() *modelNode { return n.w.nodes[1-n.i] }
func (n *modelNode) live() bool       { return n.conn == drbd.ConnConnected }

// state is what the daemon reads from DRBD.
func (n *modelNode) state() StateChanged {
	return StateChanged{At: n.w.now, Role: n.role, Connection: n.conn, Live: n.live(), Disks: []Disk{{0, drbd.DiskUpToDate}}}
}

func (n *modelNode) volumes() []Volume {
	changed := int64(0)
	for b := n.data &^ n.peer().data; b != 0; b &= b - 1 {
		changed += 4096
	}
	return []Volume{{Identifiers: n.ids, ChangedBytes: changed}}
}

func tri(b bool) drbd.Tri {
	if b {
		return drbd.Yes
	}
	return drbd.No
}

func (n *modelNode) group() Local {
	return Local{Promoted: tri(n.promoted), Mounted: tri(n.promoted), PrimarySince: n.since, LastPromoted: n.last}
}

// start starts the daemon on what is on disk.
func (n *modelNode) start() {
	n.w.logf("%s: daemon starts, on disk %s", n.name, n.disk.Phase)
	n.m = NewMachine(n.name, "r0", n.peer().name, n.w.remembered(n.disk))
	n.effects, n.inputs = nil, nil
	n.give(n.configured(), n.group(), n.state())
	for _, word := range n.pendWords {
		n.give(word)
	}
	n.pendWords = nil
	if p := n.peer().published; len(p) > 0 {
		n.give(PeerEvidence{p[len(p)-1]})
	}
}

// remembered is a record after a restart of a world that may forget.
func (w *world) remembered(r Record) Record {
	switch w.cheat {
	case forgetPromise:
		r.Commitment = ""
	case forgetSent:
		if r.Sent {
			r.Sent, r.Tried, r.Intent, r.Phase = false, "", "", PhaseFound
		}
	case forgetHistory:
		r.History = nil
	}
	return r
}

func (n *modelNode) configured() PolicyChanged {
	p := n.policy
	if n.w.cheat == forgePolicy && p.Kind == Manual {
		p = Policy{Kind: DiscardSecondary, Snapshot: SnapshotOff, CoolDown: time.Hour, Resolutions: 9}
	}
	return PolicyChanged{Policy: p, Err: n.broken}
}

// quiet lets this daemon alone finish what is under way.
func (n *modelNode) quiet() {
	for n.step() {
	}
}

// stop kills the daemon. What was not done is not done.
func (n *modelNode) stop() {
	n.w.logf("%s: daemon killed, on disk %s sent %v promised %v, not done %T", n.name, n.disk.Phase, n.disk.Sent, n.disk.Commitment != "", n.effects)
	n.m, n.effects, n.inputs = nil, nil, nil
}

func (n *modelNode) give(in ...Input) {
	if n.m != nil {
		n.inputs = append(n.inputs, in...)
	}
}

// changed tells the daemon of a change of DRBD.
func (n *modelNode) changed() { n.give(n.state()) }

// step handles one input or does one effect; false means that there is none.
func (n *modelNode) step() bool {
	if n.m == nil {
		return false
	}
	if len(n.effects) > 0 {
		e := n.effects[0]
		n.effects = n.effects[1:]
		n.do(e)
		n.mayCrash(e)
		return true
	}
	if len(n.inputs) == 0 {
		return false
	}
	in := n.inputs[0]
	n.inputs = n.inputs[1:]
	n.handle(in)
	return true
}

func (n *modelNode) handle(in Input) {
	if p, ok := in.(PeerEvidence); ok {
		in = n.forged(p)
	}
	if _, ok := in.(PolicyChanged); ok {
		n.known = n.policy
	}
	var obeyed Order
	if n.m.rec.Obeyed {
		obeyed = n.m.rec.Order
	}
	effects := n.m.Handle(n.w.now, in)
	if _, ok := in.(Lift); ok && n.m.rec.LiftedAt.Equal(n.w.now) {
		n.lifted, n.again = n.w.now, len(n.w.sent)
	}
	if n.m.rec.Obeyed && !obeyed.is(n.m.rec.Order) {
		n.again = len(n.w.sent)
	}
	if n.w.verbose {
		n.w.logf("%s: %s -> %s %s", n.name, brief(in), n.m.Status().Phase, n.m.Status().Refusal)
		for _, e := range effects {
			n.w.logf("        %s", brief(e))
		}
	}
	n.check(effects)
	for _, e := range effects {
		if a, ok := e.(Alert); ok && n.alerts != nil {
			*n.alerts = append(*n.alerts, a.Text)
		}
	}
	n.effects = append(n.effects, effects...)
}

// mayCrash kills the daemon after an effect was done and before its answer is
// handled.
func (n *modelNode) mayCrash(e Effect) {
	often := 100
	if _, ok := e.(Discard); ok {
		often = 6
	}
	if n.w.fault(often) {
		n.stop()
		if n.w.IntN(3) > 0 {
			n.start()
		}
	}
}

// forged is the peer's evidence in a world that lies about it.
func (n *modelNode) forged(p PeerEvidence) PeerEvidence {
	e := &p.Evidence
	switch n.w.cheat {
	case forgePromise:
		own := n.m.evidence()
		e.Commitment, e.Answers = incident(&own, e), 1<<63
	case forgeDivergence:
		if len(e.Volumes) > 0 && n.m.volumes != nil {
			v := e.Volumes[0]
			v.Identifiers.Bitmap = n.m.volumes[0].Identifiers.Bitmap
			v.Identifiers.Current = 0x7777000
			v.Identifiers.History = [2]gi.UUID{}
			e.Volumes = []Volume{v}
			e.Commitment = Incident(n.m.evidence(), *e)
			e.Answers = 1 << 63
			e.Words = []Saying{{WordKernel, n.w.now}}
		}
	case forgetHistory:
		e.History = nil
		n.m.rec.History = nil
	case forgeOrder:
		own := n.m.evidence()
		e.Order = Order{Incident: incident(&own, e), Victim: "beta", Snapshot: SnapshotOff, From: n.name, At: n.w.now}
	case renewOrder:
		if n.m.rec.Order.given() {
			n.earlier = n.m.rec.Order
		}
		if own := n.m.evidence(); n.earlier.given() {
			e.Order = n.earlier
			e.Order.Incident = incident(&own, e)
		}
	}
	return p
}

// check asserts what must hold of every list of effects.
func (n *modelNode) check(effects []Effect) {
	for i, e := range effects {
		switch e := e.(type) {
		case SetMarker, Look, Snapshot, DropDiscard, Reconnect, Discard:
			if _, ok := e.(Discard); ok {
				n.ordered, n.orderedAt, n.byOrder = n.known, n.w.now, n.m.obeys(n.m.rec.Intent)
				if n.byOrder {
					n.ordered.Snapshot = n.m.rec.Order.Snapshot
				}
			}
			if i != len(effects)-1 {
				n.w.violate("%T is not the last effect", e)
			}
		case Persist:
			if e.Record.Sent && n.peer().disk.Sent && n.w.cheat == honest {
				n.w.violate("both nodes are to discard")
			}
		}
	}
}

// do does one effect and answers it.
func (n *modelNode) do(e Effect) {
	w := n.w
	fails := w.fault(30)
	var err error
	if fails {
		err = errModel
	}
	switch e := e.(type) {
	case Persist:
		n.persist(e.Record, fails && w.IntN(4) == 0 || w.cheat == ignoreSaving && w.IntN(3) == 0)
	case Publish:
		if fails {
			n.give(Published{errModel})
			return
		}
		n.published = append(n.published, e.Evidence)
		if !w.faults {
			n.peer().give(PeerEvidence(e))
		}
	case ReadIdentifiers:
		n.give(Identified{n.volumes(), err})
	case SetMarker:
		n.marker = n.marker || !fails
		n.give(MarkerSet{e.Ticket, err})
	case ClearMarker:
		if fails {
			n.give(MarkerCleared{errModel})
			return
		}
		n.marker = false
	case Look:
		n.look(e, err)
	case Snapshot:
		n.snapshot(e, err)
	case Discard:
		n.sendDiscard(e)
	case DropDiscard:
		if !fails && !n.live() {
			n.conn, n.discard = drbd.ConnStandAlone, false
			n.changed()
		}
		n.give(Dropped{e.Ticket, err})
	case Reconnect:
		if !fails && !n.live() {
			n.conn, n.discard = drbd.ConnConnecting, false
			n.changed()
		}
		n.give(Reconnected{e.Ticket, err})
	}
}

func (n *modelNode) persist(r Record, fails bool) {
	if !fails {
		n.disk = r
		n.handle(Persisted{r.Revision, nil})
		return
	}
	rest := n.effects
	n.effects = nil
	n.handle(Persisted{r.Revision, errModel})
	if n.w.cheat == ignoreSaving {
		n.effects = append(n.effects, rest...)
	}
}

func (n *modelNode) look(e Look, err error) {
	l := Looked{Ticket: e.Ticket, State: n.state(), Volumes: n.volumes(), Promoted: tri(n.promoted), Mounted: tri(n.promoted), Err: err}
	if n.w.cheat == lieWhenLooking {
		l.State.Role, l.Promoted, l.Mounted, l.Volumes = drbd.RoleSecondary, drbd.No, drbd.No, n.m.volumes
	}
	n.give(l)
}

func (n *modelNode) snapshot(e Snapshot, err error) {
	if err == nil {
		n.kept = append(n.kept, n.data)
	} else if n.w.cheat == lieAboutSnapshot {
		err = nil
	}
	n.give(Snapshotted{e.Ticket, "snap", err})
}

// sendDiscard is disconnect and connect --discard-my-data, with the checks
// that the executor makes under the agent's lock, and those of this test.
func (n *modelNode) sendDiscard(e Discard) {
	w := n.w
	if w.fault(20) {
		n.give(Discarded{e.Ticket, drbd.No, errModel})
		return
	}
	same := Unchanged(e.Expect, n.volumes())
	if w.cheat != lieWhenLooking && w.cheat != ignoreMarker && (n.role == drbd.RolePrimary || n.live() || !same) {
		n.give(Discarded{e.Ticket, drbd.No, errModel})
		return
	}
	n.assertDiscard()
	w.sent = append(w.sent, sending{n.i, w.epoch, n.orderedAt, n.byOrder})
	if n.byOrder {
		w.obeyed++
	}
	n.conn, n.discard, n.byDaemon = drbd.ConnConnecting, true, true
	n.changed()
	if w.fault(20) {
		n.give(Discarded{e.Ticket, drbd.Unknown, errModel})
		return
	}
	n.give(Discarded{e.Ticket, drbd.Yes, nil})
}

// currents are the generations of both nodes' data.
func (w *world) currents() [2]gi.UUID {
	return [2]gi.UUID{w.nodes[0].ids.Current.Masked(), w.nodes[1].ids.Current.Masked()}
}

// order is a person who looks at what both nodes say, and gives an order on one
// of them: for either, also against an earlier one.
func (w *world) order(n *modelNode, victim int, mode SnapshotMode) {
	a, b := w.nodes[0].published, w.nodes[1].published
	if n.m == nil || len(a) == 0 || len(b) == 0 {
		return
	}
	x, y := a[len(a)-1], b[len(b)-1]
	if len(x.Volumes) == 0 || len(y.Volumes) == 0 {
		return
	}
	w.given = append(w.given, decree{victim, [2]gi.UUID{x.Volumes[0].Identifiers.Current.Masked(), y.Volumes[0].Identifiers.Current.Masked()}, mode})
	n.logf("a person orders %s to discard, snapshot %s", w.nodes[victim].name, mode)
	n.give(Ordered{Incident(x, y), w.nodes[victim].name, mode})
}
