package splitbrain

import (
	"fmt"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
)

// proceed does what follows from the facts.
func (m *Machine) proceed() {
	if m.state.Live {
		m.recovered = true
		if m.rec.Phase != PhaseNone {
			m.resolve(m.result())
		}
		return
	}
	m.forgetSilent()
	m.find()
	if m.rec.Phase == PhaseNone {
		m.recovered = true
		return
	}
	if !m.recovered {
		m.recovered = true
		m.recoverPhase()
	}
	m.followOrders()
	switch {
	case m.action == stepReconnect:
	case m.action != stepNone:
		return
	case m.rec.Sent:
		m.awaitHandshake()
		return
	}
	if m.rec.Phase == PhaseSnapshotting {
		return // between an answer and the next step, which follows at once
	}
	m.evaluate()
}

// recoverPhase sees to what the last process left behind. What was certainly
// not sent begins again; what may have been is withdrawn.
func (m *Machine) recoverPhase() {
	switch {
	case m.rec.Sent && m.rec.Phase == PhaseDiscarding:
		m.drop(RefusalInterrupted)
	case m.rec.Phase == PhaseSnapshotting:
		m.breakOff()
	}
}

// find declares a split brain on DRBD's own word, here or on the peer, or on
// proof, and takes back what nobody says any more.
func (m *Machine) find() {
	peer := m.fresh()
	said := peer != nil && !peer.Live && peer.Phase != PhaseNone && len(peer.Words) > 0
	relation := m.relation(peer)
	proven := relation.Diverged()
	if len(m.rec.Words) == 0 && !said && !proven {
		m.disprove(peer, relation)
		return
	}
	if proven && !m.rec.Proven || said && !m.rec.PeerSaid {
		m.rec.Proven = m.rec.Proven || proven
		m.rec.PeerSaid = m.rec.PeerSaid || said
		m.dirty = true
	}
	if m.rec.Phase != PhaseNone {
		return
	}
	m.rec.Phase, m.rec.FoundAt = PhaseFound, m.now
	m.dirty, m.nextRead = true, time.Time{}
	m.alert(AlertFound, fmt.Sprintf("split brain of %s: %s and %s hold different data", m.resource, m.self, m.peer))
}

// disprove ends what was found by proof or by the peer's word alone, once the
// peer says that there is nothing, or the identifiers do.
func (m *Machine) disprove(peer *Evidence, relation gi.Relation) {
	if m.rec.Phase == PhaseNone || peer == nil || m.rec.Commitment != "" || m.rec.Intent != "" {
		return
	}
	if notDiverged(relation) || !m.rec.Proven && peer.Phase == PhaseNone {
		m.resolve(ResultDisproved)
	}
}

// notDiverged reports whether r proves that there is no split brain.
func notDiverged(r gi.Relation) bool { return r == gi.Same || r == gi.Source || r == gi.Target }

// relation is that of this node's data and the peer's.
func (m *Machine) relation(peer *Evidence) gi.Relation {
	if peer == nil || peer.Live {
		return gi.Unknown
	}
	return Relate(m.volumes, peer.Volumes)
}

// Relate is the relation of two nodes' data: the worst of all volumes, or
// Unknown where one is missing.
func Relate(own, peer []Volume) gi.Relation {
	if len(own) == 0 || len(own) != len(peer) {
		return gi.Unknown
	}
	worst := gi.Same
	for i, v := range own {
		r := gi.Unknown
		if peer[i].Volume == v.Volume {
			r = gi.Relate(v.Identifiers, peer[i].Identifiers)
		}
		switch {
		case r.Diverged():
			return r
		case !notDiverged(r):
			worst = r
		case worst == gi.Same:
			worst = r
		}
	}
	return worst
}

// result tells how a split brain ended whose connection is live.
func (m *Machine) result() Result {
	switch {
	case !m.rec.Sent && !m.rec.PeerDiscarding:
		return ResultByHand
	case m.rec.Order.given():
		return ResultOrdered
	}
	return ResultAutomatic
}

// resolve ends a split brain, and with it all promises and intents.
func (m *Machine) resolve(result Result) {
	if m.action == stepDiscard && (result == ResultAutomatic || result == ResultOrdered) {
		m.alertDiscarded()
	}
	m.alertResolved(result)
	r := Record{
		Version: recordVersion, Revision: m.rec.Revision, Resource: m.resource, Peer: m.peer, Phase: PhaseNone,
		LiftedAt: m.rec.LiftedAt, LastLive: m.rec.LastLive, PeerFloor: m.rec.PeerFloor,
	}
	r.History = m.rec.History
	if !m.state.Live {
		r.LostAt = m.rec.LostAt
	}
	if m.peerEvidence != nil && m.state.Live {
		r.PeerFloor = max(r.PeerFloor, m.peerEvidence.Sequence)
	}
	m.rec, m.dirty = r, true
	m.action, m.waiting, m.rejoin, m.reconnects, m.answers, m.ask = stepNone, false, false, 0, 0, question{}
	m.deadline, m.notBefore, m.nextDrop = time.Time{}, time.Time{}, time.Time{}
}

// evaluate compares the evidence, and does this node's part of the verdict.
func (m *Machine) evaluate() {
	if m.standing() {
		return
	}
	own, peer := m.evidence(), m.fresh()
	verdict, refusal := m.judge(&own, peer)
	if refusal != "" {
		m.hold(refusal)
		return
	}
	if verdict.Victim == m.self {
		m.asVictim(verdict, incident(&own, peer))
		return
	}
	m.asSurvivor(verdict, incident(&own, peer), peer)
}

// standing reports whether only a person, or a live connection, goes on.
func (m *Machine) standing() bool {
	if m.rec.Phase != PhaseHeld {
		return false
	}
	switch refusals[m.rec.Refusal].lasting {
	case final:
		return true
	case settles:
		return m.now.After(m.rec.SettledAt)
	}
	return false
}

// judge is Decide, with what only a machine knows.
func (m *Machine) judge(own, peer *Evidence) (Verdict, Refusal) {
	if peer == nil {
		if m.policy.Kind == Manual && m.policyErr == "" && !m.rec.Order.given() {
			return Verdict{}, RefusalManual
		}
		return Verdict{}, RefusalPeerMissing
	}
	verdict, refusal := decide(m.policy, own, peer)
	if refusal != "" {
		return Verdict{}, refusal
	}
	id := incident(own, peer)
	if !m.obeys(id) && resolutions(own.History, peer.History, id, m.coolDownStart()) >= m.policy.Resolutions {
		return Verdict{}, RefusalCoolDown
	}
	return verdict, ""
}

// coolDownStart is from when on automatic resolutions count.
func (m *Machine) coolDownStart() time.Time {
	since := m.now.Add(-m.policy.CoolDown)
	if m.rec.LiftedAt.After(since) {
		return m.rec.LiftedAt
	}
	return since
}

// decided notes the verdict. It tells people of each incident once.
func (m *Machine) decided(phase Phase, v Verdict, incident string) {
	if m.rec.Phase == phase && m.rec.Incident == incident && m.rec.Verdict == v {
		return
	}
	m.rec.Phase, m.rec.Incident, m.rec.Verdict = phase, incident, v
	m.rec.Refusal, m.rec.HeldAt, m.rec.Told = "", time.Time{}, ""
	m.dirty = true
}

// asSurvivor promises to survive, and connects once the victim has told DRBD
// to discard.
func (m *Machine) asSurvivor(v Verdict, incident string, peer *Evidence) {
	if m.rec.Intent != "" {
		m.hold(RefusalBegun)
		return
	}
	phase := PhaseDecided
	if m.rec.Phase == PhaseReconnecting && peer.Phase == PhaseDiscarding {
		phase = PhaseReconnecting
	}
	promises := m.rec.Commitment != incident
	if promises {
		m.rec.Commitment, m.dirty = incident, true
		m.reconnects, m.rec.PeerDiscarding = 0, false
	}
	m.decided(phase, v, incident)
	if promises {
		m.alert(AlertDecided, fmt.Sprintf("%s keeps its data and %s discards its own: %s", v.Survivor, v.Victim, v.Reason))
	}
	if peer.Incident != incident || peer.Victim != m.peer {
		return
	}
	switch peer.Phase {
	case PhaseDecided:
		m.answers = peer.Sequence
	case PhaseDiscarding:
		m.reconnect(v, incident, peer)
	}
}

// reconnect connects for the victim, if this node does not try to anyway.
func (m *Machine) reconnect(v Verdict, incident string, peer *Evidence) {
	if !peer.Waiting {
		return
	}
	if !m.rec.PeerDiscarding {
		m.rec.PeerDiscarding, m.dirty = true, true
		m.remember(incident)
	}
	m.decided(PhaseReconnecting, v, incident)
	if m.state.Connection != drbd.ConnStandAlone || m.running != stepNone || m.reconnects >= maxReconnects || m.now.Before(m.notBefore) {
		return
	}
	m.reconnects++
	m.notBefore = m.now.Add(handshakeTime / (maxReconnects + 1))
	m.do(stepReconnect)
}

// remember counts a resolution for the cool-down, which is about those that
// nobody has ordered.
func (m *Machine) remember(incident string) {
	if !m.obeys(incident) {
		m.rec.resolvedAutomatically(incident, m.now)
	}
}

// hold says why nothing goes on.
func (m *Machine) hold(r Refusal) {
	if m.rec.Phase == PhaseHeld && m.rec.Refusal == r {
		return
	}
	if old := refusals[m.rec.Refusal].lasting; m.rec.Refusal == "" || old != settles {
		m.rec.SettledAt = m.now.Add(settleTime)
	}
	m.rec.Phase, m.rec.Refusal, m.rec.HeldAt = PhaseHeld, r, m.now
	m.dirty = true
}

// lift forgets a hold. What DRBD may still hold, and what the peer was
// promised, stays.
func (m *Machine) lift() {
	if m.rec.Phase == PhaseNone || m.rec.Sent || m.running != stepNone || m.rec.Phase == PhaseSnapshotting {
		return
	}
	if m.rec.Refusal == RefusalNotProven && m.rec.Commitment == "" && notDiverged(m.relation(m.fresh())) {
		m.resolve(ResultDisproved)
		m.rec.LastLive = m.now // the words were of something that is over
		return
	}
	m.startOver()
	m.rec.LiftedAt = m.now
}

// startOver forgets why nothing was done, and what was tried.
func (m *Machine) startOver() {
	m.rec.Phase, m.rec.Refusal, m.rec.HeldAt, m.rec.Told = PhaseFound, "", time.Time{}, ""
	m.rec.Intent, m.rec.Tried, m.rec.Attempts = "", "", 0
	m.reconnects, m.notBefore, m.dirty = 0, time.Time{}, true
	m.ask = question{}
}

// tell says to people what holds, once it has lasted.
func (m *Machine) tell() {
	r := m.rec.Refusal
	if m.rec.Phase != PhaseHeld || r == m.rec.Told {
		return
	}
	e := refusals[r]
	if e.lasting != final && r != RefusalManual && m.now.Sub(m.rec.HeldAt) < tellAfter {
		return
	}
	m.rec.Told, m.dirty = r, true
	kind := AlertRefused
	if e.failed {
		kind = AlertFailed
	}
	m.alert(kind, fmt.Sprintf("split brain of %s with %s is not resolved: %s", m.resource, m.peer, e.why))
}

// proofs returns the kinds of proof, for people.
func (m *Machine) proofs() []string {
	var proofs []string
	for _, w := range m.rec.Words {
		proofs = append(proofs, string(w.Kind))
	}
	if m.rec.Proven {
		proofs = append(proofs, "identifiers")
	}
	if m.rec.PeerSaid {
		proofs = append(proofs, "peer")
	}
	slices.Sort(proofs)
	return proofs
}
