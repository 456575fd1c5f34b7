package linstor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	linstor "github.com/LINBIT/golinstor"
	"github.com/LINBIT/golinstor/client"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// resourceItems are the resources on the named nodes, and then their volumes.
func (s *Stage) resourceItems(a *api, w *world) []setup.Item {
	var items []setup.Item
	for _, n := range s.placement() {
		have, ok := w.resource(n.Name)
		if !ok {
			items = append(items, s.create(s.resourceObject(n), s.on(n), "resource.name", func(ctx context.Context) error {
				return s.place(ctx, a, n)
			}))
			continue
		}
		if it, wrong := s.misplaced(n, have); wrong {
			items = append(items, it)
			continue
		}
		items = append(items, keep(s.resourceObject(n), s.on(n), "resource.name"))
	}
	return append(items, s.volumes(a, w)...)
}

// placement is the order in which resources are made: LINSTOR takes the first
// one's data as good, and a tie-breaker is for those that have data.
func (s *Stage) placement() []config.Node {
	source := s.c.Source()
	order := []config.Node{source}
	for _, n := range s.c.Diskful() {
		if n.Name != source.Name {
			order = append(order, n)
		}
	}
	for _, n := range s.c.Nodes {
		if n.Diskless {
			order = append(order, n)
		}
	}
	return order
}

func (s *Stage) resourceObject(n config.Node) string {
	return "resource " + s.c.Resource.Name + " on " + n.Name
}

// on says what the resource on n consists of.
func (s *Stage) on(n config.Node) string {
	if n.Diskless {
		return "diskless, tie-breaker"
	}
	return "in storage pool " + s.c.Storage.Pool
}

// misplaced compares a resource with what the configuration has on n. Moving
// data, or removing it, is a person's work.
func (s *Stage) misplaced(n config.Node, have client.ResourceWithVolumes) (setup.Item, bool) {
	res, pool, key := s.c.Resource.Name, poolOf(have), s.nodeKey(n)
	object := s.resourceObject(n)
	switch {
	case has(have.Flags, linstor.FlagDelete, "DRBD_DELETE"):
		return refuse(object, key, "wait until it is gone from linstor resource list, then run this again",
			"LINSTOR is deleting it"), true
	case has(have.Flags, linstor.FlagRscInactive):
		return refuse(object, key, quoted("linstor", "resource", "activate", n.Name, res), "it is inactive"), true
	case n.Diskless && !diskless(have.Resource):
		return refuse(object, key, "correct the file, or: "+quoted("linstor", "resource", "toggle-disk", n.Name, res, "--diskless"),
			"it has data in storage pool %s, the file has the node as diskless", pool), true
	case !n.Diskless && diskless(have.Resource):
		return refuse(object, key, quoted("linstor", "resource", "toggle-disk", n.Name, res, "--storage-pool", s.c.Storage.Pool),
			"it is diskless, the file has data there"), true
	case !n.Diskless && pool != "" && !strings.EqualFold(pool, s.c.Storage.Pool):
		return refuse(object, "storage.pool", "correct the file: data is never moved to another pool",
			"its data is in storage pool %s, the file has %s", pool, s.c.Storage.Pool), true
	}
	return setup.Item{}, false
}

// nodeKey is the configuration key of n.
func (s *Stage) nodeKey(n config.Node) string {
	i := slices.IndexFunc(s.c.Nodes, func(o config.Node) bool { return o.Name == n.Name })
	return fmt.Sprintf("node[%d].diskless", i)
}

// poolOf is the storage pool of a resource's volume 0.
func poolOf(r client.ResourceWithVolumes) string {
	for _, v := range r.Volumes {
		if v.VolumeNumber == 0 && v.StoragePoolName != "" {
			return v.StoragePoolName
		}
	}
	return r.Props[linstor.KeyStorPoolName]
}

// place makes the resource on n, when it is not there and its pool has the space.
func (s *Stage) place(ctx context.Context, a *api, n config.Node) error {
	res := s.c.Resource.Name
	have, err := orNil(a.Resources.Get(ctx, res, n.Name))
	if err != nil {
		return a.fail("look at "+s.resourceObject(n), err)
	}
	if have != nil {
		return nil // the next look compares it
	}
	r := client.Resource{Name: res, NodeName: n.Name}
	if n.Diskless {
		r.Flags = []string{linstor.FlagDrbdDiskless}
	} else {
		if err := s.hasSpace(ctx, a, n); err != nil {
			return err
		}
		r.Props = map[string]string{linstor.KeyStorPoolName: s.c.Storage.Pool}
	}
	err = a.Resources.Create(ctx, client.ResourceCreate{Resource: r})
	return a.unlessExists("create "+s.resourceObject(n), err, linstor.FailExistsRsc)
}

// hasSpace looks at the pool again: it may have been made after the look.
func (s *Stage) hasSpace(ctx context.Context, a *api, n config.Node) error {
	p, err := a.Nodes.GetStoragePool(ctx, n.Name, s.c.Storage.Pool)
	if err != nil {
		return a.fail("look at "+poolObject(s.c, n), err)
	}
	if problem := s.tooSmall(p); problem != "" {
		return fmt.Errorf("%s: %s: choose a smaller resource.size (%s), or vgextend",
			poolObject(s.c, n), problem, s.c.At("resource.size"))
	}
	return nil
}

// volumes waits until LINSTOR has deployed volume 0 everywhere. A node that is
// offline and has its resource already is not waited for.
func (s *Stage) volumes(a *api, w *world) []setup.Item {
	object := "volume 0 of resource " + s.c.Resource.Name
	var names []string
	for _, n := range s.placement() {
		have, ok := w.resource(n.Name)
		if !ok || w.online(n.Name) && !deployed(have) {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		return []setup.Item{keep(object, s.devices(w), "")}
	}
	return []setup.Item{{
		Object: object, Action: setup.Await, Detail: "deployed on " + strings.Join(names, ", "),
		Do: func(ctx context.Context, p setup.Progress) error { return s.awaitVolumes(ctx, a, names, p) },
	}}
}

// devices are the device nodes of the volume, one where all have the same.
func (s *Stage) devices(w *world) string {
	var paths []string
	for _, name := range w.placed() {
		r, _ := w.resource(name)
		if v, ok := volumeZero(r); ok && v.DevicePath != "" && !slices.Contains(paths, v.DevicePath) {
			paths = append(paths, v.DevicePath)
		}
	}
	return strings.Join(paths, ", ")
}

func volumeZero(r client.ResourceWithVolumes) (client.Volume, bool) {
	for _, v := range r.Volumes {
		if v.VolumeNumber == 0 {
			return v, true
		}
	}
	return client.Volume{}, false
}

// deployed reports whether the volume exists on its node: it has a device, and
// DRBD has said what its disk is.
func deployed(r client.ResourceWithVolumes) bool {
	v, ok := volumeZero(r)
	return ok && v.DevicePath != "" && !slices.Contains([]string{"", "Unknown", "DUnknown"}, v.State.DiskState)
}

// awaitVolumes waits until the volume exists on all of the nodes.
func (s *Stage) awaitVolumes(ctx context.Context, a *api, names []string, p setup.Progress) error {
	return setup.Poll(ctx, func() (bool, error) {
		w := &world{resources: map[string]client.ResourceWithVolumes{}}
		if err := s.seeResources(ctx, a, w); err != nil {
			return true, err
		}
		var waiting []string
		for _, name := range names {
			if r, _ := w.resource(name); !deployed(r) {
				waiting = append(waiting, name+complaint(r))
			}
		}
		if len(waiting) > 0 {
			p.Waiting("LINSTOR to deploy the volume on " + strings.Join(waiting, ", ") +
				" (linstor volume list, linstor error-reports list)")
		}
		return len(waiting) == 0, nil
	})
}

// complaint is what LINSTOR reports about a volume that is not there yet.
func complaint(r client.ResourceWithVolumes) string {
	v, _ := volumeZero(r)
	var texts []string
	for _, rc := range v.Reports {
		if failed(rc) {
			texts = append(texts, sentence(rc))
		}
	}
	if texts == nil {
		return ""
	}
	return ": " + strings.Join(texts, "; ")
}

// foreignItems tells about resources on nodes that the configuration does not
// have, and about a tie-breaker that LINSTOR keeps by itself.
func (s *Stage) foreignItems(w *world) []setup.Item {
	var items []setup.Item
	for _, name := range w.placed() {
		r, _ := w.resource(name)
		if slices.ContainsFunc(s.c.Nodes, func(n config.Node) bool { return strings.EqualFold(n.Name, name) }) {
			continue
		}
		what := "it has the data as well, and the file does not name the node"
		if diskless(r.Resource) {
			what = "it votes as a diskless tie-breaker, and the file does not name the node"
		}
		items = append(items, warn("resource "+r.Name+" on "+r.NodeName, "node", "name the node in the file, or: "+
			quoted("linstor", "resource", "delete", r.NodeName, r.Name), "%s", what))
	}
	return items
}
