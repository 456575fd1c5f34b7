package mount

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// system is what the package needs of the machine.
type system interface {
	Mounts() ([]host.Mount, error)
	Mount(ctx context.Context, op, source, dir, fstype, options string) error
	Unmount(ctx context.Context, op, dir string) error
	BlockDevice(path string) (major, minor int, err error)
	Holders(ctx context.Context, mountID int, dir string) ([]host.Holder, error)
	Signal(op string, pid int, sig syscall.Signal) error
	Self() int
	Lstat(path string) (fs.FileInfo, error)
	MkdirAll(op, path string, perm fs.FileMode) error
}

// Config names one file system.
type Config struct {
	Device  string // block device, such as /dev/drbd1000
	Dir     string // mount point
	Type    string // file system type as mount(8) knows it
	Options string // mount options, comma-separated
}

// State is what is mounted on the directory.
type State int

// The states of the directory.
const (
	NotMounted State = iota // nothing is mounted there
	Mounted                 // our device, writable
	ReadOnly                // our device, but read-only
	Foreign                 // something else
)

// ErrForeign reports that something else is mounted on the directory.
var ErrForeign = errors.New("another file system is mounted there")

// Filesystem is the group's file system. Use New.
type Filesystem struct {
	sys system
	log *slog.Logger
	cfg Config
}

// New returns the file system that cfg names. It does nothing yet.
func New(sys system, log *slog.Logger, cfg Config) *Filesystem {
	return &Filesystem{sys: sys, log: log, cfg: cfg}
}

// Status says what is mounted on the directory. It reads the mount table and
// the device node; it does no I/O on the file system. A device node that is
// missing is no error: nothing can be mounted from it.
func (f *Filesystem) Status() (State, error) {
	mounts, err := f.sys.Mounts()
	if err != nil {
		return NotMounted, err
	}
	top, ok := topmost(mounts, f.cfg.Dir)
	if !ok {
		return NotMounted, nil
	}
	major, minor, err := f.sys.BlockDevice(f.cfg.Device)
	if err != nil || top.Major != major || top.Minor != minor {
		return Foreign, nil
	}
	if top.ReadOnly {
		return ReadOnly, nil
	}
	return Mounted, nil
}

// topmost is the mount that a path lookup of dir ends in.
func topmost(mounts []host.Mount, dir string) (host.Mount, bool) {
	for _, m := range slices.Backward(mounts) {
		if m.Dir == dir {
			return m, true
		}
	}
	return host.Mount{}, false
}

// Start mounts the device on the directory, which it makes when it is missing,
// and verifies the result. It is idempotent. ErrForeign says that the
// directory is taken. A file system that does not mount is never repaired.
func (f *Filesystem) Start(ctx context.Context) error {
	st, err := f.Status()
	if err != nil {
		return err
	}
	switch st {
	case Mounted:
		return nil
	case Foreign:
		return f.foreign()
	case ReadOnly:
		return fmt.Errorf("%s is mounted read-only: umount it", f.cfg.Dir)
	}
	if err := f.sys.MkdirAll("mount.mkdir", f.cfg.Dir, 0o755); err != nil {
		return err
	}
	if err := f.sys.Mount(ctx, "mount.mount", f.cfg.Device, f.cfg.Dir, f.cfg.Type, f.cfg.Options); err != nil {
		return explainMount(err)
	}
	st, err = f.Status()
	if err != nil {
		return err
	}
	if st != Mounted {
		return fmt.Errorf("mount %s on %s: the mount table does not show it", f.cfg.Device, f.cfg.Dir)
	}
	return nil
}

func (f *Filesystem) foreign() error {
	return fmt.Errorf("%s is not %s: %w; umount it or change directory", f.cfg.Dir, f.cfg.Device, ErrForeign)
}

// explainMount adds what to do to the errors of mount(2) that say little.
func explainMount(err error) error {
	switch {
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EUCLEAN):
		return fmt.Errorf("no valid file system, or damaged; see dmesg, nothing was repaired: %w", err)
	case errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("kernel lacks the file system; check fstype: %w", err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES):
		return fmt.Errorf("device is read-only: %w", err)
	}
	return err
}

const (
	// busyPoll is how often a busy file system is tried again.
	busyPoll = 100 * time.Millisecond
	// termAfter is how long a busy file system may become free by itself
	// before processes get SIGTERM: the kernel's NFS server and udev let go a
	// moment after they were told to.
	termAfter = 300 * time.Millisecond
	// killAfter is how long processes have after SIGTERM.
	killAfter = 2 * time.Second
)

// Stop unmounts the file system everywhere it is mounted in this namespace and
// whatever else is mounted below the directory. Processes that keep the file
// system busy get SIGTERM, then SIGKILL, and are logged by name; processes on
// other file systems are never signalled. Not mounted is success; so is a
// foreign file system on the directory, which stays.
//
// It works until ctx ends; the error then names who still holds what.
func (f *Filesystem) Stop(ctx context.Context) error {
	var started time.Time
	var busy error // the last refusal, with the holders that were seen then
	signalled := map[int]syscall.Signal{}
	for {
		targets, err := f.targets()
		if err != nil || len(targets) == 0 {
			return err
		}
		if ctx.Err() != nil && busy != nil {
			return busy
		}
		err = f.unmountAll(ctx, targets)
		if err == nil {
			continue // look once more: a mount can lie on another
		}
		if !errors.Is(err, syscall.EBUSY) {
			return cmp.Or(busy, err)
		}
		if started.IsZero() {
			started = time.Now()
		}
		ours, others := f.holders(ctx, targets)
		f.signal(ours, signalled, time.Since(started))
		if ctx.Err() == nil || busy == nil {
			busy = f.busy(append(ours, others...), err)
		}
		select {
		case <-ctx.Done():
			return busy
		case <-time.After(busyPoll):
		}
	}
}

// targets lists what must go, the last mounted first: our device wherever it
// is mounted, and mounts of others that lie on it.
func (f *Filesystem) targets() ([]host.Mount, error) {
	mounts, err := f.sys.Mounts()
	if err != nil {
		return nil, err
	}
	major, minor, err := f.sys.BlockDevice(f.cfg.Device)
	if err != nil {
		return nil, nil // no device node, nothing mounted from it
	}
	ours := map[int]bool{}
	var targets []host.Mount
	for _, m := range mounts {
		if (m.Major == major && m.Minor == minor) || ours[m.Parent] {
			ours[m.ID] = true
			targets = append(targets, m)
		}
	}
	slices.Reverse(targets)
	return targets, nil
}

func (f *Filesystem) unmountAll(ctx context.Context, targets []host.Mount) error {
	var first error
	for _, m := range targets {
		if err := f.sys.Unmount(ctx, "mount.umount", m.Dir); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// holders lists the processes on our own file system, and those on mounts of
// somebody else that lie on it: the latter are not ours to end, but they are
// why ours stays busy.
func (f *Filesystem) holders(ctx context.Context, targets []host.Mount) (ours, others []host.Holder) {
	major, minor, err := f.sys.BlockDevice(f.cfg.Device)
	if err != nil {
		return nil, nil
	}
	for _, m := range targets {
		hs, err := f.sys.Holders(ctx, m.ID, m.Dir)
		if err != nil {
			f.log.Warn("list processes on file system", "err", err)
		}
		if m.Major == major && m.Minor == minor {
			ours = append(ours, hs...)
		} else {
			others = append(others, hs...)
		}
	}
	return ours, others
}

// spared are processes that are never ended: without them the node would be
// lost, not the mount freed.
func (f *Filesystem) spared(p host.Holder) bool {
	return p.PID == 1 || p.PID == f.sys.Self() ||
		strings.HasPrefix(p.Command, "pacemaker") || strings.HasPrefix(p.Command, "corosync") ||
		strings.HasPrefix(p.Command, "systemd")
}

func (f *Filesystem) signal(holders []host.Holder, signalled map[int]syscall.Signal, busy time.Duration) {
	sig := syscall.SIGTERM
	switch {
	case busy < termAfter:
		return
	case busy > termAfter+killAfter:
		sig = syscall.SIGKILL
	}
	for _, p := range holders {
		if f.spared(p) || signalled[p.PID] == sig {
			continue
		}
		f.log.Warn("ending process that keeps the file system busy", "pid", p.PID,
			"command", p.Command, "what", p.What, "path", p.Path, "signal", sig.String())
		if err := f.sys.Signal("mount.signal", p.PID, sig); err != nil {
			f.log.Warn("end process", "err", err)
		}
		signalled[p.PID] = sig
	}
}

// busy is the error of a file system that could not be unmounted in time.
func (f *Filesystem) busy(holders []host.Holder, err error) error {
	if len(holders) == 0 {
		return fmt.Errorf("no process holds it, look for loop devices, swap, containers: %w", err)
	}
	names := make([]string, len(holders))
	for i, p := range holders {
		names[i] = p.String()
	}
	return fmt.Errorf("held by %s: %w", strings.Join(names, ", "), err)
}
