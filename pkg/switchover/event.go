package switchover

import (
	"strings"
	"time"
	"unicode"
)

// Kind says what an [Event] is.
type Kind string

// The kinds of events.
const (
	KindPlan    Kind = "plan"    // what is going to be done
	KindNote    Kind = "note"    // what is good to know
	KindRefusal Kind = "refusal" // why it is not done, or what --force has overridden
	KindStep    Kind = "step"    // something has happened
	KindProblem Kind = "problem" // something has failed
	KindResult  Kind = "result"  // how it ended
)

// Event is one thing to tell, and one line of JSON. Times are in seconds.
type Event struct {
	Time    time.Time `json:"time"`
	Kind    Kind      `json:"event"`
	At      float64   `json:"at,omitempty"` // since the run began
	Node    string    `json:"node,omitempty"`
	Code    Code      `json:"code,omitempty"`
	Text    string    `json:"text"`
	Remedy  string    `json:"remedy,omitempty"`
	Force   bool      `json:"force,omitempty"` // --force overrides the refusal
	Outcome Outcome   `json:"outcome,omitempty"`
	From    string    `json:"from,omitempty"`
	To      string    `json:"to,omitempty"`
	Active  string    `json:"active,omitempty"`
	Expect  float64   `json:"expected_stall,omitempty"`
	Stalls  []Stall   `json:"stalls,omitempty"`
}

// clean takes out what a terminal would act on: reasons and names come from
// elsewhere.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// tell shows an event.
func (s *Switch) tell(e Event) {
	if s.show == nil {
		return
	}
	e.Time, e.Text, e.Remedy = time.Now(), clean(e.Text), clean(e.Remedy)
	s.show(e)
}

// Tell shows what a plan is and what stands against it.
func (s *Switch) Tell(p Plan) {
	if p.Nothing != "" {
		s.tell(Event{Kind: KindPlan, Text: p.Nothing, From: p.From, To: p.To, Node: p.Node})
	} else if !p.Refused() {
		s.tell(Event{Kind: KindPlan, Text: p.String(), From: p.From, To: p.To, Node: p.Node, Expect: p.Expect.Seconds()})
	}
	for _, n := range p.Notes {
		s.tell(Event{Kind: KindNote, Text: n})
	}
	for _, r := range p.Refusals {
		s.tell(Event{Kind: KindRefusal, Code: r.Code, Text: r.Text, Remedy: r.Remedy, Force: r.Force})
	}
}

// String says in one sentence what a plan does.
func (p Plan) String() string {
	var out string
	switch {
	case p.Action == Standby && p.Moves():
		out = p.Group + " moves from " + p.From + " to " + p.To + ", then " + p.Node + " goes into standby"
	case p.Action == Standby && p.From == p.Node:
		return p.Node + " goes into standby and nobody serves"
	case p.Action == Standby:
		return p.Node + " goes into standby; clients notice nothing"
	case p.Action == Unstandby:
		return p.Node + " may run resources again"
	default:
		out = p.Group + " moves from " + p.From + " to " + p.To
	}
	if p.Expect > 0 {
		return out + "; clients wait about " + seconds(p.Expect) + ", as long as the agent took the last time"
	}
	return out + "; clients wait for some seconds"
}
