package hosttest

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/spacei/drbdnfs/pkg/host"
)

// mounted is one mount with the root of its file system.
type mounted struct {
	host.Mount
	root *node
}

// mountOn returns the mount that a lookup of p ends in, nil when nothing is
// mounted there. The root is not asked for.
func (h *Host) mountOn(p string) *mounted {
	for _, m := range slices.Backward(h.mounts) {
		if m.Dir == p {
			return m
		}
	}
	return nil
}

// Mounts lists the mounts in their order.
func (h *Host) Mounts() ([]host.Mount, error) {
	return look(noContext, h, "mounts", func() ([]host.Mount, error) {
		list := make([]host.Mount, len(h.mounts))
		for i, m := range h.mounts {
			list[i] = m.Mount
		}
		return list, nil
	})
}

// BlockDevice returns the numbers of the block device at path. The device of
// DRBD is there while the resource is up.
func (h *Host) BlockDevice(path string) (major, minor int, err error) {
	type numbers struct{ major, minor int }
	n, err := look(noContext, h, "device "+path, func() (numbers, error) {
		if path == h.DRBD.Device() && h.DRBD.Up {
			return numbers{drbdMajor, h.DRBD.Minor}, nil
		}
		l, err := h.find(path, true)
		if err != nil {
			return numbers{}, fmt.Errorf("device %s: %w", path, err)
		}
		if l.node.major == 0 {
			return numbers{}, fmt.Errorf("device %s: not a block device", path)
		}
		return numbers{l.node.major, l.node.minor}, nil
	})
	return n.major, n.minor, err
}

// Mount mounts source on dir, unless the device or its file system refuse.
func (h *Host) Mount(ctx context.Context, op, source, dir, fstype, options string) error {
	return h.do(ctx, op, func() error {
		if err := h.mount(source, dir, fstype, options); err != nil {
			return fmt.Errorf("mount %s on %s: %w", source, dir, err)
		}
		return nil
	})
}

func (h *Host) mount(source, dir, fstype, options string) error {
	l, err := h.walk(dir, true)
	if err != nil {
		return err
	}
	if l.node == nil {
		return syscall.ENOENT
	}
	if !l.node.mode.IsDir() {
		return syscall.ENOTDIR
	}
	m := &mounted{Mount: host.Mount{Parent: l.mount.ID, Source: source, Dir: l.path, Type: fstype}, root: newDir(0o755)}
	switch {
	case source == h.DRBD.Device():
		err = h.DRBD.open(fstype)
		m.root, m.Major, m.Minor = h.DRBD.volume, drbdMajor, h.DRBD.Minor
	case fstype == "nfsd" || fstype == "rpc_pipefs":
		if !h.Modules["nfsd"] {
			return syscall.ENODEV
		}
		if slices.ContainsFunc(h.mounts, func(o *mounted) bool { return o.Type == fstype && o.Dir == l.path }) {
			return syscall.EBUSY
		}
	}
	if err != nil {
		return err
	}
	m.ReadOnly = slices.Contains(strings.Split(options, ","), "ro")
	h.lastID++
	m.ID = h.lastID
	h.mounts = append(h.mounts, m)
	return nil
}

// SetMount mounts an empty file system of somebody else on dir.
func (h *Host) SetMount(source, dir string) {
	h.SetDir(dir, 0, 0)
	h.mu.Lock()
	defer h.mu.Unlock()
	l, err := h.find(dir, true)
	h.setup(err)
	h.lastID++
	h.mounts = append(h.mounts, &mounted{
		Mount: host.Mount{ID: h.lastID, Parent: l.mount.ID, Major: 8, Minor: h.lastID, Source: source, Dir: l.path, Type: "ext4"},
		root:  newDir(0o755),
	})
}

// SetReadOnly makes the file system that is mounted on dir read-only, as an
// error of it does.
func (h *Host) SetReadOnly(dir string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mountOn(dir).ReadOnly = true
}

// Mounted reports what is mounted on dir: the source of the topmost mount, or
// "".
func (h *Host) Mounted(dir string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.mountOn(dir); m != nil {
		return m.Source
	}
	return ""
}

// Unmount unmounts dir, unless it is busy. To unmount the volume while DRBD
// holds back I/O would hang for ever and is a violation.
func (h *Host) Unmount(ctx context.Context, op, dir string) error {
	return h.do(ctx, op, func() error {
		if err := h.unmount(dir); err != nil {
			return fmt.Errorf("umount %s: %w", dir, err)
		}
		return nil
	})
}

func (h *Host) unmount(dir string) error {
	m := h.mountOn(path.Clean(dir))
	if m == nil {
		return syscall.EINVAL
	}
	onDRBD := h.isVolume(m)
	if onDRBD && h.DRBD.Suspended != "no" {
		h.violate("umount of %s while I/O is suspended (%s)", dir, h.DRBD.Suspended)
		return syscall.EIO
	}
	if h.Pinned || (onDRBD && h.NFSD.holds) || len(h.holders(m)) > 0 ||
		slices.ContainsFunc(h.mounts, func(o *mounted) bool { return o.Parent == m.ID }) {
		return syscall.EBUSY
	}
	h.mounts = slices.DeleteFunc(h.mounts, func(o *mounted) bool { return o == m })
	if onDRBD {
		h.DRBD.close()
	}
	return nil
}

// isVolume reports whether m is the file system on DRBD's device.
func (h *Host) isVolume(m *mounted) bool { return m.Major == drbdMajor && m.Minor == h.DRBD.Minor }

// volumeMount returns the mount of DRBD's device, or nil.
func (h *Host) volumeMount() *mounted {
	for _, m := range h.mounts {
		if h.isVolume(m) {
			return m
		}
	}
	return nil
}

// awaitIO is a write to p. On a volume whose I/O DRBD holds back it waits in the
// kernel, where no signal reaches it: only the write that a monitor makes on
// the side may do that, everything else is a violation.
func (h *Host) awaitIO(op, p string) error {
	for h.suspends(p) {
		if op != "volume.write" {
			h.violate("%s: write to %s while I/O is suspended (%s)", op, p, h.DRBD.Suspended)
			return fmt.Errorf("%s: %w", op, syscall.EIO)
		}
		resumed := h.resumed
		h.mu.Unlock()
		<-resumed
		h.mu.Lock()
	}
	return nil
}

// suspends reports whether p lies on a volume that does no I/O now.
func (h *Host) suspends(p string) bool {
	l, err := h.walk(path.Dir(p), true)
	return err == nil && l.mount != nil && h.isVolume(l.mount) && h.DRBD.Suspended != "no"
}

// Suspend makes DRBD hold back I/O for a reason of its own words: "quorum",
// "no-data", "fencing", "user".
func (h *Host) Suspend(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.DRBD.Suspended = reason
	h.resumed = make(chan struct{})
}

// Resume lets suspended I/O go on.
func (h *Host) Resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resume()
}

func (h *Host) resume() {
	if h.DRBD.Suspended != "no" {
		h.DRBD.Suspended = "no"
		close(h.resumed)
	}
}
