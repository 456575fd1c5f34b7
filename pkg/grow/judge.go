package grow

import (
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// judge says why the volume must not be grown now; it is empty when it may be.
func judge(r *drbd.Resource, c *config.Config, size int64) []setup.Item {
	have := deviceBytes(r)
	object := "DRBD resource " + r.Name
	var items []setup.Item
	no := func(why, problem string, args ...any) {
		items = append(items, setup.Item{Object: object, Action: setup.Refuse, Detail: fmt.Sprintf(problem, args...), Why: why})
	}
	switch {
	case have > size+spare(size):
		no("choose a larger size: a volume is never made smaller", "its device has %s, %s are asked for", config.Size(have), config.Size(size))
		return items
	case have <= 0:
		no("drbdadm status "+r.Name, "the size of its device is not known on this node")
		return items
	case have >= size:
		return nil
	}
	for _, d := range r.SortedDevices() {
		if d.Disk != drbd.DiskUpToDate && d.Client != drbd.Yes {
			no("bring it to UpToDate first: drbdnfs status", "the disk of this node is %s", d.Disk)
		}
	}
	if !r.Suspended.None() {
		no("find out why first: drbdnfs status", "I/O is suspended (%s)", r.Suspended)
	}
	peers := 0
	for _, conn := range r.SortedConnections() {
		if n, known := c.Node(conn.Name); known && n.Diskless {
			continue
		}
		peers++
		judgePeer(r, conn, no)
	}
	if want := len(c.Diskful()) - 1; peers < want {
		no("connect them first; after a split brain: drbdnfs split-brain show", "%d of %d other nodes have a connection", peers, want)
	}
	if len(items) == 0 && primary(r) == "" {
		no("start the group first: pcs status", "no node is Primary")
	}
	return items
}

func judgePeer(r *drbd.Resource, conn *drbd.Connection, no func(why, problem string, args ...any)) {
	name := peerName(r, conn)
	switch conn.State {
	case drbd.ConnConnected:
	case drbd.ConnStandAlone:
		no("after a split brain: drbdnfs split-brain show; otherwise drbdadm connect "+r.Name, "the connection to %s has been given up (StandAlone)", name)
		return
	default:
		no("wait until it is back, see drbdnfs status", "%s is not connected (%s)", name, conn.State)
		return
	}
	for _, p := range conn.SortedPeerDevices() {
		switch {
		case p.Syncing():
			no("wait for its end: drbdnfs status", "a resync with %s runs (%s)", name, p.Replication)
		case p.Replication.Verifying():
			no("wait for its end, or drbdadm disconnect and connect", "an online verify with %s runs", name)
		case p.PeerDisk != drbd.DiskUpToDate && p.PeerClient != drbd.Yes:
			no("bring it to UpToDate first: drbdnfs status", "the disk of %s is %s", name, p.PeerDisk)
		}
	}
}

// spare is how much larger than asked for a device may be that was grown to size:
// whole extents, and metadata that has room for fewer peers than reckoned with.
func spare(size int64) int64 { return size/512 + 64<<20 }

// deviceBytes is the size of the smallest volume, of which this program's
// resources have one.
func deviceBytes(r *drbd.Resource) int64 {
	var size int64
	for i, d := range r.SortedDevices() {
		if i == 0 || d.SizeBytes < size {
			size = d.SizeBytes
		}
	}
	return size
}

// primary names the node that is Primary, "" for none.
func primary(r *drbd.Resource) string {
	if r.Role == drbd.RolePrimary {
		return "this node"
	}
	for _, conn := range r.SortedConnections() {
		if conn.Role == drbd.RolePrimary {
			return peerName(r, conn)
		}
	}
	return ""
}

// peerName names a peer for people; DRBD 8.4 has no name.
func peerName(r *drbd.Resource, conn *drbd.Connection) string {
	if r.Kernel84 || strings.TrimSpace(conn.Name) == "" {
		return "the other node"
	}
	return conn.Name
}
