package hosttest

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"
)

// node is a file, directory, symbolic link or block device.
type node struct {
	mode         fs.FileMode
	uid, gid     int
	data         []byte
	target       string           // of a symbolic link
	entries      map[string]*node // of a directory
	major, minor int              // of a block device
}

func newDir(perm fs.FileMode) *node {
	return &node{mode: fs.ModeDir | perm, entries: map[string]*node{}}
}

func (n *node) isLink() bool { return n != nil && n.mode&fs.ModeSymlink != 0 }

// clone is a deep copy.
func (n *node) clone() *node {
	c := *n
	c.data = append([]byte(nil), n.data...)
	if n.entries != nil {
		c.entries = make(map[string]*node, len(n.entries))
		for name, e := range n.entries {
			c.entries[name] = e.clone()
		}
	}
	return &c
}

// place is where a path leads.
type place struct {
	parent *node  // nil for the root
	name   string // in parent
	node   *node  // nil when only the last component is missing
	path   string // without symbolic links
	mount  *mounted
}

// maxLinks is the kernel's limit of symbolic links in one path.
const maxLinks = 40

// walk follows p. A last component that is a symbolic link is followed when
// follow is set. A last component that is missing is no error.
func (h *Host) walk(p string, follow bool) (place, error) {
	root := place{node: h.mounts[0].root, path: "/", mount: h.mounts[0]}
	cur, rest, links := root, clean(p), 0
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if cur.node == nil {
			return cur, syscall.ENOENT
		}
		if !cur.node.mode.IsDir() {
			return cur, syscall.ENOTDIR
		}
		next := place{parent: cur.node, name: name, node: cur.node.entries[name], path: join(cur.path, name), mount: cur.mount}
		if m := h.mountOn(next.path); m != nil {
			next.node, next.mount = m.root, m
		}
		if next.node.isLink() && (follow || rest != "") {
			if links++; links > maxLinks {
				return cur, syscall.ELOOP
			}
			target := next.node.target
			if !path.IsAbs(target) {
				target = join(cur.path, target)
			}
			cur, rest = root, clean(target+"/"+rest)
			continue
		}
		cur = next
	}
	return cur, nil
}

// clean is path.Clean without the slash in front. What is clean already, as
// almost everything is, costs nothing.
func clean(p string) string {
	if p == "" || p[0] != '/' || strings.Contains(p, "//") || strings.Contains(p, "/.") || p[len(p)-1] == '/' {
		p = path.Clean("/" + p)
	}
	return p[1:]
}

func join(dir, name string) string {
	if dir == "/" {
		return dir + name
	}
	return dir + "/" + name
}

// find is walk where a missing last component is ENOENT.
func (h *Host) find(p string, follow bool) (place, error) {
	if n := h.generated(p); n != nil {
		return place{name: path.Base(p), node: n, path: p}, nil
	}
	l, err := h.walk(p, follow)
	if err == nil && l.node == nil {
		err = syscall.ENOENT
	}
	if err != nil {
		return l, &fs.PathError{Op: "open", Path: p, Err: err}
	}
	return l, nil
}

// put makes or replaces the file p.
func (h *Host) put(p string, n *node) error {
	l, err := h.walk(p, !n.isLink())
	if err == nil && l.parent == nil {
		err = syscall.EISDIR
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: p, Err: err}
	}
	if err := h.writable(l); err != nil {
		return &fs.PathError{Op: "open", Path: p, Err: err}
	}
	l.parent.entries[l.name] = n
	return nil
}

// writable refuses changes of a file system that takes none.
func (h *Host) writable(l place) error {
	if l.mount != nil && l.mount.ReadOnly {
		return syscall.EROFS
	}
	return nil
}

func (h *Host) mkdirAll(p string, perm fs.FileMode) error {
	rest, dir := clean(p), ""
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		dir += "/" + name
		l, err := h.walk(dir, true)
		if err != nil {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: err}
		}
		if l.node == nil {
			if err := h.writable(l); err != nil {
				return &fs.PathError{Op: "mkdir", Path: dir, Err: err}
			}
			l.parent.entries[l.name] = newDir(perm)
			continue
		}
		if !l.node.mode.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
	}
	return nil
}

// info describes a node.
type info struct {
	name string
	node *node
}

// Name is the last component of the path that was asked for.
func (i info) Name() string { return i.name }

// Size is the length of a file.
func (i info) Size() int64 { return int64(len(i.node.data)) }

// Mode is the type and the permissions.
func (i info) Mode() fs.FileMode { return i.node.mode }

// ModTime is not kept.
func (i info) ModTime() time.Time { return time.Time{} }

// IsDir reports whether it is a directory.
func (i info) IsDir() bool { return i.node.mode.IsDir() }

// Sys is nothing: owners are asked for by Host.Owner.
func (i info) Sys() any { return nil }

var _ fs.FileInfo = info{}

// The following set the scene; a failure of one ends the test.

// SetFile makes the file p with its directories.
func (h *Host) SetFile(p, data string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setup(h.mkdirAll(path.Dir(p), 0o755))
	h.setup(h.put(p, &node{mode: 0o644, data: []byte(data)}))
}

// SetLink makes p a symbolic link to target, whatever p was before.
func (h *Host) SetLink(p, target string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setup(h.mkdirAll(path.Dir(p), 0o755))
	h.setup(h.put(p, &node{mode: fs.ModeSymlink | 0o777, target: target}))
}

// SetDir makes the directory p with its parents, owned by uid and gid.
func (h *Host) SetDir(p string, uid, gid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setup(h.mkdirAll(p, 0o755))
	l, err := h.find(p, true)
	h.setup(err)
	l.node.uid, l.node.gid = uid, gid
}

// Delete removes p with everything below it.
func (h *Host) Delete(p string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, err := h.walk(p, false)
	h.setup(err)
	delete(l.parent.entries, l.name)
}

// File returns the contents of p, or "" with false when there is no such file.
func (h *Host) File(p string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, err := h.find(p, true)
	if err != nil {
		return "", false
	}
	return string(l.node.data), true
}

// Resolve returns where p leads, without symbolic links, or "" when it leads
// nowhere.
func (h *Host) Resolve(p string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, err := h.find(p, true)
	if err != nil {
		return ""
	}
	return l.path
}

func (h *Host) setup(err error) {
	if err != nil {
		h.t.Helper()
		h.t.Fatal(fmt.Errorf("set the scene: %w", err))
	}
}
