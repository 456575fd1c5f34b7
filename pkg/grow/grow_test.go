package grow_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/grow"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

const (
	gib   = int64(1 << 30)
	large = 1 << 40
)

// world is two nodes with one volume, seen from one of them.
type world struct {
	resized          time.Time // when the other node has grown the device; zero is never
	old, ext4        bool
	role, peerRole   string
	device, lv, free int64
	peerLV           int64 // what the other node has, and has told
	told             map[string][]byte
	fs               int64
	attr             string
	syncing          int // looks for which a resync runs
	stuck            bool
	unmounted        bool
	fail             map[string]error // by op
	calls            []string
}

func newWorld() *world {
	return &world{
		role: "Primary", peerRole: "Secondary", device: gib, lv: gib + 8<<20, free: large, peerLV: large, fs: gib, attr: "-wi-ao----",
		told: map[string][]byte{"drbdtest2": fmt.Appendf(nil, `{"lv_bytes":%d}`, int64(large))}, fail: map[string]error{},
	}
}

func (w *world) ReadFile(name string) ([]byte, error) {
	switch {
	case name != "/proc/drbd":
		return nil, os.ErrNotExist
	case w.old:
		return []byte("version: 8.4.11 (api:1/proto:86-101)\n"), nil
	}
	return []byte("version: 9.1.23 (api:2/proto:110-122)\n"), nil
}

func (w *world) Mounts() ([]host.Mount, error) {
	if w.unmounted {
		return nil, nil
	}
	return []host.Mount{{Dir: "/home/nfs", Source: "/dev/drbd1000"}}, nil
}

func (w *world) events() string {
	conn, replication, disk := " conn-name:drbdtest2", "Established", "UpToDate"
	if w.old {
		conn = ""
	}
	if !w.resized.IsZero() && !time.Now().Before(w.resized) {
		w.device = 2*gib + 1<<20
	}
	if w.syncing > 0 {
		w.syncing--
		replication, disk = "SyncSource", "Inconsistent"
	}
	return fmt.Sprintf(`exists resource name:res0 role:%s suspended:no
exists connection name:res0 peer-node-id:1%s connection:Connected role:%s
exists device name:res0 volume:0 minor:1000 disk:UpToDate size:%d
exists peer-device name:res0 peer-node-id:1%s volume:0 replication:%s peer-disk:%s out-of-sync:10
exists -
`, w.role, conn, w.peerRole, w.device>>10, conn, replication, disk)
}

func (w *world) Run(_ context.Context, c host.Cmd) (host.Result, error) {
	if err := w.fail[c.Op]; err != nil {
		return host.Result{}, err
	}
	if !slices.Contains([]string{"lvs", "drbdsetup", "dumpe2fs"}, c.Name) && !slices.Contains(c.Args, "-n") {
		w.calls = append(w.calls, c.Name+" "+strings.Join(c.Args, " "))
	}
	return host.Result{Stdout: []byte(w.run(c))}, nil
}

func (w *world) run(c host.Cmd) string {
	switch c.Name {
	case "drbdsetup":
		return w.events()
	case "lvs":
		return fmt.Sprintf(`{"report":[{"lv":[{"lv_size":"%d","lv_attr":%q,"vg_free":"%d","vg_extent_size":"4194304"}]}]}`, w.lv, w.attr, w.free)
	case "lvextend":
		n, _ := strconv.ParseInt(strings.TrimSuffix(c.Args[1], "b"), 10, 64)
		w.lv = (n + 4<<20 - 1) / (4 << 20) * (4 << 20)
	case "drbdadm":
		if !w.stuck {
			w.device, w.syncing = min(w.lv, w.peerLV)-1<<20, 3
		}
	case "xfs_growfs":
		if c.Args[0] == "-n" {
			return fmt.Sprintf("data     =    bsize=4096   blocks=%d, imaxpct=25\n", w.fs/4096)
		}
		w.fs = w.device
	case "dumpe2fs":
		return fmt.Sprintf("Block count:   %d\nBlock size:  4096\n", w.fs/4096)
	case "resize2fs":
		w.fs = w.device
	}
	return ""
}

func (w *world) Publish(_ context.Context, _ string, value []byte) error {
	w.told["drbdtest1"] = value
	return w.fail["publish"]
}

func (w *world) Query(context.Context, string) (map[string][]byte, error) {
	return w.told, w.fail["query"]
}

func (w *world) stages(size config.Size) []setup.Stage {
	c := &config.Config{
		Nodes: []config.Node{{Name: "drbdtest1"}, {Name: "drbdtest2"}}, Storage: config.Storage{VolumeGroup: "drbdpool"},
		Resource: config.Resource{Name: "res0", Size: 1 << 30}, Filesystem: config.Filesystem{Type: "xfs", Mount: "/home/nfs"},
	}
	if w.ext4 {
		c.Filesystem.Type = "ext4"
	}
	return grow.Stages(grow.Options{Machine: w, Config: c, Self: "drbdtest1", Size: size, Cluster: w, Log: slog.New(slog.DiscardHandler)})
}

// watcher keeps what it is told.
type watcher struct{ waiting []string }

func (w *watcher) Stage(string)                         {}
func (w *watcher) Begin(setup.Item) setup.Progress      { return w }
func (w *watcher) End(setup.Item, time.Duration, error) {}
func (w *watcher) Fraction(float64, string)             {}
func (w *watcher) Waiting(what string)                  { w.waiting = append(w.waiting, what) }

func plan(t *testing.T, w *world, size config.Size) []string {
	t.Helper()
	p, err := setup.Look(t.Context(), w.stages(size))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, part := range p.Parts {
		for _, it := range part.Items {
			out = append(out, string(it.Action)+" "+it.Object+": "+it.Detail)
		}
	}
	return out
}

// Ensure that the plan says every step before anything is changed.
func TestPlan(t *testing.T) {
	w := newWorld()
	delete(w.told, "drbdtest2")
	want := []string{
		"change logical volume drbdpool/res0: 1032M → 2052M",
		"make word to the other nodes: that this node is ready",
		"await logical volume on drbdtest2: run drbdnfs grow 2G there too",
		"change DRBD device of res0: 1G → 2G",
		"keep synchronisation of res0: all disks are UpToDate",
		"change file system /home/nfs (xfs): 1G → the whole device, under way",
	}
	got := plan(t, w, config.Size(2*gib))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(w.calls) > 0 {
		t.Errorf("a look has run %v", w.calls)
	}
}

// Ensure that a volume is grown in order with each file system and DRBD, and that
// a second run changes nothing.
func TestGrow(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(w *world)
		last  string
	}{
		{"XFS on DRBD 9", func(*world) {}, "xfs_growfs /home/nfs"},
		{"XFS on DRBD 8.4", func(w *world) { w.old = true }, "xfs_growfs /home/nfs"},
		{"ext4", func(w *world) { w.ext4 = true }, "resize2fs /dev/drbd1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				tt.spoil(w)
				if _, err := setup.Apply(t.Context(), w.stages(config.Size(2*gib)), &watcher{}); err != nil {
					t.Fatal(err)
				}
				if len(w.calls) != 3 || !strings.HasPrefix(w.calls[0], "lvextend --size ") || w.calls[1] != "drbdadm resize res0" || w.calls[2] != tt.last {
					t.Errorf("ran %q", w.calls)
				}
				if n, err := setup.Apply(t.Context(), w.stages(config.Size(2*gib)), &watcher{}); n != 0 || err != nil {
					t.Errorf("a second run did %d things, %v", n, err)
				}
			})
		})
	}
}

// Ensure that the node that is not Primary does its part and waits, and leaves the
// rest to the other.
func TestGrowSecondary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.role, w.peerRole = "Secondary", "Primary"
		w.resized = time.Now().Add(time.Minute)
		seen := &watcher{}
		if _, err := setup.Apply(t.Context(), w.stages(config.Size(2*gib)), seen); err != nil {
			t.Fatal(err)
		}
		if len(w.calls) != 1 || !strings.HasPrefix(w.calls[0], "lvextend") {
			t.Errorf("ran %q", w.calls)
		}
		if !slices.Contains(seen.waiting, "drbdtest2, which is Primary, makes it larger") {
			t.Errorf("it waited for %q", seen.waiting)
		}
		if !strings.Contains(string(w.told["drbdtest1"]), `"lv_bytes":2`) {
			t.Errorf("it told %s", w.told["drbdtest1"])
		}
	})
}

// Ensure that the Primary waits for the other node's volume and says how to go on.
func TestGrowWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.told = map[string][]byte{"drbdtest2": []byte("garbled")}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		seen := &watcher{}
		_, err := setup.Apply(ctx, w.stages(config.Size(2*gib)), seen)
		if !errors.Is(err, context.DeadlineExceeded) || !slices.Contains(seen.waiting, "drbdtest2: run drbdnfs grow 2G there") {
			t.Errorf("ended with %v, waited for %q", err, seen.waiting)
		}
		if slices.Contains(w.calls, "drbdadm resize res0") {
			t.Error("DRBD was resized before the other node was ready")
		}
	})
}

// Ensure that what stands in the way is refused before anything is changed.
func TestRefuse(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(w *world)
		says  string
	}{
		{"no room", func(w *world) { w.free = 4 << 20 }, "volume group drbdpool on drbdtest1 has 4M free, 1020M more are needed"},
		{"snapshots", func(w *world) { w.attr = "owi-aos---" }, "it has snapshots"},
		{"no cluster", func(w *world) { w.fail["query"] = errors.New("the cluster does not answer") }, "the cluster does not answer"},
		{"resync", func(w *world) { w.syncing = 9 }, "a resync with drbdtest2 runs"},
		{"not mounted", func(w *world) { w.unmounted = true }, "it is not mounted on this node"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			tt.spoil(w)
			_, err := setup.Apply(t.Context(), w.stages(config.Size(2*gib)), &watcher{})
			var refused *setup.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want a refusal with %q", err, tt.says)
			}
			if len(w.calls) > 0 {
				t.Errorf("it ran %q", w.calls)
			}
		})
	}
}

// Ensure that each program that fails ends the run with what it did, and that a
// run after that finishes.
func TestGrowFails(t *testing.T) {
	for _, op := range []string{"grow.lvs", "grow.lvextend", "publish", "grow.resize", "grow.xfs_growfs-look", "grow.xfs_growfs", "drbd.status"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.fail[op] = errors.New("out of luck")
				if _, err := setup.Apply(t.Context(), w.stages(config.Size(2*gib)), &watcher{}); err == nil || !strings.Contains(err.Error(), "out of luck") {
					t.Errorf("ended with %v", err)
				}
				clear(w.fail)
				if _, err := setup.Apply(t.Context(), w.stages(config.Size(2*gib)), &watcher{}); err != nil || w.fs < 2*gib {
					t.Errorf("the next run ended with %v, the file system has %d bytes", err, w.fs)
				}
			})
		})
	}
}

// Ensure that a DRBD that does not grow is an error that names the causes.
func TestGrowStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.stuck = true
		if _, err := setup.Apply(t.Context(), w.stages(config.Size(2*gib)), &watcher{}); err == nil || !strings.Contains(err.Error(), "a node's disk is too small") {
			t.Errorf("ended with %v", err)
		}
	})
}

// Ensure that with LINSTOR its items stand for LVM's, and that DRBD is waited for.
func TestGrowLINSTOR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := &config.Config{
			Nodes: []config.Node{{Name: "drbdtest1"}, {Name: "drbdtest2"}}, Resource: config.Resource{Name: "res0"},
			Filesystem: config.Filesystem{Type: "xfs", Mount: "/home/nfs"},
		}
		stages := grow.Stages(grow.Options{
			Machine: w, Config: c, Self: "drbdtest1", Size: config.Size(2 * gib), Cluster: w, Log: slog.New(slog.DiscardHandler),
			LINSTOR: func(context.Context, config.Size) ([]setup.Item, error) {
				return []setup.Item{{Object: "volume definition", Action: setup.Change, Do: func(context.Context, setup.Progress) error {
					w.device = 2 * gib
					return nil
				}}}, nil
			},
		})
		if _, err := setup.Apply(t.Context(), stages, &watcher{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"xfs_growfs /home/nfs"}, w.calls); diff != "" {
			t.Errorf("ran (-want +got):\n%s", diff)
		}
	})
}
