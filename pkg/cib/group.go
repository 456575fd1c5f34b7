package cib

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/config"
)

// Defaults are the values that the agent takes for parameters that the CIB does
// not have. Those that follow from other parameters are not among them.
func Defaults() map[string]string {
	return map[string]string{
		"fstype": "xfs", "nfs_versions": "3 4.1 4.2", "nfs_threads": "128", "lease_time": "30s", "grace_time": "30s",
		"ports": "mountd=32773 statd=32771 statd-outgoing=32772 lockd-tcp=32774 lockd-udp=32775",
	}
}

// Reloadable are the agent's parameters that can change while clients are
// served. A change of any other restarts the resource on every node.
func Reloadable() []string {
	return []string{"exports", "nfs_threads", "vips", "report_degraded", "log_level"}
}

// parameters are the agent's parameters that the configuration decides.
func parameters(c *config.Config) []pair {
	dflt := Defaults()
	stateDir := path.Join(c.Filesystem.Mount, "var/lib/nfs")
	out := []pair{
		{name: "drbd_resource", value: c.Resource.Name, key: "resource.name"},
		{name: "directory", value: c.Filesystem.Mount, key: "filesystem.mount"},
		{name: "fstype", value: c.Filesystem.Type, key: "filesystem.type"},
		{name: "mount_options", value: c.Filesystem.MountOptions, key: "filesystem.mount_options"},
		{name: "nfs_state_dir", value: cmp.Or(c.NFS.StateDir, stateDir), dflt: stateDir, key: "nfs.state_dir"},
		{name: "exports", value: exports(c), same: sameExports, key: "export"},
		{name: "nfs_versions", value: strings.Join(c.NFS.Versions, " "), same: sameList, key: "nfs.versions"},
		{name: "nfs_threads", value: strconv.Itoa(c.NFS.Threads), key: "nfs.threads"},
		{name: "ports", value: c.PortsText(), same: sameList, key: "nfs.ports"},
		{name: "lease_time", value: seconds(c.NFS.LeaseTime.D()), same: sameTime, key: "nfs.lease_time"},
		{name: "grace_time", value: seconds(c.NFS.GraceTime.D()), same: sameTime, key: "nfs.grace_time"},
		{name: "server_scope", value: cmp.Or(c.NFS.Scope, c.Resource.Name), dflt: c.Resource.Name, key: "nfs.scope"},
		{name: "vips", value: c.VIPsText(), same: sameList, key: "vip"},
	}
	live := Reloadable()
	for i := range out {
		out[i].dflt = cmp.Or(out[i].dflt, dflt[out[i].name])
		if !slices.Contains(live, out[i].name) {
			out[i].interrupts = restarts
		}
	}
	return out
}

// exports has an entry for each directory, in one line.
func exports(c *config.Config) string { return strings.Join(entries(c.ExportsText()), "; ") }

// AddedExports are the directories that c exports and the group in current does
// not. It is empty when current has no group.
func AddedExports(current *etree.Document, c *config.Config) []string {
	e, err := newEditor(current, c)
	if err != nil || e.findGroup() != nil || e.primitive == nil {
		return nil
	}
	text, _ := valueOf(e.primitive, "instance_attributes", "exports")
	var have, added []string
	for _, entry := range entries(text) {
		have = append(have, exportPath(entry))
	}
	for _, entry := range entries(exports(c)) {
		if p := exportPath(entry); !slices.Contains(have, p) && !slices.Contains(added, p) {
			added = append(added, p)
		}
	}
	return added
}

// AddedVIPs are the indices of the service addresses of c that the group in
// current does not have: all of them when there is no group yet.
func AddedVIPs(current *etree.Document, c *config.Config) []int {
	var have []string
	if e, err := newEditor(current, c); err == nil && e.findGroup() == nil && e.primitive != nil {
		text, _ := valueOf(e.primitive, "instance_attributes", "vips")
		for _, v := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
			have = append(have, bare(v))
		}
	}
	var added []int
	for i, v := range c.VIPs {
		if !slices.Contains(have, bare(v.Address)) {
			added = append(added, i)
		}
	}
	return added
}

// bare is an address without prefix length and interface.
func bare(vip string) string {
	address, _, _ := strings.Cut(vip, "/")
	return address
}

// findGroup finds the group, or what is in its place.
func (e *editor) findGroup() error {
	for _, p := range e.conf.FindElements("resources//primitive") {
		resource, _ := valueOf(p, "instance_attributes", "drbd_resource")
		switch {
		case id(p) == e.c.Pacemaker.Group:
			if err := e.takeGroup(p, resource); err != nil {
				return err
			}
		case isAgent(p) && resource == e.c.Resource.Name:
			return fmt.Errorf("the DRBD resource %s belongs to the resource %q in the CIB already: set pacemaker.group = %q, or remove it: pcs resource remove %s",
				resource, id(p), id(p), id(p))
		}
	}
	return nil
}

func (e *editor) takeGroup(p *etree.Element, resource string) error {
	group := id(p)
	if !isAgent(p) {
		return fmt.Errorf("the resource %q in the CIB is %s, not %s:%s:%s: set pacemaker.group to another name, or remove it: pcs resource remove %s",
			group, agentOf(p), class, provider, agent, group)
	}
	if resource != e.c.Resource.Name {
		return fmt.Errorf("the resource %q in the CIB is for the DRBD resource %q, the configuration has %q: set pacemaker.group to another name, or remove it: pcs resource remove %s",
			group, resource, e.c.Resource.Name, group)
	}
	if tag := p.Parent().Tag; tag != "clone" && tag != "master" || id(p.Parent()) == "" {
		return fmt.Errorf("the resource %q in the CIB is not a promotable clone by itself: take it out of its group if it is in one, then: pcs resource promotable %s",
			group, group)
	}
	e.primitive, e.clone = p, p.Parent()
	return nil
}

func isAgent(p *etree.Element) bool { return agentOf(p) == class+":"+provider+":"+agent }

// agentOf names the agent of a primitive, as pcs does.
func agentOf(p *etree.Element) string {
	if t := p.SelectAttrValue("template", ""); t != "" {
		return "made from the template " + t
	}
	words := []string{p.SelectAttrValue("class", "")}
	if pr := p.SelectAttrValue("provider", ""); pr != "" {
		words = append(words, pr)
	}
	return strings.Join(append(words, p.SelectAttrValue("type", "")), ":")
}

// group makes or edits the clone with its primitive.
func (e *editor) group() error {
	if e.primitive != nil {
		e.editGroup()
		return nil
	}
	g := e.c.Pacemaker.Group
	const remedy = "set pacemaker.group to another name"
	if err := e.claim(g+"-clone", remedy); err != nil {
		return err
	}
	if err := e.claim(g, remedy); err != nil {
		return err
	}
	e.clone = appendNew(e.section("resources"), "clone", "id", g+"-clone")
	e.primitive = appendNew(e.clone, "primitive", "id", g, "class", class, "provider", provider, "type", agent)
	e.asOne(Change{
		Kind: Make, Object: "clone " + g + "-clone", Key: "pacemaker.group",
		Detail: fmt.Sprintf("%s:%s:%s on %d nodes, one of them Promoted", class, provider, agent, len(e.c.Diskful())),
	}, e.editGroup)
	return nil
}

func (e *editor) editGroup() {
	g := id(e.primitive)
	e.cloneMeta()
	e.nvset(e.primitive, "instance_attributes", g+"-instance_attributes", "primitive "+g, parameters(e.c))
	e.primitiveMeta()
	e.operations()
}

// cloneMeta are the options of the clone.
func (e *editor) cloneMeta() {
	p := e.c.Pacemaker
	want := []pair{
		{name: "promotable", value: "true", same: sameBool},
		{name: "promoted-max", value: "1", dflt: "1", old: "master-max"},
		{name: "promoted-node-max", value: "1", dflt: "1", old: "master-node-max"},
		{name: "clone-max", value: strconv.Itoa(len(e.c.Diskful())), key: "node"},
		{name: "clone-node-max", value: "1", dflt: "1"},
		{name: "notify", value: strconv.FormatBool(p.Notify), dflt: "false", same: sameBool, key: "pacemaker.notify"},
		{name: "interleave", value: "true", dflt: "false", same: sameBool},
	}
	if e.clone.Tag == "master" {
		want = want[1:] // that is what the tag says
	}
	if e.priorityDelay() > 0 {
		want = append(want, pair{
			name: "priority", value: "10", key: "fencing.priority_delay", same: bothPositive,
		})
	}
	e.nvset(e.clone, "meta_attributes", id(e.clone)+"-meta_attributes", "clone "+id(e.clone), e.spelledOut(want))
}

// spelledOut makes a new clone's options complete: a reader sees them all.
func (e *editor) spelledOut(want []pair) []pair {
	if e.clone.SelectElement("meta_attributes") == nil && e.primitive.SelectElement("instance_attributes") == nil {
		for i := range want {
			want[i].dflt = ""
		}
	}
	return want
}

// primitiveMeta are the options of the primitive, which may be set at the clone
// as well.
func (e *editor) primitiveMeta() {
	p := e.c.Pacemaker
	want := []pair{{name: "resource-stickiness", value: strconv.Itoa(p.Stickiness), key: "pacemaker.stickiness"}}
	threshold := pair{name: "migration-threshold", dflt: "0", key: "pacemaker.migration_threshold"}
	threshold.value = strconv.Itoa(p.MigrationThreshold)
	timeout := pair{name: "failure-timeout", dflt: "0s", same: sameTime, key: "pacemaker.failure_timeout"}
	timeout.value = seconds(p.FailureTimeout.D())
	for _, w := range append(want, threshold, timeout) {
		owner, object := e.primitive, "primitive "+id(e.primitive)
		inherited := findPair(e.clone, "meta_attributes", w) != nil
		if inherited && findPair(e.primitive, "meta_attributes", w) == nil {
			owner, object = e.clone, "clone "+id(e.clone)
		}
		e.nvset(owner, "meta_attributes", id(owner)+"-meta_attributes", object, []pair{w})
	}
}
