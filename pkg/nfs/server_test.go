package nfs

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
)

var config = ServerConfig{
	Threads: 128, Versions: Versions{V3: true, V41: true, V42: true}, Scope: "res0",
	Ports: Ports{Mountd: 32773, LockdTCP: 32774, LockdUDP: 32775}, Lease: 30 * time.Second, Grace: 45 * time.Second,
}

func v3Only() ServerConfig {
	c := config
	c.Versions = Versions{V3: true}
	return c
}

func expectCalls(t *testing.T, k *kernel, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, k.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// Ensure that the module is loaded once, and only what is missing is mounted.
func TestServerPrepare(t *testing.T) {
	nfsd := host.Mount{Dir: "/proc/fs/nfsd", Type: "nfsd"}
	pipefs := host.Mount{Dir: "/run/rpc_pipefs", Type: "rpc_pipefs"}
	const (
		modprobe    = "nfs.modprobe: modprobe nfsd"
		mountNFSD   = "nfs.mount: nfsd on /proc/fs/nfsd type nfsd ()"
		mkdir       = "nfs.pipefs: /run/rpc_pipefs 555"
		mountPipefs = "nfs.mount: sunrpc on /run/rpc_pipefs type rpc_pipefs ()"
	)
	tests := []struct {
		name   string
		mounts []host.Mount
		want   []string
	}{
		{"all", nil, []string{modprobe, mountNFSD, mkdir, mountPipefs}},
		{"rpc_pipefs", []host.Mount{nfsd}, []string{modprobe, mkdir, mountPipefs}},
		{"nfsd", []host.Mount{pipefs}, []string{modprobe, mountNFSD}},
		{"nothing", []host.Mount{pipefs, nfsd}, nil},
		{"something else is there", []host.Mount{{Dir: "/proc/fs/nfsd", Type: "tmpfs"}, pipefs}, []string{modprobe, mountNFSD}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel()
			k.mounts = tt.mounts
			if err := NewServer(k, config).Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			expectCalls(t, k, tt.want...)
		})
	}
}

func TestServerPrepareErrors(t *testing.T) {
	k := newKernel()
	delete(k.files, confPath)
	checkText(t, NewServer(k, config).Prepare(t.Context()), "pipefs-directory")
	expectCalls(t, k)
	for call, err := range map[string]error{"nfs.modprobe": errKilled, "nfs.pipefs": errKilled, "nfs.mount": syscall.ENODEV, "mounts": errKilled} {
		k := newKernel()
		k.fails[call] = err
		if got := NewServer(k, config).Prepare(t.Context()); !errors.Is(got, err) {
			t.Errorf("%s: error %v, want %v", call, got, err)
		}
	}
	// Somebody else was faster.
	k = newKernel()
	k.fails["nfs.mount"] = syscall.EBUSY
	if err := NewServer(k, config).Prepare(t.Context()); err != nil {
		t.Error(err)
	}
}

// Ensure that all settings are written before the sockets, and the threads
// start last: the kernel takes them in no other order.
func TestServerStart(t *testing.T) {
	k := newKernel()
	if err := NewServer(k, config).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectCalls(t, k,
		"nfs.configure: -2 +3 +4 -4.0 +4.1 +4.2 to versions",
		"nfs.configure: 30 to nfsv4leasetime", "nfs.configure: 45 to nfsv4gracetime", "nfs.configure: 50 to nlm_grace_period",
		"nfs.configure: 32774 to nlm_tcpport", "nfs.configure: 32775 to nlm_udpport",
		"nfs.listen: 2049", "nfs.threads: 128 as res0")

	k = newKernel()
	if err := NewServer(k, v3Only()).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectCalls(t, k,
		"nfs.configure: -2 +3 -4 to versions", "nfs.configure: 50 to nlm_grace_period",
		"nfs.configure: 32774 to nlm_tcpport", "nfs.configure: 32775 to nlm_udpport",
		"nfs.listen: 2049", "nfs.threads: 128 as res0")
}

// Ensure that sockets of an interrupted start are removed first.
func TestServerStartAgain(t *testing.T) {
	k := newKernel()
	k.files[procPortlist] = "tcp 2049\n"
	if err := NewServer(k, config).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k.calls[0] != "nfs.stop: 0 to threads" {
		t.Errorf("first %q", k.calls[0])
	}
}

func TestServerStartErrors(t *testing.T) {
	k := newKernel()
	delete(k.files, procPortlist)
	checkText(t, NewServer(k, config).Start(t.Context()), "the kernel's NFS server is not there")
	k = newKernel()
	k.fails["nfs.configure: 45"] = syscall.EBUSY
	checkText(t, NewServer(k, config).Start(t.Context()), "write 45 to /proc/fs/nfsd/nfsv4gracetime: device or resource busy")
	for _, call := range []string{"nfs.listen", "nfs.threads"} {
		k := newKernel()
		k.fails[call] = errKilled
		if err := NewServer(k, config).Start(t.Context()); !errors.Is(err, errKilled) {
			t.Errorf("%s: error %v", call, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k = newKernel()
	if err := NewServer(k, config).Start(ctx); !errors.Is(err, context.Canceled) || len(k.calls) != 0 {
		t.Errorf("error %v after %q", err, k.calls)
	}
}

// Ensure that Stop waits until the last thread has ended, and says where to
// look when that does not happen.
func TestServerStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKernel()
		s := NewServer(k, config)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.lingers, k.start = time.Second, time.Now()
		if err := s.Stop(t.Context()); err != nil || time.Since(k.start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(k.start))
		}
		if n, err := s.Threads(); n != 0 || err != nil {
			t.Errorf("%d threads, %v", n, err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		k := newKernel()
		k.lingers = time.Hour
		s := NewServer(k, config)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		checkText(t, s.Stop(ctx), "128 nfsd threads do not end", "look for hung I/O")
	})
}

func TestServerStopNothing(t *testing.T) {
	k := newKernel()
	if err := NewServer(k, config).Stop(t.Context()); err != nil {
		t.Error(err)
	}
	expectCalls(t, k)
	clear(k.files) // the module is not loaded
	if err := NewServer(k, config).Stop(t.Context()); err != nil {
		t.Error(err)
	}
	expectCalls(t, k)
	// Sockets without threads, as an interrupted start leaves them.
	k = newKernel()
	k.files[procPortlist] = "tcp 2049\n"
	if err := NewServer(k, config).Stop(t.Context()); err != nil {
		t.Error(err)
	}
	expectCalls(t, k, "nfs.stop: 0 to threads")
	k.fails["nfs.stop"], k.files[procPortlist] = syscall.EIO, "tcp 2049\n"
	checkText(t, NewServer(k, config).Stop(t.Context()), "stop nfsd threads", "input/output error")
}

func TestServerThreads(t *testing.T) {
	k := newKernel()
	s := NewServer(k, config)
	if err := s.SetThreads(16); err != nil {
		t.Error(err)
	}
	if n, err := s.Threads(); n != 16 || err != nil {
		t.Errorf("%d threads, %v", n, err)
	}
	k.files[procThreads] = "many\n"
	if _, err := s.Threads(); err == nil {
		t.Error("no error for a file that holds no number")
	}
	k.fails["nfs.threads"] = syscall.ENOMEM
	checkText(t, s.SetThreads(5000), "set nfsd threads to 5000")
}

// Ensure that each version that is offered is asked for, and mountd with
// NFSv3.
func TestServerAnswers(t *testing.T) {
	addr := netip.MustParseAddr("127.0.0.1")
	noMountd := v3Only()
	noMountd.Ports.Mountd = 0
	four := config
	four.Versions = Versions{V42: true}
	tests := []struct {
		cfg  ServerConfig
		want []string
	}{
		{config, []string{"null: 127.0.0.1:2049 program 100003 version 4", "null: 127.0.0.1:2049 program 100003 version 3", "null: 127.0.0.1:32773 program 100005 version 3"}},
		{v3Only(), []string{"null: 127.0.0.1:2049 program 100003 version 3", "null: 127.0.0.1:32773 program 100005 version 3"}},
		{noMountd, []string{"null: 127.0.0.1:2049 program 100003 version 3"}},
		{four, []string{"null: 127.0.0.1:2049 program 100003 version 4"}},
	}
	for _, tt := range tests {
		k := newKernel()
		if err := NewServer(k, tt.cfg).Answers(t.Context(), addr); err != nil {
			t.Error(err)
		}
		expectCalls(t, k, tt.want...)
	}
	k := newKernel()
	k.fails["null: 127.0.0.1:32773"] = syscall.ECONNREFUSED
	if err := NewServer(k, config).Answers(t.Context(), addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v", err)
	}
}

func TestServerGraceAndCaches(t *testing.T) {
	k := newKernel()
	s := NewServer(k, config)
	if err := s.EndLockGrace(); err != nil {
		t.Error(err)
	}
	if err := s.FlushCaches(time.Unix(1_800_000_000, 0)); err != nil {
		t.Error(err)
	}
	expectCalls(t, k, "nfs.endgrace: Y to nlm_end_grace", "nfs.flush: 1800000000 to flush", "nfs.flush: 1800000000 to flush",
		"nfs.flush: 1800000000 to flush", "nfs.flush: 1800000000 to flush")
	k.fails["nfs.endgrace"], k.fails["nfs.flush"] = syscall.EIO, fs.ErrNotExist
	checkText(t, s.EndLockGrace(), "end the grace period of lockd")
	if err := s.FlushCaches(time.Now()); err != nil {
		t.Errorf("without the module: %v", err)
	}
	k.fails["nfs.flush"] = syscall.EIO
	if err := s.FlushCaches(time.Now()); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v", err)
	}
}
