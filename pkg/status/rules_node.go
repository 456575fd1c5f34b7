package status

import (
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
)

// nodes tells of nodes that cannot take over as members of the cluster.
func (v *view) nodes() {
	for _, n := range v.p.Nodes {
		x := Finding{Node: n.Name}
		switch n.Cluster {
		case NodeUnclean:
			x.What, x.Why = n.Name+" was lost and must be fenced", "until then nothing is taken over from it"
			x.Remedy = "see to it that it is off, then pcs stonith confirm " + n.Name
			v.found(wordUnclean, x)
		case NodeOffline:
			x.What, x.Why = n.Name+" is not in the cluster", "it is off, cut off, or Pacemaker is stopped there"
			x.Remedy = "start it; if it runs, on " + n.Name + ": pcs cluster start"
			v.found(wordOffline, x)
		case NodePending:
			x.What = n.Name + " is joining the cluster"
			v.found(wordPending, x)
		case NodeMaintenance:
			if !v.f.Cluster.Maintenance {
				x.What, x.Why, x.Remedy = n.Name+" is in maintenance", "nothing is started, stopped or repaired there", "pcs node unmaintenance "+n.Name
				v.found(wordNodeMaint, x)
			}
		case NodeStandby:
			x.What, x.Why, x.Remedy = n.Name+" is in standby", "it cannot take over", "drbdnfs unstandby "+n.Name
			v.found(wordStandby, x)
		}
	}
}

// drbd tells of the data.
func (v *view) drbd() {
	if v.f.Plan == nil {
		return
	}
	for _, n := range v.p.Nodes {
		if n.Name == v.f.Self {
			v.ownDRBD(n)
		}
		v.resync(n)
		v.disk(n)
		v.link(n)
	}
}

// ownDRBD tells of DRBD on this node.
func (v *view) ownDRBD(n Node) {
	res := v.p.Service.Resource
	x := Finding{Node: n.Name}
	consequence := v.has(wordStopped, wordStandby) || n.Cluster == NodeStandby
	switch v.f.DRBD {
	case DRBDUnseen:
		x.What, x.Why = "DRBD on "+n.Name+" does not answer", v.f.unknown(sourceDRBD)
		x.Remedy = "journalctl -k -n 50; a drbdsetup that hangs in the kernel ends with a reboot only"
		v.found(wordDRBDSilent, x)
	case DRBDNoModule:
		x.What, x.Remedy = "DRBD's module is not loaded on "+n.Name, "modprobe drbd; "+v.cleanup()
		if consequence {
			x.Why, x.Remedy = "nothing runs there", "it comes back with the group: see the cluster's line"
		}
		v.found(wordNoModule, x)
	case DRBDDown:
		x.What, x.Remedy = fmt.Sprintf("DRBD %s is down on %s", res, n.Name), v.cleanup()
		if consequence {
			x.Why, x.Remedy = "the group does not run there", "it comes back with the group: see the cluster's line"
		}
		v.found(wordDRBDDown, x)
	}
	if n.Suspended != "" {
		x.What, x.Why = "DRBD holds back I/O on "+n.Name, "reason: "+n.Suspended
		x.Remedy = "bring the other nodes back; if it does not end, reboot " + n.Name
		if n.Suspended == drbd.SuspendedUser {
			x.Why, x.Remedy = "somebody has suspended it", "drbdadm resume-io "+res
		}
		v.found(wordSuspended, x)
	}
	if v.p.Quorum.DRBD == drbd.No {
		v.found(wordDRBDQuorum, Finding{
			Node: n.Name, What: "DRBD on " + n.Name + " has lost quorum", Why: "nothing can be written there",
			Remedy: "bring the other nodes, or the link to them, back",
		})
	}
}

// resync tells of a resync onto n.
func (v *view) resync(n Node) {
	s := n.Sync
	if s == nil {
		return
	}
	if s.Paused {
		v.found(wordResyncPaused, Finding{
			Node: n.Name, What: fmt.Sprintf("the resync of %s is paused at %.1f %%", n.Name, s.Percent),
			Remedy: "drbdadm resume-sync " + v.p.Service.Resource + " on both nodes",
		})
		return
	}
	what := n.Name + " is resyncing"
	if s.Restored != "" {
		what += ", redundancy is back in " + s.Restored
	}
	v.found(wordResync, Finding{
		Node: n.Name, What: what, Why: fmt.Sprintf("%.1f %% done; until then there is no second copy of the data", s.Percent),
	})
}

// disk tells of data that is not good.
func (v *view) disk(n Node) {
	if n.Diskless || n.Seen == SeenNobody || n.Sync != nil || n.Disk == drbd.DiskUpToDate || n.Disk == drbd.DiskUnknown || n.Disk.Transitional() {
		return
	}
	res := v.p.Service.Resource
	x := Finding{Node: n.Name, What: fmt.Sprintf("the data of %s is %s", n.Name, n.Disk)}
	switch n.Disk {
	case drbd.DiskDiskless, drbd.DiskFailed:
		x.What = n.Name + " has lost its disk (" + string(n.Disk) + ")"
		x.Why = "DRBD detaches a disk after an I/O error, or somebody has detached it"
		x.Remedy = "journalctl -k -n 50 on " + n.Name + "; replace the disk, then drbdadm attach " + res
	case drbd.DiskOutdated, drbd.DiskInconsistent:
		x.Why = "the other node has newer data, and no resync runs"
		x.Remedy = "connect the nodes: drbdadm connect " + res
	default:
		x.Why, x.Remedy = "it is not known whether the other node has newer data", "connect the nodes: drbdadm connect "+res
	}
	v.found(wordDisk, x)
}

// link tells of a connection that is missing to another node, unless it is told
// of already why.
func (v *view) link(n Node) {
	if n.Name == v.f.Self || n.Connection == "" || n.Connection == drbd.ConnConnected || len(v.p.SplitBrains) > 0 {
		return
	}
	res, x := v.p.Service.Resource, Finding{Node: n.Name}
	switch {
	case n.Connection == drbd.ConnStandAlone:
		x.What = fmt.Sprintf("DRBD does not connect to %s (StandAlone)", n.Name)
		x.Why = "an administrator has disconnected it, or the nodes refused each other; no split brain is known"
		x.Remedy = "journalctl -k -g drbd -n 20 for the reason, then on both nodes: drbdadm connect " + res
		v.found(wordStandAlone, x)
	case n.Cluster == NodeOnline || n.Cluster == NodeMaintenance || n.Cluster == NodeUnknown:
		x.What = fmt.Sprintf("DRBD has no connection to %s (%s)", n.Name, n.Connection)
		x.Why = "DRBD is down or disconnected there, or the link is cut"
		x.Remedy = "drbdnfs status on " + n.Name + "; ping it"
		v.found(wordDisconnected, x)
	}
}

// fencing tells whether fencing is as the configuration has it.
func (v *view) fencing() {
	fence := v.p.Fencing
	wanted := fence.Mode == config.FencingSTONITH || fence.Mode == config.FencingDRBD
	switch {
	case fence.Mode == config.FencingNone:
		v.found(wordFenceNone, Finding{
			What: "there is no fencing", Why: "accepted in the configuration: a cut link can split the data", Remedy: "see docs/configuration.md, fencing",
		})
	case wanted && fence.STONITH == drbd.No:
		v.found(wordSTONITHOff, Finding{What: "STONITH is off", Why: "stonith-enabled=false, the configuration has " + fence.Mode, Remedy: "drbdnfs setup apply"})
	case wanted && fence.STONITH == drbd.Yes && len(fence.Devices) == 0:
		v.found(wordSTONITHOff, Finding{What: "there is no fence device", Why: "the configuration has " + fence.Mode, Remedy: "drbdnfs setup apply"})
	}
}

// programs tells of programs of this node.
func (v *view) programs() {
	self := v.f.Self
	if v.f.Daemon == drbd.No {
		v.found(wordDaemonStopped, Finding{
			Node: self, What: "drbdnfsd does not run on " + self, Why: "a split brain would be neither found nor resolved here",
			Remedy: "systemctl start drbdnfsd",
		})
	}
	if v.f.Satellite == drbd.No {
		v.found(wordLINSTOR, Finding{
			Node: self, What: "LINSTOR's satellite does not run on " + self, Why: "the service goes on without it", Remedy: "systemctl start linstor-satellite",
		})
	}
	if v.f.Controller == drbd.No {
		v.found(wordLINSTOR, Finding{
			Node: self, What: "LINSTOR's controller does not run on " + self, Why: "the service goes on without it", Remedy: "systemctl start linstor-controller",
		})
	}
}

// rest tells of the configuration, snapshots, and what could not be seen.
func (v *view) rest() {
	file, self := v.f.ConfigFile, v.f.Self
	switch v.f.Config {
	case ConfigBroken:
		v.found(wordBroken, Finding{
			Node: self, What: file + " on " + self + " cannot be used", Why: v.f.ConfigError, Remedy: "put it right: drbdnfs config check",
		})
	case ConfigMissing:
		v.found(wordMissing, Finding{
			Node: self, What: self + " has no " + file, Why: "what is shown is Pacemaker's", Remedy: "copy it from another node",
		})
	}
	if n := len(v.p.Snapshots); n > 0 {
		many := "s"
		if n == 1 {
			many = ""
		}
		v.found(wordSnapshot, Finding{
			Node: self, What: fmt.Sprintf("%s keeps %d snapshot%s of discarded data", self, n, many),
			Why: strings.Join(v.p.Snapshots, ", "), Remedy: "drbdnfs split-brain snapshots",
		})
	}
	var unseen []string
	for _, u := range v.p.Unknown {
		if u.Source != sourceCrmMon && u.Source != sourceDRBD { // they have words of their own
			unseen = append(unseen, u.Source)
		}
	}
	if len(unseen) > 0 && !v.f.ClusterStopped {
		v.found(wordNotSeen, Finding{What: "not seen: " + strings.Join(unseen, ", "), Remedy: "run drbdnfs status as root, if this was not"})
	}
}
