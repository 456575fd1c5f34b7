package drbd

import (
	"strconv"
	"strings"
	"time"
)

// Verb is the first word of a line of events2. A verb that this package does
// not know survives as itself.
type Verb string

// The verbs.
const (
	VerbExists   Verb = "exists"   // part of the initial dump; without an object, its end
	VerbCreate   Verb = "create"   // a new object with all its keys
	VerbChange   Verb = "change"   // only what differs, possibly nothing
	VerbDestroy  Verb = "destroy"  // identity only
	VerbCall     Verb = "call"     // the kernel calls a helper
	VerbResponse Verb = "response" // the helper has ended
	VerbRename   Verb = "rename"   // identity and new_name
	VerbSkipped  Verb = "-"        // lines were lost: "- skipped N"
)

// Object is the second word of a line: what the line is about.
type Object string

// The objects. ObjectNone is printed as "-".
const (
	ObjectNone       Object = "-"
	ObjectResource   Object = "resource"
	ObjectConnection Object = "connection"
	ObjectDevice     Object = "device"
	ObjectPeerDevice Object = "peer-device"
	ObjectPath       Object = "path"
	ObjectHelper     Object = "helper"
)

// Absent is the value of a number in an [Event] whose line does not hold it.
const Absent = -1

// ID says which object of a resource an [Event] or a [Change] is about. What
// does not apply is empty or [Absent].
type ID struct {
	Resource   string
	PeerNodeID int    // always 0 on an 8.4 kernel
	ConnName   string // always "peer" on an 8.4 kernel, or missing
	Volume     int
	Minor      int
	Local      string // local end of a path, "ipv4:192.168.2.61:7000"
	Peer       string // far end of a path
}

// NoID is the ID of nothing, to start from.
func NoID() ID { return ID{PeerNodeID: Absent, Volume: Absent, Minor: Absent} }

// Field is one key and its value as printed. Values never hold white space.
type Field struct {
	Key, Value string
}

// Event is one line of drbdsetup events2. The strings may be parts of the line
// they came from; [State.Apply] copies what it keeps.
type Event struct {
	Time    time.Time // zero without --timestamps
	Verb    Verb
	Object  Object
	ID      ID
	Fields  []Field // every key that is not identity, known or not, in the order of the line
	Skipped int     // lines lost before this one, for VerbSkipped
}

// DumpEnd reports whether e is "exists -", the end of the initial dump.
func (e Event) DumpEnd() bool { return e.Verb == VerbExists && e.Object == ObjectNone }

// Get returns the value of key, and whether the line holds it.
func (e Event) Get(key string) (string, bool) {
	for i := range e.Fields {
		if e.Fields[i].Key == key {
			return e.Fields[i].Value, true
		}
	}
	return "", false
}

// Helper returns the name of the helper of a call or a response, for example
// "split-brain", or nothing.
func (e Event) Helper() string {
	h, _ := e.Get("helper")
	return h
}

// HelperMissing is what [Event.HelperExit] returns for a helper that could not
// be run.
const HelperMissing = -1

// HelperExit returns how the helper of a response ended: its exit code, 128
// plus the signal that killed it, or [HelperMissing] when it could not be run.
// ok is false for a line without a status.
//
// events2 prints the raw wait status: exit code 7 is 1792, and a program that
// does not exist is 4294967294 (-ENOENT as an unsigned number).
func (e Event) HelperExit() (code int, ok bool) {
	s, found := e.Get("status")
	if !found {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, false
	}
	switch status := int32(uint32(n)); { //nolint:gosec // the kernel's int, printed as unsigned
	case status < 0:
		return HelperMissing, true
	case status&0x7f != 0:
		return 128 + int(status&0x7f), true
	default:
		return int(status >> 8 & 0xff), true
	}
}

// String returns the line of e without its timestamp, as DRBD 9 would print
// it: identity first, then the fields.
func (e Event) String() string {
	if e.Verb == VerbSkipped {
		return "- skipped " + strconv.Itoa(e.Skipped)
	}
	var b strings.Builder
	b.WriteString(string(e.Verb))
	b.WriteByte(' ')
	b.WriteString(string(e.Object))
	put := func(key, value string) {
		b.WriteByte(' ')
		b.WriteString(key)
		b.WriteByte(':')
		b.WriteString(value)
	}
	if e.ID.Resource != "" {
		put("name", e.ID.Resource)
	}
	if e.ID.PeerNodeID != Absent {
		put("peer-node-id", strconv.Itoa(e.ID.PeerNodeID))
	}
	if e.ID.ConnName != "" {
		put("conn-name", e.ID.ConnName)
	}
	if e.ID.Local != "" {
		put("local", e.ID.Local)
	}
	if e.ID.Peer != "" {
		put("peer", e.ID.Peer)
	}
	if e.ID.Volume != Absent {
		put("volume", strconv.Itoa(e.ID.Volume))
	}
	if e.ID.Minor != Absent {
		put("minor", strconv.Itoa(e.ID.Minor))
	}
	for _, f := range e.Fields {
		put(f.Key, f.Value)
	}
	return b.String()
}
