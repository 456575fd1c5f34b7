package drbd

import "fmt"

// ChangeKind says what an event did to a [State].
type ChangeKind string

// The kinds of change.
const (
	Created   ChangeKind = "created"   // a new object; one Set change per key follows
	Set       ChangeKind = "set"       // one key has another value
	Destroyed ChangeKind = "destroyed" // the object is gone
	Renamed   ChangeKind = "renamed"   // the resource has another name: Old, New
	Called    ChangeKind = "called"    // the kernel calls the helper named by New
	Responded ChangeKind = "responded" // the helper named by New has ended with Code
	Complete  ChangeKind = "complete"  // the initial dump is over
	Lost      ChangeKind = "lost"      // Code lines are missing: the state must be rebuilt from a new dump
)

// Change is one difference that an [Event] made. What only --statistics prints,
// and the progress of a resync, changes silently: read it from the state. So
// the changes are the same whatever options events2 runs with.
type Change struct {
	Kind   ChangeKind
	Object Object
	ID     ID
	Key    string // DRBD's key, for Set
	Old    string // before; empty for an object that was just created
	New    string // after
	Code   int    // see Responded and Lost
}

// String is c for a person reading a log.
func (c Change) String() string {
	switch c.Kind {
	case Lost:
		return fmt.Sprintf("lost %d lines", c.Code)
	case Complete:
		return "complete"
	}
	s := fmt.Sprintf("%s %s %s", c.Kind, c.Object, c.ID.Resource)
	if c.ID.ConnName != "" {
		s += " " + c.ID.ConnName
	} else if c.ID.PeerNodeID != Absent {
		s += fmt.Sprintf(" peer %d", c.ID.PeerNodeID)
	}
	if c.ID.Volume != Absent {
		s += fmt.Sprintf("/%d", c.ID.Volume)
	}
	switch c.Kind {
	case Set:
		s += fmt.Sprintf(" %s:%s->%s", c.Key, c.Old, c.New)
	case Called:
		s += " " + c.New
	case Responded:
		s += fmt.Sprintf(" %s code %d", c.New, c.Code)
	case Renamed:
		s += " to " + c.New
	}
	return s
}
