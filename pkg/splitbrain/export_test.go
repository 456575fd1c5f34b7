package splitbrain

import (
	"maps"
	"slices"
)

// DecideRefusals are the refusals that Decide itself may give.
var DecideRefusals = []Refusal{
	RefusalManual, RefusalPolicyBroken, RefusalPolicy, RefusalPolicyDiffer, RefusalMismatch, RefusalNoWord, RefusalNotProven,
	RefusalUnrelated, RefusalFullSync, RefusalVolumes, RefusalMixed, RefusalMoreNodes, RefusalDisk, RefusalVictimInUse,
	RefusalBothPrimary, RefusalNoPrimary, RefusalEqual, RefusalNoChanges, RefusalNoTimes, RefusalOrderAlone, RefusalOrdersDiffer,
}

// AllRefusals returns every refusal.
func AllRefusals() []Refusal { return slices.Sorted(maps.Keys(refusals)) }

// ChangedTo sets the changed bytes of the first volume.
func (e *Evidence) ChangedTo(bytes int64) {
	e.Volumes = slices.Clone(e.Volumes)
	e.Volumes[0].ChangedBytes = bytes
}

// Override is what an order does about r: "goes on", "stays", or another refusal.
func (r Refusal) Override() string { return overrides[r] }
