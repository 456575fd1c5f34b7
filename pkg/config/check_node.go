package config

import (
	"fmt"
	"net/netip"
	"path"
	"strings"
)

// Limits of DRBD 9, corosync and pcs.
const (
	maxNodes       = 32
	maxClusterName = 15
	maxNodeName    = 64
)

func (k *checker) checkCluster() {
	name := k.c.Cluster
	switch {
	case !k.set("cluster", name, `write a name such as "nfs_cluster"`):
	case len(name) > maxClusterName:
		k.add("cluster", fmt.Sprintf("longer than %d characters", maxClusterName), "shorten it")
	case !alnum(name, "_-"):
		k.add("cluster", "a character that is no letter, digit, - or _", "write a name such as nfs_cluster")
	}
}

func (k *checker) checkNodes() {
	names, addrs := map[string]string{}, map[netip.Addr]string{}
	second := ""
	for i, n := range k.c.Nodes {
		at := index("node", i)
		k.nodeName(at+".name", n.Name, names)
		if k.set(at+".address", n.Address, "write the node's address for DRBD and the cluster") {
			k.nodeAddress(at+".address", n.Address, addrs)
		}
		if n.SecondAddress != "" {
			second = at + ".second_address"
			k.nodeAddress(second, n.SecondAddress, addrs)
		}
		k.nodeDevice(at+".device", n)
	}
	k.checkFamilies()
	k.checkNodeCount()
	for i, n := range k.c.Nodes {
		if second != "" && n.SecondAddress == "" {
			k.add(index("node", i)+".second_address", "not set, but other nodes have one", "give it to every node, or to none")
		}
	}
}

func (k *checker) nodeName(at, name string, names map[string]string) {
	if !k.set(at, name, `write what "uname -n" prints on the node`) {
		return
	}
	edges := name[:1] + name[len(name)-1:]
	folded := strings.ToLower(name)
	switch first, dup := names[folded]; {
	case len(name) > maxNodeName || !alnum(name, ".-") || !alnum(edges, ""):
		k.add(at, "not a host name", fmt.Sprintf("write at most %d letters, digits, dots and -", maxNodeName))
	case dup:
		k.add(at, "the same name as "+first, "give each node its own")
	default:
		names[folded] = at
	}
}

func (k *checker) nodeAddress(at, text string, addrs map[netip.Addr]string) {
	a, err := netip.ParseAddr(text)
	switch first, dup := addrs[a]; {
	case err != nil:
		k.add(at, "not an IP address", "write an address such as 192.168.2.61, without a prefix length")
	case a.Zone() != "" || a.Is4In6() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast():
		k.add(at, "not an address at which other nodes reach this one", "write a unicast address of your network")
	case dup:
		k.add(at, "the same address as "+first, "give each node its own")
	default:
		addrs[a] = at
	}
}

func (k *checker) nodeDevice(at string, n Node) {
	switch {
	case n.Device == "":
	case n.Diskless:
		k.add(at, "a device on a diskless node", "take it out, or take out diskless")
	case !below(n.Device, "/dev") || n.Device != path.Clean(n.Device):
		k.add(at, "not a path below /dev", "write a block device such as /dev/vda3")
	}
}

// checkFamilies finds nodes that cannot reach each other.
func (k *checker) checkFamilies() {
	first, _ := netip.ParseAddr(k.c.First().Address)
	for i, n := range k.c.Nodes {
		if a, err := netip.ParseAddr(n.Address); err == nil && first.IsValid() && a.Is4() != first.Is4() {
			k.add(index("node", i)+".address", "IPv4 and IPv6 mixed", "write addresses of one kind for all nodes")
		}
	}
}

func (k *checker) checkNodeCount() {
	switch n := len(k.c.Nodes); {
	case n == 0:
		k.add("node", "not set", "describe each node below a line [[node]]")
	case n == 1:
		k.add("node", "one node only", "describe at least two, each below a line [[node]]")
	case n > maxNodes:
		k.add("node", fmt.Sprintf("%d nodes", n), fmt.Sprintf("DRBD knows at most %d", maxNodes))
	case len(k.c.Diskful()) < 2:
		k.add("node", "fewer than two nodes hold data", "take diskless out of at least two")
	}
}

func (k *checker) checkHost() {
	h := k.c.Host
	k.oneOf("host.firewall", h.Firewall, "firewalld", "off")
	if h.ClusterNetwork != "" {
		if p, ok := k.network("host.cluster_network", h.ClusterNetwork); ok {
			for _, n := range k.c.Nodes {
				if a, err := netip.ParseAddr(n.Address); err == nil && !p.Contains(a) {
					k.add("host.cluster_network", fmt.Sprintf("does not contain %s of %s", a, n.Name),
						"write the network of the nodes' addresses")
				}
			}
		}
	}
	for i, n := range h.ClientNetworks {
		k.network(index("host.client_networks", i), n)
	}
}
