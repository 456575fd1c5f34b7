package linstor

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	linstor "github.com/LINBIT/golinstor"
	"github.com/LINBIT/golinstor/client"
	"github.com/LINBIT/golinstor/devicelayerkind"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// statusOnline is the connection status of a satellite that LINSTOR can use.
const statusOnline = "ONLINE"

// final are the connection statuses that waiting does not change, with what a
// person does about them.
var final = map[string]string{
	"VERSION_MISMATCH":     "install the same version of LINSTOR on all nodes",
	"AUTHENTICATION_ERROR": "look at linstor error-reports list",
	"HOSTNAME_MISMATCH":    "LINSTOR's name of the node has to be what uname -n prints on it",
	"OTHER_CONTROLLER":     "another controller uses this satellite: run linstor-controller on one node only",
	"DUPLICATE_UNAME":      "two nodes print the same name with uname -n: give them different ones",
	"MISSING_EXT_TOOLS":    "see linstor node info for what it misses",
}

func nodeObject(n config.Node) string { return "LINSTOR node " + n.Name }

// nodeType is what the configuration makes of a node.
func (s *Stage) nodeType(n config.Node) string {
	if n.Name == s.c.Storage.Controller {
		return linstor.ValNodeTypeCmbd
	}
	return linstor.ValNodeTypeStlt
}

func (s *Stage) nodeItems(a *api, w *world) []setup.Item {
	var items []setup.Item
	for i, n := range s.c.Nodes {
		key := fmt.Sprintf("node[%d]", i)
		have, ok := w.node(n.Name)
		if !ok {
			items = append(items, s.create(nodeObject(n), s.nodeType(n)+", "+n.Address, key+".name", func(ctx context.Context) error {
				return s.makeNode(ctx, a, n)
			}))
			continue
		}
		items = append(items, s.compareNode(a, w, n, have, key)...)
	}
	return items
}

// compareNode returns what there is to do about a node that LINSTOR has.
func (s *Stage) compareNode(a *api, w *world, n config.Node, have client.Node, key string) []setup.Item {
	object, iface := nodeObject(n), satelliteInterface(have)
	if reason := unusable(have, s.provider(n)); reason != "" {
		report := refuse
		if s.complete(w, n) {
			report = warn // it has worked; nothing is to be made on it
		}
		return []setup.Item{report(object, key+".name",
			"load DRBD 9 and restart linstor-satellite on it, then look with linstor node info; "+
				"without DRBD 9 use storage.manager = \"drbdadm\"",
			"LINSTOR cannot use it: %s", reason)}
	}
	switch {
	case !runsSatellite(have):
		return []setup.Item{refuse(object, key+".name",
			quoted("linstor", "node", "modify", n.Name, "--node-type", strings.ToLower(s.nodeType(n))),
			"LINSTOR has it as %s, which takes no volumes", have.Type)}
	case has(have.Flags, linstor.FlagEvicted):
		return []setup.Item{refuse(object, key+".name", quoted("linstor", "node", "restore", n.Name),
			"LINSTOR has evicted it, because it was offline for long")}
	case !net.ParseIP(n.Address).Equal(iface.Address):
		return []setup.Item{s.otherAddress(a, w, n, have, key+".address")}
	case n.Name == s.c.Storage.Controller && !strings.EqualFold(have.Type, linstor.ValNodeTypeCmbd):
		combined := client.NodeModify{NodeType: linstor.ValNodeTypeCmbd}
		detail := have.Type + " → " + combined.NodeType
		return []setup.Item{s.act(setup.Change, object, detail, "storage.controller", func(ctx context.Context) error {
			return a.fail("make node "+n.Name+" "+combined.NodeType, a.Nodes.Modify(ctx, n.Name, combined))
		})}
	}
	return []setup.Item{keep(object, have.Type+", "+iface.Address.String(), key+".name")}
}

// otherAddress changes the address of a node that LINSTOR has never reached and
// that holds nothing; DRBD's connections follow the address of any other.
func (s *Stage) otherAddress(a *api, w *world, n config.Node, have client.Node, key string) setup.Item {
	iface := satelliteInterface(have)
	if w.online(n.Name) || w.holds[strings.ToLower(n.Name)] || len(have.NetInterfaces) != 1 {
		return refuse(nodeObject(n), key,
			"correct the file, or in a maintenance window: "+
				quoted("linstor", "node", "interface", "modify", n.Name, iface.Name, "--ip", n.Address),
			"LINSTOR reaches it at %v, the file has %s; DRBD's connections would follow the change", iface.Address, n.Address)
	}
	detail := fmt.Sprintf("address %v → %s", iface.Address, n.Address)
	return s.act(setup.Change, nodeObject(n), detail, key, func(ctx context.Context) error {
		changed := iface
		changed.Address, changed.Uuid = net.ParseIP(n.Address), ""
		return a.fail("change the address of node "+n.Name, a.Nodes.ModifyNetInterface(ctx, n.Name, iface.Name, changed))
	})
}

// makeNode registers n. What is there already is compared, not made again.
func (s *Stage) makeNode(ctx context.Context, a *api, n config.Node) error {
	have, err := orNil(a.Nodes.Get(ctx, n.Name))
	if err != nil {
		return a.fail("look at node "+n.Name, err)
	}
	if have == nil {
		err := a.Nodes.Create(ctx, client.Node{
			Name: n.Name, Type: s.nodeType(n),
			NetInterfaces: []client.NetInterface{{
				Name: "default", Address: net.ParseIP(n.Address), IsActive: true,
				SatellitePort: linstor.DfltStltPortPlain, SatelliteEncryptionType: linstor.ValNetcomTypePlain,
			}},
		})
		if err := a.unlessExists("create node "+n.Name, err, linstor.FailExistsNode); err != nil {
			return err
		}
		if have, err = orNil(a.Nodes.Get(ctx, n.Name)); err != nil {
			return a.fail("look at node "+n.Name, err)
		}
	}
	if have == nil {
		return fmt.Errorf("create node %s: LINSTOR took it and does not have it: linstor error-reports list", n.Name)
	}
	if at := satelliteInterface(*have).Address; !at.Equal(net.ParseIP(n.Address)) {
		return fmt.Errorf("create node %s: LINSTOR has it already, at %v and not at %s", n.Name, at, n.Address)
	}
	return nil
}

// satelliteInterface is the interface that the controller uses, an empty one for
// a node without.
func satelliteInterface(n client.Node) client.NetInterface {
	for _, use := range []func(client.NetInterface) bool{
		func(i client.NetInterface) bool { return i.IsActive },
		func(i client.NetInterface) bool { return i.Name == "default" },
		func(client.NetInterface) bool { return true },
	} {
		if at := slices.IndexFunc(n.NetInterfaces, use); at >= 0 {
			return n.NetInterfaces[at]
		}
	}
	return client.NetInterface{Name: "default"}
}

func runsSatellite(n client.Node) bool {
	return strings.EqualFold(n.Type, linstor.ValNodeTypeStlt) || strings.EqualFold(n.Type, linstor.ValNodeTypeCmbd)
}

// unusable says why a node that is online cannot have the volume, "" when it
// can: its satellite has no DRBD 9, or no tools for the storage.
func unusable(n client.Node, p client.ProviderKind) string {
	if n.ConnectionStatus != statusOnline {
		return ""
	}
	reasons := slices.Concat(n.UnsupportedLayers[devicelayerkind.Drbd], n.UnsupportedProviders[p])
	return strings.Join(reasons, "; ")
}

// satellites says which nodes LINSTOR does not reach. Where something is to be
// made on them it has to be waited for; otherwise it is a warning.
func (s *Stage) satellites(a *api, w *world) []setup.Item {
	const object = "LINSTOR satellites"
	var needed, idle []string
	for _, n := range s.c.Nodes {
		switch {
		case w.online(n.Name):
		case s.complete(w, n):
			idle = append(idle, n.Name)
		default:
			needed = append(needed, n.Name)
		}
	}
	var items []setup.Item
	for _, name := range idle {
		n, _ := w.node(name)
		items = append(items, warn(object, "", remedy(n), "%s is %s", name, n.ConnectionStatus))
	}
	switch {
	case len(needed) > 0:
		items = append(items, setup.Item{
			Object: object, Action: setup.Await, Detail: "online: " + strings.Join(needed, ", "), Key: "storage.controller",
			Do: func(ctx context.Context, p setup.Progress) error { return s.awaitOnline(ctx, a, needed, p) },
		})
	case len(idle) == 0:
		items = append(items, keep(object, "all online", ""))
	}
	return items
}

// complete reports whether everything is there that the configuration has on n.
func (s *Stage) complete(w *world, n config.Node) bool {
	_, node := w.node(n.Name)
	_, pool := w.pool(n.Name)
	_, resource := w.resource(n.Name)
	return node && (pool || n.Diskless) && resource
}

// awaitOnline waits until LINSTOR reaches the satellites of all nodes.
func (s *Stage) awaitOnline(ctx context.Context, a *api, names []string, p setup.Progress) error {
	return setup.Poll(ctx, func() (bool, error) {
		nodes, err := a.Nodes.GetAll(ctx)
		if err != nil {
			return true, a.fail("list LINSTOR's nodes", err)
		}
		var waiting []string
		for _, name := range names {
			at := slices.IndexFunc(nodes, func(n client.Node) bool { return strings.EqualFold(n.Name, name) })
			if at < 0 {
				return true, fmt.Errorf("LINSTOR's node %s is gone: somebody deleted it", name)
			}
			n := nodes[at]
			if _, never := final[n.ConnectionStatus]; never {
				return true, fmt.Errorf("LINSTOR's satellite on %s is %s: %s", name, n.ConnectionStatus, remedy(n))
			}
			if n.ConnectionStatus != statusOnline {
				waiting = append(waiting, fmt.Sprintf("%s is %s: %s", name, n.ConnectionStatus, remedy(n)))
				continue
			}
			if reason := unusable(n, s.providerOf(name)); reason != "" {
				return true, fmt.Errorf("LINSTOR cannot use %s: %s", name, reason)
			}
		}
		if len(waiting) > 0 {
			p.Waiting("LINSTOR's satellites: " + strings.Join(waiting, "; "))
		}
		return len(waiting) == 0, nil
	})
}

// remedy is what to do about a satellite that is not online.
func remedy(n client.Node) string {
	if text, ok := final[n.ConnectionStatus]; ok {
		return text
	}
	return "systemctl status linstor-satellite on " + n.Name
}
