package splitbrain

import (
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// The times that the machine goes by.
const (
	settleTime    = 10 * time.Minute // for Pacemaker to sort itself out, before a refusal stands
	tellAfter     = 5 * time.Second  // a refusal that may end by itself is told
	handshakeTime = 30 * time.Second // for the survivor to connect
	readEvery     = 10 * time.Second // identifiers, during a split brain
	peerSilence   = 3 * publishEvery // evidence of the peer that is not renewed is not known any more
	readSeldom    = time.Minute      // likewise, while merely not connected
	retryAfter    = 5 * time.Second  // what failed
	publishEvery  = time.Minute      // even without news: the attribute daemon may have lost it
	dropEvery     = 30 * time.Second // an order to discard is withdrawn, until that succeeds
	wordEvery     = 10 * time.Second // a repeated word is remembered anew
)

const (
	maxAttempts   = 3 // to discard, where each was broken off before anything was sent
	maxReconnects = 3 // of the survivor, for one incident
)

// Machine handles the split brain of one resource with one peer, on one node.
// It does nothing itself: [Machine.Handle] turns what happened into what is to
// be done. It is not safe for concurrent use.
type Machine struct {
	self, resource, peer string

	rec   Record // as it is to be
	saved kept   // of rec as it is known to be on disk
	given kept   // of rec as it was last given out to be saved
	dirty bool   // rec must be saved before the next effect
	stuck bool   // it could not be saved; the next Tick tries again

	started      bool // a StateChanged came
	recovered    bool // what the last process left behind was seen to
	state        StateChanged
	local        Local
	policy       Policy
	policyErr    string
	volumes      []Volume // with identifiers; nil is not known
	peerEvidence *Evidence
	peerHeard    time.Time // when its evidence was last news, by this node's clock
	orderFloor   uint64    // the peer's evidence up to here is from before the order
	early        []Word    // from before the first state

	answers uint64 // the peer's question that the commitment answers
	ask     question
	waiting bool // DRBD accepted the order to discard

	rejoin bool // the connection is tried again once an order that nobody knows of was withdrawn

	nextRead   time.Time
	nextDrop   time.Time
	notBefore  time.Time // the next attempt to discard
	deadline   time.Time // of the handshake
	reconnects int
	marker     drbd.Tri // Unknown: may or may not be set

	action    step   // that the machine waits for
	running   step   // that was not answered yet; differs from action when that was given up
	ticket    uint64 // of the latest action
	revision  uint64 // of the record that must be saved before the latest action
	published *Evidence
	sequence  uint64
	nextShow  time.Time // even without news
	showAgain time.Time // after a failure, not before

	clearAgain time.Time // likewise, the marker

	now     time.Time
	alerts  []Effect
	effects []Effect
	last    Effect
}

// kept is what a machine needs to know of a record that it has given away. There
// is one machine for each connection of the node, most of them never used.
type kept struct {
	revision uint64
	pledge   Pledge
}

// step is what the machine waits for.
type step int

const (
	stepNone step = iota
	stepMarker
	stepFirstLook
	stepSnapshot
	stepSecondLook
	stepDiscard
	stepDrop
	stepReconnect
)

// question is the victim's evidence that the survivor's promise must answer,
// so that a promise from another time is not taken for one.
type question struct {
	incident string
	sequence uint64
}

// NewMachine returns the machine of node self for resource and peer. restored
// is the last record that was saved, the zero Record if there is none, or
// [Lost]. A record of another resource or peer counts as lost.
func NewMachine(self, resource, peer string, restored Record) *Machine {
	if restored.Revision == 0 && restored.Phase == "" {
		restored = Record{Resource: resource, Peer: peer, Phase: PhaseNone}
	}
	if restored.Resource != resource || restored.Peer != peer || !restored.Phase.Valid() {
		restored = Lost(resource, peer)
	}
	return &Machine{
		self: self, resource: resource, peer: peer,
		rec: restored, saved: kept{restored.Revision, restored.Pledge}, sequence: restored.Sequence,
	}
}

// Handle takes one input at a time now, and returns what is to be done.
func (m *Machine) Handle(now time.Time, in Input) []Effect {
	m.now, m.alerts, m.effects, m.last = now, nil, nil, nil
	if p, ok := in.(Persisted); ok {
		m.persisted(p)
		return m.alerts
	}
	if _, ok := in.(Tick); ok {
		m.dirty = m.dirty || m.stuck
		m.stuck = false
	}
	m.take(in)
	if m.started && !m.stuck {
		m.proceed()
		m.tell()
		return m.finish()
	}
	if m.last != nil {
		m.action, m.running = stepNone, stepNone // not given out
	}
	return m.alerts
}

// persisted takes back what could not be saved. The rest of the list was not
// done; a later Tick tries to save again.
func (m *Machine) persisted(p Persisted) {
	if p.Err == nil {
		if p.Revision == m.given.revision {
			m.saved = m.given
		}
		return
	}
	m.stuck = true
	m.rec.Pledge = m.saved.pledge
	m.waiting, m.published, m.marker = false, nil, drbd.Unknown
	m.action = stepNone
	if p.Revision == m.revision {
		m.running = stepNone // not given out
	}
	m.hold(RefusalState)
	m.tell()
}

// take notes a fact.
func (m *Machine) take(in Input) {
	switch in := in.(type) {
	case Word:
		m.takeWord(in)
	case StateChanged:
		m.takeState(in)
	case Local:
		if in != m.local {
			m.local, m.nextRead = in, time.Time{}
		}
	case Identified:
		m.takeVolumes(in.Volumes, in.Err)
	case PeerEvidence:
		m.takePeer(in.Evidence)
	case PeerGone:
		m.peerEvidence = nil
	case PolicyChanged:
		m.policyErr = in.Err
		if in.Err == "" {
			m.policy = in.Policy
		}
	case Published:
		if in.Err != nil {
			m.published, m.showAgain = nil, m.now.Add(retryAfter)
		}
	case MarkerCleared:
		if in.Err != nil {
			m.marker, m.clearAgain = drbd.Unknown, m.now.Add(retryAfter)
		}
	case Lift:
		m.lift()
	case Ordered:
		m.takeOrder(in)
	default:
		m.takeOutcome(in)
	}
}

// takeWord remembers the latest word of each kind.
func (m *Machine) takeWord(w Word) {
	if !m.started {
		m.early = append(m.early, w)
		return
	}
	if w.At.After(m.now) {
		w.At = m.now // a word from the future would outlast every proof of the contrary
	}
	if !w.At.After(m.rec.LastLive) {
		return
	}
	if m.state.Live {
		m.state.Live, m.state.Connection = false, drbd.ConnDisconnecting // as DRBD does at its word; the line is on its way
		m.rec.LostAt = w.At
	}
	i := slices.IndexFunc(m.rec.Words, func(s Saying) bool { return s.Kind == w.Kind })
	if i >= 0 && w.At.Sub(m.rec.Words[i].At) < wordEvery {
		return
	}
	words := slices.Clone(m.rec.Words)
	if i >= 0 {
		words[i].At = w.At
	} else {
		words = append(words, Saying(w))
	}
	m.rec.Words, m.dirty, m.nextRead = words, true, time.Time{}
}

// takeState notes the state, and on the first one the words that came before.
func (m *Machine) takeState(s StateChanged) {
	if s.At.IsZero() {
		s.At = m.now
	}
	old := m.state
	if m.started && s.Live && slices.ContainsFunc(m.rec.Words, func(w Saying) bool { return w.At.After(s.At) }) {
		return // from before the split brain, and overtaken by DRBD's word of it
	}
	m.state = s
	if s.Live && s.At.After(m.rec.LastLive) {
		m.rec.LastLive = s.At
	}
	if s.Live && !(m.started && old.Live) && m.peerEvidence != nil {
		m.rec.PeerFloor = max(m.rec.PeerFloor, m.peerEvidence.Sequence)
	}
	if s.Live || s.Connection == "" {
		m.volumes = nil
	}
	if !s.Live && (old.Live || s.Role != old.Role || s.Connection != old.Connection) {
		if old.Live {
			m.rec.LostAt, m.dirty = s.At, true // and LastLive, for words that are read after a restart
		}
		m.nextRead = time.Time{}
	}
	m.setVolumes(m.volumes)
	if !m.started {
		m.started = true
		for _, w := range m.early {
			m.takeWord(w)
		}
		m.early = nil
	}
}

// takeVolumes notes identifiers that were read. While the connection is live
// they are half-way, and count for nothing.
func (m *Machine) takeVolumes(volumes []Volume, err error) {
	if m.state.Live {
		return
	}
	if err != nil {
		m.volumes, m.nextRead = nil, m.now.Add(retryAfter)
		return
	}
	m.setVolumes(volumes)
}

// setVolumes gives volumes the disk states of the state.
func (m *Machine) setVolumes(volumes []Volume) {
	if volumes == nil {
		m.volumes = nil
		return
	}
	volumes = slices.Clone(volumes)
	for i := range volumes {
		volumes[i].Disk = ""
		for _, d := range m.state.Disks {
			if d.Volume == volumes[i].Volume {
				volumes[i].Disk = d.State
			}
		}
	}
	slices.SortFunc(volumes, byNumber)
	m.volumes = volumes
}

// takePeer notes what the peer says, unless it said so before something else.
func (m *Machine) takePeer(e Evidence) {
	if e.Node != m.peer || e.Peer != m.self || e.Resource != m.resource {
		return
	}
	if m.peerEvidence != nil && e.Sequence < m.peerEvidence.Sequence {
		return
	}
	if m.peerEvidence == nil || e.Sequence != m.peerEvidence.Sequence {
		m.peerHeard = m.now
	}
	m.peerEvidence = &e
	if m.started && m.state.Live {
		// Read late: from before the connection was live. What the peer has to say
		// of the next split brain it says anew.
		m.rec.PeerFloor = max(m.rec.PeerFloor, e.Sequence)
	}
}

// forgetSilent counts evidence for nothing that the peer has not renewed for a
// while, by this node's clock and also after a restart: the attributes outlive
// the peer's daemon.
func (m *Machine) forgetSilent() {
	if p := m.fresh(); p != nil && m.now.Sub(m.peerHeard) > peerSilence {
		m.rec.PeerFloor, m.dirty = p.Sequence, true
	}
}

// fresh returns what the peer has said since the connection was last live, and
// still says, or nil.
func (m *Machine) fresh() *Evidence {
	if m.peerEvidence == nil || m.peerEvidence.Sequence <= m.rec.PeerFloor {
		return nil
	}
	return m.peerEvidence
}

// evidence returns what this node has to say.
func (m *Machine) evidence() Evidence {
	return Evidence{
		Version: evidenceVersion,
		Standing: Standing{
			Node: m.self, Resource: m.resource, Peer: m.peer,
			Live: m.state.Live, Role: m.state.Role, Connection: m.state.Connection,
			Promoted: m.local.Promoted, Mounted: m.local.Mounted,
			PrimarySince: m.local.PrimarySince, LastPromoted: m.local.LastPromoted,
			OtherNodes: m.state.OtherNodes, Policy: m.policy, PolicyBroken: m.policyErr != "",
			Phase: m.rec.Phase, Incident: m.rec.Incident, Victim: m.rec.Verdict.Victim, Refusal: m.rec.Refusal,
			Commitment: m.rec.Commitment, Answers: m.answer(), Waiting: m.waiting,
			Order: m.rec.Order, Snapshot: m.rec.Snapshot, LostAt: m.rec.LostAt,
		},
		Volumes: m.volumes, Words: m.rec.Words, History: m.rec.History,
	}
}
