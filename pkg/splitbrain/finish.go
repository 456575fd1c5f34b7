package splitbrain

import (
	"slices"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// do makes the effect of a step the last one of the list.
func (m *Machine) do(s step) {
	m.ticket++
	m.action, m.running, m.revision = s, s, 0
	switch s {
	case stepMarker:
		m.marker = drbd.Unknown
		m.last = SetMarker{m.ticket}
	case stepFirstLook, stepSecondLook:
		m.last = Look{m.ticket}
	case stepSnapshot:
		m.last = Snapshot{m.ticket, m.rec.Intent, m.snapshotMode()}
	case stepDiscard:
		m.last = Discard{m.ticket, m.rec.Intent, m.volumes}
	case stepDrop:
		m.last = DropDiscard{m.ticket}
	case stepReconnect:
		m.last = Reconnect{m.ticket}
	}
}

// finish puts the list together: alerts, the record, what follows from it.
func (m *Machine) finish() []Effect {
	m.show()
	m.unmark()
	m.read()
	if m.last != nil {
		m.effects = append(m.effects, m.last)
	}
	unsaved := m.dirty || m.rec.Revision != m.saved.revision
	if !m.dirty && len(m.effects) == 0 || !unsaved {
		return append(m.alerts, m.effects...)
	}
	m.rec.Version = recordVersion
	m.rec.Revision++
	m.rec.Sequence = m.sequence
	m.dirty, m.given = false, kept{m.rec.Revision, m.rec.Pledge}
	if m.last != nil {
		m.revision = m.rec.Revision
	}
	return slices.Concat(m.alerts, []Effect{Persist{m.rec}}, m.effects)
}

// show publishes what this node has to say, if it is news or a while ago.
func (m *Machine) show() {
	e := m.evidence()
	if m.published != nil && e.sameAs(m.published) && m.now.Before(m.nextShow) {
		return
	}
	if m.now.Before(m.showAgain) {
		return
	}
	m.sequence = max(m.sequence+1, uint64(max(0, m.now.UnixMicro())))
	e.Sequence, e.At = m.sequence, m.now
	if m.rec.Phase == PhaseDecided && m.rec.Verdict.Victim == m.self && m.ask.incident != m.rec.Incident {
		m.ask = question{m.rec.Incident, m.sequence}
	}
	m.published, m.nextShow = &Evidence{Standing: e.Standing, Volumes: e.Volumes, Words: e.Words, History: e.History}, m.now.Add(publishEvery)
	m.effects = append(m.effects, Publish{e})
}

// answer is the peer's question that the commitment answers.
func (m *Machine) answer() uint64 {
	if m.rec.Commitment == "" {
		return 0
	}
	return m.answers
}

// unmark clears the marker of a node that is not, or no longer, discarding.
func (m *Machine) unmark() {
	if m.rec.Phase == PhaseSnapshotting || m.rec.Phase == PhaseDiscarding || m.rec.Sent || m.running == stepMarker || m.marker == drbd.No || m.now.Before(m.clearAgain) {
		return
	}
	m.marker = drbd.No
	m.effects = append(m.effects, ClearMarker{})
}

// read asks for identifiers that are new enough to compare.
func (m *Machine) read() {
	if m.state.Live || m.state.Connection == "" || m.now.Before(m.nextRead) || m.running != stepNone && m.running != stepReconnect {
		return
	}
	m.nextRead = m.now.Add(readEvery)
	if m.rec.Phase == PhaseNone {
		m.nextRead = m.now.Add(readSeldom)
	}
	m.effects = append(m.effects, ReadIdentifiers{})
}
