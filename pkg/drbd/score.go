package drbd

import "fmt"

// The ladder of promotion scores, after the one that ocf:linbit:drbd has used
// for years (adjust_master_score). Only the order matters to Pacemaker.
const (
	ScoreNone       = 0     // must not be promoted
	ScoreLastResort = 5     // data that only fencing the peer can prove to be good
	ScoreRemoteOnly = 10    // would work over the network on the peer's disk
	ScorePeerGone   = 1000  // good data here, a peer's data is not known
	ScoreBest       = 10000 // good data here and nothing unknown
)

// PromotionScore returns the score that this node should hold for being
// promoted, from DRBD's own state alone, and a few words why.
//
// ok false means that a volume is in a transitional state: leave the score
// that was published before. ok true and a score of [ScoreNone] mean that the
// node must hold no score; a negative score is never returned, because it makes
// Pacemaker stop and start the resource in a loop.
//
// A peer that DRBD believes to be connected and Primary does not lower the
// score: Pacemaker may already know that it is dead, and taking the score away
// would delay the failover until DRBD's own timeout. A node with good data and
// quorum always has a positive score, whatever happened to the peer before.
func PromotionScore(r *Resource) (score int, ok bool, reason string) {
	if r == nil || len(r.Devices) == 0 {
		return ScoreNone, true, "no volume is configured"
	}
	switch {
	case r.Suspended.Has(SuspendedQuorum):
		return ScoreNone, true, "I/O is suspended: no quorum"
	case r.Suspended.Has(SuspendedNoData):
		return ScoreNone, true, "I/O is suspended: no data"
	case r.ForceIOFailures == Yes:
		return ScoreNone, true, "I/O fails until the device is closed"
	}
	worst := ScoreBest
	for _, d := range r.SortedDevices() {
		if d.Quorum == No {
			return ScoreNone, true, d.where(r) + "no quorum"
		}
	}
	for _, d := range r.SortedDevices() {
		if d.Disk.Transitional() {
			return ScoreNone, false, fmt.Sprintf("%s%s", d.where(r), d.Disk)
		}
	}
	for _, d := range r.SortedDevices() {
		s, why := r.volumeScore(d)
		if s < worst || reason == "" {
			worst, reason = min(worst, s), why
		}
	}
	return worst, true, reason
}

// volumeScore is the ladder for one volume.
func (r *Resource) volumeScore(d *Device) (score int, reason string) {
	if d.Disk == DiskUpToDate {
		if r.Role == RolePrimary {
			return ScoreBest, "Primary with good data"
		}
		if peer := r.unknownPeer(d.Volume); peer != "" {
			return ScorePeerGone, d.where(r) + "good data, " + peer + " unknown"
		}
		return ScoreBest, "good data"
	}
	if peer := r.GoodPeer(d.Volume); peer != "" {
		return ScoreRemoteOnly, fmt.Sprintf("%s%s, good data only on %s", d.where(r), d.Disk, peer)
	}
	if d.Disk == DiskConsistent {
		// After both nodes failed, the first one back is Consistent: its data
		// may or may not be the newest. Without a score nobody would ever be
		// promoted. DRBD itself decides: it calls the fence-peer handler and
		// refuses the promotion unless the peer is fenced or outdated.
		return ScoreLastResort, d.where(r) + "Consistent, the peer may have newer data"
	}
	return ScoreNone, fmt.Sprintf("%s%s, no good data", d.where(r), d.Disk)
}

// unknownPeer names a peer whose data for volume is not known, or nobody. A
// peer that was fenced stays known as Outdated without a connection.
func (r *Resource) unknownPeer(volume int) string {
	for _, c := range r.SortedConnections() {
		p := c.PeerDevices[volume]
		if p == nil || (!p.PeerDisk.Valid() || p.PeerDisk == DiskUnknown) && p.PeerClient != Yes {
			return c.label()
		}
	}
	return ""
}

// GoodPeer names a peer that serves UpToDate data of volume now, or nobody.
func (r *Resource) GoodPeer(volume int) string {
	for _, c := range r.SortedConnections() {
		if p := c.PeerDevices[volume]; p != nil && p.Live() && p.PeerDisk == DiskUpToDate {
			return c.label()
		}
	}
	return ""
}
