package splitbrain

import "time"

// PolicyKind says which side's data a split brain costs.
type PolicyKind string

// The policies.
const (
	Manual                PolicyKind = "manual"                  // a person decides
	DiscardSecondary      PolicyKind = "discard-secondary"       // the node that is not Primary
	DiscardLeastChanges   PolicyKind = "discard-least-changes"   // the node that changed fewer bytes
	DiscardYoungerPrimary PolicyKind = "discard-younger-primary" // the node that became Primary last
	KeepNode              PolicyKind = "keep-node"               // the node that is not the one to keep
)

// SnapshotMode says whether the data to be discarded is kept in a snapshot.
type SnapshotMode string

// The modes.
const (
	SnapshotRequired   SnapshotMode = "required"    // no snapshot, no discard
	SnapshotIfPossible SnapshotMode = "if-possible" // a snapshot that fails is told, and the discard goes on
	SnapshotOff        SnapshotMode = "off"
)

// Valid reports whether m is one of the modes.
func (m SnapshotMode) Valid() bool {
	return m == SnapshotRequired || m == SnapshotIfPossible || m == SnapshotOff
}

// maxResolutions bounds what a record and an evidence remember.
const maxResolutions = 16

// clockMargin is how far apart two nodes' times must be to tell which of two
// promotions was the later one.
const clockMargin = 10 * time.Second

// Policy is what the configuration says about split brain. Both nodes must
// have the same. It is comparable.
type Policy struct {
	Kind        PolicyKind    `json:"kind"`
	Keep        string        `json:"keep,omitempty"` // the node to keep, for KeepNode
	Snapshot    SnapshotMode  `json:"snapshot"`
	CoolDown    time.Duration `json:"cool_down"`   // within this time at most
	Resolutions int           `json:"resolutions"` // so many automatic ones of a resource; 1 to 16
}

// Valid reports whether p can be followed. A manual policy needs nothing else.
func (p Policy) Valid() bool {
	switch p.Kind {
	case Manual:
		return true
	case KeepNode:
		if p.Keep == "" {
			return false
		}
	case DiscardSecondary, DiscardLeastChanges, DiscardYoungerPrimary:
	default:
		return false
	}
	return p.Snapshot.Valid() && p.CoolDown > 0 && p.Resolutions >= 1 && p.Resolutions <= maxResolutions
}
