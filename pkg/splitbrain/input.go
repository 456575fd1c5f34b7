package splitbrain

import (
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// Input is something that happened, for [Machine.Handle]. It is one of the
// types in this file.
type Input interface{ input() }

// Word is DRBD's own word that it found a split brain with this peer. A word
// from before the connection was last live is about an older one, and ignored.
type Word struct {
	Kind WordKind
	At   time.Time // when DRBD said it, not when it was read
}

// Disk is the condition of one volume on this node.
type Disk struct {
	Volume int
	State  drbd.DiskState
}

// StateChanged is the state of the resource and of the connection to the peer,
// as a whole. The first one of a process starts the machine. Use [StateOf].
type StateChanged struct {
	At         time.Time // when DRBD said it; zero means now
	Role       drbd.Role
	Connection drbd.ConnectionState // empty: not configured, or the resource is down
	Live       bool                 // all volumes exchange data with the peer
	Disks      []Disk               // by volume
	Peers      int                  // other connections than this one
	OtherNodes int                  // those of them that lead to data: not diskless on purpose
}

// StateOf returns the state of r towards one peer. A nil resource is one that
// is down. An 8.4 kernel has one peer, number 0, and no connection once it is
// StandAlone.
func StateOf(r *drbd.Resource, peerNodeID int, at time.Time) StateChanged {
	s := StateChanged{At: at}
	if r == nil {
		return s
	}
	s.Role = r.Role
	if r.Kernel84 {
		s.Connection = drbd.ConnStandAlone
	}
	for _, d := range r.SortedDevices() {
		s.Disks = append(s.Disks, Disk{d.Volume, d.Disk})
	}
	for id, c := range r.Connections {
		if id == peerNodeID {
			s.Connection = c.State
			s.Live = allOf(c, (*drbd.PeerDevice).Live)
			continue
		}
		s.Peers++
		if !allOf(c, func(p *drbd.PeerDevice) bool { return p.PeerClient == drbd.Yes }) {
			s.OtherNodes++
		}
	}
	return s
}

// allOf reports whether c has volumes, and is is true of all of them.
func allOf(c *drbd.Connection, is func(*drbd.PeerDevice) bool) bool {
	for _, p := range c.PeerDevices {
		if !is(p) {
			return false
		}
	}
	return len(c.PeerDevices) > 0
}

// Local is what Pacemaker and the agent say of the group on this node.
type Local struct {
	Promoted, Mounted drbd.Tri
	PrimarySince      time.Time // zero: is not Primary, or not known
	LastPromoted      time.Time // zero: never, or not known
}

// Identified answers [ReadIdentifiers]. The disk states of Volumes are not
// looked at; they come with [StateChanged].
type Identified struct {
	Volumes []Volume
	Err     error
}

// PeerEvidence is what the peer has published. Evidence that is not the peer's,
// not about this resource, or older than what is known, is ignored.
type PeerEvidence struct{ Evidence Evidence }

// PeerGone says that the peer's attribute is gone, usually with the peer.
type PeerGone struct{}

// PolicyChanged is what the configuration says now. With Err the file is
// broken: Policy is not looked at, the old one stays known, and nothing is
// discarded until the file can be read again.
type PolicyChanged struct {
	Policy Policy
	Err    string // one line for people
}

// Persisted answers [Persist].
type Persisted struct {
	Revision uint64
	Err      error
}

// Published answers [Publish] where it failed; success needs no answer.
type Published struct{ Err error }

// MarkerSet answers [SetMarker].
type MarkerSet struct {
	Ticket uint64
	Err    error
}

// MarkerCleared answers [ClearMarker] where it failed; success needs no answer.
type MarkerCleared struct{ Err error }

// Looked answers [Look].
type Looked struct {
	Ticket  uint64
	State   StateChanged
	Volumes []Volume
	Err     error

	Promoted, Mounted drbd.Tri
}

// Snapshotted answers [Snapshot]. Name is that of the snapshot, or of several.
type Snapshotted struct {
	Ticket uint64
	Name   string
	Err    error
}

// Discarded answers [Discard]. Sent is Yes when DRBD accepted the order, No
// when it certainly does not hold it, Unknown otherwise.
type Discarded struct {
	Ticket uint64
	Sent   drbd.Tri
	Err    error
}

// Dropped answers [DropDiscard].
type Dropped struct {
	Ticket uint64
	Err    error
}

// Reconnected answers [Reconnect].
type Reconnected struct {
	Ticket uint64
	Err    error
}

// Lift is a person's order to forget a hold and to try again. It takes back
// neither a promise to the peer nor an order that DRBD may still hold.
type Lift struct{}

// Ordered is a person's order, given on this node, to discard the data of Victim
// in the split brain Incident, whatever the policy says. See [Order].
type Ordered struct {
	Incident string
	Victim   string
	Snapshot SnapshotMode
}

// Tick is time going by; about one a second.
type Tick struct{}

func (Word) input()          {}
func (StateChanged) input()  {}
func (Local) input()         {}
func (Identified) input()    {}
func (PeerEvidence) input()  {}
func (PeerGone) input()      {}
func (PolicyChanged) input() {}
func (Persisted) input()     {}
func (Published) input()     {}
func (MarkerSet) input()     {}
func (MarkerCleared) input() {}
func (Looked) input()        {}
func (Snapshotted) input()   {}
func (Discarded) input()     {}
func (Dropped) input()       {}
func (Reconnected) input()   {}
func (Lift) input()          {}
func (Ordered) input()       {}
func (Tick) input()          {}
