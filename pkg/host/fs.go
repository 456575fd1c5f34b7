package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ReadFile returns the contents of path without updating its access time, so
// that reading a file on a volume writes nothing to it.
func (h *Host) ReadFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOATIME, 0)
	if errors.Is(err, fs.ErrPermission) {
		return os.ReadFile(path) // O_NOATIME needs ownership; validate-all may run as anybody
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// WriteFile writes data in one write to path, which must exist. It is meant
// for the kernel's files below /proc and /sys.
func (h *Host) WriteFile(op, path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// WriteFileAtomic puts data at path so that a reader, or a machine that loses
// power, finds either the old or the new contents: temporary file beside it,
// fsync, rename, fsync of the directory.
func (h *Host) WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil // file systems such as 9p and some FUSE have nothing to sync
	}
	return errors.Join(err, d.Close())
}

// Lstat describes path itself, without following a symbolic link.
func (h *Host) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }

// Stat describes what path leads to.
func (h *Host) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

// Readlink returns the target of the symbolic link path.
func (h *Host) Readlink(path string) (string, error) { return os.Readlink(path) }

// ReadDir lists the names in directory path, sorted.
func (h *Host) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// MkdirAll makes directory path and its parents.
func (h *Host) MkdirAll(op, path string, perm fs.FileMode) error {
	if err := os.MkdirAll(path, perm); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// Remove removes path if it exists.
func (h *Host) Remove(op, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// RemoveAll removes path and everything below it.
func (h *Host) RemoveAll(op, path string) error {
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// Rename renames from to to, replacing it, and makes that durable.
func (h *Host) Rename(op, from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return syncDir(filepath.Dir(to))
}

// ReplaceSymlink makes path a symbolic link to target. Where path is a link or
// missing, the change is one rename: nobody sees the path without a link. A
// path that is a directory is an error.
func (h *Host) ReplaceSymlink(op, target, path string) error {
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := os.Symlink(target, tmp); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return syncDir(filepath.Dir(path))
}

// Exchange swaps the two paths in one step (renameat2 with RENAME_EXCHANGE:
// Linux 3.15, ext4 and XFS). File systems without it return an error that is
// [errors.ErrUnsupported].
func (h *Host) Exchange(op, a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EXDEV) || errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("%s: exchange %s and %s: %w", op, a, b, errors.ErrUnsupported)
	}
	if err != nil {
		return fmt.Errorf("%s: exchange %s and %s: %w", op, a, b, err)
	}
	return syncDir(filepath.Dir(a))
}

// CopyTree copies the directory src to dst with owners, modes, times and
// SELinux labels, and syncs what it wrote. Names in skip (relative to src) are
// left out, and so are sockets, pipes and devices. dst must not exist.
func (h *Host) CopyTree(op, src, dst string, skip ...string) error {
	err := filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		for _, s := range skip {
			if rel == s {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
		}
		return copyEntry(path, filepath.Join(dst, rel))
	})
	if err != nil {
		return fmt.Errorf("%s: copy %s to %s: %w", op, src, dst, err)
	}
	return syncDir(filepath.Dir(dst))
}

func copyEntry(src, dst string) error {
	st, err := os.Lstat(src)
	if err != nil {
		return err
	}
	switch {
	case st.IsDir():
		err = os.Mkdir(dst, st.Mode().Perm())
	case st.Mode().IsRegular():
		err = copyFile(src, dst, st.Mode().Perm())
	case st.Mode()&fs.ModeSymlink != 0:
		var target string
		if target, err = os.Readlink(src); err == nil {
			err = os.Symlink(target, dst)
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	sys := st.Sys().(*syscall.Stat_t)
	if err := os.Lchown(dst, int(sys.Uid), int(sys.Gid)); err != nil {
		return err
	}
	if st.Mode()&fs.ModeSymlink == 0 {
		// After chown, which clears set-id bits; Chmod also undoes the umask.
		if err := os.Chmod(dst, st.Mode().Perm()|st.Mode()&(fs.ModeSetgid|fs.ModeSticky)); err != nil {
			return err
		}
	}
	copyLabel(src, dst)
	return nil
}

// copyLabel carries the SELinux label over. A file system or kernel without
// labels has nothing to carry.
func copyLabel(src, dst string) {
	buf := make([]byte, 256)
	n, err := unix.Lgetxattr(src, "security.selinux", buf)
	if err != nil {
		return
	}
	_ = unix.Lsetxattr(dst, "security.selinux", buf[:n], 0)
}

func copyFile(src, dst string, perm fs.FileMode) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// Owner returns the numeric owner and group of path.
func (h *Host) Owner(path string) (uid, gid int, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, 0, err
	}
	sys := st.Sys().(*syscall.Stat_t)
	return int(sys.Uid), int(sys.Gid), nil
}

// Chown gives path to uid and gid.
func (h *Host) Chown(op, path string, uid, gid int) error {
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// below reports whether path is dir or lies below it.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// Hostname is the node's name as "uname -n" prints it, by which DRBD, corosync
// and Pacemaker know it.
func (h *Host) Hostname() (string, error) { return os.Hostname() }
