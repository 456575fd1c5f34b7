package node

import (
	"context"
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// unitState is what systemd says of a unit.
type unitState struct{ load, state, file string }

func (u unitState) exists() bool { return u.load == "loaded" || u.load == "masked" }
func (u unitState) active() bool {
	return u.state == "active" || u.state == "activating" || u.state == "reloading"
}
func (u unitState) enabled() bool { return u.file == "enabled" || u.file == "enabled-runtime" }

func (s *Stage) unit(ctx context.Context, name string) (unitState, error) {
	var u unitState
	out, err := s.run(ctx, "setup.host.unit", "systemctl", "show", "--property=LoadState,ActiveState,UnitFileState", name)
	if err != nil {
		return u, fmt.Errorf("look at %s: %w", name, err)
	}
	for line := range strings.Lines(out) {
		switch k, v, _ := strings.Cut(strings.TrimSpace(line), "="); k {
		case "LoadState":
			u.load = v
		case "ActiveState":
			u.state = v
		case "UnitFileState":
			u.file = v
		}
	}
	return u, nil
}

// lookUnits has systemd start what the group needs at boot, and nothing that
// would take DRBD from under it.
func (s *Stage) lookUnits(ctx context.Context) ([]setup.Item, error) {
	if !s.has("systemctl") {
		return nil, nil // refused already
	}
	var items []setup.Item
	drbd, err := s.unit(ctx, "drbd.service")
	if err != nil {
		return nil, err
	}
	if drbd.enabled() {
		items = append(items, setup.Item{
			Object: "drbd.service", Action: setup.Change, Detail: "not started at boot; what is up stays up",
			Why: "Pacemaker and LINSTOR bring DRBD up", Do: s.disable("drbd.service", false),
		})
	}
	it, err := s.wanted(ctx, daemon, "split_brain.policy")
	if err != nil {
		return nil, err
	}
	items = append(items, it)
	if s.cfg.Storage.Manager != config.ManagerLINSTOR {
		return items, nil
	}
	it, err = s.wanted(ctx, "linstor-satellite.service", "storage.manager")
	if err != nil {
		return nil, err
	}
	items = append(items, it)
	it, err = s.lookController(ctx)
	if err != nil || it.Object == "" {
		return items, err
	}
	return append(items, it), nil
}

// daemon is the unit of drbdnfsd.
const daemon = "drbdnfsd.service"

// removeDaemon ends drbdnfsd, which has nothing to watch any more.
func (s *Stage) removeDaemon(ctx context.Context) ([]setup.Item, error) {
	if !s.has("systemctl") {
		return nil, nil
	}
	u, err := s.unit(ctx, daemon)
	if err != nil || !u.active() && !u.enabled() {
		return nil, err
	}
	return []setup.Item{{
		Object: daemon, Action: setup.Drop, Detail: "stopped, not started at boot", Do: s.disable(daemon, true),
	}}, nil
}

// lookController has the controller run on one node: two of them, each with its
// own data base, would undo each other's work.
func (s *Stage) lookController(ctx context.Context) (setup.Item, error) {
	const name = "linstor-controller.service"
	if s.cfg.Storage.Controller == s.self {
		return s.wanted(ctx, name, "storage.controller")
	}
	u, err := s.unit(ctx, name)
	if err != nil || !u.active() && !u.enabled() {
		return setup.Item{}, err
	}
	return refuse("storage.controller", name, "it runs or starts at boot here, and the file has it on "+s.cfg.Storage.Controller,
		"systemctl disable --now "+name+", or name this node as the controller; two controllers damage LINSTOR's configuration"), nil
}

// wanted is a unit that has to run, now and after each boot.
func (s *Stage) wanted(ctx context.Context, name, key string) (setup.Item, error) {
	u, err := s.unit(ctx, name)
	switch {
	case err != nil:
		return setup.Item{}, err
	case !u.exists():
		return refuse(key, name, "it is not installed", "install the package that has it: "+packageOf(name)), nil
	case u.load == "masked":
		return refuse(key, name, "it is masked", "systemctl unmask "+name), nil
	case u.active() && u.enabled():
		it := keep(name, "running, starts at boot")
		it.Key = key
		return it, nil
	}
	return setup.Item{Object: name, Action: setup.Make, Detail: "started, now and at boot", Key: key, Do: func(ctx context.Context, _ setup.Progress) error {
		if err := s.change(ctx, "setup.host.enable", "systemctl", "enable", "--now", name); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		u, err := s.unit(ctx, name)
		if err == nil && (!u.active() || !u.enabled()) {
			err = fmt.Errorf("%s is %s and %s: see journalctl -u %s", name, u.state, u.file, name)
		}
		return err
	}}, nil
}

// packageOf names the package that brings a unit.
func packageOf(unit string) string {
	if unit == daemon {
		return "drbdnfs"
	}
	return strings.TrimSuffix(unit, ".service")
}

// disable returns what keeps a unit from starting at boot, and ends it now if
// asked to.
func (s *Stage) disable(name string, now bool) func(context.Context, setup.Progress) error {
	return func(ctx context.Context, _ setup.Progress) error {
		args := []string{"disable", name}
		if now {
			args = []string{"disable", "--now", name}
		}
		if err := s.change(ctx, "setup.host.disable", "systemctl", args...); err != nil {
			return fmt.Errorf("disable %s: %w", name, err)
		}
		u, err := s.unit(ctx, name)
		if err == nil && (u.enabled() || now && u.active()) {
			err = fmt.Errorf("%s is still %s and %s", name, u.state, u.file)
		}
		return err
	}
}
