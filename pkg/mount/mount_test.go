package mount_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/mount"
)

func TestStatus(t *testing.T) {
	tests := []struct {
		name string
		make func(*machine)
		want mount.State
	}{
		{"nothing", func(*machine) {}, mount.NotMounted},
		{"ours", func(m *machine) { m.ours() }, mount.Mounted},
		{"ours elsewhere", func(m *machine) { m.add(1, ourMajor, ourMinor, "/mnt") }, mount.NotMounted},
		{"ours below", func(m *machine) { m.add(1, ourMajor, ourMinor, directory+"/x") }, mount.NotMounted},
		{"read-only", func(m *machine) { m.ours(); m.mounts[1].ReadOnly = true }, mount.ReadOnly},
		{"another device", func(m *machine) { m.add(1, ourMajor, 1001, directory) }, mount.Foreign},
		{"no device", func(m *machine) { m.noDevice = true }, mount.NotMounted},
		{"something while there is no device", func(m *machine) { m.noDevice = true; m.ours() }, mount.Foreign},
		{"another on top of ours", func(m *machine) { m.add(m.ours(), 8, 2, directory) }, mount.Foreign},
		{"ours on top of another", func(m *machine) { m.add(1, 8, 2, directory); m.ours() }, mount.Mounted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine()
			tt.make(m)
			if got, err := m.filesystem().Status(); err != nil || got != tt.want {
				t.Errorf("= %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

// Ensure that Start makes the directory, mounts once, and does nothing the
// second time.
func TestStart(t *testing.T) {
	m := newMachine()
	for range 2 {
		if err := m.filesystem().Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	diff := cmp.Diff([]string{"mount.mkdir /home/nfs 755", "mount.mount /dev/drbd1000 /home/nfs xfs noatime"}, m.calls)
	if diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestStartRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(*machine)
		is   error
		says []string
	}{
		{"foreign", func(m *machine) { m.add(1, 8, 2, directory) }, mount.ErrForeign, []string{"/home/nfs is not /dev/drbd1000", "umount it or change directory"}},
		{"ours below another", func(m *machine) { m.add(m.ours(), 8, 2, directory) }, mount.ErrForeign, nil},
		{"read-only", func(m *machine) { m.ours(); m.mounts[1].ReadOnly = true }, nil, []string{"/home/nfs is mounted read-only", "umount it"}},
		{"comes out read-only", func(m *machine) { m.asReadRO = true }, nil, []string{"mount /dev/drbd1000 on /home/nfs"}},
		{"nothing in the table", func(m *machine) { m.silent = true }, nil, []string{"the mount table does not show it"}},
		{"no file system", func(m *machine) { m.mountErr = syscall.EINVAL }, syscall.EINVAL, []string{"no valid file system", "nothing was repaired"}},
		{"damaged", func(m *machine) { m.mountErr = syscall.EUCLEAN }, syscall.EUCLEAN, []string{"damaged; see dmesg"}},
		{"unknown type", func(m *machine) { m.mountErr = syscall.ENODEV }, syscall.ENODEV, []string{"check fstype"}},
		{"Secondary", func(m *machine) { m.mountErr = syscall.EACCES }, syscall.EACCES, []string{"device is read-only"}},
		{"write-protected", func(m *machine) { m.mountErr = syscall.EROFS }, syscall.EROFS, []string{"device is read-only"}},
		{"another error", func(m *machine) { m.mountErr = errAny }, errAny, []string{"something else"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine()
			tt.make(m)
			err := m.filesystem().Start(t.Context())
			checkText(t, err, tt.says...)
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v is not %v", err, tt.is)
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}
}
