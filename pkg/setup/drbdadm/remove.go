package drbdadm

import (
	"context"
	"fmt"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// LookRemove takes the resource down and the resource file away. The volume
// stays.
func (s *Stage) LookRemove(ctx context.Context) ([]setup.Item, error) {
	node, ok := s.Config.Node(s.Self)
	if !ok {
		return nil, fmt.Errorf("%s is none of the nodes of the configuration (%s)", s.Self, s.Config.At("node"))
	}
	r, err := s.status(ctx)
	if err != nil {
		return nil, err
	}
	have, err := s.read(s.path())
	if err != nil {
		return nil, err
	}
	var items []setup.Item
	switch {
	case have != "" && !ours(have):
		items = append(items, setup.Item{Object: s.path(), Action: setup.Keep, Detail: "was not made by setup"})
	case ours(have):
		items = append(items, s.removeResource(r)...)
	}
	if node.Diskless {
		return items, nil
	}
	volumes, err := s.volumes(ctx)
	if err != nil {
		return items, err
	}
	if _, ok := find(volumes, s.Config.Resource.Name); ok {
		items = append(items, setup.Item{
			Object: "logical volume " + s.lvName(), Action: setup.Keep, Detail: "holds the data",
			Why: "to give the data up: lvremove " + s.lvName(),
		})
	}
	return items, nil
}

// removeResource takes the resource down and its file away. While it is in use
// neither can be done: the group has to stop first, which the stage cib sees to.
func (s *Stage) removeResource(r *drbd.Resource) []setup.Item {
	file := setup.Item{Object: s.path(), Action: setup.Drop, Detail: "made by setup", Do: s.dropFile}
	if r == nil {
		return []setup.Item{file}
	}
	it := setup.Item{Object: s.object(), Action: setup.Drop, Detail: "take it down, the data stays", Do: s.takeDown}
	if r.Role == drbd.RolePrimary {
		it.Action, it.Do = setup.Later, nil
		it.Detail, it.Why = "is Primary here: it is in use", "stop what uses it (pcs resource disable), or drbdadm secondary "+r.Name
		return []setup.Item{it}
	}
	return []setup.Item{it, file}
}

func (s *Stage) takeDown(ctx context.Context, _ setup.Progress) error {
	r, err := s.status(ctx)
	if err != nil || r == nil {
		return err
	}
	if r.Role == drbd.RolePrimary {
		return fmt.Errorf("%s became Primary meanwhile", r.Name)
	}
	return s.adm.Down(ctx, r.Name)
}

func (s *Stage) dropFile(context.Context, setup.Progress) error {
	have, err := s.read(s.path())
	if err != nil {
		return err
	}
	if !ours(have) {
		return nil
	}
	for _, file := range []string{s.trial(), s.path()} {
		if err := s.Machine.Remove("setup.resfile-remove", file); err != nil {
			return fmt.Errorf("remove %s: %w", file, err)
		}
	}
	return nil
}
