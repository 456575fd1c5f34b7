package handler_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/handler"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/notice"
)

var _ handler.System = (*hosttest.Host)(nil)

// env9 is what kernel 9.1 and drbdadm 9.22 tell the split-brain handler of one
// volume; env84 is what kernel 8.4 and drbdadm-84 do.
var (
	env9 = []string{
		"HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin",
		"DRBD_MINOR=1000", "DRBD_VOLUME=0", "DRBD_BACKING_DEV=/dev/drbdpool/res0_00000",
		"DRBD_MY_ADDRESS=192.168.2.61", "DRBD_MY_AF=ipv4", "DRBD_PEER_ADDRESS=192.168.2.62", "DRBD_PEER_AF=ipv4",
		"DRBD_PEER_NODE_ID=1", "DRBD_CSTATE=Connecting", "DRBD_CONF=/etc/drbd.conf", "DRBD_RESOURCE=res0",
		"DRBD_NODE_ID_0=drbdtest1", "DRBD_NODE_ID_1=drbdtest2", "DRBD_MY_NODE_ID=0", "DRBD_LL_DISK=/dev/drbdpool/res0_00000",
	}
	env84 = []string{
		"HOME=/", "DRBD_PEER_AF=ipv4", "DRBD_PEER_ADDRESS=192.168.2.62", "DRBD_PEER=drbdtest2", "DRBD_PEERS=drbdtest2",
		"DRBD_MINOR=0", "DRBD_VOLUME=0", "DRBD_LL_DISK=/dev/vg0/res0", "DRBD_RESOURCE=res0", "DRBD_CONF=/etc/drbd.conf",
	}
)

// called is one call of the handler on h, and what came of it.
type called struct {
	exit   int
	stderr string
	log    string
	told   []notice.Notice
	took   time.Duration
}

func call(h *hosttest.Host, environ []string, args ...string) called {
	var c called
	var stderr, log bytes.Buffer
	begin := time.Now()
	c.exit = handler.Run(handler.Options{
		System: h, Environ: environ, Stderr: &stderr,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Notify: func(n notice.Notice) error {
			c.told = append(c.told, n)
			return errors.New("nobody listens")
		},
	}, args)
	c.took, c.stderr, c.log = time.Since(begin), stderr.String(), log.String()
	return c
}

// bubble runs fn with a node, and with time that does not pass by itself.
func bubble(t *testing.T, fn func(t *testing.T, h *hosttest.Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { fn(t, hosttest.New(t)) })
}

// Ensure that what DRBD tells in the environment is all in the record and in
// the notice, for both kernels and for what an odd call leaves out.
func TestRecord(t *testing.T) {
	tests := []struct {
		name    string
		environ []string
		want    notice.Helper
	}{
		{"DRBD 9", env9, notice.Helper{
			Resource: "res0", Volumes: []int{0}, Minors: []int{1000}, Peer: "drbdtest2", PeerNodeID: 1,
			PeerAddr: "ipv4:192.168.2.62", Connection: "Connecting", Backing: "/dev/drbdpool/res0_00000",
		}},
		{"DRBD 8.4", env84, notice.Helper{
			Resource: "res0", Volumes: []int{0}, Minors: []int{0}, Peer: "drbdtest2", PeerNodeID: -1,
			PeerAddr: "ipv4:192.168.2.62", Backing: "/dev/vg0/res0",
		}},
		{"of the whole resource", []string{"DRBD_RESOURCE=res0", "DRBD_MINOR=1000 1001", "DRBD_VOLUME=0 1"}, notice.Helper{
			Resource: "res0", Volumes: []int{0, 1}, Minors: []int{1000, 1001}, PeerNodeID: -1,
		}},
		{"nothing", nil, notice.Helper{PeerNodeID: -1}},
		{"a peer with several names", []string{"DRBD_PEER_NODE_ID=2", "DRBD_NODE_ID_2=a b"}, notice.Helper{Peer: "a", PeerNodeID: 2}},
		{"a list of peers alone", []string{"DRBD_PEERS=a b"}, notice.Helper{Peer: "a", PeerNodeID: -1}},
		{
			"nonsense",
			[]string{"DRBD_RESOURCE=a\nb\xff", "DRBD_VOLUME=x -1 7", "DRBD_PEER_NODE_ID=-3", "NOT_DRBD=1", "DRBD_MINOR", "DRBD_CSTATE="},
			notice.Helper{Resource: "a?b?", Volumes: []int{7}, PeerNodeID: -1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hosttest.Host) {
				c := call(h, tt.environ, "split-brain")
				if c.exit != 0 || c.stderr != "" || len(c.told) != 1 {
					t.Fatalf("%+v", c)
				}
				records, err := handler.NewStore(h, handler.Dir).Read()
				if err != nil || len(records) != 1 {
					t.Fatalf("%v, %v", records, err)
				}
				tt.want.Name, tt.want.Record = "split-brain", records[0].Helper.Record
				want := notice.Notice{Version: 1, Node: "drbdtest1", When: time.Now().UTC(), Helper: &tt.want}
				if diff := cmp.Diff(want, records[0]); diff != "" {
					t.Errorf("record: (-want +got)\n%s", diff)
				}
				want.Version = 0 // Send sets it
				if diff := cmp.Diff(want, c.told[0]); diff != "" {
					t.Errorf("notice: (-want +got)\n%s", diff)
				}
			})
		})
	}
}

// Ensure that each handler of DRBD is answered with a code that does no harm:
// 0 wherever DRBD drops the connection for another one, and none of those that
// say that a peer was fenced. What matters is recorded and logged.
func TestKinds(t *testing.T) {
	tests := []struct {
		kind     string
		exit     int
		recorded bool
		level    string
		says     string
	}{
		{"split-brain", 0, true, "ERROR", ""},
		{"initial-split-brain", 0, true, "WARN", ""},
		{"pri-lost", 0, true, "ERROR", ""},
		{"pri-lost-after-sb", 0, true, "ERROR", ""},
		{"pri-on-incon-degr", 0, true, "ERROR", ""},
		{"local-io-error", 0, true, "ERROR", ""},
		{"quorum-lost", 0, true, "ERROR", ""},
		{"out-of-sync", 0, true, "ERROR", ""},
		{"before-resync-target", 0, false, "WARN", "normal operation"},
		{"before-resync-source", 0, false, "WARN", "normal operation"},
		{"after-resync-target", 0, false, "WARN", "normal operation"},
		{"disconnected", 0, false, "WARN", "normal operation"},
		{"unfence-peer", 0, false, "WARN", "does not fence"},
		{"fence-peer", 1, false, "WARN", "use crm-fence-peer.9.sh"},
		{"no-such-kind", 2, false, "WARN", "no such handler"},
		{"", 2, false, "WARN", "no such handler"},
		{"--help", 2, false, "WARN", "no such handler"},
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hosttest.Host) {
				c := call(h, env9, tt.kind, "root")
				records, err := handler.NewStore(h, handler.Dir).Read()
				if err != nil || c.exit != tt.exit || (len(records) == 1) != tt.recorded || (len(c.told) == 1) != tt.recorded {
					t.Errorf("exit code %d, %d records, %d notices, %v", c.exit, len(records), len(c.told), err)
				}
				if (c.stderr == "") != tt.recorded || !strings.Contains(c.stderr, tt.says) {
					t.Errorf("it said %q", c.stderr)
				}
				if !strings.Contains(c.log, "level="+tt.level) || !strings.Contains(c.log, "resource=res0") {
					t.Errorf("log: %s", c.log)
				}
			})
		})
	}
}

// Ensure that without the name of a handler nothing is done but to say so.
func TestNoArguments(t *testing.T) {
	bubble(t, func(t *testing.T, h *hosttest.Host) {
		c := call(h, env9)
		if c.exit != 2 || !strings.HasPrefix(c.stderr, "usage: drbdnfs-handler ") || len(c.told) > 0 || len(h.Ops()) > 0 {
			t.Errorf("%+v, did %v", c, h.Ops())
		}
	})
}

// Ensure that DRBD gets its 0, the daemon its notice, and a person the reason,
// when the record cannot be written, or not in time; and that nothing half is
// left behind.
func TestDiskFails(t *testing.T) {
	tests := []struct {
		name   string
		breaks func(h *hosttest.Host)
		says   string
	}{
		{"directory cannot be made", func(h *hosttest.Host) { h.Fail("handler.dir", syscall.EROFS) }, "read-only file system"},
		{"disk is full", func(h *hosttest.Host) { h.Fail("handler.record", syscall.ENOSPC) }, "no space left"},
		{"disk does not answer", func(h *hosttest.Host) { h.Freeze("handler.record") }, "the disk does not answer"},
		{"nor for the directory", func(h *hosttest.Host) { h.Freeze("handler.dir") }, "the disk does not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hosttest.Host) {
				tt.breaks(h)
				c := call(h, env9, "split-brain")
				if c.exit != 0 || len(c.told) != 1 || c.told[0].Helper.Record != "" || c.told[0].Helper.Resource != "res0" {
					t.Errorf("%+v", c)
				}
				for name, text := range map[string]string{"stderr": c.stderr, "log": c.log} {
					if !strings.Contains(text, "not recorded") || !strings.Contains(text, tt.says) {
						t.Errorf("%s: %q", name, text)
					}
				}
				if c.took > 2500*time.Millisecond {
					t.Errorf("took %v", c.took)
				}
				h.Clear()
				synctest.Wait()
				names, _ := h.ReadDir(handler.Dir)
				if i := slices.IndexFunc(names, func(s string) bool { return strings.HasSuffix(s, ".tmp") }); i >= 0 {
					t.Errorf("left: %v", names)
				}
			})
		})
	}
}

// Ensure that a record that was written counts as written when only the removal
// of old ones fails.
func TestPruneFails(t *testing.T) {
	bubble(t, func(t *testing.T, h *hosttest.Host) {
		h.Fail("list "+handler.Dir, syscall.EIO)
		c := call(h, env9, "split-brain")
		if c.exit != 0 || len(c.told) != 1 || c.told[0].Helper.Record == "" || !strings.Contains(c.stderr, "list records") {
			t.Errorf("%+v", c)
		}
	})
}

// Ensure that a journal that does not answer holds DRBD up for half a second
// and no longer.
func TestLogHangs(t *testing.T) {
	bubble(t, func(t *testing.T, h *hosttest.Host) {
		stuck := make(chan struct{})
		for _, kind := range []string{"split-brain", "fence-peer"} {
			begin := time.Now()
			var stderr bytes.Buffer
			log := slog.New(slog.NewTextHandler(writer(func() { <-stuck }), nil))
			handler.Run(handler.Options{
				System: h, Log: log, Stderr: &stderr, Notify: func(notice.Notice) error { return nil },
			}, []string{kind})
			if d := time.Since(begin); d != 500*time.Millisecond {
				t.Errorf("%s: %v", kind, d)
			}
		}
		close(stuck)
	})
}

type writer func()

func (w writer) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}
