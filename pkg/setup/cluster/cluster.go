package cluster

import (
	"context"
	"io/fs"
	"log/slog"
	"net"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// Machine is what the stage needs of [*host.Host].
type Machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	LookPath(name string) (string, error)
	ReadFile(path string) ([]byte, error)
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	MkdirAll(op, path string, perm fs.FileMode) error
	Remove(op, path string) error
	Rename(op, from, to string) error
	Lstat(path string) (fs.FileInfo, error)
	Owner(path string) (uid, gid int, err error)
	Chown(op, path string, uid, gid int) error
}

// Dialer opens connections, as [*net.Dialer] does.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

var (
	_ Machine     = (*host.Host)(nil)
	_ Dialer      = (*net.Dialer)(nil)
	_ setup.Stage = (*Stage)(nil)
)

// Options are what New needs.
type Options struct {
	Machine Machine
	Config  *config.Config
	Self    string       // this node's name, one of Config's
	Log     *slog.Logger // nil discards
	Dialer  Dialer       // nil is a net.Dialer; it only asks whether pcsd listens
}

// Stage is the stage "cluster" on one node.
type Stage struct {
	m    Machine
	c    *config.Config
	self string
	log  *slog.Logger
	dial Dialer
}

// dialTimeout bounds one look at whether a node's pcsd listens.
const dialTimeout = 2 * time.Second

// New returns the stage.
func New(o Options) *Stage {
	s := &Stage{m: o.Machine, c: o.Config, self: o.Self, log: o.Log, dial: o.Dialer}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.dial == nil {
		s.dial = &net.Dialer{Timeout: dialTimeout}
	}
	return s
}

// Name is setup.Cluster.
func (*Stage) Name() string { return setup.Cluster }

// first reports whether this node does what one has to do for all.
func (s *Stage) first() bool { return s.c.First().Name == s.self }

// Look compares this node with the configuration. It runs no pcs, which takes
// seconds.
func (s *Stage) Look(ctx context.Context) ([]setup.Item, error) {
	f, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	if items := s.unusable(f); len(items) > 0 {
		return items, nil
	}
	if f.formed() {
		return s.lookFormed(f), nil
	}
	return s.lookUnformed(f), nil
}

// unusable are the reasons for which the rest cannot be judged.
func (s *Stage) unusable(f *facts) []setup.Item {
	var items []setup.Item
	for _, name := range []string{corosyncUnit, pacemakerUnit} {
		if !f.units[name].loaded {
			items = append(items, refuse(name, "systemd knows no such service", "install the packages corosync and pacemaker", ""))
		}
	}
	if f.confErr != nil {
		items = append(items, refuse("corosync.conf", f.confErr.Error(),
			"correct the file, or copy it from a node that is in the cluster", ""))
	}
	if f.conf == nil && f.confErr == nil && f.units[corosyncUnit].active {
		items = append(items, refuse("corosync.conf", "corosync runs and its file is gone",
			"copy the file back from another node of its cluster, or stop what runs: systemctl stop pacemaker corosync", ""))
	}
	return items
}

func refuse(object, detail, why, key string) setup.Item {
	return setup.Item{Object: object, Action: setup.Refuse, Detail: detail, Why: why, Key: key}
}

func keep(object, detail string) setup.Item {
	return setup.Item{Object: object, Action: setup.Keep, Detail: detail}
}

// LookRemove takes nothing back: the cluster may run what others have put into
// it.
func (s *Stage) LookRemove(ctx context.Context) ([]setup.Item, error) {
	f, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	var items []setup.Item
	if f.formed() {
		why := "it may hold what setup has not made; to end it on this node: systemctl disable --now pacemaker corosync, " +
			"and then remove /etc/corosync/corosync.conf and /var/lib/pacemaker/cib/*"
		if f.pcs {
			why = "it may hold what setup has not made; to end it on all nodes: pcs cluster destroy --all"
		}
		it := keep("cluster "+f.conf.Name, "corosync and Pacemaker on "+countNodes(len(f.conf.Nodes)))
		it.Why, it.Key = why, "cluster"
		items = append(items, it)
	}
	if f.secret.Valid() {
		it := keep(config.DefaultSecretFile, "the nodes' secret")
		it.Why = "other nodes may still use it; to remove it: rm " + config.DefaultSecretFile + " " + markFile
		items = append(items, it)
	}
	return items, nil
}
