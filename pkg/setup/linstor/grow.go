package linstor

import (
	"context"
	"errors"
	"fmt"

	"github.com/LINBIT/golinstor/client"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// Grow returns what LINSTOR has to do for volume 0 to have size bytes: nothing
// where it has them, an item of which a person has to decide where that cannot be,
// otherwise one that changes the volume definition. LINSTOR's satellites then make
// the logical volumes and the DRBD device larger; that is not waited for.
//
// It is asked of the controller's node; on others the item says so. It changes
// nothing; errors are those of [Stage.Look].
func (s *Stage) Grow(ctx context.Context, size config.Size) ([]setup.Item, error) {
	if s.self != s.c.Storage.Controller {
		return []setup.Item{s.other()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	a, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	w, err := s.see(ctx, a)
	if err != nil {
		return nil, err
	}
	return s.growth(a, w, size), nil
}

// growth compares volume 0 with size.
func (s *Stage) growth(a *api, w *world, size config.Size) []setup.Item {
	res := s.c.Resource.Name
	object, want := "volume definition 0 of "+res, (size.Bytes()+1023)>>10
	if w.volume == nil {
		return []setup.Item{refuse(object, "", "drbdnfs setup apply makes it", "LINSTOR does not have it")}
	}
	have := int64(w.volume.SizeKib) //nolint:gosec // a size of a disk
	switch {
	case have > want:
		return []setup.Item{refuse(object, "", "choose a larger size: a volume is never made smaller", "it has %s already", exact(have))}
	case have == want:
		return []setup.Item{keep(object, exact(have), "")}
	}
	if items := s.lack(w, grossKiB(want)-grossKiB(have)); len(items) > 0 {
		return items
	}
	return []setup.Item{s.act(setup.Change, object, exact(have)+" → "+exact(want)+", LINSTOR grows it on every node", "", func(ctx context.Context) error {
		return s.setSize(ctx, a, object, want)
	})}
}

// lack refuses a growth that takes more KiB than a node has, or one while a node
// cannot be reached. A thin pool may hold larger volumes than it has space for.
func (s *Stage) lack(w *world, more int64) []setup.Item {
	var items []setup.Item
	for _, n := range s.c.Diskful() {
		p, ok := w.pool(n.Name)
		switch {
		case !w.online(n.Name):
			items = append(items, refuse("LINSTOR node "+n.Name, "", "start the satellite there: systemctl start linstor-satellite", "it is not online"))
		case !ok:
			items = append(items, refuse(poolObject(s.c, n), "", "drbdnfs setup apply", "it is not there"))
		case p.ProviderKind == client.LVM && p.FreeCapacity < more:
			items = append(items, refuse(poolObject(s.c, n), "", "choose a smaller size, or add space to the volume group there: vgextend",
				"%s are free, %s more are needed", kib(p.FreeCapacity), kib(more)))
		}
	}
	return items
}

// setSize changes the size and looks whether LINSTOR has it.
func (s *Stage) setSize(ctx context.Context, a *api, object string, want int64) error {
	res := s.c.Resource.Name
	err := a.ResourceDefinitions.ModifyVolumeDefinition(ctx, res, 0, client.VolumeDefinitionModify{SizeKib: uint64(want)}) //nolint:gosec // positive
	if err != nil {
		return a.fail("set the size of "+object, err)
	}
	have, err := a.ResourceDefinitions.GetVolumeDefinition(ctx, res, 0)
	if err != nil {
		return a.fail("look at "+object, err)
	}
	if int64(have.SizeKib) != want { //nolint:gosec // a size of a disk
		return fmt.Errorf("set the size of %s: LINSTOR has %s: %w", object, exact(int64(have.SizeKib)), errNotTaken) //nolint:gosec // a size of a disk
	}
	return nil
}

// errNotTaken means that LINSTOR said yes and did something else.
var errNotTaken = errors.New("not what was asked for: linstor volume-definition list, linstor error-reports list")
