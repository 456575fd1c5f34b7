package splitbrain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
)

// assertDiscard asserts the invariants at the moment a discard is sent.
func (n *modelNode) assertDiscard() {
	w, p := n.w, n.peer()
	if n.role != drbd.RoleSecondary || n.promoted {
		w.violate("%s discards while %s, promoted %v", n.name, n.role, n.promoted)
	}
	if r := gi.Relate(n.ids, p.ids); !r.Diverged() && r != gi.Unrelated {
		w.violate("%s discards although it is %s", n.name, r)
	}
	if n.data&^p.data == 0 || p.data&^n.data == 0 {
		w.violate("%s discards although only one node has written", n.name)
	}
	switch {
	case n.byOrder && !slices.Contains(w.given, decree{n.i, w.currents(), n.ordered.Snapshot}):
		w.violate("%s discards by an order that nobody gave for this split brain", n.name)
	case !n.byOrder && n.ordered.Kind == Manual:
		w.violate("%s discards by policy manual", n.name)
	}
	if n.ordered.Snapshot == SnapshotRequired && !slices.Contains(n.kept, n.data) {
		w.violate("%s discards without the snapshot that is required", n.name)
	}
	if p.disk.Commitment == "" {
		w.violate("%s discards without the promise of %s on disk", n.name, p.name)
	}
	if n.disk.Commitment != "" {
		w.violate("%s discards although it promised to survive", n.name)
	}
	recent := 0
	for i, s := range w.sent {
		switch {
		case s.epoch == w.epoch && s.node != n.i:
			w.violate("%s discards after %s did", n.name, p.name)
		case s.epoch == w.epoch && i >= n.again:
			w.violate("%s discards twice", n.name)
		}
		if !s.order && s.at.After(n.orderedAt.Add(-n.ordered.CoolDown)) && s.at.After(n.lifted) {
			recent++
		}
	}
	if !n.byOrder && recent >= n.ordered.Resolutions {
		w.violate("%s discards for the %d. time within the cool-down", n.name, recent+1)
	}
}

// brief is one line for a trace.
func brief(v any) string {
	switch v := v.(type) {
	case Persist:
		return fmt.Sprintf("Persist %d %s refusal %q intent %q sent %v promise %q", v.Record.Revision, v.Record.Phase, v.Record.Refusal, v.Record.Intent, v.Record.Sent, v.Record.Commitment)
	case Publish:
		return "Publish " + briefEvidence(v.Evidence)
	case PeerEvidence:
		return "PeerEvidence " + briefEvidence(v.Evidence)
	case Alert:
		return fmt.Sprintf("Alert %s: %s", v.Kind, v.Text)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T%+v", v, v), "splitbrain.")
}

func briefEvidence(e Evidence) string {
	return fmt.Sprintf("%d of %s %s %s incident %q promise %q answers %d words %d ids %v", e.Sequence, e.Node, e.Phase, e.Refusal, e.Incident, e.Commitment, e.Answers, len(e.Words), e.Volumes)
}
