package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/notice"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/splitbrain/sides"
)

// dispute is a cluster of two daemons that say what a test has them say.
type dispute struct {
	t       *testing.T
	h       *hosttest.Host
	mu      sync.Mutex        // of values and from: the daemons publish while the command looks
	values  map[string]string // attributes, by node
	from    string            // who publishes
	running bool
	said    map[string]splitbrain.Evidence
	orders  []notice.Order
	follow  func(d *dispute) // what the daemons do about an order
}

func newDispute(t *testing.T) *dispute {
	d := &dispute{t: t, h: hosttest.New(t), values: map[string]string{}, running: true, said: map[string]splitbrain.Evidence{}}
	d.h.Tool("attrd_updater", func(c host.Cmd) (string, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if i := slices.Index(c.Args, "--update"); i >= 0 {
			d.values[d.from] = c.Args[i+1]
			return "", nil
		}
		var b strings.Builder
		for node, value := range d.values {
			fmt.Fprintf(&b, "name=%q host=%q value=%q\n", c.Args[slices.Index(c.Args, "--name")+1], node, value)
		}
		return b.String(), nil
	})
	d.h.Tool("lvs", func(host.Cmd) (string, error) { return `{"report":[{"lv":[]}]}`, nil })
	d.h.SetFile("/var/lib/drbdnfs/split-brain/res0@drbdtest2.json", `{"version":1,"revision":3,"resource":"res0","peer":"drbdtest2","phase":"held","refusal":"manual"}`)
	for i, node := range []string{"drbdtest1", "drbdtest2"} {
		d.say(node, func(e *splitbrain.Evidence) {
			e.Standing = splitbrain.Standing{
				Node: node, Resource: "res0", Peer: []string{"drbdtest2", "drbdtest1"}[i], Role: []drbd.Role{drbd.RolePrimary, drbd.RoleSecondary}[i],
				Connection: drbd.ConnStandAlone, Promoted: []drbd.Tri{drbd.Yes, drbd.No}[i], Mounted: []drbd.Tri{drbd.Yes, drbd.No}[i],
				Policy: splitbrain.Policy{Kind: splitbrain.Manual}, Phase: splitbrain.PhaseHeld, Refusal: splitbrain.RefusalManual,
			}
			e.Volumes = []splitbrain.Volume{{Disk: drbd.DiskUpToDate, Identifiers: gi.Identifiers{Current: gi.UUID(0xA0 + 16*i), Bitmap: 0xE0}, ChangedBytes: 8 << 20}}
		})
	}
	return d
}

// say changes what a node says.
func (d *dispute) say(node string, change func(e *splitbrain.Evidence)) {
	d.t.Helper()
	e := d.said[node]
	change(&e)
	e.Sequence, e.At = e.Sequence+1, time.Now()
	d.said[node] = e
	text, err := e.Marshal()
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	d.from = node
	d.mu.Unlock()
	if err := pacemaker.New(d.h).Publish(context.Background(), splitbrain.Attribute("res0", "drbdtest1", "drbdtest2"), []byte(text)); err != nil {
		d.t.Fatal(err)
	}
}

// both has both nodes in a phase, with the order that was given.
func (d *dispute) both(phase splitbrain.Phase, r splitbrain.Refusal) {
	o := d.orders[len(d.orders)-1]
	for node := range d.said {
		d.say(node, func(e *splitbrain.Evidence) {
			e.Phase, e.Refusal = phase, r
			e.Order = splitbrain.Order{Incident: o.Incident, Victim: o.Victim, Snapshot: splitbrain.SnapshotMode(o.Snapshot), From: "drbdtest1", At: time.Now()}
		})
	}
}

// resolved is how it goes well.
func resolved(d *dispute) {
	time.Sleep(2 * time.Second)
	d.both(splitbrain.PhaseDecided, "")
	time.Sleep(2 * time.Second)
	for node := range d.said {
		d.say(node, func(e *splitbrain.Evidence) {
			e.Live, e.Phase, e.Order = true, splitbrain.PhaseNone, splitbrain.Order{}
		})
	}
}

// run resolves, with a person who types.
func (d *dispute) run(ctx context.Context, typed string, r request) (string, error) {
	var out bytes.Buffer
	on := &desk{
		console: console{in: strings.NewReader(typed), out: &out, err: &out}, node: "drbdtest1",
		looker: sides.New(sides.Options{Host: d.h, StateDir: stateDir, Listens: func() bool { return d.running }}),
		send: func(n notice.Notice) error {
			d.orders = append(d.orders, *n.Order)
			if d.follow != nil {
				go d.follow(d)
			}
			return nil
		},
	}
	err := on.resolve(ctx, r)
	synctest.Wait()
	return out.String(), err
}

// ask is a request for the name to be typed.
func ask(victim string) request {
	return request{resource: "res0", victim: victim, snapshot: splitbrain.SnapshotRequired}
}

func twice(victim string) request {
	r := ask(victim)
	r.confirmed = victim
	return r
}

func dryRun(victim string) request {
	r := ask(victim)
	r.dry = true
	return r
}

// resolutions are what a person asks for, and what comes of it.
var resolutions = []struct {
	name   string
	typed  string
	r      request
	plot   func(d *dispute)
	orders int
	err    string
	out    []string
}{
	{"typed", "drbdtest2\n", ask("drbdtest2"), func(d *dispute) { d.follow = resolved }, 1, "", []string{
		"discarding drbdtest2 loses 8.0 MiB", "clients of drbdtest1 are not interrupted; snapshot: required", "type the name of the node",
		"drbdtest1: promises to keep its data", "drbdtest2: connected", "resolved: ", "in a snapshot on drbdtest2",
	}},
	{"named twice", "", twice("drbdtest2"), func(d *dispute) { d.follow = resolved }, 1, "", []string{"resolved: "}},
	{"typed wrong", "drbdtest1\n", ask("drbdtest2"), nil, 0, "nothing was changed", nil},
	{"typed nothing", "", ask("drbdtest2"), nil, 0, "nothing was changed", nil},
	{"dry run", "", dryRun("drbdtest2"), nil, 0, "", []string{"nothing was changed (--dry-run)"}},
	{"in use", "drbdtest1\n", ask("drbdtest1"), nil, 0, "drbdtest1 is in use: Primary, promoted by Pacemaker, mounted: drbdnfs move drbdtest2", nil},
	{"dry run of what is in use", "", dryRun("drbdtest1"), nil, 0, "is in use", nil},
	{"no daemon here", "drbdtest2\n", ask("drbdtest2"), func(d *dispute) { d.running = false }, 0, "drbdnfsd does not run on drbdtest1: systemctl start drbdnfsd", []string{
		"by hand, on drbdtest2: drbdadm disconnect res0; drbdadm secondary res0; drbdadm connect --discard-my-data res0",
		"by hand, on drbdtest1: drbdadm disconnect res0; drbdadm connect res0",
	}},
	{"other daemon says nothing", "drbdtest2\n", ask("drbdtest2"), func(d *dispute) { delete(d.values, "drbdtest2") }, 0, "nothing is known of drbdtest2", []string{"by hand, on drbdtest2"}},
	{"another node", "drbdtest3\n", request{resource: "res0", victim: "drbdtest3", snapshot: "off"}, nil, 0, "res0 and drbdtest3 are no resource and node", nil},
	{"another resource", "", request{resource: "res1", victim: "drbdtest2", snapshot: "off"}, nil, 0, "res1 and drbdtest2 are no resource", nil},
	{"over already", "drbdtest2\n", ask("drbdtest2"), func(d *dispute) {
		d.h.Delete("/var/lib/drbdnfs/split-brain/res0@drbdtest2.json")
		d.h.SetFile("/var/lib/drbdnfs/split-brain/res0@drbdtest2.json", `{"version":1,"revision":4,"resource":"res0","peer":"drbdtest2","phase":"none"}`)
		for node := range d.said {
			d.say(node, func(e *splitbrain.Evidence) { e.Live, e.Phase, e.Volumes = true, splitbrain.PhaseNone, nil })
		}
	}, 0, "there is nothing to resolve", []string{"no split brain of res0"}},
	{"held", "drbdtest2\n", ask("drbdtest2"), func(d *dispute) {
		d.follow = func(d *dispute) { time.Sleep(time.Second); d.both(splitbrain.PhaseHeld, splitbrain.RefusalSnapshot) }
	}, 1, "is held (snapshot-failed)", nil},
	{"not taken", "drbdtest2\n", ask("drbdtest2"), func(*dispute) {}, 1, "has not taken the order", nil},
}

// Ensure that an order is given once the name was typed, for the incident that
// was shown, and that each step is shown to its end.
func TestResolve(t *testing.T) {
	for _, tt := range resolutions {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDispute(t)
				if tt.plot != nil {
					tt.plot(d)
				}
				out, err := d.run(t.Context(), tt.typed, tt.r)
				if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				for _, want := range tt.out {
					if !strings.Contains(out, want) {
						t.Errorf("%q is not shown:\n%s", want, out)
					}
				}
				if len(d.orders) != tt.orders {
					t.Fatalf("orders %+v", d.orders)
				}
				id := splitbrain.Incident(d.said["drbdtest1"], d.said["drbdtest2"])
				if tt.orders > 0 && d.orders[0] != (notice.Order{Resource: "res0", Incident: id, Victim: tt.r.victim, Snapshot: string(tt.r.snapshot)}) {
					t.Errorf("ordered %+v", d.orders[0])
				}
			})
		})
	}
}

// Ensure that who stops watching is told that the nodes go on.
func TestResolveInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispute(t)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		_, err := d.run(ctx, "drbdtest2\n", request{resource: "res0", victim: "drbdtest2", snapshot: "off"})
		if err == nil || !strings.Contains(err.Error(), "not watching any more, the nodes go on by themselves") {
			t.Errorf("error %v", err)
		}
	})
}

// Ensure that a daemon that cannot be told is an error.
func TestResolveNotSent(t *testing.T) {
	boom := errors.New("boom")
	on := &desk{console: console{out: &bytes.Buffer{}}, node: "drbdtest1", send: func(notice.Notice) error { return boom }}
	p := sides.Picture{Pair: sides.Pair{Resource: "res0", Node: "drbdtest1", Peer: "drbdtest2"}, Incident: "5f1c"}
	if err := on.order(t.Context(), &p, request{resource: "res0", victim: "drbdtest2"}); !errors.Is(err, boom) || !strings.Contains(err.Error(), "systemctl start drbdnfsd") {
		t.Errorf("error %v", err)
	}
}

// Ensure that show prints a picture for people and one for programs, and says
// where there is nothing to show.
func TestShow(t *testing.T) {
	d := newDispute(t)
	var out bytes.Buffer
	on := &desk{
		console: console{out: &out}, node: "drbdtest1",
		looker: sides.New(sides.Options{Host: d.h, StateDir: stateDir, Listens: func() bool { return true }}),
	}
	if err := on.show(t.Context(), "", false); err != nil || !strings.Contains(out.String(), "split brain of res0 between drbdtest1 and drbdtest2: held (manual)") {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	var p sides.Picture
	if err := errors.Join(on.show(t.Context(), "res0", true), json.Unmarshal(out.Bytes(), &p)); err != nil || !p.Found || len(p.Choices) != 2 {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := on.show(t.Context(), "res7", false); err != nil || out.String() != "no split brain: this node knows of no other that holds data of res7\n" {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Ensure that flags are read before and behind the resource.
func TestInterspersed(t *testing.T) {
	for _, args := range [][]string{
		{"x", "res0", "--discard", "drbdtest2", "--dry-run"},
		{"x", "--discard", "drbdtest2", "res0", "--dry-run"},
		{"x", "--dry-run", "--discard=drbdtest2", "res0"},
	} {
		var got request
		app := &cli.App{
			Flags: resolveCommand(console{}).Flags,
			Action: func(cc *cli.Context) (err error) {
				if cc, err = interspersed(cc); err != nil {
					return err
				}
				got, err = newRequest(cc, cc.Args().Slice(), true)
				return err
			},
		}
		app.Commands = nil
		want := request{resource: "res0", victim: "drbdtest2", snapshot: splitbrain.SnapshotRequired, dry: true}
		if err := app.Run(args); err != nil || got != want {
			t.Errorf("%v: %+v, %v", args, got, err)
		}
	}
}
