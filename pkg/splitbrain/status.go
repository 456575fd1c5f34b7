package splitbrain

import (
	"fmt"
	"time"
)

// Commands are what a person runs on one node.
type Commands struct {
	Node     string   `json:"node"` // or what kind of node it is, while that is not decided
	Commands []string `json:"commands"`
}

// Status is what a machine shows to people and metrics.
type Status struct {
	Resource     string     `json:"resource"`
	Node         string     `json:"node"`
	Peer         string     `json:"peer"`
	Phase        Phase      `json:"phase"`
	FoundAt      time.Time  `json:"found_at,omitzero"`
	Proofs       []string   `json:"proofs,omitempty"` // helper, kernel, handler, identifiers, peer
	Incident     string     `json:"incident,omitempty"`
	Verdict      Verdict    `json:"verdict,omitzero"`
	Refusal      Refusal    `json:"refusal,omitempty"`
	HeldAt       time.Time  `json:"held_at,omitzero"`
	Why          string     `json:"why,omitempty"`          // of the refusal, a sentence
	Remedy       string     `json:"remedy,omitempty"`       // likewise
	Commands     []Commands `json:"commands,omitempty"`     // to resolve it by hand
	MayBeSent    bool       `json:"may_be_sent,omitempty"`  // DRBD may hold an order to discard
	Committed    bool       `json:"committed,omitempty"`    // this node has promised to keep its data
	Snapshot     string     `json:"snapshot,omitempty"`     // of the data that is being discarded
	Order        Order      `json:"order,omitzero"`         // a person's
	PolicyError  string     `json:"policy_error,omitempty"` // the configuration cannot be read
	PeerPhase    Phase      `json:"peer_phase,omitempty"`   // empty: the peer says nothing
	PeerRefusal  Refusal    `json:"peer_refusal,omitempty"`
	LastResolved time.Time  `json:"last_resolved,omitzero"` // automatically
	Resolutions  int        `json:"resolutions"`            // automatic ones that count for the cool-down
}

// Status returns how things are.
func (m *Machine) Status() Status {
	s := Status{
		Resource: m.resource, Node: m.self, Peer: m.peer, Phase: m.rec.Phase, FoundAt: m.rec.FoundAt, Proofs: m.proofs(),
		Incident: m.rec.Incident, Verdict: m.rec.Verdict, MayBeSent: m.rec.Sent, Committed: m.rec.Commitment != "",
		Snapshot: m.rec.Snapshot, Order: m.rec.Order, PolicyError: m.policyErr,
	}
	if m.rec.Phase == PhaseHeld {
		s.Refusal, s.HeldAt = m.rec.Refusal, m.rec.HeldAt
		s.Why, s.Remedy = s.Refusal.Explain()
	}
	if m.rec.Phase != PhaseNone {
		s.Commands = commands(m.rec.Verdict, m.resource, m.peer, m.self, m.state.Peers > 0)
	}
	if n := len(m.rec.History); n > 0 {
		s.LastResolved = m.rec.History[n-1].At
	}
	var peer []Resolution
	if m.peerEvidence != nil {
		s.PeerPhase, s.PeerRefusal = m.peerEvidence.Phase, m.peerEvidence.Refusal
		peer = m.peerEvidence.History
	}
	s.Resolutions = resolutions(m.rec.History, peer, "", m.coolDownStart())
	return s
}

// ByHand is what a person runs to have victim discard its data of resource and
// survivor keep its own. With more than these two nodes each command names the
// connection.
func ByHand(resource, victim, survivor string, more bool) []Commands {
	return commands(Verdict{Victim: victim, Survivor: survivor}, resource, survivor, victim, more)
}

// commands are those of DRBD's manual, for the side that loses and the one
// that stays. With more than two nodes they name the connection, so that the
// others stay connected.
func commands(v Verdict, resource, peer, self string, more bool) []Commands {
	victim, survivor := v.Victim, v.Survivor
	if victim == "" {
		victim, survivor = "the node whose data is discarded", "the node whose data is kept"
	}
	target := func(node string) string {
		switch {
		case !more:
			return resource
		case v.Victim == "":
			return resource + ":PEER"
		case node == self:
			return resource + ":" + peer
		}
		return resource + ":" + self
	}
	return []Commands{
		{victim, []string{
			"drbdadm disconnect " + target(v.Victim),
			"drbdadm secondary " + resource,
			"drbdadm connect --discard-my-data " + target(v.Victim),
		}},
		{survivor, []string{
			"drbdadm disconnect " + target(v.Survivor),
			"drbdadm connect " + target(v.Survivor),
		}},
	}
}

func (m *Machine) alert(kind AlertKind, text string) {
	m.alerts = append(m.alerts, Alert{Kind: kind, At: m.now, Text: text, Status: m.Status(), Own: m.evidence(), Peer: m.peerEvidence})
}

func (m *Machine) alertDiscarded() {
	m.alert(AlertDiscarded, fmt.Sprintf("%s told DRBD to discard its data of %s since the divergence from %s", m.self, m.resource, m.peer))
}

func (m *Machine) alertResolved(result Result) {
	m.alert(AlertResolved, fmt.Sprintf("split brain of %s with %s is over (%s)", m.resource, m.peer, result))
	a := m.alerts[len(m.alerts)-1].(Alert)
	a.Result = result
	m.alerts[len(m.alerts)-1] = a
}
