package drbd

import (
	"fmt"
	"math"
	"strconv"
)

// Health returns why r is not fully redundant, worst first, in a few words
// each; nothing means healthy. It serves exit reasons of at most 128
// characters and status screens, and does not judge whether r can be used:
// that is [PromotionScore].
func Health(r *Resource) []string {
	if r == nil {
		return []string{"not configured"}
	}
	var why []string
	if !r.Suspended.None() {
		why = append(why, fmt.Sprintf("I/O suspended (%s)", r.Suspended))
	}
	if r.ForceIOFailures == Yes {
		why = append(why, "I/O fails")
	}
	if len(r.Devices) == 0 {
		why = append(why, "no volume")
	}
	for _, d := range r.SortedDevices() {
		if d.Quorum == No {
			why = append(why, d.where(r)+"no quorum")
		}
		if d.Disk != DiskUpToDate && d.Client != Yes {
			why = append(why, fmt.Sprintf("%slocal disk %s", d.where(r), d.Disk))
		}
	}
	if len(r.Connections) == 0 {
		why = append(why, "no peer")
	}
	for _, c := range r.SortedConnections() {
		why = append(why, c.health(r)...)
	}
	return why
}

func (c *Connection) health(r *Resource) []string {
	if c.State != ConnConnected {
		return []string{fmt.Sprintf("%s %s", c.label(), c.State)}
	}
	var why []string
	for _, p := range c.SortedPeerDevices() {
		where := ""
		if d := r.Devices[p.Volume]; d != nil {
			where = d.where(r)
		}
		switch {
		case p.Replication == ReplSyncSource || p.Replication == ReplSyncTarget:
			why = append(why, fmt.Sprintf("%sresyncing %d %%", where, int(math.Floor(r.Progress(p)))))
		case p.Replication.Resyncing():
			why = append(why, fmt.Sprintf("%sresync %s", where, p.Replication))
		case p.Replication == ReplAhead || p.Replication == ReplBehind:
			why = append(why, fmt.Sprintf("%s%s %s", where, c.label(), p.Replication))
		case p.Replication == ReplOff:
			why = append(why, fmt.Sprintf("%s%s not replicating", where, c.label()))
		case p.PeerDisk != DiskUpToDate && p.PeerClient != Yes:
			why = append(why, fmt.Sprintf("%s%s disk %s", where, c.label(), p.PeerDisk))
		}
	}
	return why
}

// where is "volume N: " for a resource with several volumes.
func (d *Device) where(r *Resource) string {
	if len(r.Devices) < 2 {
		return ""
	}
	return "volume " + strconv.Itoa(d.Volume) + ": "
}

// label names the peer for people: "peer drbdtest2", or just "peer" on an 8.4
// kernel, which has no names.
func (c *Connection) label() string {
	switch c.Name {
	case Name84:
		return "peer"
	case "":
		return "peer " + strconv.Itoa(c.PeerNodeID)
	}
	return "peer " + c.Name
}
