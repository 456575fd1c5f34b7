package switchover_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/switchover"
)

// trial is one request to a fake cluster, and what came of it.
type trial struct {
	w      *cluster
	out    bytes.Buffer
	plan   switchover.Plan
	result switchover.Result
	err    error
	ran    bool
}

// attempt plans and, unless refused, runs, as the command does.
func (tr *trial) attempt(ctx context.Context, t *testing.T, r switchover.Request) {
	tr.w.begin() // what was prepared is done
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tr.w.mu.Lock()
	tr.w.cancel = cancel
	tr.w.mu.Unlock()
	s := switchover.New(switchover.Options{Machine: tr.w, Config: configuration(t), Self: "drbdtest1", Show: switchover.Text(&tr.out)})
	defer s.Close()
	if tr.plan, tr.err = s.Plan(ctx, r); tr.err != nil {
		return
	}
	s.Tell(tr.plan)
	if tr.plan.Nothing != "" || tr.plan.Refused() {
		return
	}
	tr.ran = true
	tr.result, tr.err = s.Run(ctx, tr.plan)
	s.TellResult(tr.plan, tr.result)
}

// within runs f beside a serving cluster, in its own time.
func within(t *testing.T, f func(ctx context.Context, w *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		w := newCluster(t)
		done := make(chan struct{})
		begun := make(chan struct{})
		w.begin = sync.OnceFunc(func() { close(begun) })
		go func() {
			defer close(done)
			<-begun
			w.serve(ctx)
		}()
		f(ctx, w)
		w.begin()
		stop()
		<-done
	})
}

// Ensure that a move ends on the target with everything told and measured, runs
// the programs with these arguments, and leaves nothing.
func TestMove(t *testing.T) {
	within(t, func(ctx context.Context, w *cluster) {
		tr := &trial{w: w}
		tr.attempt(ctx, t, switchover.Request{Action: switchover.Move})
		if tr.err != nil || tr.result.Outcome != switchover.Done || tr.result.Active != "drbdtest2" || tr.result.Exit() != 0 {
			t.Fatalf("result %+v, error %v\n%s", tr.result, tr.err, tr.out.String())
		}
		if w.held() {
			t.Error("the constraint is left behind")
		}
		if s := tr.result.Stalls[0]; !s.Measured || s.Longest < demoteTime+promoteTime || s.Longest > demoteTime+promoteTime+time.Second {
			t.Errorf("stall %+v, want about %s", s, demoteTime+promoteTime)
		}
		for _, want := range []string{
			"nfs moves from drbdtest1 to drbdtest2; clients wait about 2.1 s", "demoted on drbdtest1", "promoting on drbdtest2",
			"promoted on drbdtest2", "192.168.2.63 answers NFS from drbdtest2", "nothing of it is left", "drbdtest2 serves, after",
			"192.168.2.63: did not answer for 3.",
		} {
			if !strings.Contains(tr.out.String(), want) {
				t.Errorf("the text has no %q:\n%s", want, tr.out.String())
			}
		}
		for _, want := range []string{
			"cibadmin --create --scope constraints --xml-pipe",
			"cibadmin --delete --xpath //rsc_location[@id='nfs-move'][rule/date_expression/@id='nfs-move-by-drbdtest1']",
			"crm_simulate --run --xml-pipe --output-as=xml",
		} {
			if !slices.Contains(w.argv, want) {
				t.Errorf("never ran %q", want)
			}
		}
		time.Sleep(10 * time.Minute)
		if active(w.now()) != "drbdtest2" {
			t.Errorf("the service did not stay: it is on %s", active(w.now()))
		}
	})
}

// Ensure that the service comes back when the target fails, or leaves, or
// nothing happens at all, and that each is told and leaves nothing.
func TestMoveFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(w *cluster)
		outcome switchover.Outcome
		active  string
		exit    int
		says    string
	}{
		{
			"the promotion fails", func(w *cluster) { w.failPromote["drbdtest2"] = 5 },
			switchover.TurnedBack, "drbdtest1", 1, "promote on drbdtest2 failed: mount /home/nfs: ",
		},
		{
			"the target dies", func(w *cluster) {
				w.onPromote = func() { w.mu.Lock(); w.offline["drbdtest2"] = true; w.mu.Unlock() }
			},
			switchover.TurnedBack, "drbdtest1", 1, "drbdtest2 has left the cluster",
		},
		{
			"the old node dies", func(w *cluster) {
				w.onPromote = func() { w.mu.Lock(); w.offline["drbdtest1"] = true; w.mu.Unlock() }
			},
			switchover.Done, "drbdtest2", 0, "drbdtest2 serves",
		},
		{
			"no node can promote", func(w *cluster) { w.failPromote["drbdtest2"], w.failPromote["drbdtest1"] = 99, 99 },
			switchover.TurnedBack, "", 2, "nobody is seen to serve",
		},
		{"Pacemaker does nothing", func(w *cluster) { w.stuck = true }, switchover.TimedOut, "drbdtest1", 1, "still promoted on drbdtest1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			within(t, func(ctx context.Context, w *cluster) {
				tt.prepare(w)
				tr := &trial{w: w}
				tr.attempt(ctx, t, switchover.Request{Action: switchover.Move, Timeout: time.Minute})
				if tr.err != nil || tr.result.Outcome != tt.outcome || tr.result.Active != tt.active || tr.result.Exit() != tt.exit {
					t.Errorf("result %+v, exit %d, error %v", tr.result, tr.result.Exit(), tr.err)
				}
				if !strings.Contains(tr.out.String(), tt.says) || strings.Contains(tr.out.String(), "\x1b") {
					t.Errorf("the text has no %q, or a control character:\n%s", tt.says, tr.out.String())
				}
				if w.held() {
					t.Error("the constraint is left behind")
				}
			})
		})
	}
}

// Ensure that Ctrl-C at any time ends the run soon, with nothing left behind and
// the service on one node in the end.
func TestInterrupted(t *testing.T) {
	for _, after := range []time.Duration{0, 100, 500, 1500, 2500, 3500, 4500} {
		t.Run((after * time.Millisecond).String(), func(t *testing.T) {
			within(t, func(ctx context.Context, w *cluster) {
				ctrlC, cancel := context.WithTimeout(ctx, after*time.Millisecond)
				defer cancel()
				tr := &trial{w: w}
				began := time.Now()
				tr.attempt(ctrlC, t, switchover.Request{Action: switchover.Move})
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("it took %s", took)
				}
				if w.held() || w.locked {
					t.Error("the constraint or the lock is left behind")
				}
				time.Sleep(10 * time.Second)
				if active(w.now()) == "" {
					t.Error("nobody serves")
				}
			})
		})
	}
}

// Ensure that whatever change a kill -9 cuts off, the next run on this node
// cleans up, and that the constraint ends by itself when there is none.
func TestKilled(t *testing.T) {
	for _, late := range []bool{false, true} {
		for at := 1; at <= 2; at++ {
			within(t, func(ctx context.Context, w *cluster) {
				w.killAt, w.killAfter = at, late
				tr := &trial{w: w}
				tr.attempt(ctx, t, switchover.Request{Action: switchover.Move})
				if !w.dead {
					t.Fatalf("change %d was not made", at)
				}
				left := w.held()
				if want := at == 1 && late || at == 2 && !late; left != want {
					t.Errorf("killed at %d: the constraint is there: %v, want %v", at, left, want)
				}
				time.Sleep(10 * time.Second)
				w.mu.Lock()
				w.dead, w.killAt, w.locked = false, 0, false
				w.mu.Unlock()
				again := &trial{w: w}
				again.attempt(ctx, t, switchover.Request{Action: switchover.Move, Node: "drbdtest2"})
				if again.err != nil || w.held() || active(w.now()) != "drbdtest2" {
					t.Errorf("killed at %d: the next run: %v, held %v, active %s\n%s", at, again.err, w.held(), active(w.now()), again.out.String())
				}
				if left != strings.Contains(again.out.String(), "was cut off") {
					t.Errorf("killed at %d: the next run says:\n%s", at, again.out.String())
				}
			})
		}
	}
}

// Ensure that a program that hangs or fails keeps nothing behind and is bounded.
func TestToolFaults(t *testing.T) {
	for _, op := range []string{
		"switchover.crm_mon", "switchover.query", "switchover.simulate", "switchover.hold", "drbd.status", "pacemaker.query",
	} {
		for _, how := range []string{"hangs", "fails"} {
			t.Run(op+" "+how, func(t *testing.T) {
				within(t, func(ctx context.Context, w *cluster) {
					if how == "hangs" {
						w.hang[op] = true
					} else {
						w.fail[op] = errors.New("broken")
					}
					tr := &trial{w: w}
					began := time.Now()
					tr.attempt(ctx, t, switchover.Request{Action: switchover.Move, Timeout: time.Minute})
					harmless := op == "drbd.status" || op == "pacemaker.query"
					if (tr.err == nil) != harmless || harmless && tr.result.Outcome != switchover.Done {
						t.Errorf("result %+v, error %v", tr.result, tr.err)
					}
					if took := time.Since(began); took > 2*time.Minute || w.held() {
						t.Errorf("took %s, constraint left: %v", took, w.held())
					}
				})
			})
		}
	}
}

// Ensure that a constraint which cannot be removed is said so, with the command.
func TestReleaseFails(t *testing.T) {
	within(t, func(ctx context.Context, w *cluster) {
		w.fail["switchover.release"] = errors.New("broken")
		tr := &trial{w: w}
		tr.attempt(ctx, t, switchover.Request{Action: switchover.Move})
		if tr.err == nil || !strings.Contains(tr.err.Error(), `cibadmin --delete --xpath "//rsc_location[@id='nfs-move']"`) {
			t.Errorf("error %v", tr.err)
		}
		time.Sleep(10 * time.Minute)
		if active(w.now()) != "drbdtest2" || rules(w.now(), "drbdtest2") != 0 {
			t.Errorf("on %s later, with a rule of %d", active(w.now()), rules(w.now(), "drbdtest2"))
		}
	})
}

// Ensure that standby moves the service first, and that both directions leave
// the node as asked for.
func TestStandby(t *testing.T) {
	within(t, func(ctx context.Context, w *cluster) {
		tr := &trial{w: w}
		tr.attempt(ctx, t, switchover.Request{Action: switchover.Standby})
		if tr.err != nil || tr.result.Outcome != switchover.Done || tr.result.Active != "drbdtest2" || !standby(w.now(), "drbdtest1") || w.held() {
			t.Fatalf("result %+v, error %v\n%s", tr.result, tr.err, tr.out.String())
		}
		if !strings.Contains(tr.out.String(), "the data are on drbdtest2 alone") || task(w.now(), "drbdtest1") != "stop" {
			t.Errorf("last action %s:\n%s", task(w.now(), "drbdtest1"), tr.out.String())
		}
		again := &trial{w: w}
		again.attempt(ctx, t, switchover.Request{Action: switchover.Standby})
		if again.ran || again.plan.Nothing == "" {
			t.Errorf("a second standby: %+v", again.plan)
		}
		back := &trial{w: w}
		back.attempt(ctx, t, switchover.Request{Action: switchover.Unstandby})
		if back.err != nil || back.result.Exit() != 0 || back.result.Active != "drbdtest2" || standby(w.now(), "drbdtest1") || task(w.now(), "drbdtest1") != "start" {
			t.Errorf("unstandby: %+v, error %v\n%s", back.result, back.err, back.out.String())
		}
		for _, want := range []string{
			"crm_attribute --type nodes --node drbdtest1 --name standby --update on",
			"crm_attribute --type nodes --node drbdtest1 --name standby --delete",
		} {
			if !slices.Contains(w.argv, want) {
				t.Errorf("never ran %q", want)
			}
		}
	})
}

// Ensure that the last node goes into standby only when that is forced, and that
// a target whose promotion fails keeps the node from going into standby.
func TestStandbyLast(t *testing.T) {
	within(t, func(ctx context.Context, w *cluster) {
		w.offline["drbdtest2"] = true
		tr := &trial{w: w}
		tr.attempt(ctx, t, switchover.Request{Action: switchover.Standby})
		if tr.ran || len(tr.plan.Refusals) != 1 || !tr.plan.Refusals[0].Force {
			t.Errorf("refusals %+v", tr.plan.Refusals)
		}
		forced := &trial{w: w}
		forced.attempt(ctx, t, switchover.Request{Action: switchover.Standby, Force: true})
		if forced.err != nil || !standby(w.now(), "drbdtest1") || forced.result.Active != "" || forced.result.Exit() != 0 {
			t.Errorf("forced: %+v, error %v", forced.result, forced.err)
		}
	})
	within(t, func(ctx context.Context, w *cluster) {
		w.failPromote["drbdtest2"] = 5
		tr := &trial{w: w}
		tr.attempt(ctx, t, switchover.Request{Action: switchover.Standby})
		if tr.result.Exit() != 1 || tr.result.Active != "drbdtest1" || standby(w.now(), "drbdtest1") {
			t.Errorf("the target fails: %+v, standby %v", tr.result, standby(w.now(), "drbdtest1"))
		}
	})
}
