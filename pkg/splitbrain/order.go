package splitbrain

import (
	"fmt"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// orderTime is how long an order may wait for something to be done about it.
// What a person has decided on is not the same any more after that.
const orderTime = 10 * time.Minute

// Order is a person's decision of one split brain: whose data is discarded,
// whatever the policy says. It is given on one node, and the other takes it over
// from the evidence. The zero Order is none. It is comparable.
//
// It stands in for the policy, for DRBD's own word and for the cool-down, and
// for nothing else: what is not proven, in use or promised stays so.
type Order struct {
	Incident string       `json:"incident"` // the split brain that it is about
	Victim   string       `json:"victim"`   // the node whose data is discarded
	Snapshot SnapshotMode `json:"snapshot"`
	From     string       `json:"from"` // the node on which it was given
	At       time.Time    `json:"at"`   // when, by the clock of From; grows with each that is given there
}

// given reports whether there is an order.
func (o Order) given() bool { return o.Incident != "" }

// is reports whether o and p are one order, as opposed to two that agree.
func (o Order) is(p Order) bool { return o.From == p.From && o.At.Equal(p.At) }

// agrees reports whether o and p say the same.
func (o Order) agrees(p Order) bool {
	return o.Incident == p.Incident && o.Victim == p.Victim && o.Snapshot == p.Snapshot
}

// between reports whether o can be followed by two nodes.
func (o Order) between(a, b string) bool {
	return o.given() && (o.Victim == a || o.Victim == b) && o.Snapshot.Valid()
}

// ordered returns the order that both nodes have for what is between them. The
// zero Order without a refusal is that neither has one.
func ordered(a, b *Evidence) (Order, Refusal) {
	if !a.Order.given() && !b.Order.given() {
		return Order{}, ""
	}
	id := incident(a, b)
	has := func(e *Evidence) bool { return e.Order.Incident == id && e.Order.between(a.Node, b.Node) }
	switch {
	case !has(a) && !has(b):
		return Order{}, ""
	case !has(a) || !has(b):
		return Order{}, RefusalOrderAlone
	case !a.Order.agrees(b.Order):
		return Order{}, RefusalOrdersDiffer
	}
	return a.Order, ""
}

// Try says what stands against an order to discard the data of victim, by what
// the two nodes say: "" is nothing. It knows nothing of what a node will find
// when it looks anew.
func Try(a, b Evidence, victim string) Refusal {
	o := Order{Incident: incident(&a, &b), Victim: victim, Snapshot: SnapshotRequired}
	if !o.between(a.Node, b.Node) {
		return RefusalMismatch
	}
	a.Order, b.Order = o, o
	v, r := decide(a.Policy, &a, &b)
	if r != "" {
		return r
	}
	promise := a.Commitment
	if v.Victim == b.Node {
		promise = b.Commitment
	}
	switch promise {
	case "":
		return ""
	case lost:
		return RefusalLost
	}
	return RefusalCommitted
}

// Used reports whether somebody certainly uses the data of e.
func (e *Evidence) Used() bool {
	return e.Role == drbd.RolePrimary || e.Promoted == drbd.Yes || e.Mounted == drbd.Yes
}

// obeys reports whether what is done about an incident is done by order.
func (m *Machine) obeys(incident string) bool {
	return incident != "" && m.rec.Order.Incident == incident
}

// snapshotMode is what is to be done before this node's data is discarded.
func (m *Machine) snapshotMode() SnapshotMode {
	if m.obeys(m.rec.Intent) {
		return m.rec.Order.Snapshot
	}
	return m.policy.Snapshot
}

// takeOrder notes an order that was given on this node. Where there is no split
// brain it is about nothing.
func (m *Machine) takeOrder(in Ordered) {
	o := Order{in.Incident, in.Victim, in.Snapshot, m.self, m.now.UTC().Round(0)}
	if !m.started || m.rec.Phase == PhaseNone || m.state.Live || !o.between(m.self, m.peer) {
		return
	}
	for _, earlier := range []Order{m.rec.Order, m.rec.Void} {
		if earlier.From == m.self && !o.At.After(earlier.At) {
			o.At = earlier.At.Add(1) // the clock was set back
		}
	}
	m.setOrder(o)
}

// setOrder notes an order. One that asks for what is under way asks for nothing
// more.
func (m *Machine) setOrder(o Order) {
	underWay := m.rec.Phase == PhaseSnapshotting || m.rec.Phase == PhaseDiscarding
	m.rec.Obeyed = underWay && m.rec.Order.agrees(o)
	m.rec.Order, m.rec.OrderedAt, m.dirty = o, m.now, true
	m.orderFloor = 0
	if m.peerEvidence != nil {
		m.orderFloor = m.peerEvidence.Sequence
	}
}

// followOrders takes over the peer's order, ends one that is about something
// else by now, and makes room for one that is new.
func (m *Machine) followOrders() {
	peer := m.fresh()
	if !m.rec.Order.given() && (peer == nil || !peer.Order.given()) {
		return
	}
	own := m.evidence()
	if why := m.void(&own, peer); why != "" {
		m.alert(AlertRefused, fmt.Sprintf("the order to discard the data of %s on %s is void: %s", m.resource, m.rec.Order.Victim, why))
		m.rec.Void, m.rec.Order, m.rec.Obeyed, m.dirty = m.rec.Order, Order{}, false, true
		m.hold(RefusalOrderVoid) // the policy does not take over what a person has begun to decide
		m.rec.Told = RefusalOrderVoid
	}
	if peer != nil && m.adopts(&own, peer) {
		m.setOrder(peer.Order)
	}
	m.obey()
}

// void says why the order counts no more, if so. What has begun goes on: it
// looks for itself.
func (m *Machine) void(own, peer *Evidence) string {
	o := m.rec.Order
	if !o.given() || m.rec.Sent || m.running != stepNone || m.rec.Phase == PhaseSnapshotting {
		return ""
	}
	victim := own
	if o.Victim != m.self {
		victim = nil
		if peer != nil && peer.Sequence > m.orderFloor { // older evidence is from before the order
			victim = peer
		}
	}
	switch {
	case identified(own, peer) && incident(own, peer) != o.Incident:
		return "the data has changed since"
	case victim != nil && victim.Used():
		return "it is in use there"
	case m.rec.Intent == "" && m.rec.Commitment != o.Incident && m.now.Sub(m.rec.OrderedAt) > orderTime:
		return "nothing could be done about it for " + orderTime.String()
	}
	return ""
}

// identified reports whether the generations of both nodes are known.
func identified(own, peer *Evidence) bool {
	return peer != nil && len(own.Volumes) > 0 && len(peer.Volumes) > 0
}

// adopts reports whether the peer's order is to be this node's. Where each node
// was given an order, the two stay apart unless they agree.
func (m *Machine) adopts(own, peer *Evidence) bool {
	o, mine := peer.Order, m.rec.Order
	if !o.between(m.self, m.peer) || o.is(m.rec.Void) || !identified(own, peer) || incident(own, peer) != o.Incident {
		return false
	}
	if mine.Incident != o.Incident {
		return true
	}
	return (mine.From == o.From || mine.agrees(o)) && o.At.After(mine.At)
}

// obey lifts a hold for a new order, once, and as soon as DRBD certainly holds
// no order of this node's.
func (m *Machine) obey() {
	if m.rec.Obeyed || !m.rec.Order.given() || m.rec.Sent || m.running != stepNone || m.rec.Phase == PhaseSnapshotting {
		return
	}
	m.startOver()
	m.rec.Obeyed = true
}
