package status

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
)

// draw puts what was seen into a picture without judging it.
func draw(f *Facts) *Picture {
	p := &Picture{
		Version: PictureVersion, Time: f.Now, From: f.Self, TookMS: f.Took.Milliseconds(),
		VIPs: []VIP{}, Exports: []Export{}, Nodes: []Node{}, SplitBrains: []SplitBrain{}, Failovers: []Failover{},
		Snapshots: append([]string{}, f.Snapshots...), Findings: []Finding{}, Unknown: append([]Unknown{}, f.Unknown...),
		Fencing: Fencing{Devices: []string{}},
	}
	if f.CIB != nil {
		p.Cluster = clean(f.CIB.Properties["cluster-name"])
	}
	if f.Plan != nil {
		p.Cluster = cmp.Or(f.Plan.Cluster, p.Cluster)
		p.Service = Service{Group: f.Plan.Group, Resource: f.Plan.Resource, Mount: f.Plan.Mount}
		drawVIPs(f, p)
	}
	drawNodes(f, p)
	drawActive(f, p)
	if f.Plan != nil {
		drawExports(f, p)
		p.SplitBrains = splitBrains(f)
	}
	drawHistory(f, p)
	drawQuorum(f, p)
	drawFencing(f, p)
	return p
}

func drawVIPs(f *Facts, p *Picture) {
	for i, v := range f.Plan.VIPs {
		out := VIP{Address: v.Addr().String(), Prefix: v.Prefix.Bits(), Interface: v.Interface}
		if f.Addresses != nil {
			out.Present = drbd.No
			for _, a := range f.Addresses {
				if a.Prefix.Addr() == v.Addr() {
					out.Present, out.Interface = drbd.Yes, a.Interface
				}
			}
		}
		if i < len(f.Replies) {
			out.Answers, out.Error = drbd.No, f.Replies[i].Error
			if out.Error == "" {
				out.Answers, out.TookMS = drbd.Yes, math.Round(10*f.Replies[i].Took.Seconds()*1000)/10
			}
		}
		p.VIPs = append(p.VIPs, out)
	}
}

// names are the nodes of the picture: of the plan, or else of the cluster.
func (f *Facts) names() []PlanNode {
	var out []PlanNode
	switch {
	case f.Plan != nil:
		return f.Plan.Nodes
	case f.Cluster != nil:
		for _, n := range f.Cluster.Nodes {
			out = append(out, PlanNode{Name: clean(n.Name)})
		}
	}
	if len(out) == 0 && f.Self != "" {
		out = append(out, PlanNode{Name: f.Self})
	}
	return out
}

func drawNodes(f *Facts, p *Picture) {
	for _, n := range f.names() {
		out := Node{
			Name: n.Name, Diskless: n.Diskless, Cluster: f.clusterState(n.Name), Group: f.role(n.Name),
			Role: drbd.RoleUnknown, Disk: drbd.DiskUnknown, Seen: SeenNobody,
		}
		if n.Name == f.Self {
			out.Daemon = f.Daemon
			f.drawSelf(&out)
		} else {
			f.drawPeer(&out)
		}
		p.Nodes = append(p.Nodes, out)
	}
}

// clusterState is a node's state in Pacemaker.
func (f *Facts) clusterState(name string) string {
	if f.Cluster == nil || !f.Cluster.HasDC {
		return NodeUnknown
	}
	n, ok := f.Cluster.Node(name)
	switch {
	case !ok:
		return NodeOffline
	case n.Unclean:
		return NodeUnclean
	case !n.Online:
		return NodeOffline
	case n.Pending:
		return NodePending
	case n.Maintenance || f.Cluster.Maintenance:
		return NodeMaintenance
	case n.Standby:
		return NodeStandby
	}
	return NodeOnline
}

// role is Pacemaker's role of the group on a node, in the present words; "" is
// not known.
func (f *Facts) role(name string) string {
	if f.Cluster == nil || f.Plan == nil {
		return ""
	}
	for _, i := range f.Cluster.Instances(f.Plan.Group) {
		if slices.Contains(i.Nodes, name) {
			switch i.Role {
			case "Master":
				return "Promoted"
			case "Slave":
				return "Unpromoted"
			}
			return clean(i.Role)
		}
	}
	return "Stopped"
}

// drawActive says who is promoted: by Pacemaker, or when that is not known by
// DRBD.
func drawActive(f *Facts, p *Picture) {
	if f.Cluster != nil && f.Plan != nil {
		if on := f.Cluster.Promoted(f.Plan.Group); len(on) > 0 {
			p.Service.Active = on[0]
		}
		p.Service.Busy = clean(f.Cluster.Pending(f.Plan.Group))
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if f.Cluster == nil && p.Service.Active == "" && n.Role == drbd.RolePrimary && n.Seen != SeenNobody {
			p.Service.Active = n.Name
		}
		n.Active = n.Name == p.Service.Active || n.Group == "Promoted"
	}
	if p.Service.Active == f.Self && f.Self != "" {
		p.Clients = f.Clients
	}
}

func drawExports(f *Facts, p *Picture) {
	for _, e := range f.Plan.Exports {
		i := slices.IndexFunc(p.Exports, func(x Export) bool { return x.Path == e.Path })
		if i < 0 {
			p.Exports = append(p.Exports, Export{Path: e.Path, Clients: []string{}})
			i = len(p.Exports) - 1
		}
		p.Exports[i].Clients = append(p.Exports[i].Clients, e.Client)
	}
	if p.Service.Active != f.Self || f.Group == nil || f.Group.ExportsUnknown != "" {
		return
	}
	for i := range p.Exports {
		p.Exports[i].Exported = drbd.Yes
		for _, m := range f.Group.ExportsMissing {
			if m.Path == p.Exports[i].Path {
				p.Exports[i].Exported = drbd.No
			}
		}
	}
}

func drawHistory(f *Facts, p *Picture) {
	if f.Plan == nil {
		return
	}
	events := slices.Clone(f.Journal)
	if f.CIB != nil {
		events = append(events, operationEvents(f.CIB.Operations, f.Plan.Group)...)
	}
	var failures []Failed
	if f.Cluster != nil {
		failures = f.Cluster.Failures(f.Plan.Group)
	}
	p.Failovers = failovers(events, failures)
	if len(p.Failovers) > 0 && p.Failovers[0].To == p.Service.Active {
		last := p.Failovers[0]
		p.Service.Since, p.Service.Previous, p.Service.How, p.Service.StallMS = last.Time, last.From, last.Reason, last.StallMS
	}
}

func drawQuorum(f *Facts, p *Picture) {
	p.Quorum.Expected = len(p.Nodes)
	if f.Cluster != nil && f.Cluster.HasDC {
		p.Quorum.Corosync = tri(f.Cluster.Quorum)
		for _, n := range f.Cluster.Nodes {
			if n.Online {
				p.Quorum.Nodes++
			}
		}
	}
	if f.Resource != nil && !f.Kernel84 {
		for _, d := range f.Resource.SortedDevices() {
			if p.Quorum.DRBD != drbd.No {
				p.Quorum.DRBD = d.Quorum
			}
		}
	}
}

func tri(b bool) drbd.Tri {
	if b {
		return drbd.Yes
	}
	return drbd.No
}

func drawFencing(f *Facts, p *Picture) {
	if f.Plan != nil {
		p.Fencing.Mode = f.Plan.Fencing
	}
	if f.CIB != nil {
		for _, id := range f.CIB.Fences {
			p.Fencing.Devices = append(p.Fencing.Devices, clean(id))
		}
		// Pacemaker's own default is true.
		p.Fencing.STONITH = tri(f.CIB.Properties["stonith-enabled"] != "false")
	}
	switch {
	case p.Fencing.Mode == config.FencingNone:
		p.Fencing.Note = "none (accepted in the configuration: a cut link can split the data)"
	case p.Fencing.Mode == config.FencingQuorum:
		p.Fencing.Note = "drbd-quorum (who has no majority in DRBD cannot write)"
	case p.Fencing.STONITH == drbd.No:
		p.Fencing.Note = strings.TrimSpace(p.Fencing.Mode + " (STONITH is off in Pacemaker)")
	case p.Fencing.STONITH == drbd.Yes:
		p.Fencing.Note = cmp.Or(p.Fencing.Mode, config.FencingSTONITH) + " (" + strings.Join(p.Fencing.Devices, ", ") + ")"
	default:
		p.Fencing.Note = cmp.Or(p.Fencing.Mode, "not known")
	}
}
