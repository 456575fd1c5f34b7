package daemon

import (
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/kmsg"
	"github.com/spacei/drbdnfs/pkg/notice"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// This file holds all ways in which DRBD's word of a split brain, and people's,
// arrive.

// drbdSaid is the kernel calling its split brain handler.
func (w *owner) drbdSaid(id drbd.ID, at time.Time) {
	for _, t := range w.of(id.Resource) {
		if t.peerID == id.PeerNodeID || id.PeerNodeID == drbd.Absent {
			w.handle(t, splitbrain.Word{Kind: splitbrain.WordHelper, At: at})
		}
	}
}

// kernelSaid is a line of the kernel's log.
func (w *owner) kernelSaid(r kmsg.Record) {
	if !w.known {
		w.early = append(w.early, r)
		return
	}
	m := r.Message
	w.o.Log.Info("the kernel says", "resource", m.Resource, "kind", string(m.Kind), "line", r.Text, "said_at", r.At)
	if m.Kind != kmsg.SplitBrain {
		return
	}
	for _, t := range w.sorted() {
		res := w.state.Resources[t.resource]
		byMinor := m.Resource == "" && res != nil && slices.ContainsFunc(res.SortedDevices(), func(d *drbd.Device) bool { return d.Minor == m.Minor })
		if byMinor || m.Resource == t.resource && (m.Peer == "" || m.Peer == t.connection) {
			w.handle(t, splitbrain.Word{Kind: splitbrain.WordKernel, At: r.At})
		}
	}
}

// readRecords takes what DRBD's handler has written, also while no daemon ran.
// What is about a resource that is not known yet is read again once it is.
func (w *owner) readRecords() {
	if !w.known {
		return
	}
	w.unheard = false
	list, err := w.handler.Read()
	if err != nil {
		w.o.Log.Warn("records of DRBD's handler cannot be read", "err", err)
	}
	for _, n := range list {
		if !w.records[n.Helper.Record] {
			w.records[n.Helper.Record] = w.handlerSaid(n)
		}
	}
}

// handlerSaid is one record, or the handler's notice of it. It reports whether
// anybody wanted to know.
func (w *owner) handlerSaid(n notice.Notice) (heard bool) {
	h := n.Helper
	if h.Name != "split-brain" {
		return true
	}
	for _, t := range w.of(h.Resource) {
		if h.PeerNodeID < 0 || t.peerID < 0 || t.peerID == h.PeerNodeID || h.Peer == t.peer {
			heard = true
			w.handle(t, splitbrain.Word{Kind: splitbrain.WordHandler, At: n.When})
		}
	}
	return heard
}

// noticed takes a datagram.
func (w *owner) noticed(n notice.Notice) {
	w.dirty = true
	switch {
	case n.Action != nil:
		took := time.Duration(n.Action.DurationMS) * time.Millisecond
		w.metrics.AgentAction(n.Action.Group, n.Action.Name, n.Action.Code, took, n.When)
	case n.Lift != nil:
		w.lift(n.Lift.Resource)
	case n.Order != nil:
		w.order(n.Order)
	case n.Helper != nil && w.known && !w.records[n.Helper.Record]:
		if heard := w.handlerSaid(n); n.Helper.Record != "" {
			w.records[n.Helper.Record] = heard
		}
	}
}

// lift is a person's order to forget why split brains of a resource are held.
func (w *owner) lift(resource string) {
	for _, t := range w.sorted() {
		if t.resource == resource {
			w.o.Log.Warn("a person lifts the hold", "resource", resource, "peer", t.peer)
			w.handle(t, splitbrain.Lift{})
		}
	}
}

// order is a person's order to resolve a split brain, which both nodes then
// follow. Only the resource of the configuration has an agent that can be held
// off while its data is discarded.
func (w *owner) order(o *notice.Order) {
	log := w.o.Log.With("resource", o.Resource, "victim", o.Victim, "incident", o.Incident, "snapshot", o.Snapshot)
	if w.settings.groupOf(o.Resource) == "" {
		log.Error("a person's order is not followed, the resource is not the one of the configuration")
		return
	}
	for _, t := range w.of(o.Resource) {
		if o.Victim != w.self && o.Victim != t.peer {
			continue
		}
		before := t.machine.Status().Order
		w.handle(t, splitbrain.Ordered{Incident: o.Incident, Victim: o.Victim, Snapshot: splitbrain.SnapshotMode(o.Snapshot)})
		t.phaseSince, t.queried = time.Now(), time.Time{} // the peer's answer is news
		if s := t.machine.Status(); s.Order != before {
			log.Warn("a person orders to discard", "peer", t.peer)
		} else {
			log.Error("a person's order is not followed", "peer", t.peer, "phase", string(s.Phase), "refusal", string(s.Refusal))
		}
	}
}
