package switchover

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// seconds is "4.2 s".
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s" }

// Text returns a function that prints events for people, one or two lines each.
func Text(out io.Writer) func(Event) {
	return func(e Event) {
		switch e.Kind {
		case KindPlan:
			fmt.Fprintln(out, e.Text)
		case KindNote:
			fmt.Fprintln(out, "  !", e.Text)
		case KindRefusal:
			fmt.Fprintln(out, "  x", e.Text)
			if e.Remedy != "" {
				fmt.Fprintln(out, "      "+e.Remedy)
			}
			if e.Force {
				fmt.Fprintln(out, "      --force goes on all the same; no data are lost by it")
			}
		case KindStep:
			fmt.Fprintf(out, "  %6.1f s  %s\n", e.At, e.Text)
		case KindProblem:
			fmt.Fprintf(out, "  %6.1f s  ! %s\n", e.At, e.Text)
		case KindResult:
			fmt.Fprintln(out, e.Text)
			if e.Remedy != "" {
				fmt.Fprintln(out, "  "+e.Remedy)
			}
			printStalls(out, e.Stalls)
		}
	}
}

func printStalls(out io.Writer, stalls []Stall) {
	for _, s := range stalls {
		switch {
		case !s.Measured:
			fmt.Fprintf(out, "  %s: not measured, it did not answer this node before\n", s.Address)
		case s.Longest < 5*probeEvery:
			fmt.Fprintf(out, "  %s: no pause was seen from this node\n", s.Address)
		default:
			fmt.Fprintf(out, "  %s: did not answer for %s, seen from this node\n", s.Address, seconds(s.Longest))
		}
	}
}

// JSON returns a function that prints events as one JSON object a line.
func JSON(out io.Writer) func(Event) {
	enc := json.NewEncoder(out)
	return func(e Event) { _ = enc.Encode(e) }
}

// TellResult shows how a run ended.
func (s *Switch) TellResult(p Plan, r Result) {
	e := Event{Kind: KindResult, Outcome: r.Outcome, Active: r.Active, From: p.From, To: p.To, Node: p.Node, At: r.Took.Seconds(), Stalls: r.Stalls}
	switch {
	case r.Outcome == Done && p.Moves() && p.Action == Standby:
		e.Text = fmt.Sprintf("%s serves, %s is in standby", r.Active, p.Node)
	case r.Outcome == Done && p.Moves():
		e.Text = fmt.Sprintf("%s serves, after %s", r.Active, seconds(r.Took))
	case r.Outcome == Done && r.Active != "":
		e.Text = "done; " + r.Active + " serves"
	case r.Outcome == Done:
		e.Text = "done; nobody serves"
	case r.Active != "":
		e.Text = fmt.Sprintf("not done (%s): %s; %s serves", r.Outcome, r.Reason, r.Active)
	default:
		e.Text = fmt.Sprintf("not done (%s): %s; nobody is seen to serve", r.Outcome, r.Reason)
		e.Remedy = "look with drbdnfs status; Pacemaker goes on by itself, and after the cause is gone: crm_resource --cleanup --resource " + s.group
	}
	s.tell(e)
}

// Exit statuses of the commands.
const (
	ExitDone   = 0
	ExitNot    = 1 // it is not as asked for, and somebody serves or nothing was touched
	ExitNobody = 2 // it is not as asked for, and nobody is seen to serve
)

// Exit is the exit status for a result.
func (r Result) Exit() int {
	switch {
	case r.Outcome == Done:
		return ExitDone
	case r.Active != "":
		return ExitNot
	}
	return ExitNobody
}
