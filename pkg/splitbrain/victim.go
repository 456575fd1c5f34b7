package splitbrain

import (
	"fmt"
	"slices"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// asVictim begins to discard this node's data, once the survivor has answered
// this node's own question with its promise for this very incident.
func (m *Machine) asVictim(v Verdict, incident string) {
	switch {
	case m.rec.Commitment == lost:
		m.hold(RefusalLost)
		return
	case m.rec.Commitment != "":
		m.hold(RefusalCommitted)
		return
	case m.rec.Tried == incident:
		m.hold(RefusalTried)
		return
	case m.rec.Attempts >= maxAttempts:
		m.hold(RefusalInterrupted)
		return
	}
	m.decided(PhaseDecided, v, incident)
	if !m.promised(incident) || !m.unconnected() || m.running != stepNone || m.now.Before(m.notBefore) {
		return
	}
	m.rec.Phase, m.rec.Intent, m.rec.Attempts, m.rec.Snapshot = PhaseSnapshotting, incident, m.rec.Attempts+1, ""
	m.dirty = true
	m.alert(AlertDecided, fmt.Sprintf("%s discards its data since the divergence and %s keeps its own: %s", v.Victim, v.Survivor, v.Reason))
	m.do(stepMarker)
}

// promised reports whether the peer has promised to survive incident, and
// since this node asked.
func (m *Machine) promised(incident string) bool {
	peer := m.fresh()
	return peer != nil && peer.Commitment == incident && m.ask.incident == incident && peer.Answers >= m.ask.sequence
}

// unconnected reports whether the connection is at rest, so that no handshake
// is under way.
func (m *Machine) unconnected() bool {
	return m.state.Connection == drbd.ConnStandAlone || m.state.Connection == drbd.ConnConnecting
}

// takeOutcome goes on after an action. The answer to an action that is no
// longer waited for counts for nothing.
func (m *Machine) takeOutcome(in Input) {
	switch in := in.(type) {
	case MarkerSet:
		m.marker = drbd.Unknown
		if m.answered(in.Ticket, stepMarker) {
			m.afterMarker(in)
		}
	case Looked:
		if m.answered(in.Ticket, stepFirstLook, stepSecondLook) {
			m.afterLook(in)
		}
	case Snapshotted:
		if m.answered(in.Ticket, stepSnapshot) {
			m.afterSnapshot(in)
		}
	case Discarded:
		if m.answered(in.Ticket, stepDiscard) {
			m.afterDiscard(in)
		}
	case Dropped:
		if m.answered(in.Ticket, stepDrop) {
			m.afterDrop(in)
		}
	case Reconnected:
		if m.answered(in.Ticket, stepReconnect) {
			m.action = stepNone
			if in.Err != nil {
				m.alert(AlertFailed, fmt.Sprintf("connecting %s for %s to discard: %v", m.resource, m.peer, in.Err))
			}
		}
	}
}

// answered reports whether ticket is that of the action that is waited for,
// and that one of the given.
func (m *Machine) answered(ticket uint64, steps ...step) bool {
	if ticket != m.ticket {
		return false
	}
	m.running = stepNone
	return slices.Contains(steps, m.action)
}

func (m *Machine) afterMarker(in MarkerSet) {
	m.action = stepNone
	if in.Err != nil {
		m.hold(RefusalMarker)
		return
	}
	m.marker = drbd.Yes
	m.do(stepFirstLook)
}

// afterLook goes on only if everything is still as the verdict took it.
func (m *Machine) afterLook(in Looked) {
	second := m.action == stepSecondLook
	m.action = stepNone
	if in.Err != nil {
		m.hold(RefusalLook)
		return
	}
	before := m.volumes
	m.takeState(in.State)
	m.local.Promoted, m.local.Mounted = in.Promoted, in.Mounted
	m.takeVolumes(in.Volumes, nil)
	if m.state.Live {
		return // resolved: proceed says so
	}
	own, peer := m.evidence(), m.fresh()
	verdict, refusal := m.judge(&own, peer)
	switch {
	case refusal != "" && refusals[refusal].lasting == final:
		m.hold(refusal)
	case refusal != "" || verdict.Victim != m.self || incident(&own, peer) != m.rec.Intent || peer.Commitment != m.rec.Intent || !Unchanged(before, m.volumes) || !m.unconnected():
		m.breakOff()
	case second:
		m.send()
	case m.snapshotMode() == SnapshotOff:
		m.do(stepSecondLook)
	default:
		m.do(stepSnapshot)
	}
}

// breakOff forgets an attempt of which nothing was sent; evaluate says what
// stands against it, or begins another.
func (m *Machine) breakOff() {
	m.rec.Phase, m.rec.Intent, m.dirty = PhaseFound, "", true
	m.notBefore = m.now.Add(retryAfter)
	m.ask = question{}
}

func (m *Machine) afterSnapshot(in Snapshotted) {
	m.action = stepNone
	switch {
	case in.Err == nil:
		m.rec.Snapshot, m.dirty = in.Name, true
	case m.snapshotMode() == SnapshotRequired:
		m.alert(AlertFailed, fmt.Sprintf("snapshot of %s before discarding: %v", m.resource, in.Err))
		m.hold(RefusalSnapshot)
		return
	default:
		m.alert(AlertFailed, fmt.Sprintf("no snapshot of %s, the discard goes on by policy: %v", m.resource, in.Err))
	}
	m.do(stepSecondLook)
}

// send orders the discard. That it may have been ordered is on disk before.
func (m *Machine) send() {
	if m.snapshotMode() == SnapshotRequired && m.rec.Snapshot == "" {
		m.hold(RefusalSnapshot)
		return
	}
	m.rec.Phase, m.rec.Sent, m.rec.Tried = PhaseDiscarding, true, m.rec.Intent
	m.remember(m.rec.Intent)
	m.dirty = true
	m.do(stepDiscard)
}

func (m *Machine) afterDiscard(in Discarded) {
	m.action = stepNone
	switch in.Sent {
	case drbd.Yes:
		m.waiting, m.deadline = true, m.now.Add(handshakeTime)
		m.remember(m.rec.Intent) // the cool-down counts from when it was done
		m.dirty = true
		m.alertDiscarded()
	case drbd.No:
		m.rec.Sent = false
		m.hold(RefusalDiscard)
	default:
		m.drop(RefusalDiscard)
	}
	if in.Err != nil {
		m.alert(AlertFailed, fmt.Sprintf("discarding %s: %v", m.resource, in.Err))
	}
}

// awaitHandshake withdraws the order when the survivor does not come in time,
// and goes on withdrawing until that succeeded.
func (m *Machine) awaitHandshake() {
	switch {
	case m.rec.Phase == PhaseDiscarding && m.waiting && m.now.Before(m.deadline):
	case m.rec.Phase == PhaseDiscarding:
		m.drop(RefusalHandshake)
	case !m.now.Before(m.nextDrop):
		m.drop(m.rec.Refusal)
	}
}

// drop withdraws the order to discard. The survivor no longer connects.
func (m *Machine) drop(why Refusal) {
	m.waiting = false
	m.hold(why)
	if m.running == stepNone {
		m.nextDrop = m.now.Add(dropEvery)
		m.rejoin = m.rejoin || why == RefusalLost && m.state.Connection == drbd.ConnConnecting
		m.do(stepDrop)
	}
}

func (m *Machine) afterDrop(in Dropped) {
	m.action = stepNone
	if in.Err != nil {
		m.alert(AlertFailed, fmt.Sprintf("withdrawing the order to discard %s: %v", m.resource, in.Err))
		return
	}
	m.rec.Sent, m.dirty = false, true
	if m.rejoin {
		// Nobody knows of an order, nor of a split brain: the two go on trying to meet.
		m.rejoin = false
		m.do(stepReconnect)
	}
}
