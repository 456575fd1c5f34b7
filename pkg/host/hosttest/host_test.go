package hosttest_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

var errInjected = errors.New("injected")

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mounted is a node whose volume is mounted.
func mounted(t *testing.T) *hosttest.Host {
	t.Helper()
	h := hosttest.New(t)
	h.SetUp()
	run(t, h, "drbdsetup", "primary", "res0")
	must(t, h.MkdirAll("test", "/home/nfs", 0o755))
	must(t, h.Mount(t.Context(), "test", "/dev/drbd1000", "/home/nfs", "xfs", ""))
	return h
}

func run(t *testing.T, h *hosttest.Host, name string, args ...string) string {
	t.Helper()
	res, err := h.Run(t.Context(), host.Cmd{Op: "test", Name: name, Args: args})
	must(t, err)
	return string(res.Stdout)
}

// Ensure that paths lead where they would: through links, absolute and
// relative, and into what is mounted.
func TestPaths(t *testing.T) {
	h := mounted(t)
	h.SetFile("/home/nfs/a/file", "on the volume")
	h.SetLink("/srv/rel", "../home/nfs/a")
	h.SetLink("/srv/abs", "/srv/rel/file")
	h.SetLink("/srv/loop", "/srv/loop")
	h.SetLink("/srv/dangling", "/nowhere/at/all")
	for _, tt := range []struct{ path, want string }{
		{"/srv/abs", "/home/nfs/a/file"},
		{"/srv//rel/./file", "/home/nfs/a/file"},
		{"/srv/loop", ""},
		{"/srv/dangling", ""},
		{"/home/nfs/a/file/x", ""},
		{"/", "/"},
	} {
		if got := h.Resolve(tt.path); got != tt.want {
			t.Errorf("%s leads to %q, want %q", tt.path, got, tt.want)
		}
	}
	if _, err := h.ReadFile("/srv/dangling"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dangling link: %v", err)
	}
	if st, err := h.Lstat("/srv/dangling"); err != nil || st.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("lstat: %v, %v", st, err)
	}
	if err := h.Rename("test", "/home/nfs/a/file", "/srv/file"); !errors.Is(err, syscall.EXDEV) {
		t.Errorf("rename to another file system: %v", err)
	}
	must(t, h.Unmount(t.Context(), "test", "/home/nfs"))
	if got := h.Resolve("/srv/abs"); got != "" {
		t.Errorf("without the volume: %q", got)
	}
	must(t, h.Mount(t.Context(), "test", "/dev/drbd1000", "/home/nfs", "xfs", ""))
	if got, _ := h.File("/srv/abs"); got != "on the volume" {
		t.Errorf("after another mount: %q", got)
	}
}

// Ensure that a file system is busy as long as somebody uses it.
func TestBusy(t *testing.T) {
	h := mounted(t)
	umount := func() error { return h.Unmount(t.Context(), "test", "/home/nfs") }
	p := h.Spawn("bash", "cwd", "/home/nfs/user-data")
	if err := umount(); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("with a process: %v", err)
	}
	mounts, _ := h.Mounts()
	holders, err := h.Holders(t.Context(), mounts[len(mounts)-1].ID, "/home/nfs")
	if err != nil || len(holders) != 1 || holders[0].String() != "bash[1002] (cwd /home/nfs/user-data)" {
		t.Errorf("holders: %v, %v", holders, err)
	}
	p.Stubborn = true
	must(t, h.Signal("test", p.PID, syscall.SIGTERM))
	if !h.Alive(p.PID) {
		t.Error("SIGTERM ended a stubborn process")
	}
	must(t, h.Signal("test", p.PID, syscall.SIGKILL))
	h.SetMount("/dev/sdb1", "/home/nfs/user-data")
	if err := umount(); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("with a mount on it: %v", err)
	}
	must(t, h.Unmount(t.Context(), "test", "/home/nfs/user-data"))
	if _, err := h.Run(t.Context(), host.Cmd{Op: "test", Name: "drbdsetup", Args: []string{"secondary", "res0"}}); !strings.Contains(err.Error(), "held open") {
		t.Errorf("secondary while mounted: %v", err)
	}
	must(t, umount())
	run(t, h, "drbdsetup", "secondary", "res0")
	if err := h.Mount(t.Context(), "test", "/dev/drbd1000", "/home/nfs", "xfs", ""); !errors.Is(err, syscall.EMEDIUMTYPE) {
		t.Errorf("mount of a Secondary: %v", err)
	}
}

// Ensure that faults meet the calls that they are meant for, and those alone.
func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hosttest.New(t)
		call := func(ctx context.Context) error { return h.UnblockPorts(ctx, "op") }
		h.FailNth("op", 2, errInjected)
		for i, want := range []error{nil, errInjected, nil} {
			if err := call(t.Context()); !errors.Is(err, want) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		h.Hang("op")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("hung call: %v after %v", err, time.Since(start))
		}
		h.Clear()
		must(t, call(t.Context()))
		h.Fail("read /etc/exports", errInjected)
		if _, err := h.ReadFile("/etc/exports"); !errors.Is(err, errInjected) {
			t.Errorf("read: %v", err)
		}
	})
}

// Ensure that a program that was killed has no effect any more, and that what
// it was doing is done by half.
func TestKill(t *testing.T) {
	h := hosttest.New(t)
	h.Kill("write", 1, hosttest.During)
	killed := h.Action(t.Context(), func(ctx context.Context) {
		if err := h.WriteFileAtomic("write", "/etc/x", []byte("12345678"), 0o600); err == nil {
			t.Error("the call in which the program was killed returned")
		}
		if ctx.Err() == nil {
			t.Error("the context goes on")
		}
		_ = h.MkdirAll("mkdir", "/etc/y", 0o755)
	})
	if tmp, _ := h.File("/etc/x.tmp"); !killed || tmp != "1234" || h.Resolve("/etc/x") != "" || h.Resolve("/etc/y") != "" {
		t.Errorf("killed %v, temporary file %q", killed, tmp)
	}
	if h.Action(t.Context(), func(context.Context) { must(t, h.MkdirAll("mkdir", "/etc/y", 0o755)) }) {
		t.Error("the next program is dead too")
	}
	if ops := strings.Join(h.Ops(), " "); ops != "mkdir" {
		t.Errorf("ops: %s", ops)
	}
}

// Ensure that what must never happen is noticed.
func TestViolations(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, h *hosttest.Host)
		want string
	}{
		{"umount over suspended I/O", func(t *testing.T, h *hosttest.Host) {
			h.Suspend("quorum")
			_ = h.Unmount(t.Context(), "test", "/home/nfs")
		}, "umount of /home/nfs while I/O is suspended"},
		{"write over suspended I/O", func(_ *testing.T, h *hosttest.Host) {
			h.Suspend("quorum")
			_ = h.WriteFileAtomic("test", "/home/nfs/x", nil, 0o600)
		}, "write to /home/nfs/x while I/O is suspended"},
		{"signal elsewhere", func(_ *testing.T, h *hosttest.Host) {
			_ = h.Signal("test", h.Spawn("vim", "cwd", "/etc").PID, syscall.SIGTERM)
		}, "sent to vim["},
		{"own address", func(t *testing.T, h *hosttest.Host) {
			_ = h.DelAddress(t.Context(), "test", "ens3", netip.MustParsePrefix("192.168.2.61/24"))
		}, "the machine's own address"},
		{"address without a server", func(t *testing.T, h *hosttest.Host) {
			_ = h.AddAddress(t.Context(), "test", "ens3", netip.MustParsePrefix("192.168.2.63/24"))
		}, "a service address is served or its ports are blocked"},
		{"state gone", func(_ *testing.T, h *hosttest.Host) { _ = h.RemoveAll("test", "/var/lib/nfs") }, "/var/lib/nfs leads to a directory"},
		{"announcement of what is not here", func(t *testing.T, h *hosttest.Host) {
			_ = h.SendGratuitousARP(t.Context(), "test", "ens3", netip.MustParseAddr("192.168.2.63"))
		}, "not on this machine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := mounted(t)
			h.Action(t.Context(), func(context.Context) { tt.do(t, h) })
			if got := strings.Join(h.Violations(), "; "); !strings.Contains(got, tt.want) {
				t.Errorf("violations: %q, want one with %q", got, tt.want)
			}
		})
	}
}

// Ensure that the kernel's server takes its settings only while it is not set
// up, and that a loss of power leaves nothing of a promotion.
func TestServer(t *testing.T) {
	h := mounted(t)
	run(t, h, "modprobe", "nfsd")
	must(t, h.Mount(t.Context(), "test", "nfsd", "/proc/fs/nfsd", "nfsd", ""))
	const versions = "/proc/fs/nfsd/versions"
	must(t, h.WriteFile("test", versions, []byte("-2 +3\n")))
	must(t, h.AddNFSDListeners("test", 2049))
	if err := h.WriteFile("test", versions, []byte("-2")); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("versions of a server with sockets: %v", err)
	}
	addr := netip.MustParseAddrPort("127.0.0.1:2049")
	if err := h.RPCNull(t.Context(), addr, 100003, 3); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("server without threads: %v", err)
	}
	must(t, h.StartNFSDThreads("test", 8, "res0"))
	must(t, h.RPCNull(t.Context(), addr, 100003, 3))
	h.SetAddress("ens3", "192.168.2.63/24")
	if len(h.Leftovers()) == 0 {
		t.Error("nothing left")
	}
	h.Reboot()
	if left := h.Leftovers(); len(left) > 0 {
		t.Errorf("after a loss of power: %v", left)
	}
}

// Ensure that exports are in the table that /var/lib/nfs leads to.
func TestExportfs(t *testing.T) {
	h := hosttest.New(t)
	h.SetDir("/home/nfs/d", 0, 0)
	run(t, h, "exportfs", "-i", "-o", "rw,fsid=1", "--", "10.0.0.0/8:/home/nfs/d", "[fd00::]/64:/home/nfs/d")
	run(t, h, "exportfs", "-i", "-o", "ro,fsid=1", "--", "10.0.0.0/8:/home/nfs/d")
	if got, _ := h.File("/var/lib/nfs/etab"); got != "/home/nfs/d\tfd00::/64(rw,fsid=1)\n/home/nfs/d\t10.0.0.0/8(ro,fsid=1)\n" {
		t.Errorf("etab:\n%s", got)
	}
	run(t, h, "exportfs", "-u", "--", "[fd00::]/64:/home/nfs/d")
	for _, args := range [][]string{{"-u", "--", "*:/home/nfs/d"}, {"-i", "-o", "rw", "--", "*:/gone"}, {"-a"}} {
		var ee *host.ExitError
		if _, err := h.Run(t.Context(), host.Cmd{Op: "test", Name: "exportfs", Args: args}); !errors.As(err, &ee) || ee.Code != 1 {
			t.Errorf("exportfs %v: %v", args, err)
		}
	}
}
