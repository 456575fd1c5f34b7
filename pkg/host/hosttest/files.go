package hosttest

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
)

// ReadFile returns the contents of path.
func (h *Host) ReadFile(path string) ([]byte, error) {
	return look(noContext, h, "read "+path, func() ([]byte, error) {
		l, err := h.find(path, true)
		if err != nil {
			return nil, err
		}
		if l.node.mode.IsDir() {
			return nil, &fs.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
		}
		return slices.Clone(l.node.data), nil
	})
}

// WriteFile writes to path, which must exist: a file of the kernel or a plain
// one.
func (h *Host) WriteFile(op, path string, data []byte) error {
	return h.do(noContext, op, func() error {
		if n := h.generated(path); n != nil {
			if err := h.control(path, strings.TrimSpace(string(data))); err != nil {
				return fmt.Errorf("%s: write %s: %w", op, path, err)
			}
			return nil
		}
		l, err := h.find(path, true)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		l.node.data = slices.Clone(data)
		return nil
	})
}

// WriteFileAtomic puts data at path. Killed in the middle, it leaves half of
// the temporary file.
func (h *Host) WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error {
	return h.do(noContext, op, func() error {
		if err := h.awaitIO(op, path); err != nil {
			return err
		}
		tmp := path + ".tmp"
		n := &node{mode: perm, data: slices.Clone(data)}
		if h.half {
			n.data = n.data[:len(n.data)/2]
			return h.put(tmp, n)
		}
		if err := h.put(tmp, n); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		return wrap(op, h.rename(tmp, path))
	})
}

// Lstat describes path itself.
func (h *Host) Lstat(path string) (fs.FileInfo, error) { return h.stat(path, false) }

// Stat describes what path leads to.
func (h *Host) Stat(path string) (fs.FileInfo, error) { return h.stat(path, true) }

func (h *Host) stat(p string, follow bool) (fs.FileInfo, error) {
	return look(noContext, h, "stat "+p, func() (fs.FileInfo, error) {
		l, err := h.find(p, follow)
		if err != nil {
			return nil, err
		}
		return info{path.Base(p), l.node}, nil
	})
}

// Readlink returns the target of the symbolic link path.
func (h *Host) Readlink(path string) (string, error) {
	return look(noContext, h, "stat "+path, func() (string, error) {
		l, err := h.find(path, false)
		if err != nil {
			return "", err
		}
		if !l.node.isLink() {
			return "", &fs.PathError{Op: "readlink", Path: path, Err: syscall.EINVAL}
		}
		return l.node.target, nil
	})
}

// ReadDir lists the names in directory path, sorted.
func (h *Host) ReadDir(path string) ([]string, error) {
	return look(noContext, h, "list "+path, func() ([]string, error) {
		l, err := h.find(path, true)
		if err != nil {
			return nil, err
		}
		if !l.node.mode.IsDir() {
			return nil, &fs.PathError{Op: "readdir", Path: path, Err: syscall.ENOTDIR}
		}
		return slices.Sorted(maps.Keys(l.node.entries)), nil
	})
}

// MkdirAll makes directory path and its parents.
func (h *Host) MkdirAll(op, path string, perm fs.FileMode) error {
	return h.do(noContext, op, func() error { return wrap(op, h.mkdirAll(path, perm)) })
}

// Remove removes path if it exists.
func (h *Host) Remove(op, path string) error {
	return h.do(noContext, op, func() error {
		l, err := h.walk(path, false)
		if err != nil || l.node == nil {
			return nil
		}
		if l.node.mode.IsDir() && len(l.node.entries) > 0 {
			return fmt.Errorf("%s: remove %s: %w", op, path, syscall.ENOTEMPTY)
		}
		delete(l.parent.entries, l.name)
		return nil
	})
}

// RemoveAll removes path and everything below it. Killed in the middle, it has
// removed half of the entries.
func (h *Host) RemoveAll(op, path string) error {
	return h.do(noContext, op, func() error {
		l, err := h.walk(path, false)
		if err != nil || l.node == nil {
			return nil
		}
		if h.half && l.node.mode.IsDir() {
			for i, name := range slices.Sorted(maps.Keys(l.node.entries)) {
				if i%2 == 0 {
					delete(l.node.entries, name)
				}
			}
			return nil
		}
		delete(l.parent.entries, l.name)
		return nil
	})
}

// Rename renames from to to, replacing it.
func (h *Host) Rename(op, from, to string) error {
	return h.do(noContext, op, func() error { return wrap(op, h.rename(from, to)) })
}

func (h *Host) rename(from, to string) error {
	fail := func(err error) error { return fmt.Errorf("rename %s %s: %w", from, to, err) }
	a, err := h.walk(from, false)
	if err == nil && a.node == nil {
		err = syscall.ENOENT
	}
	if err != nil {
		return fail(err)
	}
	b, err := h.walk(to, false)
	if err != nil {
		return fail(err)
	}
	switch {
	case a.mount != b.mount:
		return fail(syscall.EXDEV)
	case h.writable(b) != nil:
		return fail(syscall.EROFS)
	case b.node != nil && b.node.mode.IsDir() && !a.node.mode.IsDir():
		return fail(fs.ErrExist)
	case b.node != nil && !b.node.mode.IsDir() && a.node.mode.IsDir():
		return fail(syscall.ENOTDIR)
	case b.node != nil && b.node.mode.IsDir() && len(b.node.entries) > 0:
		return fail(syscall.ENOTEMPTY)
	}
	delete(a.parent.entries, a.name)
	b.parent.entries[b.name] = a.node
	return nil
}

// Exchange swaps the two paths in one step.
func (h *Host) Exchange(op, a, b string) error {
	return h.do(noContext, op, func() error {
		if h.NoExchange {
			return fmt.Errorf("%s: %w", op, syscall.ENOSYS)
		}
		x, err := h.find(a, false)
		if err != nil {
			return wrap(op, err)
		}
		y, err := h.find(b, false)
		if err != nil {
			return wrap(op, err)
		}
		x.parent.entries[x.name], y.parent.entries[y.name] = y.node, x.node
		return nil
	})
}

// ReplaceSymlink makes path a symbolic link to target. Killed in the middle, it
// leaves the new link under its temporary name.
func (h *Host) ReplaceSymlink(op, target, path string) error {
	return h.do(noContext, op, func() error {
		tmp := path + ".tmp"
		if l, err := h.walk(tmp, false); err == nil && l.node != nil {
			delete(l.parent.entries, l.name)
		}
		if err := h.put(tmp, &node{mode: fs.ModeSymlink | 0o777, target: target}); err != nil {
			return wrap(op, err)
		}
		if h.half {
			return nil
		}
		return wrap(op, h.rename(tmp, path))
	})
}

// CopyTree copies src to dst, which must not exist, without the entries in
// skip. Killed in the middle, it has copied half of the entries.
func (h *Host) CopyTree(op, src, dst string, skip ...string) error {
	return h.do(noContext, op, func() error {
		if err := h.awaitIO(op, dst); err != nil {
			return err
		}
		l, err := h.find(src, true)
		if err != nil {
			return fmt.Errorf("%s: copy %s to %s: %w", op, src, dst, err)
		}
		if to, err := h.walk(dst, false); err == nil && to.node != nil {
			return fmt.Errorf("%s: copy %s to %s: %w", op, src, dst, fs.ErrExist)
		}
		c := l.node.clone()
		for i, name := range slices.Sorted(maps.Keys(c.entries)) {
			if slices.Contains(skip, name) || (h.half && i%2 == 1) {
				delete(c.entries, name)
			}
		}
		return wrap(op, h.put(dst, c))
	})
}

// Owner returns the numeric owner and group of path.
func (h *Host) Owner(path string) (uid, gid int, err error) {
	type ids struct{ uid, gid int }
	o, err := look(noContext, h, "stat "+path, func() (ids, error) {
		l, err := h.find(path, true)
		if err != nil {
			return ids{}, err
		}
		return ids{l.node.uid, l.node.gid}, nil
	})
	return o.uid, o.gid, err
}

// Chown gives path to uid and gid.
func (h *Host) Chown(op, path string, uid, gid int) error {
	return h.do(noContext, op, func() error {
		l, err := h.find(path, true)
		if err != nil {
			return wrap(op, err)
		}
		l.node.uid, l.node.gid = uid, gid
		return nil
	})
}

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, err)
}
