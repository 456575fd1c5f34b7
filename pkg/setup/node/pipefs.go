package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/edit"
)

const (
	nfsConf   = "/etc/nfs.conf"
	newPipefs = "/run/rpc_pipefs"
	oldPipefs = nfs.Dir + "/rpc_pipefs"
	// oldPipefsUnit is systemd's name for the mount on oldPipefs.
	oldPipefsUnit = "var-lib-nfs-rpc_pipefs.mount"
)

// lookPipefs moves rpc_pipefs out of /var/lib/nfs, which is about to be switched
// between the node and the volume. nfs-utils' rpc-pipefs-generator makes the
// mount unit for the new place from nfs.conf.
func (s *Stage) lookPipefs(ctx context.Context) ([]setup.Item, error) {
	if s.node.Diskless {
		return nil, nil
	}
	override, err := s.pipefsOverride()
	if err != nil {
		return nil, err
	}
	if override != "" {
		return []setup.Item{refuse("", nfsConf, override+" puts rpc_pipefs below "+nfs.Dir, "set pipefs-directory="+newPipefs+" there")}, nil
	}
	it := keep(nfsConf, "pipefs-directory=%s", nfs.PipefsDir(s.m))
	if nfs.CheckPipefs(s.m) != nil {
		it = setup.Item{
			Object: nfsConf, Action: setup.Change, Detail: fmt.Sprintf("pipefs-directory=%s instead of %s", newPipefs, nfs.PipefsDir(s.m)),
			Why: "it cannot lie in a directory that moves", Do: s.movePipefs,
		}
	}
	old, err := s.lookOldPipefs(ctx)
	return append([]setup.Item{it}, old...), err
}

// pipefsOverride names a file of /etc/nfs.conf.d, which nfs-utils 2.5 and later
// read after nfs.conf, that puts rpc_pipefs where it must not be.
func (s *Stage) pipefsOverride() (string, error) {
	const dir = nfsConf + ".d"
	list, err := s.m.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, name := range list {
		if !strings.HasSuffix(name, ".conf") {
			continue
		}
		data, err := s.m.ReadFile(dir + "/" + name)
		if err != nil {
			return "", err
		}
		v, ok := edit.Key(string(data), "general", "pipefs-directory")
		if ok && (v == nfs.Dir || strings.HasPrefix(v, nfs.Dir+"/")) {
			return dir + "/" + name, nil
		}
	}
	return "", nil
}

func (s *Stage) movePipefs(ctx context.Context, _ setup.Progress) error {
	err := s.rewrite(ctx, "setup.host.nfsconf", nfsConf, func(text string) (string, error) {
		return edit.SetKey(text, "general", "pipefs-directory", newPipefs)
	})
	if err != nil {
		return err
	}
	if err := nfs.CheckPipefs(s.m); err != nil {
		return err
	}
	return s.change(ctx, "setup.host.daemonreload", "systemctl", "daemon-reload")
}

// lookOldPipefs ends the mount in the old place when nobody uses it. Whoever
// does keeps it until the next boot, and the move of /var/lib/nfs with it.
func (s *Stage) lookOldPipefs(ctx context.Context) ([]setup.Item, error) {
	m, ok, err := s.oldPipefs()
	if err != nil || !ok {
		return nil, err
	}
	users, err := s.m.Holders(ctx, m.ID, m.Dir)
	if err != nil {
		return nil, err
	}
	if len(users) > 0 {
		return []setup.Item{warn("rpc_pipefs on "+m.Dir, "in use by "+users[0].String(), "reboot this node before the group starts on it")}, nil
	}
	return []setup.Item{{Object: "rpc_pipefs on " + m.Dir, Action: setup.Drop, Detail: "unmounted; it is mounted on " + newPipefs + " from now on", Do: s.unmountOld}}, nil
}

func (s *Stage) oldPipefs() (host.Mount, bool, error) {
	list, err := s.m.Mounts()
	if err != nil {
		return host.Mount{}, false, err
	}
	i := slices.IndexFunc(list, func(m host.Mount) bool { return m.Dir == oldPipefs && m.Type == "rpc_pipefs" })
	if i < 0 {
		return host.Mount{}, false, nil
	}
	return list[i], true, nil
}

func (s *Stage) unmountOld(ctx context.Context, _ setup.Progress) error {
	m, ok, err := s.oldPipefs()
	if err != nil || !ok {
		return err
	}
	users, err := s.m.Holders(ctx, m.ID, m.Dir)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return fmt.Errorf("rpc_pipefs on %s is in use by %s: reboot this node", m.Dir, users[0])
	}
	if err := s.change(ctx, "setup.host.pipefs.stop", "systemctl", "stop", oldPipefsUnit); err != nil {
		return fmt.Errorf("unmount %s: %w", m.Dir, err)
	}
	if _, ok, err = s.oldPipefs(); err == nil && ok {
		err = fmt.Errorf("%s is still mounted: reboot this node", m.Dir)
	}
	return err
}

func (s *Stage) removePipefs(context.Context) ([]setup.Item, error) {
	return s.unmark(nfsConf, "setup.host.nfsconf.remove", edit.RemoveKey, func(ctx context.Context) error {
		return s.change(ctx, "setup.host.daemonreload", "systemctl", "daemon-reload")
	})
}
