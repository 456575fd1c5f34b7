package host_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spacei/drbdnfs/pkg/host"
)

func TestMountOptions(t *testing.T) {
	tests := []struct {
		options string
		flags   uintptr
		data    string
	}{
		{"", 0, ""},
		{"defaults", 0, ""},
		{"defaults,noauto,nofail,_netdev", 0, ""},
		{"ro", unix.MS_RDONLY, ""},
		{"ro,rw", 0, ""},
		{"rw,ro", unix.MS_RDONLY, ""},
		{"noatime,nodiratime", unix.MS_NOATIME | unix.MS_NODIRATIME, ""},
		{"noatime,atime", 0, ""},
		{"relatime,norelatime,strictatime,lazytime", unix.MS_STRICTATIME | unix.MS_LAZYTIME, ""},
		{"nosuid,nodev,noexec", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"nosuid,nodev,noexec,suid,dev,exec", 0, ""},
		{"sync,dirsync,async", unix.MS_DIRSYNC, ""},
		{"logbsize=256k,inode64", 0, "logbsize=256k,inode64"},
		{"usrquota,noatime,swalloc", unix.MS_NOATIME, "usrquota,swalloc"},
		{",,noatime,,x-y=/a,", unix.MS_NOATIME, "x-y=/a"},
		{"NOATIME", 0, "NOATIME"},
	}
	for _, tt := range tests {
		t.Run(tt.options, func(t *testing.T) {
			flags, data := host.MountOptions(tt.options)
			if flags != tt.flags || data != tt.data {
				t.Errorf("= %#x, %q, want %#x, %q", flags, data, tt.flags, tt.data)
			}
		})
	}
}

// mountOn returns the last mount on dir.
func mountOn(t *testing.T, h *host.Host, dir string) (host.Mount, bool) {
	t.Helper()
	mounts, err := h.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range slices.Backward(mounts) {
		if m.Dir == dir {
			return m, true
		}
	}
	return host.Mount{}, false
}

// Ensure that what is mounted is in the table with its options, what lies on it
// knows its parent, and what is unmounted is gone.
func TestMount(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	h, dir := host.New(nil), t.TempDir()+"/a b" // the table escapes spaces
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, ok := mountOn(t, h, dir); ok {
		t.Fatal("mounted before")
	}
	if err := h.Mount(t.Context(), "mount.mount", "volume", dir, "tmpfs", "noatime,size=1m"); err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	m, ok := mountOn(t, h, dir)
	if !ok || m.Source != "volume" || m.Type != "tmpfs" || m.ReadOnly || m.Minor == 0 {
		t.Errorf("%v, %+v", ok, m)
	}
	write(t, dir+"/sub/file", "")
	if err := h.Mount(t.Context(), "mount.mount", "other", dir+"/sub", "tmpfs", "ro"); err != nil {
		t.Fatal(err)
	}
	sub, ok := mountOn(t, h, dir+"/sub")
	if !ok || !sub.ReadOnly || sub.Parent != m.ID || (sub.Major == m.Major && sub.Minor == m.Minor) {
		t.Errorf("%v, %+v, on %+v", ok, sub, m)
	}
	if err := h.Unmount(t.Context(), "mount.umount", dir); !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), dir) {
		t.Errorf("with a mount on it: %v", err)
	}
	for _, d := range []string{dir + "/sub", dir} {
		if err := h.Unmount(t.Context(), "mount.umount", d); err != nil {
			t.Error(err)
		}
	}
	if m, ok := mountOn(t, h, dir); ok {
		t.Errorf("still there: %+v", m)
	}
}

func TestMountErrors(t *testing.T) {
	needRoot(t)
	h, dir := host.New(nil), t.TempDir()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	expectOp(t, h.Mount(ended, "mount.mount", "x", dir, "tmpfs", ""), "mount.mount", context.Canceled)
	expectOp(t, h.Unmount(ended, "mount.umount", dir), "mount.umount", context.Canceled)
	if err := h.Mount(t.Context(), "mount.mount", "/dev/none", dir, "nosuchfs", ""); err == nil || !strings.HasPrefix(err.Error(), "mount /dev/none on "+dir+": ") {
		t.Errorf("error %v", err)
	}
	if err := h.Unmount(t.Context(), "mount.umount", dir); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("of what is not mounted: %v", err)
	}
	// A symbolic link must not lead an unmount astray.
	if err := os.Symlink("/proc", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := h.Unmount(t.Context(), "mount.umount", dir+"/link"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("through a link: %v", err)
	}
}

func TestBlockDevice(t *testing.T) {
	needRoot(t)
	h, dir := host.New(nil), t.TempDir()
	if err := unix.Mknod(dir+"/drbd1000", unix.S_IFBLK|0o600, int(unix.Mkdev(147, 1000))); err != nil {
		t.Skipf("cannot make device nodes here: %v", err)
	}
	if err := os.Symlink("drbd1000", dir+"/by-res"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"drbd1000", "by-res"} {
		if major, minor, err := h.BlockDevice(dir + "/" + name); major != 147 || minor != 1000 || err != nil {
			t.Errorf("%s: %d:%d, %v", name, major, minor, err)
		}
	}
	if _, _, err := h.BlockDevice(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, _, err := h.BlockDevice("/dev/null"); err == nil || !strings.Contains(err.Error(), "/dev/null: not a block device") {
		t.Errorf("a character device: %v", err)
	}
}
