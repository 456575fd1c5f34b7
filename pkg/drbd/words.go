package drbd

import (
	"slices"
	"strings"
)

// Role is what a node may do with a resource, in DRBD's spelling. A word that
// this package does not know survives as itself and is not Valid.
type Role string

// The roles. RoleUnknown is the peer's while there is no connection.
const (
	RoleUnknown   Role = "Unknown"
	RolePrimary   Role = "Primary"
	RoleSecondary Role = "Secondary"
)

// Valid reports whether r is one of DRBD's words.
func (r Role) Valid() bool { return slices.Contains(roles, string(r)) }

// DiskState is the condition of a volume's data on one node, in DRBD's
// spelling. A word that this package does not know survives as itself, is not
// Valid, and never counts as usable data.
type DiskState string

// The disk states. DUnknown is a peer's while there is no connection, unless
// DRBD knows better: a fenced peer is Outdated.
const (
	DiskDiskless     DiskState = "Diskless"
	DiskAttaching    DiskState = "Attaching"
	DiskDetaching    DiskState = "Detaching"
	DiskFailed       DiskState = "Failed"
	DiskNegotiating  DiskState = "Negotiating"
	DiskInconsistent DiskState = "Inconsistent"
	DiskOutdated     DiskState = "Outdated"
	DiskUnknown      DiskState = "DUnknown"
	DiskConsistent   DiskState = "Consistent"
	DiskUpToDate     DiskState = "UpToDate"
)

// Valid reports whether d is one of DRBD's words.
func (d DiskState) Valid() bool { return slices.Contains(diskStates, string(d)) }

// Transitional reports whether d ends by itself within a moment, so that
// nothing should be decided on it.
func (d DiskState) Transitional() bool {
	return d == DiskAttaching || d == DiskDetaching || d == DiskNegotiating
}

// ConnectionState is the condition of the link to one peer, in DRBD 9's
// spelling, which the tools also print for an 8.4 kernel. A word that this
// package does not know survives as itself and is not Valid.
type ConnectionState string

// The connection states. On an 8.4 kernel Connected is printed before the
// handshake is over: see [PeerDevice.Live].
const (
	ConnStandAlone     ConnectionState = "StandAlone"
	ConnDisconnecting  ConnectionState = "Disconnecting"
	ConnUnconnected    ConnectionState = "Unconnected"
	ConnTimeout        ConnectionState = "Timeout"
	ConnBrokenPipe     ConnectionState = "BrokenPipe"
	ConnNetworkFailure ConnectionState = "NetworkFailure"
	ConnProtocolError  ConnectionState = "ProtocolError"
	ConnTearDown       ConnectionState = "TearDown"
	ConnConnecting     ConnectionState = "Connecting"
	ConnConnected      ConnectionState = "Connected"
)

// Valid reports whether c is one of DRBD's words.
func (c ConnectionState) Valid() bool { return slices.Contains(connectionStates, string(c)) }

// ReplicationState is what happens to one volume over one connection, in
// DRBD's spelling. A word that this package does not know survives as itself
// and is not Valid.
type ReplicationState string

// The replication states.
const (
	ReplOff           ReplicationState = "Off"
	ReplEstablished   ReplicationState = "Established"
	ReplStartingSyncS ReplicationState = "StartingSyncS"
	ReplStartingSyncT ReplicationState = "StartingSyncT"
	ReplWFBitMapS     ReplicationState = "WFBitMapS"
	ReplWFBitMapT     ReplicationState = "WFBitMapT"
	ReplWFSyncUUID    ReplicationState = "WFSyncUUID"
	ReplSyncSource    ReplicationState = "SyncSource"
	ReplSyncTarget    ReplicationState = "SyncTarget"
	ReplVerifyS       ReplicationState = "VerifyS"
	ReplVerifyT       ReplicationState = "VerifyT"
	ReplPausedSyncS   ReplicationState = "PausedSyncS"
	ReplPausedSyncT   ReplicationState = "PausedSyncT"
	ReplAhead         ReplicationState = "Ahead"
	ReplBehind        ReplicationState = "Behind"
)

// Valid reports whether r is one of DRBD's words.
func (r ReplicationState) Valid() bool { return slices.Contains(replicationStates, string(r)) }

// Resyncing reports whether data moves, or is about to move, from one node to
// the other; a paused resync counts, an online verify does not.
func (r ReplicationState) Resyncing() bool {
	switch r {
	case ReplStartingSyncS, ReplStartingSyncT, ReplWFBitMapS, ReplWFBitMapT, ReplWFSyncUUID,
		ReplSyncSource, ReplSyncTarget, ReplPausedSyncS, ReplPausedSyncT:
		return true
	}
	return false
}

// Verifying reports whether an online verify runs.
func (r ReplicationState) Verifying() bool { return r == ReplVerifyS || r == ReplVerifyT }

// progresses reports whether DRBD prints "done:" in this state.
func (r ReplicationState) progresses() bool { return r.Resyncing() || r.Verifying() }

// The words of the enumerations above, the frequent ones first. Nothing writes
// to these lists.
var (
	roles      = []string{string(RoleUnknown), string(RolePrimary), string(RoleSecondary)}
	diskStates = []string{
		string(DiskUpToDate), string(DiskDiskless), string(DiskAttaching), string(DiskDetaching), string(DiskFailed),
		string(DiskNegotiating), string(DiskInconsistent), string(DiskOutdated), string(DiskUnknown), string(DiskConsistent),
	}
	connectionStates = []string{
		string(ConnConnected), string(ConnStandAlone), string(ConnDisconnecting), string(ConnUnconnected), string(ConnTimeout),
		string(ConnBrokenPipe), string(ConnNetworkFailure), string(ConnProtocolError), string(ConnTearDown), string(ConnConnecting),
	}
	replicationStates = []string{
		string(ReplOff), string(ReplEstablished), string(ReplStartingSyncS), string(ReplStartingSyncT), string(ReplWFBitMapS),
		string(ReplWFBitMapT), string(ReplWFSyncUUID), string(ReplSyncSource), string(ReplSyncTarget), string(ReplVerifyS),
		string(ReplVerifyT), string(ReplPausedSyncS), string(ReplPausedSyncT), string(ReplAhead), string(ReplBehind),
	}
)

// intern returns the word of list that equals s, or a copy of s that does not
// keep the whole line in memory.
func intern(list []string, s string) string {
	if i := slices.Index(list, s); i >= 0 {
		return list[i]
	}
	return strings.Clone(s)
}

// Tri is a fact that is true, false, or not known. The zero value is Unknown:
// an 8.4 kernel says nothing about quorum, and that must not read as "no".
type Tri uint8

// The three values.
const (
	Unknown Tri = iota
	No
	Yes
)

// ParseTri reads DRBD's yes and no; every other word is Unknown.
func ParseTri(s string) Tri {
	switch s {
	case "yes", "true":
		return Yes
	case "no", "false":
		return No
	}
	return Unknown
}

// String returns "yes", "no" or "unknown".
func (t Tri) String() string {
	switch t {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "unknown"
}

// MarshalText makes t readable in JSON.
func (t Tri) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is the reverse of MarshalText; it never fails.
func (t *Tri) UnmarshalText(b []byte) error {
	*t = ParseTri(string(b))
	return nil
}

// Suspended is the set of reasons for which DRBD holds back I/O of a resource,
// as the comma-separated list that events2 prints. The zero value is "not
// known", which counts as empty.
type Suspended string

// The reasons in a [Suspended] set, and the word for the empty set.
const (
	SuspendedNo      = "no"
	SuspendedUser    = "user"    // drbdadm suspend-io
	SuspendedNoData  = "no-data" // no UpToDate disk anywhere
	SuspendedFencing = "fencing" // a fence-peer handler is running, or failed
	SuspendedQuorum  = "quorum"  // lost quorum with on-no-quorum suspend-io
)

var suspendedSets = []string{SuspendedNo, SuspendedUser, SuspendedNoData, SuspendedFencing, SuspendedQuorum}

// Has reports whether reason is in the set.
func (s Suspended) Has(reason string) bool {
	if s.None() {
		return false
	}
	for w := range strings.SplitSeq(string(s), ",") {
		if w == reason {
			return true
		}
	}
	return false
}

// None reports whether I/O is not suspended.
func (s Suspended) None() bool { return s == "" || s == SuspendedNo }
