package switchover

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
)

// Decide returns what would be done for a request, and what stands against it.
// It is pure. What Pacemaker itself would make of it is not in it: see
// [Switch.Plan].
func Decide(f Facts, r Request) Plan {
	p := Plan{Action: r.Action, Group: f.Group, timeout: r.Timeout, force: r.Force}
	if f.clusterRefuses(&p) {
		return p
	}
	if promoted := f.Cluster.Promoted(f.Group); len(promoted) == 1 {
		p.From, p.To = promoted[0], promoted[0]
	}
	f.holds(&p)
	switch r.Action {
	case Standby, Unstandby:
		p.Node = r.Node
		if p.Node == "" {
			p.Node = f.Self
		}
		f.decideNode(&p)
	case Move, Failback:
		f.decideMove(&p, r.Node)
	}
	return p
}

// clusterRefuses adds what keeps any of it from being decided.
func (f Facts) clusterRefuses(p *Plan) bool {
	st := f.Cluster
	switch {
	case !st.HasDC:
		p.refuse(NoCoordinator, false, "the cluster has no coordinator (DC): nothing is decided now", "wait a moment; then look with drbdnfs status")
	case !st.Quorum:
		p.refuse(NoQuorum, false, "this part of the cluster has no quorum", "bring the other nodes back first")
	case len(st.Instances(f.Group)) == 0:
		p.refuse(NotThere, false, "Pacemaker has no resource "+f.Group, "look with drbdnfs setup plan")
	case len(st.Promoted(f.Group)) > 1:
		p.refuse(Busy, false, f.Group+" is promoted on "+strings.Join(st.Promoted(f.Group), " and "), "look with drbdnfs split-brain show")
	}
	return len(p.Refusals) > 0
}

// holds takes over what a killed run has left, and refuses beside a live one.
func (f Facts) holds(p *Plan) {
	h := f.Hold
	if h == nil {
		return
	}
	p.hold = h
	if h.By == f.Self && f.LockHeld || !f.Now.Before(h.Until) {
		p.Notes = append(p.Notes, fmt.Sprintf("an earlier move to %s was cut off; its constraint %s is removed", h.Target, ConstraintID(f.Group)))
		return
	}
	p.refuse(Held, true, fmt.Sprintf("%s is moving the service to %s, or was cut off while it did", h.By, h.Target),
		fmt.Sprintf("wait until %s UTC, when that ends by itself", h.Until.UTC().Format("15:04:05")))
}

// off refuses while Pacemaker leaves the group alone or is at work on it.
func (f Facts) off(p *Plan) {
	if off := f.Cluster.Off(f.Group); off != "" {
		p.refuse(Off, false, f.Group+": "+off, switchOn(f))
	}
	if what := f.Cluster.Pending(f.Group); what != "" {
		p.refuse(Busy, false, "Pacemaker is at work on "+f.Group+": "+strings.ToLower(what), "wait until it has ended")
	}
}

// switchOn is the command for what [pacemaker.Status.Off] has found.
func switchOn(f Facts) string {
	if f.Cluster.Maintenance {
		return "pcs property set maintenance-mode=false"
	}
	for _, c := range f.Cluster.Clones {
		if c.Disabled {
			return "pcs resource enable " + f.Group
		}
	}
	return "pcs resource manage " + f.Group
}

// decideMove finds the target of a move and judges it.
func (f Facts) decideMove(p *Plan, node string) {
	f.off(p)
	if p.From == "" {
		p.refuse(Nowhere, false, f.Group+" is promoted nowhere: there is nothing to move", "look with drbdnfs status")
		return
	}
	if p.Action == Failback {
		node = f.home(p)
	} else if node == "" {
		node = f.choose(p)
	}
	if node == "" {
		return
	}
	p.To = node
	if p.To == p.From {
		p.Nothing, p.Refusals = f.Group+" is on "+p.To+" already", onlyHeld(p.Refusals)
		return
	}
	p.Refusals = append(p.Refusals, f.judge(p.From, p.To)...)
	f.outlook(p)
}

// onlyHeld keeps what has to do with another run.
func onlyHeld(list []Refusal) []Refusal {
	return slices.DeleteFunc(list, func(r Refusal) bool { return r.Code != Held })
}

// home is where failback goes.
func (f Facts) home(p *Plan) string {
	if f.Preferred != "" {
		return f.Preferred
	}
	if n := f.previous(p.From); n != "" {
		p.Notes = append(p.Notes, "no node is preferred (pacemaker.preferred); "+n+" served before "+p.From)
		return n
	}
	p.refuse(Unknown, false, "no node is preferred (pacemaker.preferred), and Pacemaker's history does not say who served before "+p.From,
		"name the node: drbdnfs move "+strings.Join(f.others(p.From), " or drbdnfs move "))
	return ""
}

// previous is the node that was demoted last, before the active one was
// promoted; "" where the history does not tell.
func (f Facts) previous(active string) string {
	promoted, best := f.History[active], ""
	if promoted.Task != "promote" {
		return ""
	}
	for _, n := range f.others(active) {
		op := f.History[n]
		if op.Task != "demote" || !op.OK || op.When.After(promoted.When) {
			continue
		}
		if best == "" || op.When.After(f.History[best].When) {
			best = n
		}
	}
	return best
}

// others are the nodes with data besides one.
func (f Facts) others(node string) []string {
	return slices.DeleteFunc(slices.Clone(f.Nodes), func(n string) bool { return n == node })
}

// choose returns the only node that can be meant, or refuses.
func (f Facts) choose(p *Plan) string {
	candidates := f.others(p.From)
	var good []string
	for _, n := range candidates {
		if len(f.judge(p.From, n)) == 0 {
			good = append(good, n)
		}
	}
	switch {
	case len(good) == 1:
		return good[0]
	case len(candidates) == 1:
		return candidates[0] // and why it cannot be is said
	case len(candidates) == 0:
		p.refuse(NoData, false, "no other node holds data", "")
	case len(good) == 0:
		for _, n := range candidates {
			p.Refusals = append(p.Refusals, f.judge(p.From, n)...)
		}
	default:
		best := slices.MaxFunc(good, func(a, b string) int { return f.score(a) - f.score(b) })
		p.refuse(Ambiguous, false, "the service can go to "+strings.Join(good, " or "), "name one: drbdnfs move "+best)
	}
	return ""
}

// outlook says what clients will notice.
func (f Facts) outlook(p *Plan) {
	demote, promote := f.History[p.To], f.History[p.From]
	if promote.Task == "promote" {
		p.Expect = promote.Took
	}
	if demote.Task == "demote" {
		p.Expect += demote.Took
	}
	if f.DRBD == nil {
		p.Notes = append(p.Notes, fmt.Sprintf("DRBD is not seen from here (%s): that %s has the data is what its own agent says", f.Blind, p.To))
	}
}

// score is what the agent of a node has published.
func (f Facts) score(node string) int {
	n, _ := f.Cluster.Node(node)
	if s, err := strconv.Atoi(n.Attributes[scoreAttribute(f.Group)]); err == nil {
		return s
	}
	return drbd.ScoreNone
}

// scoreAttribute is where Pacemaker (2.0 and 2.1) keeps a promotion score.
func scoreAttribute(group string) string { return "master-" + group }

// judge returns what keeps the service from being moved from one node to
// another, nothing when it can. It is pure.
func (f Facts) judge(from, to string) []Refusal {
	var p Plan
	if !f.member(&p, to) {
		return p.Refusals
	}
	f.running(&p, to)
	if f.Cluster.Online(to) {
		f.data(&p, from, to)
	}
	return p.Refusals
}

// member refuses a node that holds no data or is not in the cluster.
func (f Facts) member(p *Plan, node string) bool {
	_, known := f.Cluster.Node(node)
	switch {
	case slices.Contains(f.Diskless, node):
		p.refuse(NoData, false, node+" is diskless: it holds no data and never serves", "name one of "+strings.Join(f.Nodes, ", "))
	case !slices.Contains(f.Nodes, node):
		p.refuse(NotAMember, false, fmt.Sprintf("the configuration has no node %q", node), "name one of "+strings.Join(f.Nodes, ", "))
	case !known:
		p.refuse(NotAMember, false, node+" is not in the cluster", "look with drbdnfs setup plan")
	}
	return len(p.Refusals) == 0
}

// running refuses a node that cannot run the group now.
func (f Facts) running(p *Plan, node string) {
	n, _ := f.Cluster.Node(node)
	switch {
	case n.Unclean:
		p.refuse(NodeAway, false, node+" is unclean: it waits to be fenced", "look with drbdnfs status")
	case !n.Online:
		p.refuse(NodeAway, false, node+" is offline", "start the cluster there: pcs cluster start")
	case n.Pending:
		p.refuse(NodeAway, false, node+" is joining the cluster", "wait a moment")
	case n.Maintenance:
		p.refuse(NodeAway, false, node+" is in maintenance", "pcs node unmaintenance "+node)
	case n.Standby:
		p.refuse(NodeAway, false, node+" is in standby", "drbdnfs unstandby "+node)
	case !slices.Contains(f.Cluster.Running(f.Group), node):
		p.refuse(Stopped, false, f.Group+" does not run on "+node+f.failures(node), "crm_resource --cleanup --resource "+f.Group+" --node "+node)
	case slices.ContainsFunc(f.Cluster.Instances(f.Group), func(i pacemaker.Instance) bool {
		return slices.Contains(i.Nodes, node) && (i.Failed || i.Unmanaged)
	}):
		p.refuse(Stopped, false, f.Group+" on "+node+" has failed or is unmanaged"+f.failures(node),
			"crm_resource --cleanup --resource "+f.Group+" --node "+node)
	}
}

// failures are the reasons of a node's failed actions, as the end of a
// sentence.
func (f Facts) failures(node string) string {
	var out []string
	for _, x := range f.Cluster.Failures(f.Group) {
		if x.Node == node {
			out = append(out, x.String())
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, "; ")
}

// victim reports whether a node's data are to be discarded.
func (f Facts) victim(node string) bool {
	n, _ := f.Cluster.Node(node)
	v := n.Attributes[cib.VictimAttribute(f.Resource)]
	return v != "" && v != "0"
}
