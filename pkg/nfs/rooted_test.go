package nfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/host"
)

// rooted is this machine with every path below a temporary directory. Symbolic
// links keep the targets that they are given; looking through one is done
// below the directory too.
type rooted struct {
	t      testing.TB
	h      *host.Host
	root   string
	mounts []host.Mount

	calls   int   // of functions that change something
	killAt  int   // that call and all later ones fail; 0 is none
	noSwap  bool  // the file system has no exchange of two names
	mountsE error // what Mounts fails with
	noChown bool  // test without root: remember instead
	chowned map[string][2]int
}

// errKilled stands for the end of the process.
var errKilled = errors.New("killed")

func newRooted(t testing.TB) *rooted {
	t.Helper()
	return &rooted{t: t, h: host.New(nil), root: t.TempDir(), noChown: os.Getuid() != 0, chowned: map[string][2]int{}}
}

func (r *rooted) kill() error {
	r.calls++
	if r.killAt > 0 && r.calls >= r.killAt {
		return fmt.Errorf("call %d: %w", r.calls, errKilled)
	}
	return nil
}

// real is the path below the root that path leads to, with links followed in
// all elements, or in all but the last.
func (r *rooted) real(path string, last bool) string {
	for range 40 {
		next, again := r.step(path, last)
		if !again {
			return r.root + next
		}
		path = next
	}
	return r.root + "/eloop/eloop" // as the kernel gives up
}

func (r *rooted) step(path string, last bool) (string, bool) {
	elements := strings.Split(strings.TrimPrefix(filepath.Clean(path), "/"), "/")
	done := ""
	for i, e := range elements {
		p := done + "/" + e
		target, err := os.Readlink(r.root + p)
		if err != nil || (i == len(elements)-1 && !last) {
			done = p
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(done, target)
		}
		return filepath.Join(append([]string{target}, elements[i+1:]...)...), true
	}
	return done, false
}

func (r *rooted) ReadFile(p string) ([]byte, error)      { return r.h.ReadFile(r.real(p, true)) }
func (r *rooted) ReadDir(p string) ([]string, error)     { return r.h.ReadDir(r.real(p, true)) }
func (r *rooted) Stat(p string) (fs.FileInfo, error)     { return r.h.Stat(r.real(p, true)) }
func (r *rooted) Lstat(p string) (fs.FileInfo, error)    { return r.h.Lstat(r.real(p, false)) }
func (r *rooted) Readlink(p string) (string, error)      { return r.h.Readlink(r.real(p, false)) }
func (r *rooted) Mounts() ([]host.Mount, error)          { return r.mounts, r.mountsE }
func (r *rooted) Owner(p string) (uid, gid int, e error) { return r.h.Owner(r.real(p, true)) }

func (r *rooted) MkdirAll(op, p string, perm fs.FileMode) error {
	return errors.Join(r.kill(), r.h.MkdirAll(op, r.real(p, true), perm))
}

func (r *rooted) Remove(op, p string) error {
	if err := r.kill(); err != nil {
		return err
	}
	return r.h.Remove(op, r.real(p, false))
}

func (r *rooted) RemoveAll(op, p string) error {
	if err := r.kill(); err != nil {
		return err
	}
	return r.h.RemoveAll(op, r.real(p, false))
}

func (r *rooted) Rename(op, from, to string) error {
	if err := r.kill(); err != nil {
		return err
	}
	return r.h.Rename(op, r.real(from, false), r.real(to, false))
}

func (r *rooted) ReplaceSymlink(op, target, p string) error {
	if err := r.kill(); err != nil {
		return err
	}
	return r.h.ReplaceSymlink(op, target, r.real(p, false))
}

func (r *rooted) Exchange(op, a, b string) error {
	if err := r.kill(); err != nil {
		return err
	}
	if r.noSwap {
		return fmt.Errorf("%s: %w", op, errors.ErrUnsupported)
	}
	return r.h.Exchange(op, r.real(a, false), r.real(b, false))
}

// CopyTree copies nothing but the top directory when it is the call at which
// the process ends: a copy that was interrupted.
func (r *rooted) CopyTree(op, src, dst string, skip ...string) error {
	if err := r.kill(); err != nil {
		return errors.Join(err, os.MkdirAll(r.real(dst, false), 0o755))
	}
	return r.h.CopyTree(op, r.real(src, true), r.real(dst, false), skip...)
}

func (r *rooted) WriteFileAtomic(op, p string, data []byte, perm fs.FileMode) error {
	if err := r.kill(); err != nil {
		return err
	}
	return r.h.WriteFileAtomic(op, r.real(p, true), data, perm)
}

func (r *rooted) Chown(op, p string, uid, gid int) error {
	if err := r.kill(); err != nil {
		return err
	}
	r.chowned[p] = [2]int{uid, gid}
	if r.noChown {
		return nil
	}
	return r.h.Chown(op, r.real(p, true), uid, gid)
}

// write makes a file with its directories.
func (r *rooted) write(path, text string) {
	r.t.Helper()
	p := r.real(path, true)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rooted) mkdir(path string) {
	r.t.Helper()
	if err := os.MkdirAll(r.real(path, true), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rooted) symlink(target, path string) {
	r.t.Helper()
	r.mkdir(filepath.Dir(path))
	if err := os.Symlink(target, r.real(path, false)); err != nil {
		r.t.Fatal(err)
	}
}

// read is the text of a file, or why there is none.
func (r *rooted) read(path string) string {
	data, err := r.ReadFile(path)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return string(data)
}

// tree lists everything below dir: directories with a slash, links with their
// targets, files with their text.
func (r *rooted) tree(dir string) []string {
	r.t.Helper()
	var out []string
	base := r.real(dir, true)
	err := filepath.WalkDir(base, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == base {
			return err
		}
		name := strings.TrimPrefix(p, base+"/")
		switch {
		case d.IsDir():
			name += "/"
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			name += " -> " + target
		default:
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			if len(data) > 0 {
				name += " = " + strings.TrimSpace(string(data))
			}
		}
		out = append(out, name)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// LookPath and StartTransient make rooted what NotifyLockClients needs.
type notifier struct {
	*rooted
	units []string
	fail  error
}

func (n *notifier) LookPath(name string) (string, error) { return "/usr/sbin/" + name, n.fail }

func (n *notifier) StartTransient(_ context.Context, op string, u host.Unit) error {
	n.units = append(n.units, fmt.Sprintf("%s %s: %s (oneshot %v, wait %v, before %s)",
		op, u.Name, strings.Join(u.Commands[0], " "), u.Oneshot, !u.NoWait, strings.Join(u.Before, ",")))
	return nil
}
