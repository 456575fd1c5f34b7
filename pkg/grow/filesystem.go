package grow

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// filesystemStage grows the file system to the size of DRBD's device.
type filesystemStage struct{ base }

var _ setup.Stage = (*filesystemStage)(nil)

// Name returns [Filesystem].
func (*filesystemStage) Name() string { return Filesystem }

// Look compares the file system with the device. Only the node that has it mounted
// can do that.
func (s *filesystemStage) Look(ctx context.Context) ([]setup.Item, error) {
	it := setup.Item{Object: fmt.Sprintf("file system %s (%s)", s.Config.Filesystem.Mount, s.Config.Filesystem.Type)}
	r, err := s.status(ctx)
	if errors.Is(err, errNotUp) {
		return nil, nil // refused by the stage before
	}
	if err != nil {
		return nil, err
	}
	if r.Role != drbd.RolePrimary {
		it.Action, it.Detail = setup.Other, "the node that is Primary grows it: run drbdnfs grow "+s.Size.String()+" there"
		return []setup.Item{it}, nil
	}
	device, err := s.adm.Device(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	if mounted, err := s.mounted(); err != nil || !mounted {
		it.Action, it.Detail, it.Why = setup.Refuse, "it is not mounted on this node, which is Primary", "pcs status"
		return []setup.Item{it}, err
	}
	have, err := s.bytes(ctx, device)
	if err != nil {
		return nil, err
	}
	if target := max(deviceBytes(r), s.Size.Bytes()); have+s.slack() < target {
		it.Action, it.Detail = setup.Change, fmt.Sprintf("%s → the whole device, under way", config.Size(have))
		it.Do = func(ctx context.Context, _ setup.Progress) error { return s.grow(ctx, device) }
	} else {
		it.Action, it.Detail = setup.Keep, config.Size(have).String()
	}
	return []setup.Item{it}, nil
}

func (s *filesystemStage) mounted() (bool, error) {
	mounts, err := s.Machine.Mounts()
	if err != nil {
		return false, fmt.Errorf("look for the mount: %w", err)
	}
	return slices.ContainsFunc(mounts, func(m host.Mount) bool { return m.Dir == s.Config.Filesystem.Mount }), nil
}

const ext4 = "ext4"

// slack is how much of the device a file system may leave out at its end: a group
// that would be too small to hold its own tables.
func (s *filesystemStage) slack() int64 {
	if s.Config.Filesystem.Type == ext4 {
		return 32 << 20
	}
	return 1 << 20
}

// What xfs_growfs -n and dumpe2fs -h print.
var (
	xfsData  = regexp.MustCompile(`(?m)^data\s*=.*\bbsize=(\d+)\s+blocks=(\d+)`)
	extCount = regexp.MustCompile(`(?m)^Block count:\s+(\d+)`)
	extSize  = regexp.MustCompile(`(?m)^Block size:\s+(\d+)`)
)

// bytes asks for the size of the file system.
func (s *filesystemStage) bytes(ctx context.Context, device string) (int64, error) {
	cmd := host.Cmd{Op: "grow.xfs_growfs-look", Name: "xfs_growfs", Args: []string{"-n", s.Config.Filesystem.Mount}}
	if s.Config.Filesystem.Type == ext4 {
		cmd = host.Cmd{Op: "grow.dumpe2fs", Name: "dumpe2fs", Args: []string{"-h", device}}
	}
	res, err := s.Machine.Run(ctx, cmd)
	if err != nil {
		return 0, fmt.Errorf("look at the file system: %w", err)
	}
	size, ok := parseSize(res.Stdout)
	if !ok {
		return 0, fmt.Errorf("look at the file system: %s does not say how large it is", cmd.Name)
	}
	return size, nil
}

// parseSize reads the size of a file system, in bytes.
func parseSize(out []byte) (int64, bool) {
	var block, count string
	if m := xfsData.FindSubmatch(out); m != nil {
		block, count = string(m[1]), string(m[2])
	} else if size, n := extSize.FindSubmatch(out), extCount.FindSubmatch(out); size != nil && n != nil {
		block, count = string(size[1]), string(n[1])
	}
	b, errB := strconv.ParseInt(block, 10, 32)
	n, errN := strconv.ParseInt(count, 10, 48)
	return b * n, errB == nil && errN == nil && b > 0 && b <= 1<<16 && n > 0
}

// grow has the file system take the whole device, mounted.
func (s *filesystemStage) grow(ctx context.Context, device string) error {
	cmd := host.Cmd{Op: "grow.xfs_growfs", Name: "xfs_growfs", Args: []string{s.Config.Filesystem.Mount}}
	if s.Config.Filesystem.Type == ext4 {
		cmd = host.Cmd{Op: "grow.resize2fs", Name: "resize2fs", Args: []string{device}}
	}
	if _, err := s.Machine.Run(ctx, cmd); err != nil {
		return fmt.Errorf("grow the file system: %s: %w", admin.Reason(err), err)
	}
	s.Log.InfoContext(ctx, "file system grown", "mount", s.Config.Filesystem.Mount)
	return nil
}
