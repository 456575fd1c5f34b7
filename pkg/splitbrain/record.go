package splitbrain

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Phase is how far the handling of a split brain has come.
type Phase string

// The phases. A victim goes none, found, decided, snapshotting, discarding,
// none; a survivor none, found, decided, reconnecting, none. Either can be
// held at any time, with a [Refusal].
const (
	PhaseNone         Phase = "none"
	PhaseFound        Phase = "found"        // nothing is known yet that would decide it
	PhaseDecided      Phase = "decided"      // the victim waits for the survivor's promise, the survivor for the victim
	PhaseSnapshotting Phase = "snapshotting" // the victim gets ready; nothing was sent to DRBD
	PhaseDiscarding   Phase = "discarding"   // the victim is sending, or has sent, connect --discard-my-data
	PhaseReconnecting Phase = "reconnecting" // the survivor connects
	PhaseHeld         Phase = "held"
)

// Valid reports whether p is one of the phases.
func (p Phase) Valid() bool {
	switch p {
	case PhaseNone, PhaseFound, PhaseDecided, PhaseSnapshotting, PhaseDiscarding, PhaseReconnecting, PhaseHeld:
		return true
	}
	return false
}

const recordVersion = 1

// lost stands for an incident that the record of was lost.
const lost = "lost"

// ErrRecord reports a state file that cannot be trusted.
var ErrRecord = errors.New("not a split brain record")

// Record is what a [Machine] must find again after a restart. The machine
// replaces its slices and never changes them, so a copy stays as it was.
type Record struct {
	Version   int       `json:"version"`
	Revision  uint64    `json:"revision"` // grows with each that was to be saved
	Resource  string    `json:"resource"`
	Peer      string    `json:"peer"`
	Phase     Phase     `json:"phase"`
	FoundAt   time.Time `json:"found_at,omitzero"`
	Words     []Saying  `json:"words,omitempty"`      // DRBD's own, of this split brain
	Proven    bool      `json:"proven,omitempty"`     // by the identifiers of both nodes
	PeerSaid  bool      `json:"peer_said,omitempty"`  // DRBD said it on the peer
	SettledAt time.Time `json:"settled_at,omitzero"`  // from when on Pacemaker had time to sort itself out
	Incident  string    `json:"incident,omitempty"`   // of Verdict
	Verdict   Verdict   `json:"verdict,omitzero"`     // the last one
	Refusal   Refusal   `json:"refusal,omitempty"`    // while held
	HeldAt    time.Time `json:"held_at,omitzero"`     // since when by Refusal
	Told      Refusal   `json:"told,omitempty"`       // the last that an alert was about
	Snapshot  string    `json:"snapshot,omitempty"`   // of the data that is being discarded
	Attempts  int       `json:"attempts,omitempty"`   // to discard, begun in this split brain
	LiftedAt  time.Time `json:"lifted_at,omitzero"`   // by a person
	Order     Order     `json:"order,omitzero"`       // a person's, of this split brain
	OrderedAt time.Time `json:"ordered_at,omitzero"`  // when this node learnt of it, by its own clock
	Obeyed    bool      `json:"obeyed,omitempty"`     // the hold was lifted for Order
	Void      Order     `json:"void,omitzero"`        // the last one that counts no more
	LostAt    time.Time `json:"lost_at,omitzero"`     // when the connection ended; zero: was not seen
	LastLive  time.Time `json:"last_live,omitzero"`   // when the connection was last seen exchanging data
	PeerFloor uint64    `json:"peer_floor,omitempty"` // the peer's evidence up to here is from before LastLive
	Sequence  uint64    `json:"sequence,omitempty"`   // of the last evidence published
	Pledge
}

// Pledge is the part of a [Record] that must be on disk before anybody acts on
// it. What was not saved is taken back.
type Pledge struct {
	Commitment     string       `json:"commitment,omitempty"`      // the incident this node promised to survive
	Intent         string       `json:"intent,omitempty"`          // the incident this node began to discard for
	Sent           bool         `json:"sent,omitempty"`            // DRBD may hold the order to discard
	Tried          string       `json:"tried,omitempty"`           // the incident a discard was sent for
	PeerDiscarding bool         `json:"peer_discarding,omitempty"` // the peer did so
	History        []Resolution `json:"history,omitempty"`         // the latest, the oldest first
}

// Lost returns the record for a state file that cannot be read. A machine that
// starts with it is held, withdraws an order to discard that DRBD may hold, and
// never discards until the connection was live.
func Lost(resource, peer string) Record {
	return Record{
		Version: recordVersion, Resource: resource, Peer: peer, Phase: PhaseHeld, Refusal: RefusalLost,
		Pledge: Pledge{Commitment: lost, Intent: lost, Sent: true},
	}
}

// Marshal returns r as indented JSON, for a file.
func (r Record) Marshal() ([]byte, error) {
	versioned := r
	versioned.Version = recordVersion
	data, err := json.MarshalIndent(versioned, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write record of %s and %s: %w", r.Resource, r.Peer, err)
	}
	return append(data, '\n'), nil
}

// UnmarshalRecord is the reverse of [Record.Marshal]. Anything else, another
// version included, is [ErrRecord]: go on with [Lost].
func UnmarshalRecord(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if r.Version != recordVersion || r.Resource == "" || r.Peer == "" || !r.Phase.Valid() {
		return Record{}, fmt.Errorf("%w: version %d, resource %q, peer %q, phase %q", ErrRecord, r.Version, r.Resource, r.Peer, r.Phase)
	}
	return r, nil
}

// resolvedAutomatically adds an incident to the history, or moves it to its end.
func (p *Pledge) resolvedAutomatically(incident string, at time.Time) {
	history := make([]Resolution, 0, len(p.History)+1)
	for _, h := range p.History {
		if h.Incident != incident {
			history = append(history, h)
		}
	}
	history = append(history, Resolution{incident, at})
	p.History = history[max(0, len(history)-maxResolutions):]
}

// resolutions counts the incidents but one that either node knows to have been
// resolved automatically since a time.
func resolutions(own, peer []Resolution, but string, since time.Time) int {
	counts := func(h Resolution) bool { return h.Incident != but && h.At.After(since) }
	n := 0
	for _, h := range own {
		if counts(h) {
			n++
		}
	}
	for _, h := range peer {
		if counts(h) && !slices.ContainsFunc(own, func(o Resolution) bool { return o.Incident == h.Incident && counts(o) }) {
			n++
		}
	}
	return n
}
