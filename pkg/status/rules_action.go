package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// actions tells of failed actions: those that were repaired, too.
func (v *view) actions() {
	if v.f.Cluster == nil || v.f.Plan == nil {
		return
	}
	for _, n := range v.p.Nodes {
		last, ok := v.lastFailure(n.Name)
		if !ok {
			continue
		}
		v.action(n, last)
	}
}

func (v *view) action(n Node, last Failed) {
	x := Finding{
		Node: n.Name, What: fmt.Sprintf("%s failed on %s", clean(last.Task), n.Name),
		Why: clean(cmp.Or(last.Reason, last.Result)), Remedy: remedyFor(last, v.cleanup()), Since: last.When,
	}
	g, _ := v.f.CIB.group(v.group())
	count := 0
	if v.f.CIB != nil {
		count = v.f.CIB.FailCounts[n.Name][v.group()]
	}
	exhausted := count >= infinity || g.Threshold > 0 && count >= g.Threshold
	repaired := n.Group == "Promoted" || n.Group == "Unpromoted"
	switch {
	case last.Task == "stop" && n.Group != "Stopped":
		x.What = "the group could not be stopped on " + n.Name
		v.found(wordStopFailed, x)
	case exhausted:
		x.Why = fmt.Sprintf("%s: %s", x.What, x.Why)
		x.What = fmt.Sprintf("the group has failed too often on %s, it is not tried there any more", n.Name)
		v.found(wordThreshold, x)
	case repaired:
		x.Remedy = v.cleanup() + " forgets it"
		v.found(wordRecovered, x)
	default:
		v.found(wordFailed, x)
	}
}

// remedies are what to do by what a failed action said, in the agent's words
// (docs/agent.md has the table) or Pacemaker's.
var remedies = []struct{ says, remedy string }{
	{"pipefs-directory", "set pipefs-directory=/run/rpc_pipefs in [general] of /etc/nfs.conf on NODE, systemctl daemon-reload; "},
	{"systemctl disable --now nfs-server", "on NODE: systemctl disable --now nfs-server; "},
	{"held by", "end the process that is named, on NODE; "},
	{"UpToDate data", "bring the other node back: its data is the good one; "},
	{"I/O is suspended", "reboot NODE; "},
	{"in use by another machine", "take the address off the machine that answers for it; "},
	{"split brain", "drbdnfs split-brain show; "},
	{"another file system is mounted", "unmount it on NODE; "},
	{"make the directory", "make the directory on the active node; "},
	{"did not complete within", "journalctl -t drbdnfs -n 30 on NODE: the step without \"step done\" hung; "},
	{"imed out", "journalctl -t drbdnfs -n 30 on NODE: the step without \"step done\" hung; "},
	{"Simulated failure", "journalctl -t drbdnfsd -n 30 on NODE: drbdnfsd has told Pacemaker of it; "},
}

// remedyFor is what to do about a failed action.
func remedyFor(x Failed, cleanup string) string {
	text := x.Reason + " " + x.Result
	for _, r := range remedies {
		if strings.Contains(text, r.says) {
			return strings.ReplaceAll(r.remedy, "NODE", x.Node) + cleanup
		}
	}
	return "journalctl -t drbdnfs -n 30 on " + x.Node + "; " + cleanup
}

// Beginnings of the ids of constraints that somebody's command, or DRBD's
// handler, has left.
const (
	byHandConstraint = "cli-"
	byDRBDConstraint = "drbd-fence-by-handler-"
)

// leftovers are the constraints on the group that do not stand in a
// configuration.
func (v *view) leftovers() []Constraint {
	var out []Constraint
	mine := func(resource string) bool { return resource == v.group() || resource == v.clone() }
	if v.f.CIB != nil {
		for _, c := range v.f.CIB.Constraints {
			if mine(c.Resource) && (strings.HasPrefix(c.ID, byHandConstraint) || strings.HasPrefix(c.ID, byDRBDConstraint)) {
				out = append(out, Constraint{clean(c.ID), c.Resource, c.Node})
			}
		}
		return out
	}
	if v.f.Cluster != nil {
		for _, b := range v.f.Cluster.Bans {
			if mine(b.Resource) && strings.HasPrefix(b.ID, byHandConstraint) {
				out = append(out, Constraint{clean(b.ID), b.Resource, b.Node})
			}
		}
	}
	return out
}

// ban is a constraint that keeps the group away from a node. DRBD's names the
// node that it leaves, whose data is the good one.
func (v *view) ban(n Node) string {
	for _, c := range v.leftovers() {
		if c.Node == n.Name && strings.HasPrefix(c.ID, "cli-ban") ||
			n.Disk != drbd.DiskUpToDate && strings.HasPrefix(c.ID, byDRBDConstraint) {
			return c.ID
		}
	}
	return ""
}

func (v *view) constraintRemedy(id string) string {
	if strings.HasPrefix(id, byDRBDConstraint) {
		return "pcs constraint remove " + id + ", when all disks are UpToDate"
	}
	return "pcs resource clear " + v.clone()
}

// constraints tells of leftovers.
func (v *view) constraints() {
	if v.f.Plan == nil {
		return
	}
	for _, c := range v.leftovers() {
		x := Finding{Node: c.Node, Remedy: v.constraintRemedy(c.ID)}
		if strings.HasPrefix(c.ID, byHandConstraint) {
			x.What, x.Why = "the constraint "+c.ID+" is left", "somebody moved or banned the group by hand"
			v.found(wordBan, x)
			continue
		}
		x.What, x.Why = "DRBD's rule "+c.ID+" keeps the group on one node", "the other node's data is not good; the rule goes when it is"
		good := !slices.ContainsFunc(v.p.Nodes, func(n Node) bool { return !n.Diskless && n.Disk != drbd.DiskUpToDate })
		if good {
			x.Why = "all disks are UpToDate: it is left over"
		} else {
			x.Severity = Notice
		}
		v.found(wordFenceRule, x)
	}
}
