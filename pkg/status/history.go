package status

import (
	"slices"
	"time"
)

// Reasons of a [Failover].
const (
	ReasonLost    = "node lost"
	ReasonMoved   = "moved"
	ReasonFailed  = "failed"
	ReasonAgain   = "restarted in place"
	ReasonUnknown = "not known"
)

const (
	// sameEvent is how far apart journal and CIB may have the time of one event:
	// the CIB has whole seconds, and the begin where the journal has the end.
	sameEvent = 3 * time.Second
	// longestStall is how long before a promotion the end of service is looked
	// for. What is older was an outage of its own.
	longestStall = 15 * time.Minute
	// longestPromotion is how long a promotion that Pacemaker began may take.
	longestPromotion = 2 * time.Minute
	// keptFailovers is how many are told.
	keptFailovers = 5
)

// operationEvents are the events that the CIB's operations of a group tell.
func operationEvents(ops []Operation, group string) []Event {
	var out []Event
	for _, o := range ops {
		switch {
		case o.Resource != group || !o.OK:
		case o.Task == string(EventPromote):
			out = append(out, Event{EventPromote, o.Node, o.Start.Add(o.Took), o.Took})
		case o.Task == string(EventDemote):
			out = append(out, Event{EventDemote, o.Node, o.Start, 0})
		}
	}
	return out
}

// failovers are the changes of the active node that events tell of, the latest
// first. failures explain those that a failed action has caused.
func failovers(events []Event, failures []Failed) []Failover {
	events = merged(events)
	out := []Failover{}
	for i, e := range events {
		if e.Kind == EventPromote {
			out = append(out, failover(events[:i], e, failures))
		}
	}
	slices.Reverse(out)
	return out[:min(len(out), keptFailovers)]
}

// merged sorts events and takes those that two sources tell for one. The first
// source of equal ones wins.
func merged(events []Event) []Event {
	var out []Event
	for _, e := range events {
		i := slices.IndexFunc(out, func(o Event) bool {
			return o.Kind == e.Kind && o.Node == e.Node && o.At.Sub(e.At).Abs() <= sameEvent
		})
		if i < 0 {
			out = append(out, e)
		} else if out[i].Took == 0 {
			out[i].Took = e.Took
		}
	}
	slices.SortStableFunc(out, func(a, b Event) int { return a.At.Compare(b.At) })
	return promotions(out)
}

// promotions takes out the begins of promotions whose end is known, and takes
// the others for ends.
func promotions(events []Event) []Event {
	var out []Event
	for i, e := range events {
		if e.Kind == EventPromoting {
			ended := slices.ContainsFunc(events[i:], func(o Event) bool {
				return o.Kind == EventPromote && o.Node == e.Node && o.At.Sub(e.At) <= longestPromotion
			})
			if ended {
				continue
			}
			e.Kind = EventPromote
		}
		out = append(out, e)
	}
	return out
}

// failover explains one promotion by what came before it.
func failover(before []Event, e Event, failures []Failed) Failover {
	f := Failover{Time: e.At, To: e.Node, Promote: e.Took.Milliseconds(), Reason: ReasonUnknown}
	ended, ok := endOfService(before, e)
	if !ok || e.At.Sub(ended.At) > longestStall {
		return f
	}
	f.From, f.StallMS = ended.Node, e.At.Sub(ended.At).Milliseconds()
	switch {
	case ended.Kind == EventLost:
		f.Reason = ReasonLost
		return f
	case f.From == f.To:
		f.Reason = ReasonAgain
	default:
		f.Reason = ReasonMoved
	}
	for _, x := range failures {
		if x.Node == f.From && x.When.After(ended.At.Add(-time.Minute)) && !x.When.After(e.At) {
			f.Reason, f.Detail = ReasonFailed, clean(x.String())
		}
	}
	return f
}

// endOfService is what ended the service before promotion e: since the promotion
// before it, the first demotion, or the loss of the node that was active.
func endOfService(before []Event, e Event) (Event, bool) {
	last := lastPromotion(before)
	for _, x := range before[last+1:] {
		active := last < 0 || x.Node == before[last].Node
		if active && (x.Kind == EventDemote || x.Kind == EventLost && x.Node != e.Node) {
			return x, true
		}
	}
	return Event{}, false
}

func lastPromotion(events []Event) int {
	for i, e := range slices.Backward(events) {
		if e.Kind == EventPromote {
			return i
		}
	}
	return -1
}
