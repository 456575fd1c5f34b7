package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// talk is one resource and one peer, with the machine that decides for them.
type talk struct {
	talkKey
	machine     *splitbrain.Machine
	connection  string // DRBD's name of it; "peer" on DRBD 8.4; "" until DRBD has shown it
	peerID      int    // drbd.Absent until then
	met         bool   // the machine has seen a state
	seen        splitbrain.StateChanged
	lane        lane
	answered    bool          // the peer has evidence
	peerChanged map[int]int64 // by the peer's last evidence; never written to
	calmSince   time.Time     // when the connection was last live, or the daemon began
	phase       splitbrain.Phase
	phaseSince  time.Time
	lookedAt    time.Time         // when this node was last looked at
	queried     time.Time         // when the peer's evidence was last asked for
	querying    bool              // the answer has not come
	complaints  map[string]string // what went wrong last, by what was tried
	calm        bool              // what was published last is that all is well
}

// errBusy is the answer to what cannot even be begun, because an earlier command
// for the same connection does not end.
var errBusy = errors.New("an earlier command for this connection has not ended")

// open returns the talk for key, and begins it with record if there is none.
func (w *owner) open(key talkKey, record splitbrain.Record) *talk {
	if t := w.talks[key]; t != nil {
		return t
	}
	if w.forgotten && record.Revision == 0 {
		record = splitbrain.Lost(key.resource, key.peer)
	}
	t := &talk{
		talkKey: key, machine: splitbrain.NewMachine(w.self, key.resource, key.peer, record),
		calmSince: time.Now(), phase: splitbrain.PhaseNone,
		peerID: drbd.Absent, complaints: map[string]string{},
	}
	w.talks[key], w.unheard = t, true
	w.handle(t, w.settings.policyChange(key.resource))
	return t
}

// handle gives one input to the machine of t and does what it asks for.
func (w *owner) handle(t *talk, in splitbrain.Input) {
	if w.talks[t.talkKey] != t {
		return // an answer for a talk that has ended
	}
	w.perform(t, t.machine.Handle(time.Now(), in))
	if phase := t.machine.Status().Phase; phase != t.phase {
		w.o.Log.Info("split brain", "resource", t.resource, "peer", t.peer, "old", string(t.phase), "new", string(phase))
		t.phase, t.phaseSince, w.dirty = phase, time.Now(), true
		w.local.due = time.Time{} // what is known of this node is evidence now
	}
	if t.seen.Live {
		t.calmSince = time.Now()
	}
}

// perform does the effects in their order. What comes after a record that could
// not be saved is not done.
func (w *owner) perform(t *talk, effects []splitbrain.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case splitbrain.Persist:
			w.faultPoint(e, "before")
			err := w.store.save(e.Record)
			w.faultPoint(e, "after")
			if err != nil {
				w.o.Log.Error("what is known of a split brain cannot be saved, so that nothing is done about it", "resource", t.resource, "err", err)
			}
			w.perform(t, t.machine.Handle(time.Now(), splitbrain.Persisted{Revision: e.Record.Revision, Err: err}))
			if err != nil {
				return
			}
		case splitbrain.Alert:
			w.alert(t, e)
		case splitbrain.Publish:
			w.publish(t, e.Evidence)
		default:
			w.begin(t, e)
		}
	}
}

// begin hands an effect that takes time to t's worker; its answer is an input
// again.
func (w *owner) begin(t *talk, e splitbrain.Effect) {
	job := w.job(t, e)
	answer := func(in splitbrain.Input) {
		select {
		case w.inbox <- func(w *owner) { w.answered(t, e, in) }:
		case <-w.ended:
		}
	}
	start, ok := t.lane.add(func() {
		select {
		case <-w.ended: // what was not begun is not begun any more
			return
		default:
		}
		w.faultPoint(e, "before")
		in := job(nil)
		w.faultPoint(e, "after")
		answer(in)
	})
	switch {
	case start:
		w.workers.Go(t.lane.run)
	case !ok: // not from here: the owner would wait for itself
		w.workers.Go(func() { answer(job(errBusy)) })
	}
}

// answered takes the answer to e; nil is that all went well.
func (w *owner) answered(t *talk, e splitbrain.Effect, in splitbrain.Input) {
	t.complain(w.o.Log, fmt.Sprintf("%T", e), errorOf(in))
	if in != nil {
		w.handle(t, in)
	}
}

// complain tells of an error, until what was tried ends well or fails otherwise.
// The machine says what follows from it, but not always why.
func (t *talk) complain(log *slog.Logger, what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != t.complaints[what] {
		log.Warn("handling of a split brain", "resource", t.resource, "peer", t.peer, "what", strings.TrimPrefix(what, "splitbrain."), "err", err)
	}
	t.complaints[what] = text
}

// errorOf is what went wrong by an answer.
func errorOf(in splitbrain.Input) error {
	switch in := in.(type) {
	case splitbrain.MarkerSet:
		return in.Err
	case splitbrain.MarkerCleared:
		return in.Err
	case splitbrain.Identified:
		return in.Err
	case splitbrain.Looked:
		return in.Err
	case splitbrain.Dropped:
		return in.Err
	}
	return nil // the others are told by the machine
}

// job returns what does e and gives the answer. With an error it does nothing
// and answers with that.
func (w *owner) job(t *talk, e splitbrain.Effect) func(busy error) splitbrain.Input {
	p := performer{
		owner: w, talkKey: t.talkKey, connection: t.connection, peerID: t.peerID,
		group: w.settings.groupOf(t.resource), peerChanged: t.peerChanged,
	}
	limit := limitOf(e)
	return func(busy error) splitbrain.Input {
		// A command that changes DRBD or LVM is not broken off because the
		// daemon ends: systemd waits for it.
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		switch e := e.(type) {
		case splitbrain.SetMarker:
			return splitbrain.MarkerSet{Ticket: e.Ticket, Err: or(busy, func() error { return p.setMarker(ctx) })}
		case splitbrain.ClearMarker:
			if err := or(busy, func() error { return p.clearMarker(ctx) }); err != nil {
				return splitbrain.MarkerCleared{Err: err}
			}
			return nil
		case splitbrain.ReadIdentifiers:
			if busy != nil {
				return splitbrain.Identified{Err: busy}
			}
			volumes, err := p.identify(ctx)
			return splitbrain.Identified{Volumes: volumes, Err: err}
		case splitbrain.Look:
			if busy != nil {
				return splitbrain.Looked{Ticket: e.Ticket, Err: busy}
			}
			return p.look(ctx, e)
		case splitbrain.Snapshot:
			if busy != nil {
				return splitbrain.Snapshotted{Ticket: e.Ticket, Err: busy}
			}
			return p.snapshot(ctx, e)
		case splitbrain.Discard:
			return p.discard(ctx, e, busy)
		case splitbrain.DropDiscard:
			return splitbrain.Dropped{Ticket: e.Ticket, Err: or(busy, func() error { return p.drop(ctx) })}
		case splitbrain.Reconnect:
			return splitbrain.Reconnected{Ticket: e.Ticket, Err: or(busy, func() error { return p.reconnect(ctx) })}
		}
		return nil
	}
}

// or is err, or else what f returns.
func or(err error, f func() error) error {
	if err != nil {
		return err
	}
	return f()
}

// limitOf bounds what takes time.
func limitOf(e splitbrain.Effect) time.Duration {
	switch e.(type) {
	case splitbrain.Snapshot:
		return 5 * time.Minute
	case splitbrain.Look, splitbrain.Discard:
		return 2 * time.Minute // an action of the agent may hold its lock
	}
	return time.Minute
}
