package splitbrain

import (
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
)

// handshake is what DRBD does when both ends meet.
func (w *world) handshake() bool {
	a, b := w.nodes[0], w.nodes[1]
	if !w.link || a.conn != drbd.ConnConnecting || b.conn != drbd.ConnConnecting {
		return false
	}
	r := gi.Relate(a.ids, b.ids)
	w.logf("handshake: %s, discard %v %v", r, a.discard, b.discard)
	target := -1
	switch {
	case a.role == drbd.RolePrimary && b.role == drbd.RolePrimary && r != gi.SplitBrain && r != gi.SplitBrainFull:
		w.refuse(false)
		return true
	case r == gi.Source:
		target = 1
	case r == gi.Target:
		target = 0
	}
	if a.discard != b.discard && r != gi.Same && r != gi.Unrelated && r != gi.Unknown {
		victim := 0
		if b.discard {
			victim = 1
		}
		if !r.Diverged() && target != victim && w.nodes[victim].byDaemon {
			w.violate("the order of %s reversed a resync", w.nodes[victim].name)
		}
		target = victim
	}
	if r != gi.Same && (target < 0 || w.nodes[target].role == drbd.RolePrimary) {
		w.refuse(r.Diverged())
		return true
	}
	w.connected(target, r)
	return true
}

// connected makes both nodes one, target like the other.
func (w *world) connected(target int, r gi.Relation) {
	if target >= 0 {
		t := w.nodes[target]
		s := t.peer()
		lost := t.data &^ s.data
		if r.Diverged() && t.discard && t.byDaemon {
			w.reached++
			if t.ordered.Snapshot == SnapshotRequired && !slices.ContainsFunc(t.kept, func(k uint64) bool { return lost&^k == 0 }) {
				w.violate("%s lost data that is in no snapshot", t.name)
			}
		}
		if s.ids.Bitmap != 0 {
			s.ids.History = [2]gi.UUID{s.ids.Bitmap, s.ids.History[0]}
			s.ids.Bitmap = 0
		}
		t.ids, t.data = s.ids, s.data
	}
	w.epoch++
	for _, n := range w.nodes {
		n.conn, n.discard, n.byDaemon = drbd.ConnConnected, false, false
		n.changed()
	}
}

// refuse ends a handshake that DRBD cannot agree on.
func (w *world) refuse(splitBrain bool) {
	speaker := w.IntN(2)
	for i, n := range w.nodes {
		n.discard, n.byDaemon = false, false
		n.conn = drbd.ConnStandAlone
		if i != speaker && w.faults && w.IntN(3) == 0 {
			n.conn = drbd.ConnConnecting // the loser may go on trying, and hears of nothing
		} else if splitBrain && (i == speaker || w.IntN(2) == 0) {
			word := Word{[]WordKind{WordHelper, WordKernel, WordHandler}[w.IntN(3)], w.now}
			if n.m == nil {
				n.pendWords = append(n.pendWords, word)
			}
			n.give(word)
		}
		n.changed()
	}
	if w.nodes[1-speaker].conn == drbd.ConnConnecting {
		w.nodes[speaker].conn = drbd.ConnStandAlone
	}
}

func (n *modelNode) promote() {
	if n.promoted || n.marker && n.w.cheat != ignoreMarker || n.live() && n.peer().role == drbd.RolePrimary {
		return
	}
	n.w.logf("%s: promoted", n.name)
	n.promoted, n.role, n.since, n.last = true, drbd.RolePrimary, n.w.now, n.w.now
	n.give(n.group())
	n.changed()
}

func (n *modelNode) demote() {
	n.promoted, n.role, n.since = false, drbd.RoleSecondary, time.Time{}
	n.give(n.group())
	n.changed()
}

// write writes one block. Without the peer that starts a new generation.
func (n *modelNode) write() {
	w := n.w
	if n.role != drbd.RolePrimary || w.writes == 1<<62 {
		return
	}
	w.writes <<= 1
	n.data |= w.writes
	if n.live() {
		n.peer().data |= w.writes
		return
	}
	if n.ids.Bitmap == 0 || w.faults && w.IntN(40) == 0 {
		w.uuids += 0x10
		if n.ids.Bitmap != 0 {
			n.ids.History = [2]gi.UUID{n.ids.Bitmap, n.ids.History[0]}
		}
		n.ids.Bitmap, n.ids.Current = n.ids.Current, w.uuids
	}
}

// cut takes the link down.
func (w *world) cut() {
	w.link = false
	for _, n := range w.nodes {
		if n.live() {
			n.conn = drbd.ConnConnecting
			n.changed()
		}
	}
}

// split makes both nodes write without the other, in a random order.
func (w *world) split() {
	w.cut()
	for _, i := range w.Perm(2) {
		w.nodes[i].promote()
		for range 1 + w.IntN(3) {
			w.nodes[i].write()
		}
		w.now = w.now.Add(time.Duration(1+w.IntN(20)) * time.Second)
		if w.IntN(2) == 0 {
			w.nodes[i].demote()
		}
	}
	w.link = true
}
