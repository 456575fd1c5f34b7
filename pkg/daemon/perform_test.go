package daemon

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/metrics"
	"github.com/spacei/drbdnfs/pkg/notice"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// lastLooks are what may have happened between the verdict and the discard.
var lastLooks = map[string]struct {
	change func(w *world, n *node, e *splitbrain.Discard)
	want   error
	told   string
}{
	"as expected": {func(*world, *node, *splitbrain.Discard) {}, nil, ""},
	"Primary":     {func(_ *world, n *node, _ *splitbrain.Discard) { n.side.setRole("Primary") }, errMoved, "is Primary"},
	"mounted":     {func(_ *world, n *node, _ *splitbrain.Discard) { n.SetMount("/dev/drbd1000", "/mnt") }, errMoved, "is mounted"},
	"mounts not known": {func(_ *world, n *node, _ *splitbrain.Discard) {
		n.Fail("mounts", errBusy)
	}, errMoved, "is mounted"},
	"connected": {func(w *world, _ *node, _ *splitbrain.Discard) {
		w.byHand(1)
		w.sleep(time.Second)
	}, errMoved, "is connected"},
	"written since": {func(w *world, n *node, _ *splitbrain.Discard) {
		w.pair.mu.Lock()
		n.side.current += 2
		w.pair.mu.Unlock()
	}, errMoved, "generation"},
	"other ancestor": {func(w *world, n *node, _ *splitbrain.Discard) {
		w.pair.mu.Lock()
		n.side.bitmap += 2
		w.pair.mu.Unlock()
	}, errMoved, "generation"},
	"the flag alone": {func(w *world, n *node, _ *splitbrain.Discard) {
		w.pair.mu.Lock()
		n.side.current++
		w.pair.mu.Unlock()
	}, nil, ""},
	"one more volume": {func(_ *world, _ *node, e *splitbrain.Discard) {
		e.Expect = append(e.Expect, splitbrain.Volume{Volume: 1})
	}, errMoved, "generation"},
	"no volume":        {func(_ *world, _ *node, e *splitbrain.Discard) { e.Expect = nil }, errMoved, "generation"},
	"another volume":   {func(_ *world, _ *node, e *splitbrain.Discard) { e.Expect[0].Volume = 7 }, errMoved, "generation"},
	"state not known":  {func(_ *world, n *node, _ *splitbrain.Discard) { n.Fail("drbd.status", errBusy) }, errBusy, ""},
	"agent is at work": {func(_ *world, n *node, _ *splitbrain.Discard) { n.Fail("lock", errBusy) }, errBusy, ""},
}

// Ensure that the last look before data is discarded sees everything that has
// changed since the verdict, and that nothing is sent then.
func TestLastLook(t *testing.T) {
	for name, tt := range lastLooks {
		t.Run(name, func(t *testing.T) {
			var in splitbrain.Discarded
			n := alone(t, false, automatic("manual"), func(w *world, _ *node) {
				ctx := context.Background() // not the test's, which is not of this bubble
				n := w.nodes[1]
				w.split()
				n.boot()
				n.dumped()
				w.sleep(time.Second)
				var p performer
				n.ask(func(o *owner) {
					talk := o.of(resource)[0]
					p = performer{owner: o, talkKey: talk.talkKey, connection: talk.connection, peerID: talk.peerID, group: "nfs"}
				})
				volumes, err := p.identify(ctx)
				if err != nil {
					t.Fatal(err)
				}
				e := splitbrain.Discard{Ticket: 3, Expect: volumes}
				tt.change(w, n, &e)
				in = p.discard(ctx, e, nil).(splitbrain.Discarded)
				n.end()
			}).w.nodes[1]
			sent := strings.Contains(strings.Join(n.Commands(), "\n"), "--discard-my-data")
			if !errors.Is(in.Err, tt.want) || sent != (tt.want == nil) || (in.Sent == drbd.Yes) != sent || in.Ticket != 3 {
				t.Errorf("%+v, sent %v", in, sent)
			}
			if tt.told != "" && !strings.Contains(in.Err.Error(), tt.told) {
				t.Errorf("it says %v", in.Err)
			}
		})
	}
}

// Ensure that a person's order to lift a hold lets the resolution begin again.
func TestLift(t *testing.T) {
	w := story(t, false, automatic("discard-secondary"), func(w *world) {
		w.nodes[1].FailOnce("snapshot.lvcreate", errBusy)
		w.diverge(8*mib, 2*mib)
		w.sleep(time.Minute)
		if s := w.nodes[1].status(); s.Refusal != splitbrain.RefusalSnapshot {
			t.Errorf("%+v", s)
		}
		lift := notice.Notice{When: time.Now(), Lift: &notice.Lift{Resource: resource}}
		other := notice.Notice{When: time.Now(), Lift: &notice.Lift{Resource: "other"}}
		w.nodes[1].ask(func(o *owner) { o.noticed(other) })
		w.sleep(time.Minute)
		if s := w.nodes[1].status(); s.Refusal != splitbrain.RefusalSnapshot {
			t.Errorf("another's: %+v", s)
		}
		w.nodes[1].ask(func(o *owner) { o.noticed(lift) })
		w.sleep(time.Minute)
	})
	if got := w.discards(t, true); got != [2]int{0, 1} {
		t.Errorf("discarded %v", got)
	}
}

// Ensure that the state of the NFS server is read as far as the kernel tells it.
func TestNFSD(t *testing.T) {
	h := hosttest.New(t)
	check := func(want *metrics.NFSD) {
		t.Helper()
		if diff := cmp.Diff(want, inspectNFSD(machine{h, &node{}})); diff != "" {
			t.Errorf("nfsd (-want +got):\n%s", diff)
		}
	}
	check(nil)
	h.SetFile(nfsdThreads, "0\n")
	check(&metrics.NFSD{InGrace: drbd.No})
	h.SetFile(nfsdThreads, "8\n")
	check(&metrics.NFSD{Threads: 8, InGrace: drbd.Unknown, Clients: -1})
	h.SetFile(nfsdGrace, "N\n")
	h.SetDir(nfsdClients+"/1", 0, 0)
	check(&metrics.NFSD{Threads: 8, InGrace: drbd.Yes, Clients: 1})
	h.SetFile(nfsdGrace, "Y\n")
	check(&metrics.NFSD{Threads: 8, InGrace: drbd.No, Clients: 1})
}
