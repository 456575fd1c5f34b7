package status

import (
	"errors"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// Plan is what the cluster is meant to be, as far as a picture needs it: of the
// configuration file, or else of the CIB.
type Plan struct {
	FromCIB  bool // the file could not be used: fencing, storage and policy are not known
	Cluster  string
	Nodes    []PlanNode
	Group    string
	Resource string
	Mount    string
	Exports  []nfs.Export
	VIPs     []vip.VIP
	Threads  int
	// NullVersion is the NFS version that is asked through the addresses.
	NullVersion uint32
	Fencing     string // mode; "" is not known
	LINSTOR     bool
	Controller  string // node with LINSTOR's controller
}

// PlanNode is one node of a [Plan].
type PlanNode struct {
	Name     string
	Diskless bool
}

// errNoGroup reports a CIB without the agent.
var errNoGroup = errors.New("no resource of ocf:spacei:drbdnfs")

// planOfConfig is the plan of a configuration file.
func planOfConfig(c *config.Config) (*Plan, error) {
	p := &Plan{
		Cluster: c.Cluster, Group: c.Pacemaker.Group, Resource: c.Resource.Name, Mount: c.Filesystem.Mount,
		Threads: c.NFS.Threads, NullVersion: nullVersion(c.NFS.Versions), Fencing: c.Fencing.Mode,
		LINSTOR: c.Storage.Manager == config.ManagerLINSTOR, Controller: c.Storage.Controller,
	}
	for _, n := range c.Nodes {
		p.Nodes = append(p.Nodes, PlanNode{n.Name, n.Diskless})
	}
	return p, p.lists(c.ExportsText(), c.VIPsText())
}

// planOfCIB is the plan that Pacemaker's configuration shows: of the first
// resource of the agent.
func planOfCIB(c *CIB) (*Plan, error) {
	if len(c.Groups) == 0 {
		return nil, errNoGroup
	}
	g := c.Groups[0]
	p := &Plan{
		FromCIB: true, Cluster: c.Properties["cluster-name"], Group: g.ID, Resource: g.Parameters["drbd_resource"],
		Mount: g.Parameters["directory"], NullVersion: nullVersion(strings.Fields(g.Parameters["nfs_versions"])),
	}
	for _, n := range c.Nodes {
		p.Nodes = append(p.Nodes, PlanNode{Name: n})
	}
	return p, p.lists(g.Parameters["exports"], g.Parameters["vips"])
}

// lists reads the two parameters that are lists.
func (p *Plan) lists(exports, vips string) (err error) {
	if p.Exports, err = nfs.ParseExports(exports, p.Resource); err != nil {
		return err
	}
	p.VIPs, err = vip.Parse(vips)
	return err
}

// nullVersion prefers version 4, as clients do; no version is the default list.
func nullVersion(versions []string) uint32 {
	if len(versions) == 0 || slices.ContainsFunc(versions, func(v string) bool { return strings.HasPrefix(v, "4") }) {
		return 4
	}
	return 3
}

// group is the part that the group's inspection needs.
func (p *Plan) group() group.Config {
	return group.Config{
		Instance: p.Group, Resource: p.Resource, Dir: p.Mount, StateDir: p.Mount + "/var/lib/nfs",
		Exports: p.Exports, VIPs: p.VIPs, DRBDDown: group.DownAuto, Server: nfs.ServerConfig{Threads: p.Threads},
	}
}

// diskful are the names of the nodes that can serve.
func (p *Plan) diskful() []string {
	var out []string
	for _, n := range p.Nodes {
		if !n.Diskless {
			out = append(out, n.Name)
		}
	}
	return out
}
