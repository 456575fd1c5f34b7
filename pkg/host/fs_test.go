package host_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spacei/drbdnfs/pkg/host"
)

func itoa(n int) string { return strconv.Itoa(n) }

// needRoot skips a test of what only root can do.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// names lists a directory, so that what was left behind is seen.
func names(t *testing.T, dir string) []string {
	t.Helper()
	out, err := host.New(nil).ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// expectOp checks that err names the operation and is want.
func expectOp(t *testing.T, err error, op string, want error) {
	t.Helper()
	if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), op+": ") {
		t.Errorf("error %v, want %v of %s", err, want, op)
	}
}

// Ensure that reading writes no access time, which would be a write to the
// volume.
func TestReadFile(t *testing.T) {
	h, file := host.New(nil), t.TempDir()+"/file"
	write(t, file, "text")
	long := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := os.Chtimes(file, long, time.Now()); err != nil {
		t.Fatal(err)
	}
	data, err := h.ReadFile(file)
	if err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		t.Fatal(err)
	}
	if got := time.Unix(st.Atim.Unix()).UTC(); !got.Equal(long) {
		t.Errorf("access time %v, want %v", got, long)
	}
	if _, err := h.ReadFile(file + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
	if _, err := h.ReadFile("/proc/self/mountinfo"); err != nil {
		t.Error(err)
	}
}

// Ensure that WriteFile makes no file: what is missing in /proc is missing.
func TestWriteFile(t *testing.T) {
	h, file := host.New(nil), t.TempDir()+"/file"
	expectOp(t, h.WriteFile("nfs.threads", file, []byte("8\n")), "nfs.threads", fs.ErrNotExist)
	write(t, file, "")
	if err := h.WriteFile("nfs.threads", file, []byte("8\n")); err != nil || read(t, file) != "8\n" {
		t.Errorf("%q, %v", read(t, file), err)
	}
}

func TestWriteFileAtomic(t *testing.T) {
	h, dir := host.New(nil), t.TempDir()
	write(t, dir+"/file.tmp", strings.Repeat("left by a run that was killed", 10))
	for _, text := range []string{"first", "second, longer", ""} {
		if err := h.WriteFileAtomic("record.write", dir+"/file", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := read(t, dir+"/file"); got != text {
			t.Errorf("text %q, want %q", got, text)
		}
	}
	if diff := cmp.Diff([]string{"file"}, names(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	st, err := h.Stat(dir + "/file")
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	expectOp(t, h.WriteFileAtomic("record.write", dir+"/none/file", nil, 0o600), "record.write", fs.ErrNotExist)
	if err := os.Mkdir(dir+"/taken", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteFileAtomic("record.write", dir+"/taken", nil, 0o600); err == nil {
		t.Error("a directory was replaced")
	}
}

// Ensure that a full file system leaves the old contents.
func TestWriteFileAtomicFull(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir := tmpfs(t, "size=64k")
	h := host.New(nil)
	write(t, dir+"/file", "old")
	err := h.WriteFileAtomic("state.etab", dir+"/file", make([]byte, 1<<20), 0o600)
	expectOp(t, err, "state.etab", syscall.ENOSPC)
	if got := read(t, dir+"/file"); got != "old" {
		t.Errorf("%d bytes, want the old text", len(got))
	}
}

func TestMkdirAndRemove(t *testing.T) {
	h, dir := host.New(nil), t.TempDir()
	for range 2 {
		if err := h.MkdirAll("run.dir", dir+"/a/b", 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir+"/a/b/file", "")
	expectOp(t, h.MkdirAll("run.dir", dir+"/a/b/file/c", 0o700), "run.dir", syscall.ENOTDIR)
	expectOp(t, h.Remove("run.remove", dir+"/a"), "run.remove", syscall.ENOTEMPTY)
	for range 2 {
		if err := h.Remove("run.remove", dir+"/a/b/file"); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if err := h.RemoveAll("run.remove", dir+"/a"); err != nil {
			t.Error(err)
		}
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

func TestRename(t *testing.T) {
	h, dir := host.New(nil), t.TempDir()
	write(t, dir+"/a", "a")
	write(t, dir+"/b", "b")
	if err := h.Rename("state.seed", dir+"/a", dir+"/b"); err != nil || read(t, dir+"/b") != "a" {
		t.Errorf("%q, %v", read(t, dir+"/b"), err)
	}
	expectOp(t, h.Rename("state.seed", dir+"/none", dir+"/b"), "state.seed", fs.ErrNotExist)
}

// Ensure that a link is replaced in one step, and a directory never.
func TestReplaceSymlink(t *testing.T) {
	h, dir := host.New(nil), t.TempDir()
	if err := os.Symlink("left", dir+"/nfs.tmp"); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/local", "/volume", "/volume"} {
		if err := h.ReplaceSymlink("state.link", target, dir+"/nfs"); err != nil {
			t.Fatal(err)
		}
		if got, err := h.Readlink(dir + "/nfs"); err != nil || got != target {
			t.Errorf("leads to %q, %v", got, err)
		}
	}
	if err := os.Mkdir(dir+"/directory", 0o755); err != nil {
		t.Fatal(err)
	}
	err := h.ReplaceSymlink("state.link", "/local", dir+"/directory")
	if st, statErr := h.Lstat(dir + "/directory"); err == nil || statErr != nil || !st.IsDir() {
		t.Errorf("error %v, %v", err, statErr)
	}
}

func TestExchange(t *testing.T) {
	h, dir := host.New(nil), t.TempDir()
	write(t, dir+"/a/file", "")
	if err := os.Symlink("a", dir+"/b"); err != nil {
		t.Fatal(err)
	}
	err := h.Exchange("state.adopt", dir+"/a", dir+"/b")
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("the file system of %s has no exchange: %v", dir, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.Readlink(dir + "/a"); err != nil || got != "a" {
		t.Errorf("a leads to %q, %v", got, err)
	}
	if diff := cmp.Diff([]string{"file"}, names(t, dir+"/b")); diff != "" {
		t.Errorf("b (-want +got):\n%s", diff)
	}
	expectOp(t, h.Exchange("state.adopt", dir+"/a", dir+"/none"), "state.adopt", fs.ErrNotExist)
}

// Ensure that two file systems are an exchange that is not supported, so that
// the caller goes another way.
func TestExchangeAcross(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir, other := t.TempDir(), tmpfs(t, "")
	write(t, dir+"/a", "")
	write(t, other+"/b", "")
	expectOp(t, host.New(nil).Exchange("state.adopt", dir+"/a", other+"/b"), "state.adopt", errors.ErrUnsupported)
}
