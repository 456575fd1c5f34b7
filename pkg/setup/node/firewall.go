package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// The firewalld services of the package, with their ports: a running firewalld
// does not know a service that was installed after it started, and gets the
// ports until it is started anew.
const (
	nfsService     = "drbdnfs-nfs"
	clusterService = "drbdnfs-cluster"
)

var servicePorts = map[string][]string{
	nfsService: {
		"2049/tcp", "2049/udp", "111/tcp", "111/udp", "32771/tcp", "32771/udp", "32772/udp", "32773/tcp", "32773/udp",
		"32774/tcp", "32775/udp", "32776/tcp", "32776/udp",
	},
	clusterService: {"2224/tcp", "3121/tcp", "5404-5412/udp", "3366/tcp", "3370/tcp", "7000-7100/tcp"},
}

// opening lets a network reach a service in a zone.
type opening struct {
	zone, service string
	network       string // "" for all
}

func (o opening) object() string { return "firewall service " + o.service }

func (o opening) detail() string {
	if o.network == "" {
		return "zone " + o.zone + ", for all"
	}
	return "zone " + o.zone + ", for " + o.network
}

// rule is the opening by service, as "service=drbdnfs-nfs" or
// "rich-rule=rule ...", to be put behind --query-, --add- and --remove-.
func (o opening) rule() string {
	if o.network == "" {
		return "service=" + o.service
	}
	return o.rich(fmt.Sprintf("service name=%q", o.service))
}

// portRules are the same opening without the service.
func (o opening) portRules() []string {
	var out []string
	for _, p := range servicePorts[o.service] {
		port, protocol, _ := strings.Cut(p, "/")
		if o.network == "" {
			out = append(out, "port="+p)
			continue
		}
		out = append(out, o.rich(fmt.Sprintf("port port=%q protocol=%q", port, protocol)))
	}
	return out
}

func (o opening) rich(element string) string {
	family := "ipv4"
	if strings.Contains(o.network, ":") {
		family = "ipv6"
	}
	return fmt.Sprintf("rich-rule=rule family=%q source address=%q %s accept", family, o.network, element)
}

// lookFirewall opens the ports of the group in firewalld, now and for good,
// without a reload.
func (s *Stage) lookFirewall(ctx context.Context) ([]setup.Item, error) {
	const object, key = "firewall", "host.firewall"
	if s.cfg.Host.Firewall != "firewalld" {
		it := keep(object, "left to the administrator")
		it.Key = key
		return []setup.Item{it}, nil
	}
	running, err := s.firewalld(ctx)
	if err != nil {
		return nil, err
	}
	if !running {
		w := warn(object, "firewalld does not run", "where another firewall runs, open "+ports(nfsService)+" for clients and "+ports(clusterService)+" between the nodes")
		w.Key = key
		return []setup.Item{w}, nil
	}
	list, err := s.openings(ctx)
	if err != nil {
		return nil, err
	}
	var items []setup.Item
	f := s.newFirewalld()
	for _, o := range list {
		if !s.defined(o.service) {
			items = append(items, refuse(key, o.object(), "firewalld has no definition of it", "install the package drbdnfs, which has "+serviceDirs[0]+o.service+".xml"))
			continue
		}
		open, err := f.isOpen(ctx, o)
		if err != nil {
			return nil, err
		}
		it := keep(o.object(), "%s", o.detail())
		if !open {
			it = setup.Item{Object: o.object(), Action: setup.Make, Detail: o.detail(), Do: func(ctx context.Context, _ setup.Progress) error {
				return s.newFirewalld().open(ctx, o)
			}}
		}
		it.Key = key
		items = append(items, it)
	}
	return append(items, s.lookPorts()...), nil
}

// serviceDirs are where firewalld looks for services.
var serviceDirs = []string{"/usr/lib/firewalld/services/", "/etc/firewalld/services/"}

// defined reports whether firewalld will know a service when it starts anew:
// a permanent rule with one that it does not know would be dropped.
func (s *Stage) defined(service string) bool {
	return slices.ContainsFunc(serviceDirs, func(dir string) bool {
		_, err := s.m.Stat(dir + service + ".xml")
		return err == nil
	})
}

func ports(service string) string { return strings.Join(servicePorts[service], " ") }

// lookPorts warns of ports that the services do not have.
func (s *Stage) lookPorts() []setup.Item {
	p := s.cfg.NFS.Ports
	var missing []string
	for _, x := range []struct {
		port     int
		protocol string
	}{{p.Mountd, "tcp"}, {p.Mountd, "udp"}, {p.Statd, "tcp"}, {p.Statd, "udp"}, {p.StatdOutgoing, "udp"}, {p.LockdTCP, "tcp"}, {p.LockdUDP, "udp"}} {
		name := fmt.Sprintf("%d/%s", x.port, x.protocol)
		if x.port != 0 && !slices.Contains(servicePorts[nfsService], name) {
			missing = append(missing, name)
		}
	}
	var items []setup.Item
	if slices.Contains(s.cfg.NFS.Versions, "3") && missing != nil {
		items = append(items, warn("firewall service "+nfsService, "it does not open "+strings.Join(missing, ", "), "open them for the clients as well"))
	}
	if port := s.cfg.Resource.Port; port != 0 && (port < 7000 || port > 7100) {
		items = append(items, warn("firewall service "+clusterService, fmt.Sprintf("it does not open DRBD's port %d/tcp", port), "open it between the nodes, or take a port from 7000 to 7100"))
	}
	return items
}

// firewalld reports whether it runs.
func (s *Stage) firewalld(ctx context.Context) (bool, error) {
	out, err := s.run(ctx, "setup.host.firewall.state", "firewall-cmd", "--state")
	if _, ok := exitCode(err); !ok && !errors.Is(err, host.ErrNotInstalled) {
		return false, err
	}
	return err == nil && strings.TrimSpace(out) == "running", nil
}

// openings lists what has to be open on this node: the NFS ports where the
// service addresses are, the cluster's where the node's own are.
func (s *Stage) openings(ctx context.Context) ([]opening, error) {
	addrs, err := s.m.Addresses(ctx)
	if err != nil {
		return nil, err
	}
	var list []opening
	add := func(iface, service string, networks ...string) error {
		zone, err := s.zone(ctx, iface)
		for _, n := range networks {
			o := opening{zone, service, n}
			if !slices.Contains(list, o) {
				list = append(list, o)
			}
		}
		return err
	}
	if !s.node.Diskless {
		clients := s.cfg.Host.ClientNetworks
		if len(clients) == 0 {
			clients = []string{""}
		}
		for _, v := range s.cfg.VIPs {
			if iface := vipInterface(v, addrs); iface != "" {
				if err := add(iface, nfsService, clients...); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, link := range s.clusterLinks() {
		own, ok := carrier(link[s.index], addrs)
		if !ok {
			continue // refused already
		}
		if err := add(own.Interface, clusterService, s.sources(own.Prefix, link)...); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// vipInterface is the interface that the agent puts a service address on.
func vipInterface(v config.VIP, addrs []host.Address) string {
	prefix, err := netip.ParsePrefix(v.Address)
	if v.Interface != "" || err != nil {
		return v.Interface
	}
	for _, a := range addrs {
		if a.Prefix.Addr() != prefix.Addr() && a.Prefix.Contains(prefix.Addr()) {
			return a.Interface
		}
	}
	return ""
}

// clusterLinks are the nodes' addresses for the first and, where there is one,
// the second link.
func (s *Stage) clusterLinks() [][]string {
	var first, second []string
	for _, n := range s.cfg.Nodes {
		first, second = append(first, n.Address), append(second, n.SecondAddress)
	}
	if s.node.SecondAddress == "" {
		return [][]string{first}
	}
	return [][]string{first, second}
}

// sources are the networks that the cluster's ports are opened to: the one of
// the file, or the node's own, and nodes that are in neither.
func (s *Stage) sources(own netip.Prefix, nodes []string) []string {
	network := own.Masked()
	if p, err := netip.ParsePrefix(s.cfg.Host.ClusterNetwork); err == nil {
		network = p.Masked()
	}
	out := []string{network.String()}
	for _, n := range nodes {
		if a, err := netip.ParseAddr(n); err == nil && !network.Contains(a) {
			out = append(out, netip.PrefixFrom(a, a.BitLen()).String())
		}
	}
	return out
}

// zone returns the zone of an interface: its own, or the default one.
func (s *Stage) zone(ctx context.Context, iface string) (string, error) {
	out, err := s.run(ctx, "setup.host.firewall.zone", "firewall-cmd", "--get-zone-of-interface="+iface)
	if zone := strings.TrimSpace(out); err == nil && zone != "" {
		return zone, nil
	}
	if _, ok := exitCode(err); !ok {
		return "", err
	}
	out, err = s.run(ctx, "setup.host.firewall.zone", "firewall-cmd", "--get-default-zone")
	return strings.TrimSpace(out), err
}
