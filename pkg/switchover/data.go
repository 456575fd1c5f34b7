package switchover

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// data refuses a node that does not have the newest data.
func (f Facts) data(p *Plan, from, to string) {
	if f.victim(to) {
		p.refuse(Victim, false, "what "+to+" wrote in a split brain is being discarded", "wait for it: drbdnfs split-brain show")
	}
	seen := f.DRBD != nil
	before := len(p.Refusals)
	switch {
	case seen && to == f.Self:
		f.own(p, from)
	case seen:
		f.peer(p, to)
	}
	linked := seen && len(p.Refusals) == before && (from == f.Self || to == f.Self)
	if !linked {
		f.split(p, from, to)
	}
	if s := f.score(to); s < drbd.ScorePeerGone && len(p.Refusals) == before {
		p.refuse(NotUpToDate, false, fmt.Sprintf("the agent on %s does not offer it for promotion (score %d): its data are not good there", to, s),
			"look with drbdnfs status")
	}
}

// split refuses where the daemons know of a split brain of the two nodes. A link
// that was seen to be whole is better knowledge.
func (f Facts) split(p *Plan, from, to string) {
	for _, s := range f.SplitBrains {
		if slices.Contains(s.Nodes[:], from) && slices.Contains(s.Nodes[:], to) {
			p.refuse(Split, false, fmt.Sprintf("%s and %s have a split brain (%s)", from, to, s.Phase), "drbdnfs split-brain show")
		}
	}
}

// own judges this node as the target.
func (f Facts) own(p *Plan, from string) {
	for _, d := range f.DRBD.SortedDevices() {
		if d.Disk != drbd.DiskUpToDate {
			p.refuse(NotUpToDate, false, fmt.Sprintf("%s's disk of %s is %s%s", f.Self, f.Resource, d.Disk, f.progress(d.Volume)), "wait until it is UpToDate")
		}
	}
	if len(f.DRBD.Devices) == 0 {
		p.refuse(NotUpToDate, false, fmt.Sprintf("%s has no volume of %s", f.Self, f.Resource), "look with drbdnfs setup plan")
	}
	f.link(p, f.connection(from), from)
}

// peer judges another node, as DRBD knows it here.
func (f Facts) peer(p *Plan, to string) {
	c := f.connection(to)
	if !f.link(p, c, to) {
		return
	}
	if len(c.PeerDevices) == 0 {
		p.refuse(NotUpToDate, false, fmt.Sprintf("DRBD does not know the disk of %s yet", to), "wait a moment")
	}
	for _, d := range c.SortedPeerDevices() {
		if d.PeerDisk != drbd.DiskUpToDate {
			p.refuse(NotUpToDate, false, fmt.Sprintf("%s's disk of %s is %s%s", to, f.Resource, d.PeerDisk, f.progress(d.Volume)), "wait until it is UpToDate")
		}
	}
}

// link judges the connection to a node, and reports whether it has one.
func (f Facts) link(p *Plan, c *drbd.Connection, node string) bool {
	switch {
	case c == nil:
		p.refuse(NotConnected, false, fmt.Sprintf("DRBD on %s has no connection to %s", f.Self, node), "drbdadm connect "+f.Resource)
		return false
	case c.State == drbd.ConnStandAlone:
		p.refuse(NotConnected, false, fmt.Sprintf("DRBD's connection to %s is StandAlone", node), "drbdnfs split-brain show")
		return false
	case c.State != drbd.ConnConnected:
		p.refuse(NotConnected, false, fmt.Sprintf("DRBD's connection to %s is %s", node, c.State), "look at the network between the nodes")
		return false
	}
	for _, d := range c.SortedPeerDevices() {
		switch {
		case d.Replication.Resyncing():
			p.refuse(Syncing, false, fmt.Sprintf("a resync with %s is running (%s)%s", node, d.Replication, f.progress(d.Volume)), "wait for its end")
		case !d.Live():
			p.refuse(NotConnected, false, fmt.Sprintf("DRBD does not replicate to %s (%s)", node, d.Replication), "look with drbdnfs status")
		}
	}
	return true
}

// connection is DRBD's connection to a node. An 8.4 kernel has one, without a
// name.
func (f Facts) connection(node string) *drbd.Connection {
	for _, c := range f.DRBD.SortedConnections() {
		if c.Name == node || c.Name == drbd.Name84 && f.DRBD.Kernel84 {
			return c
		}
	}
	return nil
}

// progress is how far a resync of a volume is, as the end of a sentence.
func (f Facts) progress(volume int) string {
	for _, c := range f.DRBD.SortedConnections() {
		d := c.PeerDevices[volume]
		if d == nil || !d.Syncing() {
			continue
		}
		text := fmt.Sprintf(", %d %% done", int(math.Floor(f.DRBD.Progress(d))))
		if d.ETA > 0 {
			text += ", " + d.ETA.Round(time.Second).String() + " left"
		}
		return text
	}
	return ""
}

// good reports whether a node is known to have UpToDate data; Unknown where it
// is not seen from here.
func (f Facts) good(node string) drbd.Tri {
	if f.DRBD == nil {
		return drbd.Unknown
	}
	all := func(n int, disk func(i int) drbd.DiskState) drbd.Tri {
		for i := range n {
			if disk(i) != drbd.DiskUpToDate {
				return drbd.No
			}
		}
		return drbd.Yes
	}
	if node == f.Self {
		own := f.DRBD.SortedDevices()
		return all(len(own), func(i int) drbd.DiskState { return own[i].Disk })
	}
	c := f.connection(node)
	if c == nil || c.State != drbd.ConnConnected || len(c.PeerDevices) == 0 {
		return drbd.Unknown
	}
	theirs := c.SortedPeerDevices()
	return all(len(theirs), func(i int) drbd.DiskState { return theirs[i].PeerDisk })
}
