package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/corosync"
	"github.com/spacei/drbdnfs/pkg/setup/secret"
)

// hacluster is the user as which the nodes' pcsd know each other.
const hacluster = "hacluster"

// markFile says from which secret the password of hacluster was set.
const markFile = "/var/lib/drbdnfs/hacluster"

// secretItem is the secret of a node that has no cluster yet.
func (s *Stage) secretItem(f *facts) setup.Item {
	const object = config.DefaultSecretFile
	switch {
	case f.secretErr == nil:
		return keep(object, "the nodes' secret")
	case !errors.Is(f.secretErr, fs.ErrNotExist):
		return refuse(object, f.secretErr.Error(), "the keys of the cluster are derived from it", "")
	case s.first():
		return setup.Item{
			Object: object, Action: setup.Make,
			Detail: "32 random bytes; to be copied to the other nodes",
			Why:    "the keys of the cluster are derived from it",
			Do: func(context.Context, setup.Progress) error {
				_, err := secret.Make(s.m, config.DefaultSecretFile)
				return err
			},
		}
	}
	first := s.c.First().Name
	return refuse(object, "missing", fmt.Sprintf("copy it from %s (drbdnfs config secret, or the first setup apply there, makes it): "+
		"scp -p root@%s:%s %s", first, s.c.First().Address, object, object), "")
}

// pcsdItem is the service pcsd, wherever pcs is installed.
func (s *Stage) pcsdItem(f *facts) setup.Item {
	u := f.units[pcsdUnit]
	switch {
	case !u.loaded:
		return refuse(pcsdUnit, "pcs is installed and systemd knows no pcsd", "install the whole package pcs, or remove it", "")
	case u.enabled && u.active:
		return keep(pcsdUnit, "enabled, running")
	}
	return setup.Item{
		Object: pcsdUnit, Action: setup.Make, Detail: "enabled and started",
		Why: "pcs on one node reaches the others through it",
		Do: func(ctx context.Context, _ setup.Progress) error {
			return s.systemctl(ctx, "setup.pcsd", "enable", "--now", pcsdUnit)
		},
	}
}

// passwordItem is the password of hacluster, which only the forming of a cluster
// needs: what a cluster's administrator has set since is theirs.
func (s *Stage) passwordItem(f *facts) setup.Item {
	const object = "password of " + hacluster
	switch {
	case !f.user:
		return refuse("user "+hacluster, "missing", "it comes with the package pacemaker: install that again", "")
	case f.marked:
		return keep(object, "set from the nodes' secret")
	}
	return setup.Item{
		Object: object, Action: setup.Make, Detail: "set from the nodes' secret",
		Why: s.c.First().Name + " logs in to every node's pcsd with it",
		Do:  func(ctx context.Context, _ setup.Progress) error { return s.setPassword(ctx) },
	}
}

func (s *Stage) setPassword(ctx context.Context) error {
	sec, err := secret.Load(s.m, config.DefaultSecretFile)
	if err != nil {
		return err
	}
	if s.marked(sec) {
		return nil
	}
	line := hacluster + ":" + sec.HAClusterPassword() + "\n"
	if _, err := s.m.Run(ctx, host.Cmd{Op: "setup.hacluster", Name: "chpasswd", Stdin: []byte(line)}); err != nil {
		return fmt.Errorf("set the password of %s: %w", hacluster, err)
	}
	if err := s.m.MkdirAll("setup.hacluster-dir", path.Dir(markFile), 0o755); err != nil {
		return err
	}
	return s.m.WriteFileAtomic("setup.hacluster-mark", markFile, []byte(sec.HAClusterMark()+"\n"), 0o600)
}

// marked reports whether the password was set from sec.
func (s *Stage) marked(sec secret.Secret) bool {
	data, err := s.m.ReadFile(markFile)
	return err == nil && strings.TrimSpace(string(data)) == sec.HAClusterMark()
}

// leftovers are what keeps a cluster from being formed on a node that has none:
// the configuration that a distribution installs and has started, and a CIB.
func (s *Stage) leftovers(f *facts) []setup.Item {
	if f.conf == nil && f.cib == cibAbsent {
		return nil
	}
	if f.cib == cibUsed {
		return []setup.Item{refuse(cibFile, "Pacemaker's configuration of another cluster, with resources or constraints",
			"if nothing of it is needed: systemctl stop pacemaker corosync; mv "+cibDir+" "+cibDir+".old", "")}
	}
	what := "an empty Pacemaker configuration"
	if f.conf != nil {
		what = "the distribution's example, a cluster of this machine alone"
	}
	return []setup.Item{{
		Object: "unused cluster", Action: setup.Change, Detail: what + "; stopped and set aside",
		Why: "cluster " + s.c.Cluster + " takes its place",
		Do:  func(ctx context.Context, _ setup.Progress) error { return s.clear(ctx) },
	}}
}

// clear stops the unused cluster and sets its files aside. It looks again: by
// now the node may have become part of the real one.
func (s *Stage) clear(ctx context.Context) error {
	f, err := s.look(ctx)
	if err != nil {
		return err
	}
	switch {
	case f.formed():
		return nil
	case f.confErr != nil:
		return f.confErr
	case f.cib == cibUsed:
		return fmt.Errorf("%s holds resources or constraints", cibFile)
	}
	if f.units[corosyncUnit].active || f.units[pacemakerUnit].active {
		if err := s.systemctl(ctx, "setup.stop-unused", "stop", pacemakerUnit, corosyncUnit); err != nil {
			return err
		}
	}
	if f.conf != nil {
		if err := s.setAside("setup.aside-conf", corosync.Path); err != nil {
			return err
		}
	}
	if _, err := s.m.Lstat(cibDir); err == nil {
		return s.setAside("setup.aside-cib", cibDir) // Pacemaker makes the folder when it starts
	}
	return nil
}

// maxAside bounds how many old versions of one object are kept.
const maxAside = 99

// setAside renames file to a name beside it that is free.
func (s *Stage) setAside(op, file string) error {
	for i := range maxAside {
		to := file + ".before-drbdnfs"
		if i > 0 {
			to = fmt.Sprintf("%s-%d", to, i+1)
		}
		if _, err := s.m.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return s.m.Rename(op, file, to)
		}
	}
	return fmt.Errorf("set %s aside: there are %d of it already", file, maxAside)
}

func (s *Stage) systemctl(ctx context.Context, op string, args ...string) error {
	if _, err := s.m.Run(ctx, host.Cmd{Op: op, Name: "systemctl", Args: args}); err != nil {
		return fmt.Errorf("%w; see: journalctl -u corosync -u pacemaker -u pcsd", err)
	}
	return nil
}
