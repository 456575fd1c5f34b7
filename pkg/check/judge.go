package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/declare"
)

// Judge turns what was seen into findings. It is pure; what was not seen is not
// guessed.
func Judge(f *Facts) []Finding {
	j := &judge{Facts: f}
	j.unseen()
	j.plan()
	j.declared()
	j.clocks()
	j.cluster()
	j.configuration()
	j.fencing()
	j.links()
	j.drbd()
	j.options()
	j.snapshots()
	j.storage()
	j.nfs()
	j.services()
	return j.out
}

type judge struct {
	*Facts
	out []Finding
}

// add makes a finding of a check about a thing on a node. The remedy is the
// check's own, with words in it replaced by pairs.
func (j *judge) add(id, node, thing, found string, replace ...string) *Finding {
	c := lookup(id)
	j.out = append(j.out, Finding{
		ID: c.ID, Severity: c.Severity, Area: c.Area, Node: node, Thing: thing, Found: found, Why: c.Why,
		Remedy: strings.NewReplacer(replace...).Replace(c.Remedy),
	})
	return &j.out[len(j.out)-1]
}

// here is add for this node.
func (j *judge) here(id, thing, found string, replace ...string) *Finding {
	return j.add(id, j.Self, thing, found, replace...)
}

// unseen are the sources that could not look. Where Pacemaker does not answer at
// all, that is said once.
func (j *judge) unseen() {
	asks := []string{sourceCIB, sourceHistory, sourceDeclared}
	i := slices.IndexFunc(j.Unseen, func(u Unseen) bool { return u.Source == sourceCluster })
	var folded []string
	for _, u := range j.Unseen {
		switch {
		case u.Source == sourceCluster:
		case i >= 0 && slices.Contains(asks, u.Source):
			folded = append(folded, u.Source)
		default:
			j.here("unseen", u.Source, u.Why).Area = u.Area
		}
	}
	if i >= 0 {
		found := j.Unseen[i].Why
		if folded != nil {
			found += "; not looked at: " + strings.Join(folded, ", ")
		}
		j.here("cluster-down", sourceCluster, found)
	}
}

// declared compares what the nodes say of themselves with this one.
func (j *judge) declared() {
	if j.Declared == nil {
		return
	}
	own := j.Declared.Own
	if d := j.DRBD; d != nil {
		own.Kernel, own.Utils = d.Kernel, d.Utils
	}
	for _, n := range j.Config.Nodes {
		said, ok := j.Declared.Nodes[n.Name]
		switch {
		case !ok:
			j.silent(n.Name)
		case n.Name == j.Self:
			j.behind(own, said)
		default:
			j.compare(n.Name, own, said)
		}
	}
}

// silent says why a node cannot be compared.
func (j *judge) silent(node string) {
	why := "its drbdnfsd does not run, or is older than this one"
	if j.Cluster != nil && !j.Cluster.Online(node) {
		why = "it is not online in the cluster"
	}
	j.add("node-silent", node, "drbdnfsd", "it publishes nothing: "+why)
}

// behind compares this node's daemon with the file and the installed program.
func (j *judge) behind(own, said declare.Node) {
	switch {
	case said.Problem != "":
		j.here("config-unusable", "configuration", "drbdnfsd says: "+said.Problem)
	case said.Version != own.Version:
		j.here("daemon-behind", "drbdnfsd", fmt.Sprintf("it runs version %s, %s is installed", said.Version, own.Version))
	case said.Config != own.Config:
		j.here("daemon-behind", "drbdnfsd", "it does not use the configuration that the file has")
	}
}

// compare compares another node with this one.
func (j *judge) compare(node string, own, said declare.Node) {
	if said.Problem != "" {
		j.add("config-unusable", node, "configuration", "its drbdnfsd says: "+said.Problem)
	}
	if said.Version != own.Version {
		j.add("version-differs", node, "drbdnfs", fmt.Sprintf("%s there, %s on %s", said.Version, own.Version, j.Self))
	} else if said.Config != "" && said.Config != own.Config {
		j.add("config-differs", node, "configuration", fmt.Sprintf("digest %s there, %s on %s", said.Config, own.Config, j.Self))
	}
	if said.Secret != own.Secret {
		where := j.Self
		if said.Secret {
			where = node
		}
		j.add("secret-differs", node, config.DefaultSecretFile, "there only on "+where)
	}
	for _, v := range [][3]string{{"kernel module", said.Kernel, own.Kernel}, {"utilities", said.Utils, own.Utils}} {
		if v[1] != "" && v[2] != "" && v[1] != v[2] {
			j.add("drbd-differs", node, "DRBD's "+v[0], fmt.Sprintf("%s there, %s on %s", v[1], v[2], j.Self))
		}
	}
}

// clocks judges how far the other nodes' clocks are from this one's.
func (j *judge) clocks() {
	for _, n := range j.Config.Nodes {
		c, asked := j.Clocks[n.Name]
		switch {
		case !asked:
		case !c.Known:
			j.add("clock-unknown", n.Name, "clock", "not answered")
		case c.Ahead.Abs() > maxSkew:
			word := "ahead of"
			if c.Ahead < 0 {
				word = "behind"
			}
			j.add("clock-skew", n.Name, "clock", fmt.Sprintf("%v %s %s's", c.Ahead.Abs(), word, j.Self))
		}
	}
}
