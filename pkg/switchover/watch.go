package switchover

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/pacemaker"
)

// watch follows the service from one node to another. It is fed with what
// crm_mon says and decides nothing by itself.
type watch struct {
	group    string
	from, to string // from is "" where nobody served
	known    []pacemaker.Failure
	demoted  bool
	begun    bool // to is being promoted
	served   time.Time
	lost     bool // to has left
}

// newWatch begins at a status: the failures in it are no news.
func newWatch(st pacemaker.Status, group, from, to string) *watch {
	return &watch{group: group, from: from, to: to, known: st.Failures(group)}
}

// step is what one look has brought.
type step struct {
	events []Event
	failed string // why the target will not serve; "" when it may
}

// look takes a status and says what is new.
func (w *watch) look(st pacemaker.Status, now time.Time) step {
	var out step
	say := func(node, format string, args ...any) {
		out.events = append(out.events, Event{Kind: KindStep, Node: node, Text: fmt.Sprintf(format, args...)})
	}
	promoted := st.Promoted(w.group)
	if w.from != "" && w.from != w.to && !w.demoted && !slices.Contains(promoted, w.from) {
		w.demoted = true
		say(w.from, "demoted on %s", w.from)
	}
	if !w.begun && w.served.IsZero() && w.pending(st, "Promoting") {
		w.begun = true
		say(w.to, "promoting on %s", w.to)
	}
	settled := slices.Equal(promoted, []string{w.to})
	if settled && w.served.IsZero() {
		w.served = now
		say(w.to, "promoted on %s", w.to)
	}
	if !settled {
		w.served = time.Time{}
	}
	for _, f := range w.news(st) {
		out.events = append(out.events, Event{Kind: KindProblem, Node: f.Node, Text: f.String()})
		if f.Node == w.to {
			out.failed = f.String()
		}
	}
	if n, _ := st.Node(w.to); st.HasDC && (!n.Online || n.Unclean || n.Standby) && !w.lost {
		w.lost = true
		out.failed = w.to + " has left the cluster or went into standby"
	}
	return out
}

// pending reports whether an action is under way on the target.
func (w *watch) pending(st pacemaker.Status, what string) bool {
	return slices.ContainsFunc(st.Instances(w.group), func(i pacemaker.Instance) bool {
		return i.Pending == what && slices.Contains(i.Nodes, w.to)
	})
}

// news are the failures that were not there before.
func (w *watch) news(st pacemaker.Status) []pacemaker.Failure {
	var out []pacemaker.Failure
	for _, f := range st.Failures(w.group) {
		if !slices.Contains(w.known, f) {
			out = append(out, f)
			w.known = append(w.known, f)
		}
	}
	return out
}

// missing says what is waited for.
func (w *watch) missing(silent []string) string {
	switch {
	case w.served.IsZero() && w.begun:
		return w.group + " is being promoted on " + w.to
	case w.served.IsZero() && w.from != "" && w.from != w.to && !w.demoted:
		return w.group + " is still promoted on " + w.from
	case w.served.IsZero():
		return w.group + " is not promoted on " + w.to
	}
	return strings.Join(silent, ", ") + " does not answer NFS"
}
