package agent_test

import (
	"fmt"
	"testing"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

type nextAction struct {
	action string
	serves bool
}

// afterKill are the actions that can come after one that was killed, with
// whether clients are served then.
var afterKill = []nextAction{{"stop", false}, {"promote", true}, {"demote", false}, {"start", false}}

// recovers runs an action on a node where another one was killed. A start may
// also find that the killed promotion was complete, and leave it.
func (w *world) recovers(t *testing.T, action string, serves bool) {
	t.Helper()
	switch code := w.act("monitor"); code {
	case ocf.Success, ocf.NotRunning, ocf.RunningPromoted, ocf.FailedPromoted:
		w.checkReason(t, "monitor", code)
	default:
		t.Errorf("monitor: %v: %s", code, w.stderr)
	}
	w.want(t, action, ocf.Success)
	if action == "start" && w.Serves() {
		return // adopted
	}
	if w.Serves() != serves {
		t.Errorf("after %s: serves is %v; left: %v", action, !serves, w.Leftovers())
	}
	if !serves {
		w.hasReached(t, action)
	}
	if action == "start" {
		w.want(t, "promote", ocf.Success)
		w.hasReached(t, "promote")
		return
	}
	w.want(t, "stop", ocf.Success)
	w.hasReached(t, "stop")
}

// Ensure that an action that is killed at a step boundary leaves a node that
// each possible next action brings to where it should be.
func TestKilledAtBoundary(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"promote", "demote"} {
		for _, step := range agent.StepNames(action) {
			for _, when := range []string{"before", "after"} {
				for _, next := range afterKill {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", action, step, when, next.action), func(t *testing.T) {
						on(t, func(t *testing.T, w *world) {
							rich(t, w, action)
							w.SetFile(agent.FaultPointPath, action+" "+step+" "+when+"\n")
							w.act(action)
							if !w.killed {
								t.Fatalf("not killed; it said %q", w.stderr)
							}
							if _, there := w.File(agent.FaultPointPath); there {
								t.Error("the fault point was not used up")
							}
							w.recovers(t, next.action, next.serves)
						})
					})
				}
			}
		}
	}
}

// Ensure the same for every single call of every action, killed before it and
// in the middle of it. The next action takes turns.
func TestKilledAtEachCall(t *testing.T) {
	t.Parallel()
	for _, action := range matrixActions {
		calls, _ := callsOf(t, action)
		turns := afterKill
		if action == "start" || action == "stop" {
			turns = []nextAction{{"stop", false}, {"start", false}} // Pacemaker does nothing else then
		}
		turn := 0
		for _, c := range calls {
			for _, when := range []hosttest.When{hosttest.Before, hosttest.During} {
				next := turns[turn%len(turns)]
				turn++
				t.Run(fmt.Sprintf("%s/%s/%d/%s/%s", action, c.op, c.nth, when, next.action), func(t *testing.T) {
					on(t, func(t *testing.T, w *world) {
						rich(t, w, action)
						w.Kill(c.op, c.nth, when)
						w.act(action)
						w.Clear()
						w.recovers(t, next.action, next.serves)
					})
				})
			}
			if len(turns)%2 == 0 {
				turn++ // or before and in the middle would always have the same ones
			}
		}
	}
}
