package status

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// drawSelf is DRBD as this node sees itself.
func (f *Facts) drawSelf(n *Node) {
	switch f.DRBD {
	case DRBDUnseen:
		n.Note = cmp.Or(f.unknown(sourceDRBD), "no DRBD resource is known")
		return
	case DRBDNoModule:
		n.Seen, n.Note = SeenItself, "DRBD's module is not loaded"
		return
	case DRBDDown:
		n.Seen, n.Note = SeenItself, "the DRBD resource is down"
		return
	}
	r := f.Resource
	n.Seen, n.Role, n.Disk = SeenItself, r.Role, ""
	if !r.Suspended.None() {
		n.Suspended = string(r.Suspended)
	}
	for _, d := range r.SortedDevices() {
		n.Disk = worseDisk(n.Disk, d.Disk)
	}
	n.Disk = cmp.Or(n.Disk, drbd.DiskUnknown)
	for _, c := range r.SortedConnections() {
		n.Connection = worseConnection(n.Connection, c.State)
		for _, d := range c.SortedPeerDevices() {
			if target(d.Replication) {
				n.Sync = worseSync(n.Sync, f.sync(r, d, f.peerName(c)))
			}
		}
	}
}

// drawPeer is DRBD of another node as this node's DRBD sees it.
func (f *Facts) drawPeer(n *Node) {
	if f.Resource == nil {
		n.Note = "DRBD of this node is not there to see it"
		return
	}
	for _, c := range f.Resource.SortedConnections() {
		if f.peerName(c) != n.Name {
			continue
		}
		n.Connection, n.Role, n.Disk = c.State, cmp.Or(c.Role, drbd.RoleUnknown), ""
		for _, d := range c.SortedPeerDevices() {
			n.Disk = worseDisk(n.Disk, d.PeerDisk)
			if source(d.Replication) {
				n.Sync = worseSync(n.Sync, f.sync(f.Resource, d, f.Self))
			}
		}
		n.Disk = cmp.Or(n.Disk, drbd.DiskUnknown)
		if c.State == drbd.ConnConnected {
			n.Seen = SeenPeer
		} else {
			n.Note = "not connected: as it was seen last"
		}
	}
}

// peerName is the node that a connection leads to. DRBD 8.4 has no names, and
// only one peer.
func (f *Facts) peerName(c *drbd.Connection) string {
	if c.Name != drbd.Name84 || f.Plan == nil {
		return c.Name
	}
	others := slices.DeleteFunc(f.Plan.diskful(), func(n string) bool { return n == f.Self })
	if len(others) == 1 {
		return others[0]
	}
	return c.Name
}

// target and source tell the direction of a resync, as seen from this node.
func target(r drbd.ReplicationState) bool {
	switch r {
	case drbd.ReplSyncTarget, drbd.ReplPausedSyncT, drbd.ReplStartingSyncT, drbd.ReplWFBitMapT, drbd.ReplWFSyncUUID:
		return true
	}
	return false
}

func source(r drbd.ReplicationState) bool { return r.Resyncing() && !target(r) }

// sync is the resync of one volume.
func (f *Facts) sync(r *drbd.Resource, d *drbd.PeerDevice, from string) *Sync {
	s := &Sync{
		Percent: r.Progress(d), MiBPerSecond: d.MiBPerSecond, ETASeconds: int64(d.ETA.Seconds()),
		OutOfSyncBytes: max(d.OutOfSyncBytes, 0), Source: from,
		Paused: d.Replication == drbd.ReplPausedSyncS || d.Replication == drbd.ReplPausedSyncT,
	}
	if dev := r.Devices[d.Volume]; r.Kernel84 && dev != nil {
		if p, ok := f.Progress[dev.Minor]; ok {
			s.Percent, s.MiBPerSecond, s.ETASeconds = p.Percent, p.MiBPerSecond, int64(p.ETA.Seconds())
		}
	}
	if s.ETASeconds == 0 && s.MiBPerSecond > 0 {
		s.ETASeconds = int64(float64(s.OutOfSyncBytes) / (1 << 20) / s.MiBPerSecond)
	}
	s.Percent = math.Round(s.Percent*10) / 10
	s.MiBPerSecond = math.Round(s.MiBPerSecond*10) / 10
	if s.ETASeconds > 0 && !s.Paused {
		s.Restored = "about " + roughly(time.Duration(s.ETASeconds)*time.Second)
	}
	return s
}

// worseSync is the one that takes longer.
func worseSync(a, b *Sync) *Sync {
	if a == nil || b.ETASeconds > a.ETASeconds || b.ETASeconds == a.ETASeconds && b.Percent < a.Percent {
		return b
	}
	return a
}

// worse returns the one that comes first in order; an unknown word is the worst,
// an empty one none.
func worse[T ~string](order []T, a, b T) T {
	switch {
	case a == "":
		return b
	case b == "" || slices.Index(order, a) <= slices.Index(order, b):
		return a
	}
	return b
}

func worseDisk(a, b drbd.DiskState) drbd.DiskState {
	return worse([]drbd.DiskState{
		drbd.DiskFailed, drbd.DiskDiskless, drbd.DiskDetaching, drbd.DiskUnknown, drbd.DiskInconsistent, drbd.DiskOutdated,
		drbd.DiskAttaching, drbd.DiskNegotiating, drbd.DiskConsistent, drbd.DiskUpToDate,
	}, a, b)
}

func worseConnection(a, b drbd.ConnectionState) drbd.ConnectionState {
	return worse([]drbd.ConnectionState{
		drbd.ConnStandAlone, drbd.ConnProtocolError, drbd.ConnDisconnecting, drbd.ConnNetworkFailure, drbd.ConnBrokenPipe,
		drbd.ConnTimeout, drbd.ConnTearDown, drbd.ConnUnconnected, drbd.ConnConnecting, drbd.ConnConnected,
	}, a, b)
}
