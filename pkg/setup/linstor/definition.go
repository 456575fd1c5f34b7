package linstor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	linstor "github.com/LINBIT/golinstor"
	"github.com/LINBIT/golinstor/client"
	"github.com/LINBIT/golinstor/devicelayerkind"

	"github.com/spacei/drbdnfs/pkg/setup"
)

// groupName is the resource group of what setup makes: without one of its own,
// what somebody sets on LINSTOR's default group would change the resource.
const (
	groupName        = "drbdnfs"
	groupDescription = "resources of drbdnfs, placed by drbdnfs setup"
)

// definitionItems are the resource group, the resource definition, its options
// and volume 0.
func (s *Stage) definitionItems(a *api, w *world) []setup.Item {
	items := s.groupItems(a, w)
	items = append(items, s.definition(a, w)...)
	items = append(items, s.options(a, w)...)
	return append(items, s.volumeDefinition(a, w))
}

func (s *Stage) groupItems(a *api, w *world) []setup.Item {
	object := "resource group " + groupName
	switch {
	case w.rd != nil && w.rd.ResourceGroupName != "" && !strings.EqualFold(w.rd.ResourceGroupName, groupName):
		return []setup.Item{warn(s.definitionObject(), "resource.name",
			"linstor resource-group list-properties "+w.rd.ResourceGroupName,
			"it belongs to resource group %s, whose properties apply to it as well", w.rd.ResourceGroupName)}
	case w.group != nil:
		return []setup.Item{keep(object, "", "")}
	}
	return []setup.Item{s.create(object, "for what drbdnfs places by itself", "", func(ctx context.Context) error {
		err := a.ResourceGroups.Create(ctx, client.ResourceGroup{Name: groupName, Description: groupDescription})
		return a.unlessExists("create "+object, err, linstor.FailExistsRscGrp)
	})}
}

func (s *Stage) definitionObject() string { return "resource definition " + s.c.Resource.Name }

func (s *Stage) definition(a *api, w *world) []setup.Item {
	const key = "resource.name"
	port := s.c.Resource.Port
	if w.rd == nil {
		detail := "in resource group " + groupName
		if port != 0 {
			detail += fmt.Sprintf(", port %d", port)
		}
		return []setup.Item{s.create(s.definitionObject(), detail, key, func(ctx context.Context) error {
			err := a.ResourceDefinitions.Create(ctx, client.ResourceDefinitionCreate{
				DrbdPort:           int32(port),
				ResourceDefinition: client.ResourceDefinition{Name: s.c.Resource.Name, ResourceGroupName: groupName},
			})
			return a.unlessExists("create "+s.definitionObject(), err, linstor.FailExistsRscDfn)
		})}
	}
	if has(w.rd.Flags, linstor.FlagDelete) {
		return []setup.Item{refuse(s.definitionObject(), key,
			"wait until it is gone from linstor resource-definition list, then run this again", "LINSTOR is deleting it")}
	}
	items := []setup.Item{keep(s.definitionObject(), "in resource group "+w.rd.ResourceGroupName, key)}
	if have := portOf(w.rd); have != 0 && port != 0 && have != port {
		items = append(items, warn(s.definitionObject(), "resource.port",
			"correct the file, and see that the firewall lets the port in",
			"DRBD uses port %d there, the file has %d", have, port))
	}
	return items
}

// portOf is DRBD's port of a resource definition, 0 where LINSTOR keeps it with
// the resources.
func portOf(rd *client.ResourceDefinition) int {
	for _, l := range rd.LayerData {
		if l.Type == devicelayerkind.Drbd && l.Data != nil {
			return int(l.Data.Port)
		}
	}
	return 0
}

// options compares DRBD's options: what is not set at all is set at once, what
// is set to something else one by one, so that the plan shows old and new. What
// the configuration does not name stays as it is.
func (s *Stage) options(a *api, w *world) []setup.Item {
	var have map[string]string
	if w.rd != nil {
		have = w.rd.Props
	}
	var missing []property
	var changes []setup.Item
	for _, p := range properties(s.c) {
		old, set := have[p.key]
		chosen := p.key == propQuorum && strings.EqualFold(have[propQuorumBy], "linstor")
		switch {
		case p.key == propTieBreaker && w.tieBreaker() != "":
			continue // LINSTOR would delete its tie-breaker; foreignItems tells
		case !set:
			missing = append(missing, p)
		case chosen || !same(old, p.value):
			changes = append(changes, s.change(a, p, old, chosen))
		}
	}
	object := "DRBD options of " + s.definitionObject()
	items := make([]setup.Item, 0, len(changes)+1)
	switch {
	case len(missing) > 0:
		items = append(items, s.create(object, listed(missing), "resource.drbd", func(ctx context.Context) error {
			return s.set(ctx, a, missing)
		}))
	case len(changes) == 0:
		items = append(items, keep(object, "as the file has them", "resource.drbd"))
	}
	return append(items, changes...)
}

// change is the item for an option that has another value.
func (s *Stage) change(a *api, p property, old string, chosen bool) setup.Item {
	if p.secret {
		old = "***"
	}
	detail := old + " → " + p.both()
	if chosen {
		detail = old + ", chosen by LINSTOR → " + p.both()
	}
	object := "DRBD option " + p.name + " of " + s.definitionObject()
	return s.act(setup.Change, object, detail, p.asked, func(ctx context.Context) error {
		return s.set(ctx, a, []property{p})
	})
}

// set sets properties in one call, which LINSTOR takes or leaves as a whole, and
// looks whether they are there. It takes a modification for the user's word on
// quorum, which values given at creation are not.
func (s *Stage) set(ctx context.Context, a *api, ps []property) error {
	res := s.c.Resource.Name
	doing := "set DRBD options of resource definition " + res
	err := a.ResourceDefinitions.Modify(ctx, res, client.GenericPropsModify{OverrideProps: overrides(ps)})
	if err != nil {
		return a.fail(doing, err)
	}
	rd, err := a.ResourceDefinitions.Get(ctx, res)
	if err != nil {
		return a.fail("look at resource definition "+res, err)
	}
	if p, missing := lacking(rd.Props, ps); missing {
		return fmt.Errorf("%s: LINSTOR took %s=%s and did not set it: linstor resource-definition list-properties %s",
			doing, p.name, p.shown(), res)
	}
	return nil
}

func (s *Stage) volumeDefinition(a *api, w *world) setup.Item {
	const key = "resource.size"
	res, want := s.c.Resource.Name, s.sizeKiB()
	object := "volume definition 0 of " + res
	if w.volume == nil {
		return s.create(object, s.c.Resource.Size.String(), key, func(ctx context.Context) error { return s.makeVolume(ctx, a) })
	}
	have := int64(w.volume.SizeKib)
	switch {
	case have > want:
		return refuse(object, key, "write resource.size = \""+exact(have)+"\": a volume is never made smaller",
			"it has %s, the file has %s", exact(have), s.c.Resource.Size)
	case have < want:
		return refuse(object, key,
			"write resource.size = \""+exact(have)+"\", or grow it yourself: "+
				quoted("linstor", "volume-definition", "set-size", res, "0", fmt.Sprintf("%dKiB", want))+", then the file system",
			"it has %s, the file has %s; setup does not grow a volume by itself", exact(have), s.c.Resource.Size)
	}
	return keep(object, s.c.Resource.Size.String(), key)
}

// makeVolume defines volume 0. What is there already is compared.
func (s *Stage) makeVolume(ctx context.Context, a *api) error {
	res := s.c.Resource.Name
	object, want := "volume definition 0 of "+res, uint64(s.sizeKiB())
	have, err := orNil(a.ResourceDefinitions.GetVolumeDefinition(ctx, res, 0))
	if err != nil {
		return a.fail("look at "+object, err)
	}
	if have == nil {
		number := int32(0)
		err := a.ResourceDefinitions.CreateVolumeDefinition(ctx, res, client.VolumeDefinitionCreate{
			VolumeDefinition: client.VolumeDefinition{VolumeNumber: &number, SizeKib: want},
		})
		if err := a.unlessExists("create "+object, err, linstor.FailExistsVlmDfn); err != nil {
			return err
		}
		if have, err = orNil(a.ResourceDefinitions.GetVolumeDefinition(ctx, res, 0)); err != nil {
			return a.fail("look at "+object, err)
		}
	}
	if have == nil || have.SizeKib != want {
		return fmt.Errorf("create %s: LINSTOR has it with another size than %d KiB: linstor volume-definition list", object, want)
	}
	return nil
}

// tieBreaker is the node on which LINSTOR keeps a tie-breaker of its own, "" for
// none.
func (w *world) tieBreaker() string {
	for _, name := range w.placed() {
		if r, _ := w.resource(name); has(r.Flags, linstor.FlagTieBreaker) {
			return r.NodeName
		}
	}
	return ""
}

// placed are the nodes with a resource, sorted.
func (w *world) placed() []string {
	names := make([]string, 0, len(w.resources))
	for name := range w.resources {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
