package mount_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/mount"
)

const (
	device    = "/dev/drbd1000"
	directory = "/home/nfs"
	ourMajor  = 147
	ourMinor  = 1000
	self      = 4242
)

// process keeps a mount busy until it ends.
type process struct {
	host.Holder
	mountID  int
	ignores  []syscall.Signal
	signals  []string // what it got and when, counted from the start of the test
	endAfter time.Duration
	endsAt   time.Time
}

// machine is a mount table with processes. Its clock is that of synctest.
type machine struct {
	mounts    []host.Mount
	processes []*process
	kernel    time.Time // until then the kernel holds the file system itself
	noDevice  bool
	mountErr  error
	umountErr error
	asReadRO  bool // a mount comes out read-only
	silent    bool // mount reports success and does nothing
	signalErr error
	holderErr error
	lookFor   time.Duration // how long a look at the mount table takes
	calls     []string
	log       bytes.Buffer
	start     time.Time
	nextID    int
}

func newMachine() *machine {
	return &machine{start: time.Now(), nextID: 100, mounts: []host.Mount{{ID: 1, Dir: "/", Major: 8, Minor: 1, Type: "ext4"}}}
}

// add puts a mount into the table.
func (m *machine) add(parent, major, minor int, dir string) int {
	m.nextID++
	m.mounts = append(m.mounts, host.Mount{ID: m.nextID, Parent: parent, Major: major, Minor: minor, Dir: dir, Type: "xfs"})
	return m.nextID
}

func (m *machine) ours() int { return m.add(1, ourMajor, ourMinor, directory) }

func (m *machine) hold(mountID, pid int, command string, ignores ...syscall.Signal) *process {
	p := &process{
		Holder:  host.Holder{PID: pid, Command: command, What: "cwd", Path: directory},
		mountID: mountID, ignores: ignores,
	}
	m.processes = append(m.processes, p)
	return p
}

func (m *machine) filesystem() *mount.Filesystem {
	log := slog.New(slog.NewTextHandler(&m.log, nil))
	return mount.New(m, log, mount.Config{Device: device, Dir: directory, Type: "xfs", Options: "noatime"})
}

func (m *machine) alive(p *process) bool { return p.endsAt.IsZero() || time.Now().Before(p.endsAt) }

func (m *machine) Mounts() ([]host.Mount, error) {
	time.Sleep(m.lookFor)
	return slices.Clone(m.mounts), nil
}

func (m *machine) Mount(_ context.Context, op, source, dir, fstype, options string) error {
	m.calls = append(m.calls, strings.Join([]string{op, source, dir, fstype, options}, " "))
	if m.mountErr != nil || m.silent {
		return m.mountErr
	}
	m.ours()
	m.mounts[len(m.mounts)-1].ReadOnly = m.asReadRO
	return nil
}

func (m *machine) Unmount(ctx context.Context, _, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.umountErr != nil {
		return m.umountErr
	}
	for i, x := range slices.Backward(m.mounts) {
		if x.Dir != dir {
			continue
		}
		if m.busy(x) {
			return fmt.Errorf("umount %s: %w", dir, syscall.EBUSY)
		}
		m.calls = append(m.calls, fmt.Sprintf("umount %s after %v", dir, time.Since(m.start)))
		m.mounts = slices.Delete(m.mounts, i, i+1)
		return nil
	}
	return fmt.Errorf("umount %s: %w", dir, syscall.EINVAL)
}

func (m *machine) busy(x host.Mount) bool {
	if x.Major == ourMajor && time.Now().Before(m.kernel) {
		return true
	}
	for _, child := range m.mounts {
		if child.Parent == x.ID {
			return true
		}
	}
	return slices.ContainsFunc(m.processes, func(p *process) bool { return p.mountID == x.ID && m.alive(p) })
}

func (m *machine) BlockDevice(string) (major, minor int, err error) {
	if m.noDevice {
		return 0, 0, &fs.PathError{Op: "stat", Path: device, Err: fs.ErrNotExist}
	}
	return ourMajor, ourMinor, nil
}

func (m *machine) Holders(_ context.Context, mountID int, _ string) ([]host.Holder, error) {
	var out []host.Holder
	for _, p := range m.processes {
		if p.mountID == mountID && m.alive(p) {
			out = append(out, p.Holder)
		}
	}
	return out, m.holderErr
}

func (m *machine) Signal(_ string, pid int, sig syscall.Signal) error {
	for _, p := range m.processes {
		if p.PID != pid {
			continue
		}
		p.signals = append(p.signals, fmt.Sprintf("%v after %v", sig, time.Since(m.start)))
		if m.signalErr == nil && !slices.Contains(p.ignores, sig) {
			p.endsAt = time.Now().Add(p.endAfter)
		}
	}
	return m.signalErr
}

func (m *machine) Self() int { return self }

func (m *machine) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }

func (m *machine) MkdirAll(op, path string, perm fs.FileMode) error {
	m.calls = append(m.calls, fmt.Sprintf("%s %s %o", op, path, perm))
	return nil
}

// checkText fails the test unless err is there and says each of texts.
func checkText(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

var errAny = errors.New("something else")
