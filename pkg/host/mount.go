package host

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Mount is one mount of this mount namespace, as /proc/self/mountinfo lists
// it.
type Mount struct {
	ID       int    // mount ID, the same number that fdinfo shows as mnt_id
	Parent   int    // ID of the mount that this one lies on
	Major    int    // device of the file system
	Minor    int    // device of the file system
	Source   string // device path as it was given to mount(2)
	Dir      string // mount point
	Type     string // file system type
	ReadOnly bool   // the file system or the mount is read-only
}

// Mounts lists the mounts of this namespace in mount order. It reads
// /proc/self/mountinfo alone and never touches a mounted file system, so that
// a dead NFS mount cannot hang it.
func (h *Host) Mounts() ([]Mount, error) {
	infos, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	mounts := make([]Mount, len(infos))
	for i, m := range infos {
		mounts[i] = Mount{
			ID: m.ID, Parent: m.Parent, Major: m.Major, Minor: m.Minor,
			Source: m.Source, Dir: m.Mountpoint, Type: m.FSType,
			ReadOnly: hasOption(m.Options, "ro") || hasOption(m.VFSOptions, "ro"),
		}
	}
	return mounts, nil
}

func hasOption(options, want string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == want {
			return true
		}
	}
	return false
}

// mountFlags are the options that mount(2) takes as flags; everything else is
// the file system's own. The meaning of each is in mount(8).
var mountFlags = map[string]struct {
	set   uintptr
	clear uintptr
}{
	"defaults": {}, "auto": {}, "noauto": {}, "nofail": {}, "_netdev": {},
	"ro": {set: unix.MS_RDONLY}, "rw": {clear: unix.MS_RDONLY},
	"nosuid": {set: unix.MS_NOSUID}, "suid": {clear: unix.MS_NOSUID},
	"nodev": {set: unix.MS_NODEV}, "dev": {clear: unix.MS_NODEV},
	"noexec": {set: unix.MS_NOEXEC}, "exec": {clear: unix.MS_NOEXEC},
	"sync": {set: unix.MS_SYNCHRONOUS}, "async": {clear: unix.MS_SYNCHRONOUS},
	"dirsync": {set: unix.MS_DIRSYNC},
	"noatime": {set: unix.MS_NOATIME}, "atime": {clear: unix.MS_NOATIME},
	"nodiratime": {set: unix.MS_NODIRATIME}, "diratime": {clear: unix.MS_NODIRATIME},
	"relatime": {set: unix.MS_RELATIME}, "norelatime": {clear: unix.MS_RELATIME},
	"strictatime": {set: unix.MS_STRICTATIME}, "lazytime": {set: unix.MS_LAZYTIME},
}

// MountOptions splits a list as in fstab into the flags of mount(2) and the
// options that the file system itself reads.
func MountOptions(options string) (flags uintptr, data string) {
	var rest []string
	for o := range strings.SplitSeq(options, ",") {
		if o == "" {
			continue
		}
		f, ok := mountFlags[o]
		if !ok {
			rest = append(rest, o)
			continue
		}
		flags = flags&^f.clear | f.set
	}
	return flags, strings.Join(rest, ",")
}

// Mount mounts source on dir. It does not look whether something is mounted
// there already. The call is not interruptible: ctx is only checked before.
func (h *Host) Mount(ctx context.Context, op, source, dir, fstype, options string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	flags, data := MountOptions(options)
	if err := unix.Mount(source, dir, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, dir, err)
	}
	return nil
}

// Unmount unmounts dir, following no symbolic link. It never detaches lazily:
// a lazy unmount leaves the device open, and DRBD could not become Secondary.
// A busy file system is an error that is unix.EBUSY.
func (h *Host) Unmount(ctx context.Context, op, dir string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := unix.Unmount(dir, unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("umount %s: %w", dir, err)
	}
	return nil
}

// BlockDevice returns the major and minor number of the block device at path,
// following symbolic links such as /dev/drbd/by-res/res0/0.
func (h *Host) BlockDevice(path string) (major, minor int, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, fmt.Errorf("device %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, 0, fmt.Errorf("device %s: not a block device", path)
	}
	return int(unix.Major(st.Rdev)), int(unix.Minor(st.Rdev)), nil
}
