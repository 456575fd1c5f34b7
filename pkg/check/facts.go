package check

import (
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/declare"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/snapshot"
)

// Facts is what the sources saw. A part that is nil was not seen: it is in
// Unseen, or it does not apply to this node.
type Facts struct {
	Self   string // this node
	Config *config.Config
	Now    time.Time
	Unseen []Unseen

	Plan     []setup.Part // what setup would do
	Declared *Declared
	Cluster  *pacemaker.Status
	CIB      *CIB
	History  *History
	Links    *Links
	Votes    *Votes
	DRBD     *DRBDFacts
	Options  map[string][]string // DRBD's options in force, a value for each place
	Handler  *string             // what DRBD runs after a split brain, "" for nothing
	Kept     *[]snapshot.Snapshot
	Room     *Room
	Volume   *Volume
	State    *State
	Block    *Block
	Units    *Units
	SELinux  *SELinux
	Clocks   map[string]Clock // by node
	Ports    *[]Port          // what the node's portmapper has
	Times    *Times
	Metrics  *Metrics
}

// Unseen is a source that could not look.
type Unseen struct {
	Source string
	Area   Area
	Why    string
}

// Declared is what the nodes say of themselves.
type Declared struct {
	Own   declare.Node            // as it is now, by the file and the installed programs
	Nodes map[string]declare.Node // as their daemons have published it, this node's included
}

// CIB is what is looked for in Pacemaker's configuration and status.
type CIB struct {
	Constraints []string        // ids
	FailCounts  []FailCount     //
	Fence       map[string]bool // fence devices: whether they are disabled
}

// FailCount is how often an operation of a resource has failed on a node.
type FailCount struct {
	Node, Resource, Operation string
	Count                     int // -1 is INFINITY
}

// History is Pacemaker's memory of fencing, the newest first.
type History struct{ Events []FenceEvent }

// FenceEvent is one try to fence a node.
type FenceEvent struct {
	Target, Action, Status string // status: success, failed, pending
	Completed              string
	Reason                 string
}

// Links are corosync's links that are not connected.
type Links struct{ Down []string }

// Votes are settings of corosync's quorum.
type Votes struct{ WaitForAll string } // "" where it is not set

// DRBDFacts are facts of the DRBD of this node.
type DRBDFacts struct {
	Kernel, Utils string
	Helper        drbd.Tri // whether the kernel calls handlers
	Problem       string   // why the utilities do not fit the kernel, "" when they do
}

// Room says whether the volume group has room for a snapshot.
type Room struct{ Missing string } // "" when it has

// Volume is how full the mounted file system is.
type Volume struct{ Size, Free, Inodes, InodesFree int64 }

// State is where the NFS state directory leads.
type State struct {
	Place   nfs.Place
	Mounted bool // the volume is mounted on this node
}

// Block says whether the service's ports are blocked on this node.
type Block struct {
	There  bool
	Action string // that the agent is in the middle of, "" for none
}

// Units are services that have failed.
type Units struct {
	Failed []string
	Boot   string // load state of the unit that mends the state link at boot
}

// SELinux are denials since the last boot.
type SELinux struct {
	Enforcing bool
	NoTool    bool // ausearch is not installed
	Denials   []string
}

// Clock is what a node's clock said.
type Clock struct {
	Known bool
	Ahead time.Duration // of this node's
}

// Port is one entry of the portmapper.
type Port struct {
	Program  int
	Protocol string
	Port     int
}

// Times are the kernel's NFSv4 times.
type Times struct{ Lease, Grace time.Duration }

// Metrics is whether drbdnfsd answers where its metrics are to be.
type Metrics struct{ Address, Problem string }
