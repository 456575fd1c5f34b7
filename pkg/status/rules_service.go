package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/mount"
	"github.com/spacei/drbdnfs/pkg/nfs"
)

// splitBrain tells of split brains, and of the marker of their victim.
func (v *view) splitBrain() {
	for _, s := range v.p.SplitBrains {
		x := Finding{What: "split brain between " + s.Nodes[0] + " and " + s.Nodes[1], Remedy: s.Command, Since: s.FoundAt}
		switch s.Phase {
		case "held":
			x.Why = cmp.Or(s.Why, "a person has to decide")
			if s.Remedy != "" {
				x.Remedy = s.Command + "; " + strings.ReplaceAll(s.Remedy, "the commands below", "the commands it shows")
			}
			v.found(wordSplitHeld, x)
		case "found":
			x.Why = "both have written without each other; it is not decided yet whose data is kept"
			v.found(wordSplitFound, x)
		default:
			x.What += " is being resolved"
			x.Why = s.Phase
			if s.Victim != "" {
				x.Why += ": " + s.Victim + " discards what it wrote"
			}
			x.Remedy = "journalctl -t drbdnfsd -f"
			v.found(wordSplitResolving, x)
		}
	}
	if v.f.Victim == drbd.Yes && len(v.p.SplitBrains) == 0 {
		v.found(wordVictim, Finding{
			Node: v.f.Self, What: v.f.Self + " is marked as the victim of a split brain and does not take over",
			Why: "what it wrote is to be discarded, and the resync is not over", Remedy: "drbdnfs split-brain show",
		})
	}
}

// cluster tells what keeps Pacemaker from working.
func (v *view) cluster() {
	c := v.f.Cluster
	if c == nil {
		v.noCluster()
		return
	}
	if !c.HasDC {
		v.found(wordNoDC, Finding{
			What: "the cluster has no coordinator", Why: "it has just begun, or the nodes do not hear each other",
			Remedy: "wait a minute, then on each node: corosync-quorumtool; corosync-cfgtool -s",
		})
		return
	}
	if !c.Quorum {
		v.found(wordQuorum, Finding{
			What: "this part of the cluster has no quorum", Why: fmt.Sprintf("%d of %d nodes are members", v.p.Quorum.Nodes, v.p.Quorum.Expected),
			Remedy: "bring the other nodes, or the link to them, back: corosync-quorumtool",
		})
	}
	if c.Maintenance {
		v.found(wordMaintenance, Finding{
			What: "the cluster is in maintenance mode", Why: "nothing is started, stopped or repaired", Remedy: "pcs property set maintenance-mode=false",
		})
	}
	for _, cl := range c.Clones {
		for _, i := range cl.Instances {
			if i.Resource != v.group() || c.Maintenance {
				continue
			}
			if cl.Disabled {
				v.found(wordDisabled, Finding{What: "the group is disabled", Why: "somebody has set its target-role", Remedy: "pcs resource enable " + clean(cl.ID)})
			}
			if cl.Unmanaged {
				v.found(wordUnmanaged, Finding{What: "the group is unmanaged", Why: "somebody has told Pacemaker to leave it alone", Remedy: "pcs resource manage " + clean(cl.ID)})
			}
			break
		}
	}
}

func (v *view) noCluster() {
	if v.f.ClusterStopped {
		v.found(wordStopped, Finding{
			Node: v.f.Self, What: "Pacemaker does not run on " + v.f.Self,
			Why: v.f.unknown(sourceCrmMon), Remedy: "pcs cluster start",
		})
		return
	}
	v.found(wordNoAnswer, Finding{
		Node: v.f.Self, What: "Pacemaker on " + v.f.Self + " does not answer",
		Why: v.f.unknown(sourceCrmMon), Remedy: "systemctl status pacemaker; if it lasts, drbdnfs status on the other node",
	})
}

// service tells that nobody, or more than one node, serves.
func (v *view) service() {
	if v.f.Plan == nil {
		v.found(wordNoPlan, Finding{
			What:   "it is not known what is to be served",
			Why:    cmp.Or(v.f.unknown(sourceConfig), "no configuration file that can be used, and no group in the cluster"),
			Remedy: "drbdnfs setup plan",
		})
		return
	}
	var on []string
	if v.f.Cluster != nil {
		on = v.f.Cluster.Promoted(v.group())
	}
	switch {
	case len(on) > 1:
		v.found(wordTwoActive, Finding{
			What: "the group is promoted on " + strings.Join(on, " and "), Why: "each may write to its own copy of the data",
			Remedy: "pcs node standby NODE for the one whose data is not to be kept, then drbdnfs split-brain show",
		})
	case len(on) == 0 && v.f.Cluster != nil:
		severity := Critical
		if v.served == drbd.Yes {
			severity = Warning // as in maintenance: Pacemaker does not know of it
		}
		why, remedy := v.whyNobody()
		v.found(wordNoService, Finding{Severity: severity, What: "no node serves clients", Why: why, Remedy: remedy})
	}
	for _, a := range v.p.VIPs {
		if a.Answers == drbd.No && (len(on) > 0 || v.f.Cluster == nil) {
			v.silent(a)
		}
	}
}

func (v *view) silent(a VIP) {
	x := Finding{What: "NFS does not answer at " + a.Address, Why: a.Error, Node: v.p.Service.Active}
	switch active := v.p.Service.Active; active {
	case "":
		x.Remedy = "drbdnfs status on the other node"
	case v.f.Self:
		x.Remedy = "journalctl -t drbdnfs -n 30; " + v.cleanup()
	default:
		x.Remedy = "drbdnfs status on " + active + ": if it answers there, look at the network of " + v.f.Self
	}
	v.found(wordSilent, x)
}

// whyNobody says why no node is promoted, and what to do about it.
func (v *view) whyNobody() (why, remedy string) {
	c := v.f.Cluster
	if p := v.p.Service.Busy; p != "" {
		return "Pacemaker is at it: " + p, "wait; journalctl -t drbdnfs -f shows the steps"
	}
	if !c.HasDC {
		return "the cluster has no coordinator", "corosync-quorumtool"
	}
	if off := c.Off(v.group()); off != "" {
		return off, v.remedyOf(wordMaintenance, wordDisabled, wordUnmanaged)
	}
	if len(c.Instances(v.group())) == 0 {
		return "the cluster has no resource " + v.group(), "drbdnfs setup apply"
	}
	var each []string
	for _, n := range v.p.Nodes {
		if n.Diskless {
			continue
		}
		why, r := v.whyNot(n)
		each = append(each, n.Name+": "+why)
		if remedy == "" {
			remedy = r
		}
	}
	return strings.Join(each, "; "), cmp.Or(remedy, "pcs status")
}

// remedyOf is that of the first of words that was found.
func (v *view) remedyOf(words ...string) string {
	for _, w := range words {
		for _, x := range v.p.Findings {
			if x.Word == w {
				return x.Remedy
			}
		}
	}
	return "pcs status"
}

// whyNot says why a node is not promoted.
func (v *view) whyNot(n Node) (why, remedy string) {
	switch n.Cluster {
	case NodeStandby:
		return "in standby", "drbdnfs unstandby " + n.Name
	case NodeMaintenance:
		return "in maintenance", "pcs node unmaintenance " + n.Name
	case NodeOnline:
	default:
		return n.Cluster, ""
	}
	if last, ok := v.lastFailure(n.Name); ok && n.Group != "Unpromoted" {
		return clean(last.String()), remedyFor(last, v.cleanup())
	}
	if b := v.ban(n); b != "" {
		return "kept away by the constraint " + b, v.constraintRemedy(b)
	}
	if n.Name == v.f.Self && v.f.Victim == drbd.Yes {
		return "the victim of a split brain", "drbdnfs split-brain show"
	}
	if last, ok := v.lastFailure(n.Name); ok {
		return clean(last.String()), remedyFor(last, v.cleanup())
	}
	if v.f.Cluster != nil && !v.f.Cluster.Quorum {
		return "no quorum", "corosync-quorumtool"
	}
	if n.Seen != SeenNobody && n.Disk != drbd.DiskUpToDate && n.Disk != drbd.DiskUnknown {
		return "its data is " + string(n.Disk), "bring the node with good data back, or see journalctl -t drbdnfs -n 30"
	}
	if n.Group == "Stopped" {
		return "the group is stopped there", v.cleanup()
	}
	return "no promotion score", "journalctl -t drbdnfs -n 30 on " + n.Name
}

// parts tells what is missing of the service on this node while it is active.
func (v *view) parts() {
	g := v.f.Group
	if g == nil || v.p.Service.Active != v.f.Self || v.f.Self == "" {
		return
	}
	soon := "Pacemaker repairs it within seconds; otherwise " + v.cleanup()
	if v.f.Cluster == nil || v.f.Cluster.Off(v.group()) != "" {
		soon = "Pacemaker repairs nothing now: see to that first"
	}
	bad := func(is bool, word, what, remedy string) {
		if is {
			v.found(word, Finding{Node: v.f.Self, What: what + " on " + v.f.Self, Remedy: cmp.Or(remedy, soon)})
		}
	}
	dir := v.p.Service.Mount
	bad(g.Mount == mount.NotMounted, wordNotMounted, "the volume is not mounted on "+dir, "")
	bad(g.Mount == mount.ReadOnly, wordReadOnly, "the volume is mounted read-only", "journalctl -k -n 50 for the cause, then drbdnfs move")
	bad(g.Mount == mount.Foreign, wordForeignMount, "another file system is mounted on "+dir, "umount "+dir)
	bad(g.Mount == mount.Mounted && g.Place != nfs.PlaceVolume, wordStateLink, nfs.Dir+" does not lead to the volume", v.cleanup())
	for _, program := range g.DaemonsMissing {
		bad(true, wordNFSDaemon, program+" does not run", "")
	}
	bad(g.Threads == 0, wordThreads, "no nfsd thread runs", "")
	bad(g.Threads > 0 && !g.ThreadsOurs, wordForeignNFSD, "nfsd was started by somebody else", "systemctl disable --now nfs-server; "+v.cleanup())
	for _, e := range g.ExportsMissing {
		bad(true, wordNotExported, e.Path+" is not exported to "+e.Client, "")
	}
	bad(g.ExportsUnknown != "", wordVolumeHangs, "the volume hangs", "journalctl -k -n 50; if it lasts, reboot "+v.f.Self)
	for _, a := range g.Addresses {
		bad(!a.Present, wordNoAddress, "the address "+a.VIP.Addr().String()+" is missing", "")
	}
	bad(g.Blocked, wordPortsBlocked, "the ports of the service are blocked", "")
}

// lastFailure is the latest failed action of the group on a node.
func (v *view) lastFailure(node string) (Failed, bool) {
	if v.f.Cluster == nil {
		return Failed{}, false
	}
	list := slices.DeleteFunc(v.f.Cluster.Failures(v.group()), func(x Failed) bool { return x.Node != node })
	if len(list) == 0 {
		return Failed{}, false
	}
	return slices.MaxFunc(list, func(a, b Failed) int { return a.When.Compare(b.When) }), true
}
