package linstor

import (
	"context"
	"slices"
	"strings"

	linstor "github.com/LINBIT/golinstor"
	"github.com/LINBIT/golinstor/client"
)

// world is what LINSTOR has of the configuration's objects. Names are LINSTOR's:
// it does not tell upper from lower case.
type world struct {
	nodes     map[string]client.Node
	pools     map[string]client.StoragePool // the configuration's pool, by node
	holds     map[string]bool               // nodes with any pool that has disks
	group     *client.ResourceGroup
	rd        *client.ResourceDefinition
	volume    *client.VolumeDefinition              // volume 0
	resources map[string]client.ResourceWithVolumes // by node
}

func (w *world) node(name string) (client.Node, bool) {
	n, ok := w.nodes[strings.ToLower(name)]
	return n, ok
}

func (w *world) pool(node string) (client.StoragePool, bool) {
	p, ok := w.pools[strings.ToLower(node)]
	return p, ok
}

func (w *world) resource(node string) (client.ResourceWithVolumes, bool) {
	r, ok := w.resources[strings.ToLower(node)]
	return r, ok
}

// online reports whether LINSTOR speaks to the node's satellite.
func (w *world) online(name string) bool {
	n, ok := w.node(name)
	return ok && n.ConnectionStatus == statusOnline
}

// see asks LINSTOR for everything that the configuration names. It changes
// nothing.
func (s *Stage) see(ctx context.Context, a *api) (*world, error) {
	w := &world{
		nodes: map[string]client.Node{}, pools: map[string]client.StoragePool{},
		holds: map[string]bool{}, resources: map[string]client.ResourceWithVolumes{},
	}
	nodes, err := a.Nodes.GetAll(ctx)
	if err != nil {
		return nil, a.fail("list LINSTOR's nodes", err)
	}
	for _, n := range nodes {
		w.nodes[strings.ToLower(n.Name)] = n
	}
	if err := s.seePools(ctx, a, w); err != nil {
		return nil, err
	}
	if w.group, err = orNil(a.ResourceGroups.Get(ctx, groupName)); err != nil {
		return nil, a.fail("look at resource group "+groupName, err)
	}
	return w, s.seeDefinition(ctx, a, w)
}

func (s *Stage) seePools(ctx context.Context, a *api, w *world) error {
	pools, err := a.Nodes.GetStoragePoolView(ctx)
	if err != nil {
		return a.fail("list LINSTOR's storage pools", err)
	}
	for _, p := range pools {
		node := strings.ToLower(p.NodeName)
		if p.ProviderKind != client.DISKLESS {
			w.holds[node] = true
		}
		if strings.EqualFold(p.StoragePoolName, s.c.Storage.Pool) {
			w.pools[node] = p
		}
	}
	return nil
}

func (s *Stage) seeDefinition(ctx context.Context, a *api, w *world) error {
	res := s.c.Resource.Name
	var err error
	if w.rd, err = orNil(a.ResourceDefinitions.Get(ctx, res)); err != nil {
		return a.fail("look at resource definition "+res, err)
	}
	if w.rd == nil {
		return nil
	}
	if w.volume, err = orNil(a.ResourceDefinitions.GetVolumeDefinition(ctx, res, 0)); err != nil {
		return a.fail("look at volume definition 0 of "+res, err)
	}
	return s.seeResources(ctx, a, w)
}

func (s *Stage) seeResources(ctx context.Context, a *api, w *world) error {
	res := s.c.Resource.Name
	placed, err := a.Resources.GetResourceView(ctx, &client.ListOpts{Resource: []string{res}})
	if err != nil {
		return a.fail("list the resources of "+res, err)
	}
	clear(w.resources)
	for _, r := range placed {
		if strings.EqualFold(r.Name, res) {
			w.resources[strings.ToLower(r.NodeName)] = r
		}
	}
	return nil
}

// diskless reports whether a resource has no data.
func diskless(r client.Resource) bool {
	return has(r.Flags, linstor.FlagDiskless, linstor.FlagDrbdDiskless, linstor.FlagTieBreaker)
}

// has reports whether one of the flags is set.
func has(flags []string, wanted ...string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return slices.Contains(wanted, f) })
}
