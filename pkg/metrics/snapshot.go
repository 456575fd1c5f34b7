package metrics

import (
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// Snapshot is all that one scrape shows of states, as plain data. The daemon
// fills one, hands it out through [Options].Source and never changes it again;
// scrapes read it while the daemon goes on.
type Snapshot struct {
	// DRBD is a clone of the state; nil, or one whose dump is not complete, shows
	// no DRBD object at all.
	DRBD *drbd.State
	// Resources is how many resources DRBD has, where DRBD is a clone of those
	// alone that are shown; 0 is that it has them all.
	Resources int
	// StreamUp says that events2 runs and its dump is complete.
	StreamUp bool
	// Kernel and Utils are the versions of the module and of drbd-utils, such as
	// "9.1.23"; empty is not known.
	Kernel, Utils string
	// UsermodeHelper says whether the kernel calls helpers: No means that a
	// split brain is not announced in events2.
	UsermodeHelper drbd.Tri
	// SplitBrains holds a record for each connection that has one, also when
	// DRBD does not show the connection any more. A connection of DRBD that is
	// not in it shows "no split brain".
	SplitBrains map[Peer]SplitBrain
	// Policies is the word of the split brain policy of each managed resource.
	Policies map[string]string
	// Groups are the NFS groups of this node, each name once.
	Groups []Group
	// NFSD is the kernel's NFS server; nil is not looked at.
	NFSD *NFSD
}

// Peer names one connection of one resource.
type Peer struct {
	Resource   string
	NodeID     int    // 0 on an 8.4 kernel
	Connection string // DRBD's name of it; "peer" on an 8.4 kernel
}

// SplitBrain is what is known of a split brain on one connection.
type SplitBrain struct {
	Found      bool      // stays true until the connection is live again
	Phase      string    // of [Phases], empty is none; another word is shown as it is
	DetectedAt time.Time // zero is not known
}

// Phases are the words of [SplitBrain].Phase, in the order in which a
// resolution goes through them. The caller owns the slice.
func Phases() []string {
	return []string{"none", "found", "decided", "snapshotting", "discarding", "reconnecting", "held"}
}

// Group is one NFS group as this node sees it.
type Group struct {
	Name   string
	Active bool // the service runs on this node
	// Steps tells whether each of drbd, filesystem, nfsd, export and vip is
	// right; it is shown where the group is active only.
	Steps map[string]bool
	// Exports is the number of exported directories; negative is not known.
	Exports int
	// Announcements counts the ARP and neighbour announcements since the daemon
	// started, by family: ipv4, ipv6.
	Announcements map[string]uint64
}

// NFSD is the state of the kernel's NFS server.
type NFSD struct {
	Threads int      // 0 is stopped; negative is not known
	InGrace drbd.Tri // clients reclaim locks; new ones wait
	Clients int      // NFSv4 clients; negative where the kernel does not tell
}
