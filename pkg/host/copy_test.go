package host_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
)

// describe lists what is below dir: mode, owner, name, and what it holds.
func describe(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		sys := st.Sys().(*syscall.Stat_t)
		line := st.Mode().String() + " " + itoa(int(sys.Uid)) + ":" + itoa(int(sys.Gid)) + " ." + strings.TrimPrefix(p, dir)
		switch {
		case st.Mode().IsRegular():
			line += " " + read(t, p)
		case st.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(p)
			line += " -> " + target
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// Ensure that a copy has modes, owners, links and contents of the original,
// whatever the umask is, and that names to be skipped are left out at the top
// alone.
func TestCopyTree(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	h, dir := host.New(nil), t.TempDir()
	src, dst := dir+"/src", dir+"/dst"
	write(t, src+"/etab", "exports")
	write(t, src+"/statd/sm/client", "0100007f")
	write(t, src+"/rpc_pipefs/nfs/x", "")
	write(t, src+"/statd/rpc_pipefs", "another one")
	chmod(t, src, 0o755)
	chmod(t, src+"/etab", 0o664)
	chmod(t, src+"/statd", fs.ModeSetgid|0o770)
	chmod(t, src+"/statd/sm", fs.ModeSticky|0o707)
	for target, name := range map[string]string{"etab": "xtab", "/nowhere": "dangling"} {
		if err := os.Symlink(target, src+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(src+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		for path, id := range map[string]int{"": 11, "/etab": 12, "/statd/sm": 29, "/statd/sm/client": 30, "/xtab": 31} {
			if err := os.Lchown(src+path, id, id+100); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := h.CopyTree("state.seed", src, dst, "rpc_pipefs"); err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(describe(t, src), func(s string) bool {
		return strings.Contains(s, " ./rpc_pipefs") || strings.HasSuffix(s, " ./pipe")
	})
	if diff := cmp.Diff(want, describe(t, dst)); diff != "" {
		t.Errorf("(-original +copy):\n%s", diff)
	}
}

func TestCopyTreeRefuses(t *testing.T) {
	h, dir := host.New(nil), t.TempDir()
	write(t, dir+"/src/file", "new")
	write(t, dir+"/dst/file", "old")
	expectOp(t, h.CopyTree("state.seed", dir+"/src", dir+"/dst"), "state.seed", fs.ErrExist)
	if got := read(t, dir+"/dst/file"); got != "old" {
		t.Errorf("replaced by %q", got)
	}
	expectOp(t, h.CopyTree("state.seed", dir+"/none", dir+"/x"), "state.seed", fs.ErrNotExist)
}

// Ensure that a copy that does not fit is an error, not a smaller copy.
func TestCopyTreeFull(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir := tmpfs(t, "size=64k")
	src := t.TempDir()
	write(t, src+"/big", strings.Repeat("x", 1<<20))
	expectOp(t, host.New(nil).CopyTree("state.seed", src, dir+"/copy"), "state.seed", syscall.ENOSPC)
}

func TestOwner(t *testing.T) {
	needRoot(t)
	h, file := host.New(nil), t.TempDir()+"/file"
	write(t, file, "")
	if err := h.Chown("state.own", file, 29, 30); err != nil {
		t.Fatal(err)
	}
	if uid, gid, err := h.Owner(file); uid != 29 || gid != 30 || err != nil {
		t.Errorf("%d:%d, %v", uid, gid, err)
	}
	if _, _, err := h.Owner(file + ".none"); err == nil {
		t.Error("of nothing: no error")
	}
	expectOp(t, h.Chown("state.own", file+".none", 1, 1), "state.own", fs.ErrNotExist)
}
