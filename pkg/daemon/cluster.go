package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

const (
	// queryEvery is how often the peers' evidence is asked for while a
	// connection is not live; querySeldom, once that has lasted for patience, or
	// a split brain waits for a person.
	queryEvery  = time.Second
	querySeldom = 10 * time.Second
	patience    = 10 * time.Minute
	// heldPatience is how long a hold may be news.
	heldPatience = time.Minute
)

// cluster is the way to Pacemaker: one program at a time, in the order of the
// requests, so that what is set last stays. Evidence that is not sent yet gives
// way to newer evidence. Questions wait until there is nothing else to do: with
// many resources they never end.
type cluster struct {
	client *pacemaker.Client
	log    *slog.Logger
	wake   chan struct{}
	ended  chan struct{} // closed at the end of run

	mu       sync.Mutex
	jobs     []func(ctx context.Context)
	asks     []func(ctx context.Context)
	evidence map[string]func(ctx context.Context) // by attribute, to be published
	order    []string                             // of evidence
}

func newCluster(c *pacemaker.Client, log *slog.Logger) *cluster {
	return &cluster{client: c, log: log, wake: make(chan struct{}, 1), ended: make(chan struct{}), evidence: map[string]func(context.Context){}}
}

// run does what is asked for until ctx ends.
func (c *cluster) run(ctx context.Context) {
	defer close(c.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		for job := c.next(); job != nil && ctx.Err() == nil; job = c.next() {
			job(ctx)
		}
	}
}

// next takes the next request; commands come before evidence, and that before
// questions.
func (c *cluster) next() func(context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.jobs) > 0 {
		job := c.jobs[0]
		c.jobs = c.jobs[1:]
		return job
	}
	if len(c.order) > 0 {
		name := c.order[0]
		c.order = c.order[1:]
		job := c.evidence[name]
		delete(c.evidence, name)
		return job
	}
	if len(c.asks) > 0 {
		job := c.asks[0]
		c.asks = c.asks[1:]
		return job
	}
	return nil
}

func (c *cluster) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// add queues a request.
func (c *cluster) add(job func(ctx context.Context)) {
	c.mu.Lock()
	c.jobs = append(c.jobs, job)
	c.mu.Unlock()
	c.poke()
}

// ask queues a question.
func (c *cluster) ask(job func(ctx context.Context)) {
	c.mu.Lock()
	c.asks = append(c.asks, job)
	c.mu.Unlock()
	c.poke()
}

// publish queues evidence, in place of what is queued for the same attribute.
func (c *cluster) publish(name string, job func(ctx context.Context)) {
	c.mu.Lock()
	if _, waits := c.evidence[name]; !waits {
		c.order = append(c.order, name)
	}
	c.evidence[name] = job
	c.mu.Unlock()
	c.poke()
}

// do queues a request and waits for its end, or that of ctx.
func (c *cluster) do(ctx context.Context, f func(ctx context.Context) error) error {
	done := make(chan error, 1)
	c.add(func(run context.Context) {
		if ctx.Err() == nil {
			done <- f(run)
		}
	})
	select {
	case err := <-done:
		return err
	case <-c.ended:
		return errors.New("the daemon ends")
	case <-ctx.Done():
		return fmt.Errorf("wait for Pacemaker: %w", ctx.Err())
	}
}

// errForgotten is what Pacemaker has done with evidence that was published.
var errForgotten = errors.New("evidence that was published is gone")

// noCluster reports whether there is no cluster to talk to.
func noCluster(err error) bool { return errors.Is(err, pacemaker.ErrNotRunning) }

// attribute is where both sides of a talk publish their evidence.
func (w *owner) attribute(k talkKey) string { return splitbrain.Attribute(k.resource, w.self, k.peer) }

// publish lets the peer know what this node knows. That all is still well is no
// news: nobody asks then, and each update is a line in Pacemaker's log.
func (w *owner) publish(t *talk, e splitbrain.Evidence) {
	calm := e.Live && e.Phase == splitbrain.PhaseNone
	if !w.partner(t) || calm && t.calm {
		return
	}
	t.calm = calm
	text, err := e.Marshal()
	if err != nil {
		w.o.Log.Error("evidence of a split brain cannot be published", "resource", t.resource, "err", err)
		return
	}
	name := w.attribute(t.talkKey)
	w.cluster.publish(name, func(ctx context.Context) {
		if err := w.cluster.client.Publish(ctx, name, []byte(text)); err != nil {
			w.inbox.post(ctx, func(w *owner) {
				t.calm = false
				if !noCluster(err) {
					t.complain(w.o.Log, "Publish", err)
				}
				w.handle(t, splitbrain.Published{Err: err})
			})
		}
	})
}

// partner reports whether the peer is a node that evidence can be exchanged
// with: the name that DRBD 8.4 gives a connection is none.
func (w *owner) partner(t *talk) bool {
	r := w.state.Resources[t.resource]
	return r == nil || !r.Kernel84 || t.peer != t.connection
}

// exchange asks for the evidence of the peers that are not connected.
func (w *owner) exchange(now time.Time) {
	for _, t := range w.sorted() {
		calm := t.seen.Live || w.state.Resources[t.resource] == nil
		if t.querying || !w.partner(t) || calm && t.phase == splitbrain.PhaseNone {
			continue
		}
		pause := queryEvery
		if t.phase == splitbrain.PhaseNone && now.Sub(t.calmSince) > patience || t.waits(now) {
			pause = querySeldom
		}
		if now.Sub(t.queried) < pause {
			continue
		}
		t.queried, t.querying = now, true
		name := w.attribute(t.talkKey)
		w.cluster.ask(func(ctx context.Context) {
			values, err := w.cluster.client.Query(ctx, name)
			w.inbox.post(ctx, func(w *owner) { w.heard(t, values, err) })
		})
	}
}

// waits reports whether a split brain has been held for a while.
func (t *talk) waits(now time.Time) bool {
	return t.phase == splitbrain.PhaseHeld && now.Sub(t.phaseSince) > heldPatience
}

// heard takes what the nodes have published.
func (w *owner) heard(t *talk, values map[string][]byte, err error) {
	t.querying = false
	if values == nil && err != nil {
		if !noCluster(err) {
			t.complain(w.o.Log, "Query", err)
		}
		return
	}
	if _, own := values[w.self]; !own {
		// The attribute daemon was killed, or this node has left the cluster and
		// come back.
		w.handle(t, splitbrain.Published{Err: errForgotten})
	}
	value, there := values[t.peer]
	if !there {
		t.complain(w.o.Log, "Query", nil)
		if t.answered {
			t.answered, t.peerChanged = false, nil
			w.handle(t, splitbrain.PeerGone{})
		}
		return
	}
	e, err := splitbrain.UnmarshalEvidence(string(value))
	t.complain(w.o.Log, "Query", err)
	if err != nil {
		return
	}
	t.answered = true
	changed := map[int]int64{}
	for _, v := range e.Volumes {
		changed[v.Volume] = v.ChangedBytes
	}
	t.peerChanged = changed
	w.handle(t, splitbrain.PeerEvidence{Evidence: e})
}

// failureRest is the least time between two failures reported to Pacemaker.
const failureRest = 2 * time.Minute

// reportFailure tells Pacemaker at once, where the configuration wants it, that
// the volume that is served from here is lost, so that the group is recovered
// now and not after the next monitor.
func (w *owner) reportFailure(c drbd.Change) {
	group := w.settings.groupOf(c.ID.Resource)
	r := w.state.Resources[c.ID.Resource]
	if group == "" || r == nil || !w.settings.config.Pacemaker.ReportFailures || r.Role != drbd.RolePrimary || !lost(r, c) || time.Since(w.reported) < failureRest {
		return
	}
	w.reported = time.Now()
	w.o.Log.Warn("telling Pacemaker that the group has failed", "resource", c.ID.Resource, "change", c.String())
	w.cluster.add(func(ctx context.Context) {
		if err := w.cluster.client.Fail(ctx, group, w.self); err != nil {
			w.o.Log.Warn("failure not told to Pacemaker", "err", err)
		}
	})
}

// lost reports whether a change means that clients cannot be served from here
// any more: quorum or I/O is gone, or the last good data.
func lost(r *drbd.Resource, c drbd.Change) bool {
	if c.Kind != drbd.Set {
		return false
	}
	switch {
	case c.Key == "quorum":
		return c.New == "no"
	case c.Key == "suspended":
		s := drbd.Suspended(c.New)
		return s.Has(drbd.SuspendedQuorum) || s.Has(drbd.SuspendedNoData)
	case c.Key == "disk" && c.Old == string(drbd.DiskUpToDate):
		return drbd.DiskState(c.New) != drbd.DiskUpToDate && r.GoodPeer(c.ID.Volume) == ""
	}
	return false
}
