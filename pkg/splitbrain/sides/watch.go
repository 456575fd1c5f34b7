package sides

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// The times that a watch goes by.
const (
	pollEvery  = time.Second
	takeTime   = 15 * time.Second // for this node's daemon to show the order
	standTime  = 5 * time.Second  // that a hold must last to be the end
	otherTime  = 10 * time.Second // for the other node to say that it is connected, once one has
	watchLimit = 12 * time.Minute // a snapshot alone may take five
)

// Errors of a watch. Both say in their text what to do.
var (
	// ErrHeld reports that nothing goes on without a person.
	ErrHeld = errors.New("it is not resolved")
	// ErrUnknown reports that how it ends was not seen.
	ErrUnknown = errors.New("how it ends is not known")
)

// Watch follows what two nodes do about an order.
type Watch struct {
	Pair
	Incident string
	Victim   string

	Snapshots string // of the data that was discarded, as far as seen

	began time.Time
	nodes map[string]*progress
}

// progress is what was seen of one node.
type progress struct {
	ordered bool // it has shown the order
	has     bool // and still does
	over    bool
	phase   string
	since   time.Time // of phase
}

// NewWatch begins to follow an order that was given at a time.
func NewWatch(p Pair, incident, victim string, began time.Time) *Watch {
	return &Watch{
		Pair: p, Incident: incident, Victim: victim, began: began,
		nodes: map[string]*progress{p.Node: {}, p.Peer: {}},
	}
}

// See takes what the nodes say at a time. It returns what is new, a line each,
// and whether it is over: err is nil then if the nodes are connected again.
func (w *Watch) See(now time.Time, said map[string]splitbrain.Evidence) (lines []string, over bool, err error) {
	for _, node := range sorted(w.Pair) {
		if e, ok := said[node]; ok {
			lines = append(lines, w.node(now, &e)...)
		}
	}
	own, peer := w.nodes[w.Node], w.nodes[w.Peer]
	switch {
	case own.over && peer.over, own.over && now.Sub(own.since) > otherTime, peer.over && now.Sub(peer.since) > otherTime:
		return lines, true, nil
	case !own.ordered && now.Sub(w.began) > takeTime:
		return lines, true, fmt.Errorf("%w: drbdnfsd on %s has not taken the order: journalctl -t drbdnfsd -n 20", ErrHeld, w.Node)
	}
	for _, node := range sorted(w.Pair) {
		if err := w.stands(now, node, said[node]); err != nil {
			return lines, true, err
		}
	}
	if now.Sub(w.began) > watchLimit {
		return lines, true, fmt.Errorf("%w: it still goes on: drbdnfs split-brain show %s", ErrUnknown, w.Resource)
	}
	return lines, false, nil
}

// node notes what one node says.
func (w *Watch) node(now time.Time, e *splitbrain.Evidence) (lines []string) {
	n := w.nodes[e.Node]
	n.has = e.Order.Incident == w.Incident && e.Order.Victim == w.Victim
	if n.has && !n.ordered {
		n.ordered = true
		lines = append(lines, e.Node+": knows the order")
	}
	if !n.ordered || n.over {
		return lines
	}
	if e.Snapshot != "" && e.Node == w.Victim && e.Phase == splitbrain.PhaseDiscarding {
		w.Snapshots = clean(e.Snapshot)
	}
	n.over = e.Live && e.Phase == splitbrain.PhaseNone
	is := phase(e.Phase, e.Refusal)
	if n.over {
		is = "connected"
	}
	if is == n.phase {
		return lines
	}
	n.phase, n.since = is, now
	if text := w.step(e); text != "" {
		lines = append(lines, e.Node+": "+text)
	}
	return lines
}

// step is what a node does, in words.
func (w *Watch) step(e *splitbrain.Evidence) string {
	victim := e.Node == w.Victim
	switch e.Phase {
	case splitbrain.PhaseNone:
		return "connected"
	case splitbrain.PhaseDecided:
		if victim {
			return "is to discard its data; waits for the promise of the other node"
		}
		return "promises to keep its data"
	case splitbrain.PhaseSnapshotting:
		return "holds off promotion, looks, and keeps a snapshot"
	case splitbrain.PhaseDiscarding:
		return "tells DRBD to connect and to discard"
	case splitbrain.PhaseReconnecting:
		return "connects"
	case splitbrain.PhaseHeld:
		why, _ := e.Refusal.Explain()
		return "held: " + clean(why)
	}
	return ""
}

// stands reports a hold that does not end by itself, and an order that counts no
// more.
func (w *Watch) stands(now time.Time, node string, e splitbrain.Evidence) error {
	n := w.nodes[node]
	if !n.ordered || n.over || now.Sub(n.since) < standTime {
		return nil
	}
	if !n.has && e.Node != "" && !e.Live {
		return fmt.Errorf("%w: the order is void on %s: journalctl -t drbdnfsd -n 20", ErrHeld, node)
	}
	if e.Phase == splitbrain.PhaseHeld && (e.Refusal.Stands() || e.Refusal == splitbrain.RefusalOrdersDiffer) {
		why, remedy := e.Refusal.Explain()
		return fmt.Errorf("%w: %s is held (%s): %s: %s", ErrHeld, node, clean(string(e.Refusal)), clean(why), remedy)
	}
	return nil
}

// Follow asks what the nodes say once a second, gives each line that is new to
// say with its time, and returns when the nodes are connected again, or else why
// not: [ErrHeld], [ErrUnknown], or the end of ctx, which changes nothing about
// what the nodes do.
func (l *Looker) Follow(ctx context.Context, w *Watch, say func(at time.Time, line string)) error {
	for {
		said, err := l.Evidence(ctx, w.Pair)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now := time.Now()
		lines, over, failed := w.See(now, said)
		for _, line := range lines {
			say(now, line)
		}
		if over && failed != nil {
			return errors.Join(failed, err)
		}
		if over {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}
