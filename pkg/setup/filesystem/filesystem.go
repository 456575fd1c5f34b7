package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/signature"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	ReadFile(path string) ([]byte, error)
	Lstat(path string) (fs.FileInfo, error)
	MkdirAll(op, path string, perm fs.FileMode) error
	Rename(op, from, to string) error
	Remove(op, path string) error
	Mounts() ([]host.Mount, error)
	BlockDevice(path string) (major, minor int, err error)
	Mount(ctx context.Context, op, source, dir, fstype, options string) error
	Unmount(ctx context.Context, op, dir string) error
}

var (
	_ machine     = (*host.Host)(nil)
	_ setup.Stage = (*Stage)(nil)
)

// Options are what a stage works with. All are needed.
type Options struct {
	Machine machine
	Config  *config.Config
	Self    string // this node's name
	Log     *slog.Logger
}

// Stage is the stage "filesystem". Use [New].
type Stage struct {
	Options
	adm *admin.Admin
}

// New returns the stage.
func New(o Options) *Stage { return &Stage{Options: o, adm: admin.New(o.Machine)} }

// Name returns the stage's name.
func (*Stage) Name() string { return setup.Filesystem }

// labelNew marks a file system whose directories are not made yet. XFS takes 12
// characters.
const labelNew = "drbdnfs-new"

// Look compares the file system with the configuration.
func (s *Stage) Look(ctx context.Context) ([]setup.Item, error) {
	node, ok := s.Config.Node(s.Self)
	if !ok {
		return nil, fmt.Errorf("%s is none of the nodes of the configuration (%s)", s.Self, s.Config.At("node"))
	}
	it := setup.Item{Object: s.Config.Filesystem.Type + " file system of " + s.Config.Resource.Name, Key: "filesystem"}
	if node.Diskless {
		it.Action, it.Detail = setup.Other, "this node has no disk"
		return []setup.Item{it}, nil
	}
	r, err := s.status(ctx)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return s.lookDown(ctx, it)
	}
	place, err := s.mounted(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case place.Dir == s.Config.Filesystem.Mount:
		return s.lookMounted(it, place)
	case place.Dir != "" && place.Dir != s.private():
		it.Action, it.Detail = setup.Refuse, "is mounted on "+place.Dir
		it.Why = "umount " + place.Dir + ": the group mounts it on " + s.Config.Filesystem.Mount
		return []setup.Item{it}, nil
	}
	if peer := primaryPeer(r); peer != "" {
		it.Action, it.Detail = setup.Other, peer+" is Primary"
		return []setup.Item{it}, nil
	}
	return s.lookUnmounted(ctx, it, r)
}

// status returns the resource as the kernel has it, nil when it is not up.
func (s *Stage) status(ctx context.Context) (*drbd.Resource, error) {
	r, err := s.adm.Status(ctx, s.Config.Resource.Name)
	if errors.Is(err, admin.ErrUnknownResource) || errors.Is(err, admin.ErrModuleNotLoaded) || errors.Is(err, host.ErrNotInstalled) {
		return nil, nil
	}
	return r, err
}

// primaryPeer names the peer that is Primary, "" for none.
func primaryPeer(r *drbd.Resource) string {
	for _, c := range r.SortedConnections() {
		if c.Role != drbd.RolePrimary {
			continue
		}
		if r.Kernel84 {
			return "the peer"
		}
		return c.Name
	}
	return ""
}

// mounted returns where the volume is mounted: on the group's directory if it
// is there, and a zero Mount when it is nowhere.
func (s *Stage) mounted(ctx context.Context) (host.Mount, error) {
	device, err := s.adm.Device(ctx, s.Config.Resource.Name)
	if err != nil {
		return host.Mount{}, err
	}
	major, minor, err := s.Machine.BlockDevice(device)
	if errors.Is(err, fs.ErrNotExist) {
		return host.Mount{}, nil
	}
	if err != nil {
		return host.Mount{}, err
	}
	mounts, err := s.Machine.Mounts()
	if err != nil {
		return host.Mount{}, err
	}
	var place host.Mount
	for _, m := range mounts {
		if m.Major == major && m.Minor == minor && place.Dir != s.Config.Filesystem.Mount {
			place = m
		}
	}
	return place, nil
}

// found returns what the volume carries below DRBD.
func (s *Stage) found(ctx context.Context) (signature.Found, error) {
	device, err := s.adm.BackingDevice(ctx, s.Config.Resource.Name)
	if err != nil {
		return signature.Found{}, err
	}
	if device == "" {
		return signature.Found{}, fmt.Errorf("resource %s has no disk on this node", s.Config.Resource.Name)
	}
	return signature.Probe(ctx, s.Machine, device, signature.Content)
}

// lookDown is the item while the resource is not up. With a file system on it,
// that is as it may be: the group is stopped here.
func (s *Stage) lookDown(ctx context.Context, it setup.Item) ([]setup.Item, error) {
	configured, err := s.adm.Configured(ctx, s.Config.Resource.Name)
	if err != nil && !errors.Is(err, host.ErrNotInstalled) {
		return nil, err
	}
	it.Action, it.Detail, it.Why = setup.Later, "the resource is not up yet", "an earlier stage brings it up"
	if configured {
		found, err := s.found(ctx)
		if err != nil {
			return nil, err
		}
		if found.Type == s.Config.Filesystem.Type {
			it.Action, it.Detail, it.Why = setup.Keep, "there; the resource is down on this node", ""
		}
	}
	if it.Action == setup.Later && s.Self != s.Config.Source().Name {
		it.Action, it.Detail, it.Why = setup.Other, "made on "+s.Config.Source().Name, ""
	}
	return []setup.Item{it}, nil
}

// lookUnmounted is the item while nobody has the volume.
func (s *Stage) lookUnmounted(ctx context.Context, it setup.Item, r *drbd.Resource) ([]setup.Item, error) {
	found, err := s.found(ctx)
	if err != nil {
		return nil, err
	}
	cut, err := s.exists(s.private())
	if err != nil {
		return nil, err
	}
	source := s.Self == s.Config.Source().Name
	disk := r.SortedDevices()
	switch {
	case !found.Blank() && found.Type != s.Config.Filesystem.Type:
		it.Action, it.Detail = setup.Refuse, "the volume holds "+found.String()
		it.Why = "setup does not overwrite it: correct filesystem.type (" + s.Config.At("filesystem.type") + "), or choose another resource.name"
	case !source && found.Blank():
		it.Action, it.Detail = setup.Other, "made on "+s.Config.Source().Name
	case source && (found.Blank() || found.Label == labelNew || cut):
		it.Action, it.Detail = setup.Make, "on the blank volume, with the directories of the exports"
		if !found.Blank() {
			it.Action, it.Detail = setup.Change, "an earlier run was cut off before the directories of the exports were made"
		}
		it.Do = s.build
		if len(disk) == 0 || disk[0].Disk != drbd.DiskUpToDate {
			it.Action, it.Why, it.Do = setup.Later, "the disk is not UpToDate yet", nil
		}
	default:
		it.Action, it.Detail = setup.Keep, "there; directories are looked at where it is mounted"
	}
	return []setup.Item{it}, nil
}

// lookMounted are the items on the node that serves.
func (s *Stage) lookMounted(it setup.Item, place host.Mount) ([]setup.Item, error) {
	if place.Type != s.Config.Filesystem.Type {
		it.Action, it.Detail = setup.Refuse, "is "+place.Type
		it.Why = "setup does not make another one: correct filesystem.type (" + s.Config.At("filesystem.type") + ")"
		return []setup.Item{it}, nil
	}
	it.Action, it.Detail = setup.Keep, "mounted on "+place.Dir
	items := []setup.Item{it}
	for i := range s.Config.Exports {
		d, err := s.lookDirectory(i, place.Dir)
		if err != nil {
			return items, err
		}
		items = append(items, d)
	}
	return items, nil
}

// exists reports whether there is something at path.
func (s *Stage) exists(path string) (bool, error) {
	_, err := s.Machine.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// LookRemove keeps the file system.
func (s *Stage) LookRemove(ctx context.Context) ([]setup.Item, error) {
	r, err := s.status(ctx)
	if err != nil || r == nil {
		return nil, err
	}
	return []setup.Item{{
		Object: s.Config.Filesystem.Type + " file system of " + s.Config.Resource.Name, Action: setup.Keep, Detail: "holds the data",
		Why: fmt.Sprintf("to give the data up, with the group stopped: drbdadm primary %s, wipefs --all /dev/drbd%d", r.Name, minorOf(r)),
	}}, nil
}

// minorOf is the minor of the first volume.
func minorOf(r *drbd.Resource) int {
	for _, d := range r.SortedDevices() {
		return d.Minor
	}
	return drbd.Absent
}
