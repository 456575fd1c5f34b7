package node

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// Machine is what the stage needs of this machine.
type Machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	LookPath(name string) (string, error)
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
	Stat(path string) (fs.FileInfo, error)
	Lstat(path string) (fs.FileInfo, error)
	Readlink(path string) (string, error)
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	MkdirAll(op, path string, perm fs.FileMode) error
	Rename(op, from, to string) error
	Remove(op, path string) error
	Mounts() ([]host.Mount, error)
	Holders(ctx context.Context, mountID int, dir string) ([]host.Holder, error)
	Interfaces(ctx context.Context) ([]host.Interface, error)
	Addresses(ctx context.Context) ([]host.Address, error)
	Hostname() (string, error)
}

var (
	_ Machine     = (*host.Host)(nil)
	_ setup.Stage = (*Stage)(nil)
)

// Options are what New needs.
type Options struct {
	Machine Machine
	Config  *config.Config // loaded, with its defaults
	Self    string         // name of this node in the configuration
	Log     *slog.Logger   // nil discards
	// Replace leaves a server of hand-made resources running until the group takes
	// its place, and sets its exports aside.
	Replace bool
}

// Stage is the stage "host" on one node.
type Stage struct {
	m     Machine
	cfg   *config.Config
	self  string
	log   *slog.Logger
	index int         // of this node in the configuration, -1 when it is not there
	node  config.Node // this node
	// replace is Options.Replace.
	replace bool
}

// New returns the stage. It does nothing yet.
func New(o Options) *Stage {
	s := &Stage{m: o.Machine, cfg: o.Config, self: o.Self, log: o.Log, index: -1, replace: o.Replace}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for i, n := range s.cfg.Nodes {
		if n.Name == s.self {
			s.index, s.node = i, n
		}
	}
	return s
}

// Name returns setup.Host.
func (s *Stage) Name() string { return setup.Host }

// Look compares this node with the configuration.
func (s *Stage) Look(ctx context.Context) ([]setup.Item, error) {
	name, err := s.lookName()
	if err != nil || s.index < 0 {
		return []setup.Item{name}, err
	}
	system, err := s.lookSystem(ctx)
	items := append([]setup.Item{name}, system...)
	if err != nil || system[0].Action == setup.Refuse {
		return items, err // most of the rest can be seen by root alone
	}
	rest, err := gather(
		ctx, s.lookPrograms, s.lookDRBD, s.lookClock, s.lookAddresses, s.lookPath, s.lookNames, s.lookVolumeGroup,
		s.lookFilter, s.lookMultipath, s.lookPipefs, s.lookNFSServer, s.lookUnits, s.lookModules, s.lookFirewall, s.lookMountPoint,
	)
	return append(items, rest...), err
}

// LookRemove returns what takes back what Look's items made, the last first.
func (s *Stage) LookRemove(ctx context.Context) ([]setup.Item, error) {
	if s.index < 0 {
		name, err := s.lookName()
		return []setup.Item{name}, err
	}
	return gather(
		ctx, s.removeDaemon, s.removeFirewall, s.removeModules, s.removePipefs, s.removeMultipath, s.removeFilter, s.removeVolumeGroup, s.removeNames,
	)
}

// gather runs the parts in order.
func gather(ctx context.Context, parts ...func(context.Context) ([]setup.Item, error)) ([]setup.Item, error) {
	var all []setup.Item
	for _, part := range parts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		items, err := part(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
	}
	return all, nil
}

// key names a configuration key of this node: "node[1].device".
func (s *Stage) key(name string) string { return fmt.Sprintf("node[%d].%s", s.index, name) }

// has reports whether program name is installed.
func (s *Stage) has(name string) bool {
	_, err := s.m.LookPath(name)
	return err == nil
}

// run runs a program and returns what it printed.
func (s *Stage) run(ctx context.Context, op, name string, args ...string) (string, error) {
	res, err := s.m.Run(ctx, host.Cmd{Op: op, Name: name, Args: args})
	return string(res.Stdout), err
}

// change runs a program that changes something, and logs that.
func (s *Stage) change(ctx context.Context, op, name string, args ...string) error {
	s.log.Info("run", "step", setup.Host, "action", op, "argv", strings.Join(append([]string{name}, args...), " "))
	_, err := s.run(ctx, op, name, args...)
	return err
}

func keep(object, format string, args ...any) setup.Item {
	return setup.Item{Object: object, Action: setup.Keep, Detail: fmt.Sprintf(format, args...)}
}

func warn(object, detail, why string) setup.Item {
	return setup.Item{Object: object, Action: setup.Warn, Detail: detail, Why: why}
}

func refuse(key, object, detail, why string) setup.Item {
	return setup.Item{Object: object, Action: setup.Refuse, Detail: detail, Why: why, Key: key}
}
