package splitbrain

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
)

// The version of [Evidence] that this package writes and reads, and how much
// JSON it may be; Pacemaker's attributes are not made for more.
const (
	evidenceVersion = 1
	maxEvidence     = 16 << 10
)

// ErrEvidence reports text that is not evidence, or of another version.
var ErrEvidence = errors.New("not split brain evidence")

// WordKind is how DRBD said that it found a split brain.
type WordKind string

// The kinds.
const (
	WordHelper  WordKind = "helper"  // events2: call helper … helper:split-brain
	WordKernel  WordKind = "kernel"  // the kernel's message
	WordHandler WordKind = "handler" // a record of drbdnfs-handler
)

// Saying is one word of DRBD's, with DRBD's own time of it.
type Saying struct {
	Kind WordKind  `json:"kind"`
	At   time.Time `json:"at"`
}

// Volume is one volume of a node, as compared with the peer's.
type Volume struct {
	Volume       int            `json:"volume"`
	Disk         drbd.DiskState `json:"disk"`
	Identifiers  gi.Identifiers `json:"gi"`
	ChangedBytes int64          `json:"changed"` // out of sync towards the peer; negative is not known
}

// Resolution is one split brain that was resolved automatically.
type Resolution struct {
	Incident string    `json:"incident"`
	At       time.Time `json:"at"`
}

// Standing is the part of an [Evidence] that is one value each.
type Standing struct {
	Node         string               `json:"node"`
	Resource     string               `json:"resource"`
	Peer         string               `json:"peer"`
	Live         bool                 `json:"live,omitempty"` // the connection exchanges data
	Role         drbd.Role            `json:"role"`
	Connection   drbd.ConnectionState `json:"connection"`
	Promoted     drbd.Tri             `json:"promoted"` // by Pacemaker
	Mounted      drbd.Tri             `json:"mounted"`
	PrimarySince time.Time            `json:"primary_since,omitzero"` // zero: is not Primary, or not known
	LastPromoted time.Time            `json:"last_promoted,omitzero"` // zero: never, or not known
	OtherNodes   int                  `json:"other_nodes,omitempty"`  // with data, besides the two
	Policy       Policy               `json:"policy"`
	PolicyBroken bool                 `json:"policy_broken,omitempty"` // the file cannot be read; Policy is the old one
	Phase        Phase                `json:"phase"`
	Incident     string               `json:"incident,omitempty"`
	Victim       string               `json:"victim,omitempty"` // of the verdict
	Refusal      Refusal              `json:"refusal,omitempty"`
	Commitment   string               `json:"commitment,omitempty"` // the incident that Node promises to survive
	Answers      uint64               `json:"answers,omitempty"`    // the peer's Sequence that Commitment answers
	Waiting      bool                 `json:"waiting,omitempty"`    // connect --discard-my-data was accepted; the survivor may connect
	Order        Order                `json:"order,omitzero"`       // a person's, that Node knows of
	Snapshot     string               `json:"snapshot,omitempty"`   // of the data that is being discarded
	LostAt       time.Time            `json:"lost_at,omitzero"`     // when Node saw the connection end; zero: it did not
}

// Evidence is what one node tells the other of one resource.
type Evidence struct {
	Version  int       `json:"version"`
	Sequence uint64    `json:"sequence"` // grows with each that Node publishes
	At       time.Time `json:"at"`       // by Node's clock; for people
	Standing
	Volumes []Volume     `json:"volumes,omitempty"` // by number; none while live, or not known
	Words   []Saying     `json:"words,omitempty"`   // DRBD's own, of this split brain
	History []Resolution `json:"history,omitempty"` // automatic ones, the oldest first
}

// Marshal returns e as base64 of JSON, to be the value of an attribute.
// Evidence of more than 16 KiB is [ErrEvidence].
func (e Evidence) Marshal() (string, error) {
	versioned := e
	versioned.Version = evidenceVersion
	data, err := json.Marshal(versioned)
	if err != nil {
		return "", fmt.Errorf("write evidence of %s: %w", e.Node, err)
	}
	if len(data) > maxEvidence {
		return "", fmt.Errorf("%w: %d bytes of %s", ErrEvidence, len(data), e.Node)
	}
	return base64.StdEncoding.EncodeToString(data), nil
}

// UnmarshalEvidence is the reverse of [Evidence.Marshal]. Fields that it does
// not know are left out; another version, more than 16 KiB, and evidence that
// names no node, peer or resource or a volume twice is [ErrEvidence].
func UnmarshalEvidence(text string) (Evidence, error) {
	if base64.StdEncoding.DecodedLen(len(text)) > maxEvidence+2 {
		return Evidence{}, fmt.Errorf("%w: %d characters", ErrEvidence, len(text))
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Evidence{}, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	var e Evidence
	if err := json.Unmarshal(data, &e); err != nil {
		return Evidence{}, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	if e.Version != evidenceVersion {
		return Evidence{}, fmt.Errorf("%w: version %d, want %d", ErrEvidence, e.Version, evidenceVersion)
	}
	if e.Node == "" || e.Peer == "" || e.Resource == "" {
		return Evidence{}, fmt.Errorf("%w: of node %q, peer %q, resource %q", ErrEvidence, e.Node, e.Peer, e.Resource)
	}
	slices.SortFunc(e.Volumes, byNumber)
	for i := 1; i < len(e.Volumes); i++ {
		if e.Volumes[i].Volume == e.Volumes[i-1].Volume {
			return Evidence{}, fmt.Errorf("%w: volume %d twice", ErrEvidence, e.Volumes[i].Volume)
		}
	}
	return e, nil
}

// Unchanged reports whether the data of now is that of expect: the same volumes
// with the same current and bitmap UUIDs. The current ones alone do not tell: a
// node that was the source of a resync keeps its current UUID, and only its
// bitmap UUID says that the peer has caught up. The executor of [Discard] asks
// this last of all.
func Unchanged(expect, now []Volume) bool {
	return len(expect) > 0 && slices.EqualFunc(expect, now, func(a, b Volume) bool {
		x, y := a.Identifiers, b.Identifiers
		return a.Volume == b.Volume && x.Current.Masked() == y.Current.Masked() && x.Bitmap.Masked() == y.Bitmap.Masked()
	})
}

func byNumber(a, b Volume) int { return a.Volume - b.Volume }

// sameAs reports whether e says what o says.
func (e *Evidence) sameAs(o *Evidence) bool {
	return e.Standing == o.Standing && slices.Equal(e.Volumes, o.Volumes) &&
		slices.Equal(e.Words, o.Words) && slices.Equal(e.History, o.History)
}
