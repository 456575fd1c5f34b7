package splitbrain

import "time"

// Effect is something to be done for a [Machine]. It is one of the types in
// this file.
//
// The effects of one list are done in order, and the lists of one machine in
// the order they came. Nothing after a [Persist] may be done unless it
// succeeded. SetMarker, Look, Snapshot, Discard, DropDiscard and Reconnect take
// time: there is at most one of them in a list, it is the last, no other is
// given before it was answered, and it may run aside while the machine handles
// other inputs.
type Effect interface{ effect() }

// Persist is to put Record on disk, atomically and durably, and to answer with
// [Persisted] at once: before the next effect, and before any other input.
type Persist struct{ Record Record }

// Publish is to make Evidence known to the peer. A failure is answered with
// [Published].
type Publish struct{ Evidence Evidence }

// SetMarker is to make the agent refuse promotion: the marker file on disk,
// the node attribute, and no promotion score. Answered with [MarkerSet].
type SetMarker struct{ Ticket uint64 }

// ClearMarker is to take back [SetMarker]; there may be nothing to take back.
// A failure is answered with [MarkerCleared].
type ClearMarker struct{}

// ReadIdentifiers is to read the generation identifiers and the changed bytes,
// without any lock. Answered with [Identified].
type ReadIdentifiers struct{}

// Look is to read everything afresh while holding the agent's lock, so that no
// action of the agent is half-way, and to answer with [Looked].
type Look struct{ Ticket uint64 }

// Snapshot is to make a snapshot of the backing devices of all volumes.
// Answered with [Snapshotted]; of several, all or none.
type Snapshot struct {
	Ticket   uint64
	Incident string
	Mode     SnapshotMode // required or if-possible
}

// Discard is to run, under the agent's lock, disconnect and connect
// --discard-my-data, after having made sure that this node is Secondary, not
// mounted, not connected, and that its data is [Unchanged] from Expect; if not,
// the answer is that nothing was sent. Answered with [Discarded].
type Discard struct {
	Ticket   uint64
	Incident string
	Expect   []Volume
}

// DropDiscard is to disconnect, so that DRBD forgets the order to discard,
// unless the connection is live by now. Answered with [Dropped].
type DropDiscard struct{ Ticket uint64 }

// Reconnect is to disconnect and connect, without discarding anything.
// Answered with [Reconnected].
type Reconnect struct{ Ticket uint64 }

// AlertKind is what an [Alert] is about.
type AlertKind string

// The kinds.
const (
	AlertFound     AlertKind = "found"
	AlertDecided   AlertKind = "decided"   // comes before anything is done about it
	AlertDiscarded AlertKind = "discarded" // DRBD accepted the order to discard
	AlertResolved  AlertKind = "resolved"
	AlertRefused   AlertKind = "refused"
	AlertFailed    AlertKind = "failed"
)

// Result is how a split brain ended.
type Result string

// The results.
const (
	ResultAutomatic Result = "automatic" // by this package's verdict
	ResultOrdered   Result = "ordered"   // likewise, as a person has ordered
	ResultByHand    Result = "by-hand"   // by a person, or by DRBD itself
	ResultDisproved Result = "disproved" // it was none
)

// Alert is to tell people: journal, metrics, command, webhook. It needs no
// answer and may come twice after a crash.
type Alert struct {
	Kind   AlertKind
	At     time.Time
	Text   string // one sentence
	Result Result // with AlertResolved
	Status Status
	Own    Evidence
	Peer   *Evidence // nil: there is none
}

func (Persist) effect()         {}
func (Publish) effect()         {}
func (SetMarker) effect()       {}
func (ClearMarker) effect()     {}
func (ReadIdentifiers) effect() {}
func (Look) effect()            {}
func (Snapshot) effect()        {}
func (Discard) effect()         {}
func (DropDiscard) effect()     {}
func (Reconnect) effect()       {}
func (Alert) effect()           {}
