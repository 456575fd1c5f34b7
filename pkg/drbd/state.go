package drbd

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// State is what one node knows of DRBD. It is built by feeding every line of
// one events2 stream to [State.Apply] and is not safe for concurrent use: one
// goroutine owns it and hands out a [State.Clone].
type State struct {
	Resources map[string]*Resource
	Complete  bool // the initial dump is over
	Lost      int  // lines DRBD dropped; not zero means that the state cannot be trusted
}

// NewState returns a state without resources.
func NewState() *State {
	return &State{Resources: map[string]*Resource{}}
}

// Resource is one DRBD resource on this node.
type Resource struct {
	Name            string
	Kernel84        bool // seen through an 8.4 kernel; see compat.go
	Role            Role
	Suspended       Suspended
	ForceIOFailures Tri // a forced demote makes all I/O fail until the device is closed
	MayPromote      Tri
	PromotionScore  int // DRBD's own, not Pacemaker's; Absent on 8.4
	WriteOrdering   string
	Devices         map[int]*Device     // by volume
	Connections     map[int]*Connection // by peer node id
}

// Device is the local side of one volume.
type Device struct {
	Volume       int
	Minor        int // of /dev/drbdN
	Disk         DiskState
	Client       Tri // diskless on purpose
	Open         Tri // held open by somebody; known since drbd-utils 9.29
	Quorum       Tri // Unknown on 8.4; Yes also where quorum is off
	BackingDev   string
	SizeBytes    int64
	ReadBytes    int64 // since the disk was attached
	WrittenBytes int64 // since the disk was attached
	ALWrites     int64
	BMWrites     int64
	UpperPending int64
	LowerPending int64
	ALSuspended  Tri
	Blocked      string // no, upper, lower or "upper,lower"
}

// Connection is the link to one peer.
type Connection struct {
	PeerNodeID  int
	Name        string // usually the peer's host name; "peer" on 8.4
	State       ConnectionState
	Role        Role // of the peer
	Congested   Tri
	APInFlight  int64               // bytes of application writes on their way
	RSInFlight  int64               // bytes of resync on their way
	PeerDevices map[int]*PeerDevice // by volume
	Paths       map[PathKey]Tri     // whether each path is established; empty on 8.4
}

// PathKey is the two ends of a path, such as "ipv4:192.168.2.61:7000".
type PathKey struct {
	Local, Peer string
}

// PeerDevice is the far side of one volume on one connection.
type PeerDevice struct {
	Volume          int
	Replication     ReplicationState
	PeerDisk        DiskState
	PeerClient      Tri     // diskless on purpose
	ResyncSuspended string  // no, or a list of user, peer, dependency
	DonePercent     float64 // of a resync or verify; never on 8.4, see Resource.Progress
	OutOfSyncBytes  int64
	ReceivedBytes   int64
	SentBytes       int64
	Pending         int64
	Unacked         int64
	MiBPerSecond    float64       // of the last few seconds of a resync
	ETA             time.Duration // of a resync; 0 is not known
}

// Syncing reports whether a resync is running or paused, so that DonePercent,
// MiBPerSecond and ETA mean something.
func (p *PeerDevice) Syncing() bool { return p.Replication.Resyncing() }

// SortedResources returns the resources by name.
func (s *State) SortedResources() []*Resource {
	return slices.SortedFunc(maps.Values(s.Resources), func(a, b *Resource) int { return strings.Compare(a.Name, b.Name) })
}

// SortedDevices returns the devices by volume.
func (r *Resource) SortedDevices() []*Device {
	return slices.SortedFunc(maps.Values(r.Devices), func(a, b *Device) int { return cmp.Compare(a.Volume, b.Volume) })
}

// SortedConnections returns the connections by peer node id.
func (r *Resource) SortedConnections() []*Connection {
	return slices.SortedFunc(maps.Values(r.Connections), func(a, b *Connection) int { return cmp.Compare(a.PeerNodeID, b.PeerNodeID) })
}

// SortedPeerDevices returns the peer devices by volume.
func (c *Connection) SortedPeerDevices() []*PeerDevice {
	return slices.SortedFunc(maps.Values(c.PeerDevices), func(a, b *PeerDevice) int { return cmp.Compare(a.Volume, b.Volume) })
}

// Clone returns a deep copy of s, to be read while s goes on changing.
func (s *State) Clone() *State {
	return s.CloneOf(func(string) bool { return true })
}

// CloneOf returns a deep copy of s without the resources that keep does not want.
func (s *State) CloneOf(keep func(name string) bool) *State {
	c := *s
	c.Resources = map[string]*Resource{}
	for k, r := range s.Resources {
		if keep(k) {
			c.Resources[k] = r.Clone()
		}
	}
	return &c
}

// Clone returns a deep copy of r.
func (r *Resource) Clone() *Resource {
	c := *r
	c.Devices = make(map[int]*Device, len(r.Devices))
	for k, d := range r.Devices {
		dd := *d
		c.Devices[k] = &dd
	}
	c.Connections = make(map[int]*Connection, len(r.Connections))
	for k, conn := range r.Connections {
		cc := *conn
		cc.Paths = maps.Clone(conn.Paths)
		cc.PeerDevices = make(map[int]*PeerDevice, len(conn.PeerDevices))
		for v, p := range conn.PeerDevices {
			pp := *p
			cc.PeerDevices[v] = &pp
		}
		c.Connections[k] = &cc
	}
	return &c
}
