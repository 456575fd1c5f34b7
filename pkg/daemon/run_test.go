package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/notice"
)

// drbdsetupScript stands in for drbdsetup over DRBD 9.
const drbdsetupScript = `#!/bin/sh
case "$1" in
events2)
	echo "exists resource name:res0 role:Secondary suspended:no may_promote:yes promotion_score:10101"
	echo "exists connection name:res0 peer-node-id:1 conn-name:drbdtest2 connection:Connected role:Secondary"
	echo "exists device name:res0 volume:0 minor:1000 disk:UpToDate client:no quorum:yes"
	echo "exists peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0 replication:Established peer-disk:UpToDate"
	echo "exists -"
	case "$*" in *--now*) exit 0;; esac
	trap 'echo ended >DIR/ended; exit 0' TERM
	echo "change resource name:res0 role:Primary"
	while :; do sleep 0.05; done ;;
esac
exit 20
`

// loaded is a real machine on which DRBD's module seems to be loaded.
type loaded struct{ *host.Host }

func (l loaded) ReadFile(path string) ([]byte, error) {
	if path == "/proc/drbd" {
		return []byte("version: 9.1.23 (api:2/proto:86-121)\n"), nil
	}
	return l.Host.ReadFile(path)
}

// running is a daemon on a real machine, whose configuration is in dir.
type running struct {
	t             *testing.T
	ctx           context.Context
	stop          context.CancelFunc
	ended         chan error // gets the result of Run, once
	dir, addr     string
	socket        string
	reload        chan struct{}
	log, notified buffer
}

// run starts a daemon.
func run(t *testing.T) *running {
	t.Helper()
	r := &running{t: t, ended: make(chan error, 1), dir: t.TempDir(), addr: freeAddress(t), reload: make(chan struct{})}
	r.socket = filepath.Join(r.dir, "notify", "socket")
	hosttest.Executable(t, filepath.Join(r.dir, "drbdsetup"), strings.ReplaceAll(drbdsetupScript, "DIR", r.dir))
	r.configure("manual")
	d, err := New(Options{
		Host: loaded{host.New(nil).WithPath(r.dir + ":/usr/bin:/bin")}, Log: textLog(&r.log), ConfigFile: filepath.Join(r.dir, "drbdnfs.toml"),
		StateDir: r.dir, Socket: r.socket, Reload: r.reload, Watchdog: time.Second,
		Notify: func(s string) { fmt.Fprintln(&r.notified, s) }, Version: "1.2.3", Revision: "abc",
	})
	if err != nil {
		t.Fatal(err)
	}
	r.ctx, r.stop = context.WithTimeout(t.Context(), time.Minute)
	go func() { r.ended <- d.Run(r.ctx) }()
	return r
}

func (r *running) write(name, text string, perm os.FileMode) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), perm); err != nil {
		r.t.Fatal(err)
	}
}

// configure writes the file, as an editor does.
func (r *running) configure(policy string) {
	r.t.Helper()
	base, err := os.ReadFile("testdata/drbdnfs.toml")
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("drbdnfs.toml", fmt.Sprintf("%s\n[metrics]\nlisten = %q\n[split_brain]\npolicy = %q\n", base, r.addr, policy), 0o600)
}

// await waits until something is so.
func (r *running) await(what string, is func() bool) {
	r.t.Helper()
	for !is() {
		if r.ctx.Err() != nil {
			r.t.Fatalf("%s did not happen:\n%s\n%s", what, r.log.String(), r.notified.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// says waits until b holds text.
func (r *running) says(b *buffer, text string) {
	r.t.Helper()
	r.await(text, func() bool { return strings.Contains(b.String(), text) })
}

// shows waits until the metrics have a line.
func (r *running) shows(line string) {
	r.t.Helper()
	r.await(line, func() bool {
		return r.ctx.Err() == nil && strings.Contains(get(r.t, "http://"+r.addr+"/metrics"), line)
	})
}

// Ensure that the daemon runs on a real machine: it follows drbdsetup, answers
// over HTTP, reads a changed file and one that it is told of, hears notices, and
// ends with nothing left behind.
func TestRun(t *testing.T) {
	before := runtime.NumGoroutine()
	r := run(t)
	defer r.stop()
	r.says(&r.log, `msg="role changed" resource=res0 old=Secondary new=Primary`)
	r.says(&r.notified, "READY=1\n")
	r.says(&r.log, "metrics are offered")
	r.shows(`drbd_resource_role{drbd_resource_role="Primary",name="res0"} 1`)
	r.shows(`drbdnfs_discard_policy_info{name="res0",policy="manual"} 1`)
	for _, path := range []string{"/healthz", "/readyz"} {
		if text := get(t, "http://"+r.addr+path); text != "ok\n" {
			t.Errorf("%s says %q", path, text)
		}
	}
	if text := get(t, "http://"+r.addr+"/status.json"); !strings.Contains(text, `"resource": "res0"`) || !strings.Contains(text, `"source": "crm_mon"`) {
		t.Errorf("the picture, without Pacemaker: %s", text)
	}
	if text := get(t, "http://"+r.addr+"/"); !strings.Contains(text, "<td>UpToDate</td>") {
		t.Errorf("the status page: %s", text)
	}
	r.configure("discard-secondary")
	r.shows(`policy="discard-secondary"} 1`)
	r.write("drbdnfs.toml", "[", 0o600)
	r.reload <- struct{}{}
	r.shows("drbdnfs_config_last_reload_successful 0")
	r.says(&r.notified, "RELOADING=1\nREADY=1\n")
	r.says(&r.notified, "WATCHDOG=1\n")
	r.await("the socket", func() bool { _, err := os.Stat(r.socket); return err == nil })
	n := notice.Notice{Node: "x", When: time.Now(), Action: &notice.Action{Group: "nfs", Name: "start", Code: 0, DurationMS: 5}}
	if err := notice.Send(r.socket, n); err != nil {
		t.Error(err)
	}
	r.shows(`drbdnfs_agent_actions_total{action="start",group="nfs",rc="0"} 1`)
	r.stop()
	if err := <-r.ended; err != nil {
		t.Errorf("Run = %v", err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "ended")); err != nil {
		t.Errorf("drbdsetup was not ended by SIGTERM: %v", err)
	}
	if !strings.HasSuffix(r.notified.String(), "STOPPING=1\n") {
		t.Errorf("systemd heard\n%s", r.notified.String())
	}
	noneLeft(t, before)
}

// noneLeft makes sure that there are as many goroutines as before, after a while.
func noneLeft(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines are left, there were %d:\n%s", n, before, buf[:runtime.Stack(buf, true)])
	}
}

// freeAddress is one that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// heapLimit is how much a daemon that follows many resources may hold.
const heapLimit = 20 << 20

// Ensure that 500 resources take little memory, that what they say is taken in
// quickly, and that there is one talk for each.
func TestMemoryOf500Resources(t *testing.T) {
	var dump strings.Builder
	for i := range 500 {
		fmt.Fprintf(&dump, `exists resource name:resource-%[1]d role:Secondary suspended:no may_promote:yes promotion_score:10101
exists connection name:resource-%[1]d peer-node-id:1 conn-name:drbdtest2 connection:Connected role:Secondary
exists device name:resource-%[1]d volume:0 minor:%[2]d backing_dev:/dev/drbdpool/resource-%[1]d_00000 disk:UpToDate client:no quorum:yes
exists peer-device name:resource-%[1]d peer-node-id:1 conn-name:drbdtest2 volume:0 replication:Established peer-disk:UpToDate
exists path name:resource-%[1]d peer-node-id:1 conn-name:drbdtest2 local:ipv4:192.168.2.61:%[2]d peer:ipv4:192.168.2.62:%[2]d established:yes
`, i, 1000+i)
	}
	dump.WriteString("exists -\n")
	alone(t, false, "", func(w *world, n *node) {
		n.boot()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		n.feed(dump.String())
		w.sleep(5 * time.Second)
		n.ask(func(o *owner) {
			if len(o.talks) != 500 {
				t.Errorf("%d talks", len(o.talks))
			}
			ev := drbd.Event{Verb: drbd.VerbChange, Object: drbd.ObjectPeerDevice}
			ev.ID = drbd.ID{Resource: "resource-7", PeerNodeID: 1, ConnName: "drbdtest2", Volume: 0, Minor: drbd.Absent}
			ev.Fields = []drbd.Field{{Key: "sent", Value: "5"}}
			if per := testing.AllocsPerRun(100, func() { o.apply(ev) }); per > 50 {
				t.Errorf("%v allocations for an event", per)
			}
		})
		runtime.GC()
		runtime.ReadMemStats(&after)
		held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		t.Logf("500 resources hold %d KiB", held>>10)
		if held > heapLimit {
			t.Errorf("500 resources hold %d bytes", held)
		}
	})
}
