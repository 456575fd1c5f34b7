package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// maxScore is Pacemaker's INFINITY.
const maxScore = 1_000_000

func (k *checker) checkCorosync() {
	c := k.c.Corosync
	if c.Token != 0 && (c.Token < second || c.Token > minute) {
		k.add(tokenKey, "not from 1s to 1m", "write a time in this range, or take it out for corosync's own")
	}
	q := c.QDevice
	k.oneOf("corosync.qdevice.algorithm", q.Algorithm, "ffsplit", "lms")
	if q.Host == "" {
		return
	}
	const key, remedy = "corosync.qdevice.host", "name a machine outside of the cluster: a node cannot be its own further vote"
	addr, err := netip.ParseAddr(q.Host)
	if err != nil && (!alnum(q.Host, ".-") || strings.HasPrefix(q.Host, "-")) {
		k.add(key, "neither a host name nor an address", "write the name or address of the machine")
	}
	for _, n := range k.c.Nodes {
		a, _ := netip.ParseAddr(n.Address)
		b, _ := netip.ParseAddr(n.SecondAddress)
		if strings.EqualFold(q.Host, n.Name) || err == nil && (addr == a || addr == b) {
			k.add(key, "node "+n.Name+" of the cluster itself", remedy)
		}
	}
}

func (k *checker) checkPacemaker() {
	p := k.c.Pacemaker
	switch {
	case strings.HasSuffix(p.Group, "-clone"):
		k.add("pacemaker.group", "ends in -clone", "write the name of the primitive: its clone gets the ending")
	case p.Group != "" && !isID(p.Group):
		k.add("pacemaker.group", "not an id", "write letters, digits and _ . -, with a letter or _ first")
	}
	if p.Preferred != "" {
		k.diskful("pacemaker.preferred", p.Preferred, "name a node that holds data: this one never serves")
	}
	k.within("pacemaker.stickiness", p.Stickiness, 0, maxScore)
	k.within("pacemaker.migration_threshold", p.MigrationThreshold, 0, maxScore)
	k.between("pacemaker.failure_timeout", p.FailureTimeout, 0, 24*7*hour)
	k.between("pacemaker.monitor_interval", p.MonitorInterval, 5*second, hour)
	if p.NoQuorumPolicy != "" {
		k.oneOf("pacemaker.no_quorum_policy", p.NoQuorumPolicy, "stop", "freeze", "demote", "suicide", "ignore")
	}
	if p.NoQuorumPolicy == "ignore" && k.c.Fencing.Mode != FencingNone {
		k.add("pacemaker.no_quorum_policy", "nodes without quorum would serve", fmt.Sprintf(
			"take it out; ignore belongs to fencing.mode %q", FencingNone))
	}
}

func (k *checker) checkAlert() {
	a := k.c.Pacemaker.Alert
	if a.Path != "" {
		k.directory("pacemaker.alert.path", a.Path)
	}
	if a.Path == "" && a.Recipient != "" {
		k.add("pacemaker.alert.recipient", "a recipient without a program", "write pacemaker.alert.path, or take it out")
	}
	k.between("pacemaker.alert.timeout", a.Timeout, second, hour)
}

func (k *checker) checkFencing() {
	f := k.c.Fencing
	const accept = "fencing.accept_split_brain"
	switch {
	case f.Mode == "":
		k.add("fencing.mode", "not decided", "write one of "+modeChoices())
	case k.c.mode().word == "":
		k.add("fencing.mode", "not a known word", "write one of "+modeChoices())
	case f.Mode == FencingNone && !f.AcceptSplitBrain:
		k.add(accept, "not true with mode none", "write accept_split_brain = true: a cut link can split the data; or choose another mode")
	case f.Mode != FencingNone && f.AcceptSplitBrain:
		k.add(accept, fmt.Sprintf("true with mode %q", f.Mode), "take it out, or choose mode none")
	case f.Mode == FencingQuorum && len(k.c.Nodes) < 3:
		k.add("fencing.mode", fmt.Sprintf("%d nodes are too few voters", len(k.c.Nodes)),
			"add a third node, which may be diskless, or choose another mode")
	case f.Mode == FencingNone && len(f.Devices) > 0:
		k.add("fencing.mode", "fence devices with mode none", "choose stonith, or take the devices out")
	case f.Mode == FencingSTONITH || f.Mode == FencingDRBD:
		k.fencedAll()
	}
	k.between("fencing.priority_delay", f.PriorityDelay, 0, hour)
	k.between("fencing.timeout", f.Timeout, 0, hour)
}

// fencedAll finds nodes that no device can switch off.
func (k *checker) fencedAll() {
	var left []string
	for _, n := range k.c.Nodes {
		if !slices.ContainsFunc(k.c.Fencing.Devices, func(d FenceDevice) bool { return slices.Contains(d.Targets, n.Name) }) {
			left = append(left, n.Name)
		}
	}
	switch mode := k.c.Fencing.Mode; {
	case len(k.c.Fencing.Devices) == 0:
		k.add("fencing.device", fmt.Sprintf("not set with mode %q", mode), "describe each fence device below a line [[fencing.device]]")
	case len(left) > 0:
		k.add("fencing.device", "no device targets "+strings.Join(left, ", "), "add each to the targets of a device, or a device for it")
	}
}

func (k *checker) checkDevices() {
	names := map[string]string{}
	for i, d := range k.c.Fencing.Devices {
		at := index("fencing.device", i)
		first, dup := names[d.Name]
		switch {
		case !k.set(at+".name", d.Name, `write a name such as "fence-node1"`):
		case !isID(d.Name):
			k.add(at+".name", "not an id", "write letters, digits and _ . -, with a letter or _ first")
		case dup:
			k.add(at+".name", "the same name as "+first, "give each device its own")
		case d.Name == k.c.Pacemaker.Group:
			k.add(at+".name", "the same name as pacemaker.group", "give the device its own")
		default:
			names[d.Name] = at + ".name"
		}
		if k.set(at+".agent", d.Agent, `write a fence agent such as "fence_ipmilan"`) && !alnum(d.Agent, "_-./") {
			k.add(at+".agent", "not the name of a fence agent", `write a name such as "fence_ipmilan"`)
		}
		k.within(at+".level", d.Level, 1, 9)
		k.targets(at+".targets", d.Targets)
		for _, name := range slices.Sorted(maps.Keys(d.Parameters)) {
			if name == "" || !alnum(name, "_-") {
				k.addKey(join(at+".parameters", name), "not a parameter", "write letters, digits, _ and -")
			}
		}
	}
}

func (k *checker) targets(at string, targets []string) {
	if len(targets) == 0 {
		k.add(at, "no node", "write the nodes that the device can fence")
	}
	for i, t := range targets {
		if slices.Contains(targets[:i], t) {
			k.add(index(at, i), "named twice", "take one out")
			continue
		}
		k.node(index(at, i), t)
	}
}
