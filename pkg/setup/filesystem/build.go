package filesystem

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/signature"
)

// undoTime bounds how long unmounting and the way back to Secondary may take,
// also when the caller's context has ended. udev holds a device that was
// written open for a moment.
const undoTime = 30 * time.Second

// private is the directory on which the volume is mounted for the work. While
// it exists, the work is not over.
func (s *Stage) private() string { return "/run/drbdnfs/setup-" + s.Config.Resource.Name }

// build makes the file system, unless it is there, and its directories.
func (s *Stage) build(ctx context.Context, p setup.Progress) (err error) {
	r, err := s.usable(ctx)
	if err != nil {
		return err
	}
	device, err := s.adm.Device(ctx, r.Name)
	if err != nil {
		return err
	}
	if err := s.Machine.MkdirAll("setup.private", s.private(), 0o700); err != nil {
		return fmt.Errorf("make %s: %w", s.private(), err)
	}
	defer func() { err = errors.Join(err, s.undo(ctx, r)) }()
	if r.Role != drbd.RolePrimary {
		if err := s.adm.Promote(ctx, r); err != nil {
			return fmt.Errorf("become Primary for the time of the work: %s: %w", admin.Reason(err), err)
		}
	}
	place, err := s.mounted(ctx)
	if err != nil {
		return err
	}
	if place.Dir == "" {
		if err := s.makeFilesystem(ctx, p, device); err != nil {
			return err
		}
		c := s.Config.Filesystem
		if err := s.Machine.Mount(ctx, "setup.mount", device, s.private(), c.Type, c.MountOptions); err != nil {
			return fmt.Errorf("mount the file system for the work: %w", err)
		}
	}
	for i := range s.Config.Exports {
		if err := s.makeDirectory(ctx, i, s.private()); err != nil {
			return err
		}
	}
	if err := s.unmount(ctx); err != nil {
		return err
	}
	return s.finish(ctx, device)
}

// usable returns the resource if the work may be done here and now.
func (s *Stage) usable(ctx context.Context) (*drbd.Resource, error) {
	r, err := s.status(ctx)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, fmt.Errorf("resource %s went down meanwhile", s.Config.Resource.Name)
	}
	place, err := s.mounted(ctx)
	if err != nil {
		return nil, err
	}
	devices := r.SortedDevices()
	switch {
	case place.Dir != "" && place.Dir != s.private():
		return nil, fmt.Errorf("the volume got mounted on %s meanwhile", place.Dir)
	case primaryPeer(r) != "":
		return nil, fmt.Errorf("%s became Primary meanwhile", primaryPeer(r))
	case len(devices) == 0 || devices[0].Disk != drbd.DiskUpToDate:
		return nil, fmt.Errorf("the disk of %s is not UpToDate: %s", r.Name, strings.Join(drbd.Health(r), ", "))
	}
	return r, nil
}

// makeFilesystem runs mkfs on a device on which nothing is found. It is never
// forced: mkfs looks for itself once more.
func (s *Stage) makeFilesystem(ctx context.Context, p setup.Progress, device string) error {
	c := s.Config.Filesystem
	found, err := signature.Probe(ctx, s.Machine, device, signature.Any)
	switch {
	case err != nil:
		return err
	case found.Type == c.Type:
		return nil
	case !found.Blank():
		return fmt.Errorf("%s holds %s: setup does not overwrite it", device, found)
	}
	args := slices.Clone(c.MkfsOptions)
	if s.relabel("", device) != nil {
		args = append(args, "-L", labelNew)
	}
	p.Waiting(fmt.Sprintf("mkfs.%s on %s, %s", c.Type, device, s.Config.Resource.Size))
	if _, err := s.Machine.Run(ctx, host.Cmd{Op: "setup.mkfs", Name: "mkfs." + c.Type, Args: append(args, device)}); err != nil {
		return fmt.Errorf("make the file system: %w", err)
	}
	found, err = signature.Probe(ctx, s.Machine, device, signature.Any)
	if err != nil {
		return err
	}
	if found.Type != c.Type {
		return fmt.Errorf("mkfs.%s on %s: there is %s afterwards", c.Type, device, found)
	}
	return nil
}

// relabel returns the command that gives the unmounted file system a label, nil
// where it has one by the configuration or its type has no such command. A run
// that is cut off is then continued only until the next boot.
func (s *Stage) relabel(label, device string) []string {
	c := s.Config.Filesystem
	if slices.ContainsFunc(c.MkfsOptions, func(o string) bool { return strings.HasPrefix(o, "-L") }) {
		return nil
	}
	switch c.Type {
	case "xfs":
		return []string{"xfs_admin", "-L", label, device}
	case "ext4":
		return []string{"e2label", device, label}
	}
	return nil
}

// finish says in the label that the directories are made.
func (s *Stage) finish(ctx context.Context, device string) error {
	found, err := signature.Probe(ctx, s.Machine, device, signature.Any)
	if err != nil || found.Label != labelNew {
		return err
	}
	label := s.Config.Resource.Name
	if len(label) > len(labelNew) || label == labelNew {
		label = "drbdnfs"
	}
	argv := s.relabel(label, device)
	if argv == nil {
		return nil
	}
	if _, err := s.Machine.Run(ctx, host.Cmd{Op: "setup.label", Name: argv[0], Args: argv[1:]}); err != nil {
		return fmt.Errorf("label the file system: %w", err)
	}
	return nil
}

// unmount ends the mount of the work, if it is there.
func (s *Stage) unmount(ctx context.Context) error {
	return s.patiently(ctx, func() (again bool, err error) {
		place, err := s.mounted(ctx)
		if err != nil || place.Dir != s.private() {
			return false, err
		}
		err = s.Machine.Unmount(ctx, "setup.umount", s.private())
		return errors.Is(err, syscall.EBUSY), err
	})
}

// undo leaves the resource as the group expects it: unmounted, Secondary. It
// works on when ctx has ended.
func (s *Stage) undo(ctx context.Context, r *drbd.Resource) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if err := s.unmount(ctx); err != nil {
		return fmt.Errorf("unmount after the work: %w", err)
	}
	err := s.patiently(ctx, func() (again bool, err error) {
		err = s.adm.Demote(ctx, r)
		return errors.Is(err, admin.ErrHeldOpen), err
	})
	if err != nil {
		return fmt.Errorf("become Secondary after the work: %s: %w", admin.Reason(err), err)
	}
	if err := s.Machine.Remove("setup.private-remove", s.private()); err != nil {
		return fmt.Errorf("remove %s: %w", s.private(), err)
	}
	return nil
}

// patiently repeats try while it asks for it and ctx lasts.
func (s *Stage) patiently(ctx context.Context, try func() (again bool, err error)) error {
	for {
		again, err := try()
		if !again {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(setup.PollInterval):
		}
	}
}
