package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// Ensure that records come back under whatever names, and that one that cannot be
// trusted is lost and not forgotten.
func TestStore(t *testing.T) {
	h := hosttest.New(t)
	s := store{h, "/var/lib/drbdnfs/split-brain"}
	if got, err := s.load(); err != nil || got != nil {
		t.Errorf("at first %v, %v", got, err)
	}
	names := [][2]string{{"res0", "drbdtest2"}, {"res@0", "a@b"}, {"a+b c", "x%40y"}, {"..", "."}}
	var want []splitbrain.Record
	for i, n := range names {
		r := splitbrain.Record{Version: 1, Revision: uint64(i) + 1, Resource: n[0], Peer: n[1], Phase: splitbrain.PhaseNone}
		want = append(want, r)
		if err := s.save(r); err != nil {
			t.Fatal(err)
		}
	}
	load := func() []splitbrain.Record {
		t.Helper()
		got, err := s.load()
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b splitbrain.Record) int { return int(a.Revision) - int(b.Revision) })
		return got
	}
	if diff := cmp.Diff(want, load()); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	for _, n := range names[1:] {
		if err := s.remove(n[0], n[1]); err != nil {
			t.Error(err)
		}
	}
	for _, data := range []string{"", "{", `{"version":1,"resource":"other","peer":"drbdtest2","phase":"none"}`, `{"version":99}`} {
		h.SetFile(s.path("res0", "drbdtest2"), data)
		h.SetFile(s.dir+"/res0@drbdtest2.json.tmp", "half")
		h.SetFile(s.dir+"/notes", "")
		if diff := cmp.Diff([]splitbrain.Record{splitbrain.Lost("res0", "drbdtest2")}, load()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", data, diff)
		}
	}
	for _, op := range []string{"splitbrain.dir", "splitbrain.save"} {
		h.FailOnce(op, errBusy)
		if err := s.save(want[0]); !errors.Is(err, errBusy) {
			t.Errorf("%s: %v", op, err)
		}
	}
	h.FailOnce("list "+s.dir, errBusy)
	if _, err := s.load(); !errors.Is(err, errBusy) {
		t.Errorf("an unreadable directory: %v", err)
	}
}

// t0 is when the stories of [timesTests] begin; their times are minutes after it.
var t0 = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var never time.Time

func at(m int) time.Time { return t0.Add(time.Duration(m) * time.Minute) }

// role is a change of the role of resource r.
func role(word string) drbd.Change {
	return drbd.Change{Kind: drbd.Set, Object: drbd.ObjectResource, ID: drbd.ID{Resource: "r"}, Key: "role", New: word}
}

// dump is a state with resource r.
func dump(role drbd.Role) *drbd.State {
	s := drbd.NewState()
	s.Resources["r"] = &drbd.Resource{Name: "r", Role: role}
	return s
}

var timesTests = []struct {
	name        string
	plot        func(h *hosttest.Host, x *times, again func(stop, start int) *times) *times
	since, last time.Time
}{
	{"promoted", func(_ *hosttest.Host, x *times, _ func(int, int) *times) *times {
		x.changed(role("Primary"), at(1))
		return x
	}, at(1), at(1)},
	{"demoted", func(_ *hosttest.Host, x *times, _ func(int, int) *times) *times {
		x.changed(role("Primary"), at(1))
		x.changed(role("Secondary"), at(2))
		return x
	}, never, at(1)},
	{"other changes", func(_ *hosttest.Host, x *times, _ func(int, int) *times) *times {
		c := role("Primary")
		c.Key = "suspended"
		x.changed(c, at(1))
		return x
	}, never, never},
	{"Primary before the daemon", func(_ *hosttest.Host, x *times, _ func(int, int) *times) *times {
		x.dumped(dump("Primary"), at(1))
		return x
	}, never, never},
	{"restarted", func(_ *hosttest.Host, x *times, again func(int, int) *times) *times {
		x.changed(role("Primary"), at(1))
		x = again(5, 6)
		x.dumped(dump("Primary"), at(6))
		return x
	}, at(1), at(1)},
	{"restarted, and demoted meanwhile", func(_ *hosttest.Host, x *times, again func(int, int) *times) *times {
		x.changed(role("Primary"), at(1))
		x = again(5, 6)
		x.dumped(dump("Secondary"), at(6))
		return x
	}, never, at(1)},
	{"down for long", func(_ *hosttest.Host, x *times, again func(int, int) *times) *times {
		x.changed(role("Primary"), at(1))
		x = again(5, 8)
		x.dumped(dump("Primary"), at(8))
		return x
	}, never, never},
	{"killed", func(_ *hosttest.Host, x *times, again func(int, int) *times) *times {
		x.changed(role("Primary"), at(1))
		return again(-1, 2)
	}, never, never},
	{"another boot", func(h *hosttest.Host, x *times, again func(int, int) *times) *times {
		x.changed(role("Primary"), at(1))
		h.SetFile(bootIDFile, "another\n")
		return again(2, 3)
	}, never, never},
	{"garbled", func(h *hosttest.Host, x *times, again func(int, int) *times) *times {
		x.stopped(at(1))
		h.SetFile("/var/lib/drbdnfs/primary.json", "{")
		return again(-1, 2)
	}, never, never},
	{"events missed for a moment", func(_ *hosttest.Host, x *times, _ func(int, int) *times) *times {
		x.changed(role("Primary"), at(1))
		x.unseen(at(5))
		x.unseen(at(6))
		x.dumped(dump("Primary"), at(7))
		return x
	}, at(1), at(1)},
	{"events missed for long", func(_ *hosttest.Host, x *times, _ func(int, int) *times) *times {
		x.changed(role("Primary"), at(1))
		x.unseen(at(5))
		x.unseen(at(8))
		x.dumped(dump("Secondary"), at(8))
		return x
	}, never, never},
	{"the disk refuses", func(h *hosttest.Host, x *times, _ func(int, int) *times) *times {
		h.Fail("daemon.times", errBusy)
		x.changed(role("Primary"), at(1))
		return x
	}, at(1), at(1)},
}

// Ensure that the time of a promotion is known only if nobody can have missed a
// later one.
func TestTimes(t *testing.T) {
	for _, tt := range timesTests {
		t.Run(tt.name, func(t *testing.T) {
			h := hosttest.New(t)
			h.SetDir("/var/lib/drbdnfs", 0, 0)
			fresh := func(m int) *times {
				x := newTimes(h, slog.New(slog.DiscardHandler), "/var/lib/drbdnfs/primary.json")
				x.load(at(m))
				return x
			}
			x := fresh(0)
			x = tt.plot(h, x, func(stop, start int) *times {
				if stop >= 0 {
					x.stopped(at(stop))
				}
				return fresh(start)
			})
			if since, last := x.of("r"); !since.Equal(tt.since) || !last.Equal(tt.last) {
				t.Errorf("since %v, last %v", since, last)
			}
		})
	}
}

// Ensure that each resource gets the policy of the configuration, or none.
func TestSettings(t *testing.T) {
	load := func(h *hosttest.Host, more string) (*owner, *buffer) {
		n := &node{Host: h, w: &world{t: t}}
		n.configure(more)
		return reloaded(t, h)
	}
	h := hosttest.New(t)
	o, _ := load(h, automatic("keep-node", `keep = "drbdtest2"`, `cool_down = "1h"`, "resolutions = 3", `snapshot = "off"`))
	want := splitbrain.Policy{Kind: splitbrain.KeepNode, Keep: "drbdtest2", Snapshot: splitbrain.SnapshotOff, CoolDown: time.Hour, Resolutions: 3}
	if got := o.settings.policy(resource); got != want {
		t.Errorf("policy %+v", got)
	}
	if got := o.settings.policy("other"); got != (splitbrain.Policy{Kind: splitbrain.Manual}) || o.settings.groupOf("other") != "" {
		t.Errorf("policy of another's resource %+v", got)
	}
	if o.settings.groupOf(resource) != "nfs" {
		t.Errorf("group %q", o.settings.groupOf(resource))
	}
	for listen, want := range map[string]endpoint{
		`"off"`: {}, `"node:19943"`: {Listen: "192.168.2.61:19943"}, `":1"`: {Listen: ":1"}, `"[::1]:19942"`: {Listen: "[::1]:19942"},
	} {
		o, _ := load(h, "\n[metrics]\nlisten = "+listen+"\n")
		if got := <-o.endpoints; got != want {
			t.Errorf("%s: %+v", listen, got)
		}
	}
	h.Name = "stranger"
	if o, log := load(h, "\n[metrics]\nlisten = \"node:19943\"\n"); <-o.endpoints != (endpoint{}) || !strings.Contains(log.String(), "has no such node") {
		t.Errorf("an unknown node:\n%s", log.String())
	}
	h.Name = "drbdtest1"
	h.Delete(config.DefaultFile)
	if o, _ := reloaded(t, h); o.settings.policy(resource).Kind != splitbrain.Manual || o.settings.broken != "" {
		t.Errorf("without a file %+v", o.settings)
	}
	h.SetDir(config.DefaultFile, 0, 0)
	if o, _ := reloaded(t, h); o.settings.broken == "" {
		t.Error("a directory counts as a file")
	}
}

func reloaded(t *testing.T, h *hosttest.Host) (*owner, *buffer) {
	t.Helper()
	var log buffer
	d, err := New(Options{Host: h, Log: textLog(&log)})
	if err != nil {
		t.Fatal(err)
	}
	o := newOwner(d)
	o.reload()
	o.reload()
	if n := strings.Count(log.String(), `msg="configuration read"`); n != 1 && o.settings.broken == "" {
		t.Errorf("a file that is as it was is told %d times", n)
	}
	return o, &log
}

// Ensure that commands to Pacemaker keep their order, that evidence gives way to
// newer evidence, and that questions keep neither waiting.
func TestClusterOrder(t *testing.T) {
	c := newCluster(pacemaker.New(hosttest.New(t)), slog.New(slog.DiscardHandler))
	var ran []string
	job := func(name string) func(context.Context) { return func(context.Context) { ran = append(ran, name) } }
	for i := range 3 {
		c.ask(job(fmt.Sprint("question ", i)))
	}
	c.publish("a", job("old a"))
	c.publish("b", job("b"))
	c.add(job("set"))
	c.publish("a", job("new a"))
	c.add(job("clear"))
	for f := c.next(); f != nil; f = c.next() {
		f(t.Context())
	}
	if diff := cmp.Diff([]string{"set", "clear", "new a", "b", "question 0", "question 1", "question 2"}, ran); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// Ensure that whoever waits for Pacemaker is let go when his time is up and when
// the daemon ends.
func TestClusterEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pacemaker.New(hosttest.New(t)), slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		go c.run(ctx)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		err := c.do(short, func(ctx context.Context) error { <-short.Done(); time.Sleep(time.Second); return ctx.Err() })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("too late: %v", err)
		}
		stop()
		synctest.Wait()
		if err := c.do(context.Background(), func(context.Context) error { return nil }); err == nil {
			t.Error("it did what nobody does any more")
		}
	})
}

// Ensure that the owner and what works beside it do not wait for each other,
// however much there is to say.
func TestFullInbox(t *testing.T) {
	alone(t, false, automatic("manual"), func(w *world, n *node) {
		w.split()
		n.start()
		said := 0
		for range 500 {
			go func() {
				n.owner.inbox <- func(o *owner) {
					said++
					for _, t := range o.sorted() {
						o.handle(t, splitbrain.Published{Err: errBusy})
						o.begin(t, splitbrain.ReadIdentifiers{})
					}
				}
			}()
		}
		w.sleep(time.Minute)
		n.ask(func(*owner) {
			if said != 500 {
				t.Errorf("%d of 500 were heard", said)
			}
		})
	})
}
