package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/switchover"
)

// Limits of what is well.
const (
	maxSkew     = time.Second
	fullPercent = 90 // of a volume
	roomPercent = 80 // of a snapshot's room, or of its pool
)

// cluster judges the nodes and the failures that Pacemaker knows.
func (j *judge) cluster() {
	st := j.Cluster
	if st == nil {
		return
	}
	if !st.Quorum {
		found := "no quorum"
		if !st.HasDC {
			found = "no coordinator is elected"
		}
		j.here("no-quorum", "cluster "+j.Config.Cluster, found)
	}
	if st.Maintenance {
		j.here("maintenance", "cluster "+j.Config.Cluster, "maintenance mode is on")
	}
	for _, n := range j.Config.Nodes {
		j.member(n.Name)
	}
	for _, f := range st.FailedActions {
		found := line(f.String())
		if !f.When.IsZero() {
			found += ", at " + f.When.UTC().Format("2006-01-02 15:04:05 UTC")
		}
		j.add("failed-action", f.Node, f.Resource, found, "RESOURCE", f.Resource, "NODE", f.Node)
	}
}

// member judges one node of the file.
func (j *judge) member(name string) {
	n, known := j.Cluster.Node(name)
	thing := "cluster node"
	switch {
	case !known:
		j.add("node-offline", name, thing, "Pacemaker does not know it")
	case n.Unclean:
		j.add("node-unclean", name, thing, "unclean", "NODE", name)
	case n.Pending:
		j.add("node-offline", name, thing, "it is joining")
	case !n.Online:
		j.add("node-offline", name, thing, "offline")
	case n.Maintenance && !j.Cluster.Maintenance:
		j.add("maintenance", name, thing, "maintenance mode is on", "NODE", name)
	case n.Standby:
		j.add("node-standby", name, thing, "on standby", "NODE", name)
	}
	if n.Attributes[cib.VictimAttribute(j.Config.Resource.Name)] == "1" {
		j.add("victim", name, "DRBD resource "+j.Config.Resource.Name, "drbdnfsd keeps it from promotion")
	}
}

// configuration judges what is in the CIB and in corosync.conf beside what setup
// compares.
func (j *judge) configuration() {
	if j.CIB != nil {
		for _, id := range j.CIB.Constraints {
			j.constraint(id)
		}
		for _, c := range j.CIB.FailCounts {
			j.failCount(c)
		}
	}
	two := len(j.Config.Nodes) == 2 && j.Config.Fencing.Mode != config.FencingNone
	if j.Votes != nil && two && j.Votes.WaitForAll == "0" {
		j.here("wait-for-all", "corosync.conf", "wait_for_all: 0")
	}
}

// constraint judges one that nobody meant to keep.
func (j *judge) constraint(id string) {
	group := j.Config.Pacemaker.Group
	switch {
	case strings.HasPrefix(id, "cli-"):
		j.here("constraint-cli", "constraint "+id, "it is in the CIB", "RESOURCE", group+"-clone")
	case strings.HasPrefix(id, "drbd-fence-"):
		j.here("constraint-fence", "constraint "+id, "it is in the CIB", "ID", id)
	case id == switchover.ConstraintID(group):
		j.here("constraint-move", "constraint "+id, "it is in the CIB", "ID", id)
	}
}

func (j *judge) failCount(c FailCount) {
	limit := j.Config.Pacemaker.MigrationThreshold
	words := []string{"RESOURCE", c.Resource, "NODE", c.Node}
	switch {
	case c.Count < 0:
		j.add("fail-limit", c.Node, c.Resource, c.Operation+" has failed for good (INFINITY)", words...)
	case limit > 0 && c.Count >= limit && c.Resource == j.Config.Pacemaker.Group:
		j.add("fail-limit", c.Node, c.Resource, fmt.Sprintf("%s has failed %d times, migration_threshold is %d", c.Operation, c.Count, limit), words...)
	default:
		j.add("fail-count", c.Node, c.Resource, fmt.Sprintf("%s has failed %d times", c.Operation, c.Count), words...)
	}
}

// fencing judges the fence devices and what Pacemaker remembers of their use.
func (j *judge) fencing() {
	if j.CIB != nil {
		for _, id := range slices.Sorted(maps.Keys(j.CIB.Fence)) {
			j.fenceDevice(id, j.CIB.Fence[id])
		}
	}
	if j.History == nil {
		return
	}
	for _, n := range j.Config.Nodes {
		i := slices.IndexFunc(j.History.Events, func(e FenceEvent) bool { return e.Target == n.Name && e.Status != "pending" })
		switch {
		case i < 0:
			j.add("fence-untested", n.Name, "fencing", "none is on record since the cluster has started", "NODE", n.Name)
		case j.History.Events[i].Status == "failed":
			e := j.History.Events[i]
			found := e.Action + " failed"
			if e.Completed != "" {
				found += " at " + e.Completed
			}
			if e.Reason != "" {
				found += ": " + e.Reason
			}
			j.add("fence-failed", n.Name, "fencing", found, "NODE", n.Name)
		}
	}
}

func (j *judge) fenceDevice(id string, disabled bool) {
	switch {
	case disabled:
		j.here("fence-off", "fence device "+id, "disabled (target-role)", "DEVICE", id)
	case j.Cluster != nil && len(j.Cluster.Running(id)) == 0:
		j.here("fence-off", "fence device "+id, "it runs on no node", "DEVICE", id)
	}
}

func (j *judge) links() {
	if j.Links == nil {
		return
	}
	for _, l := range j.Links.Down {
		j.here("corosync-link", "corosync "+l, "not connected")
	}
}
