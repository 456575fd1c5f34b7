package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// lookMountPoint makes the directory that the agent mounts the volume on.
func (s *Stage) lookMountPoint(context.Context) ([]setup.Item, error) {
	if s.node.Diskless {
		return nil, nil
	}
	const key = "filesystem.mount"
	dir := s.cfg.Filesystem.Mount
	object := "mount point " + dir
	st, err := s.m.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []setup.Item{{Object: object, Action: setup.Make, Detail: "directory, mode 0755", Key: key, Do: func(context.Context, setup.Progress) error {
			return s.m.MkdirAll("setup.host.mountpoint", dir, 0o755)
		}}}, nil
	}
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return []setup.Item{refuse(key, object, fmt.Sprintf("it is no directory, but %s", kind(st.Mode())), "move it away, or name another directory")}, nil
	}
	list, err := s.m.Mounts()
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(list, func(m host.Mount) bool { return m.Dir == dir }) {
		return []setup.Item{keep(object, "something is mounted there")}, nil
	}
	names, err := s.m.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		w := warn(object, fmt.Sprintf("%d entries are in it, %s among them; the volume will hide them", len(names), names[0]), "move them away")
		w.Key = key
		return []setup.Item{w}, nil
	}
	it := keep(object, "an empty directory")
	it.Key = key
	return []setup.Item{it}, nil
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m.IsRegular():
		return "a file"
	}
	return "something else (" + m.String() + ")"
}
