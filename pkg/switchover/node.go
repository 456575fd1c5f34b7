package switchover

import (
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// decideNode decides on standby and unstandby.
func (f Facts) decideNode(p *Plan) {
	n, known := f.Cluster.Node(p.Node)
	if !known {
		p.refuse(NotAMember, false, p.Node+" is not in the cluster", "name one of "+strings.Join(f.names(), ", "))
		return
	}
	standby := p.Action == Standby
	switch {
	case n.Standby == standby && standby:
		p.Nothing = p.Node + " is in standby already"
	case n.Standby == standby:
		p.Nothing = p.Node + " is not in standby"
	case !standby:
		if f.Preferred == p.Node && p.From != p.Node && p.From != "" {
			p.Notes = append(p.Notes, p.Node+" is the preferred node (pacemaker.preferred): the service moves there as soon as its data are good")
		}
	case p.From != p.Node:
		f.standbyPassive(p)
	default:
		f.standbyActive(p)
	}
	if p.Nothing != "" {
		p.Refusals = onlyHeld(p.Refusals)
	}
}

// names are the nodes of the cluster.
func (f Facts) names() []string {
	var out []string
	for _, n := range f.Cluster.Nodes {
		out = append(out, n.Name)
	}
	return out
}

// standbyPassive judges the standby of a node that does not serve.
func (f Facts) standbyPassive(p *Plan) {
	if !slices.Contains(f.Nodes, p.Node) {
		p.Notes = append(p.Notes, p.Node+" holds no data; its vote in DRBD's quorum stays while DRBD is up there")
		return
	}
	if p.From != "" && f.good(p.From) == drbd.No && f.good(p.Node) != drbd.No {
		p.refuse(LastCopy, false, p.From+" serves, but its own disk is not UpToDate: "+p.Node+" has the data", "repair the disk of "+p.From+" first")
	}
	if p.From == "" {
		p.Notes = append(p.Notes, f.Group+" is promoted nowhere now")
		return
	}
	p.Notes = append(p.Notes, "the data are on "+p.From+" alone from then on, until drbdnfs unstandby "+p.Node)
}

// standbyActive finds who serves instead. That nobody can is the administrator's
// to accept, as long as Pacemaker would not promote a node with older data: see
// [Switch.Plan].
func (f Facts) standbyActive(p *Plan) {
	f.off(p)
	var why []string
	for _, n := range f.others(p.Node) {
		against := f.judge(p.Node, n)
		if len(against) == 0 && (p.To == p.From || f.score(n) > f.score(p.To)) {
			p.To = n
		}
		for _, r := range against {
			why = append(why, r.Text)
		}
	}
	if p.To != p.From {
		f.outlook(p)
		p.Notes = append(p.Notes, "the data are on "+p.To+" alone from then on, until drbdnfs unstandby "+p.Node)
		return
	}
	p.To = ""
	p.refuse(LastNode, true, "nobody else can serve: "+strings.Join(why, "; ")+"; clients would wait until drbdnfs unstandby "+p.Node, "")
}
