package switchover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
)

const (
	// lookEvery is how often Pacemaker is asked during a run.
	lookEvery = 300 * time.Millisecond
	// cleanTime bounds what is taken back at the end, also after Ctrl-C.
	cleanTime = 30 * time.Second
	// backTime is how long the service may take to come back after the target
	// has failed.
	backTime = 3 * time.Minute
	// stayTime is how long scores may take to say that the service stays: a
	// monitor's interval and a little.
	stayTime = time.Minute
	// margin is added to the time in the constraint: clocks differ.
	margin = time.Minute
)

// run is one run of a plan.
type run struct {
	*Switch
	plan   Plan
	began  time.Time
	probes *probes
	held   bool // the constraint may be there
}

// Run does what a plan says and returns once clients are served through every
// service address, and nothing of it is left but what was asked for. Errors are
// those that kept it from beginning, or from cleaning up, which name what is
// left. Everything else is in the Result. When ctx ends it stops waiting, takes
// the constraint back and says where the service is.
//
// A plan that is refused, or has nothing to do, must not be run.
func (s *Switch) Run(ctx context.Context, p Plan) (Result, error) {
	if p.Refused() || p.Nothing != "" {
		return Result{}, errors.New("this plan is not to be run")
	}
	r := &run{Switch: s, plan: p, began: time.Now()}
	if free, err := s.lock(ctx); err != nil || !free {
		return Result{}, errors.Join(errors.New("another drbdnfs moves the service on this node"), err)
	}
	for _, n := range p.Cleanup {
		if err := r.cleanup(ctx, n); err != nil {
			return Result{}, err
		}
	}
	probing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	r.probes = s.startProbes(probing)
	defer r.probes.stop()
	r.probes.warm(ctx)

	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	res, err := r.act(limited)
	clean, done := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer done()
	if r.held {
		err = errors.Join(err, r.drop(clean))
	}
	r.end(clean, &res)
	return res, err
}

// act does the plan's action.
func (r *run) act(ctx context.Context) (Result, error) {
	switch {
	case r.plan.Action == Unstandby:
		return r.unstandby(ctx)
	case r.plan.Moves():
		return r.move(ctx)
	}
	return r.standby(ctx)
}

// cleanup forgets the failed actions on a node.
func (r *run) cleanup(ctx context.Context, node string) error {
	_, err := r.run(ctx, cleanupTimeout, host.Cmd{
		Op: "switchover.cleanup", Name: "crm_resource", Args: []string{"--cleanup", "--resource", r.group, "--node", node},
	})
	if err != nil {
		return fmt.Errorf("forget the failed actions on %s: %w", node, err)
	}
	r.say(node, "forgot the failed actions of %s on %s", r.group, node)
	return nil
}

func (r *run) say(node, format string, args ...any) {
	r.event(Event{Kind: KindStep, Node: node, Text: fmt.Sprintf(format, args...)})
}

// event tells an event with its time since the start.
func (r *run) event(e Event) {
	e.At = time.Since(r.began).Seconds()
	r.tell(e)
}

// move asks for the target, waits for it, and turns back when it fails.
func (r *run) move(ctx context.Context) (Result, error) {
	st, err := pacemaker.Mon(ctx, r.machine, "switchover.crm_mon")
	if err != nil {
		return Result{}, err
	}
	if err := r.request(ctx, "create", r.plan.To); err != nil {
		return Result{}, err
	}
	r.say(r.plan.To, "asked Pacemaker to promote %s on %s", r.group, r.plan.To)
	why, err := r.follow(ctx, newWatch(st, r.group, r.plan.From, r.plan.To))
	switch {
	case err != nil:
		return ended(err), nil
	case why != "":
		return r.turnBack(ctx, why)
	case r.plan.Action == Standby:
		return r.standby(ctx)
	}
	r.stay(ctx)
	return Result{Outcome: Done}, nil
}

// request makes or turns the constraint. Whatever the program says, it may be there
// from then on, unless it is another's.
func (r *run) request(ctx context.Context, verb, node string) error {
	err := r.hold(ctx, verb, Hold{Target: node, By: r.self, Until: time.Now().Add(r.plan.timeout + backTime + margin)})
	if !errors.Is(err, errHeld) {
		r.held = true
	}
	return err
}

// follow waits until the target serves, or has failed, which it says. The error
// is the end of ctx.
func (r *run) follow(ctx context.Context, w *watch) (failed string, err error) {
	said, since := "", time.Now()
	for {
		asked := time.Now()
		st, err := pacemaker.Mon(ctx, r.machine, "switchover.crm_mon")
		if err == nil {
			s := w.look(st, asked)
			for _, e := range s.events {
				r.event(e)
			}
			if s.failed != "" {
				return s.failed, nil
			}
			if !w.served.IsZero() && st.Pending(r.group) != "Promoting" && len(r.probes.silent(w.served)) == 0 {
				r.answers(w.to)
				return "", nil
			}
		}
		what := w.missing(r.probes.silent(w.served))
		if err != nil {
			what = err.Error()
		}
		if time.Since(since) > 10*time.Second && what != said && ctx.Err() == nil {
			said, since = what, time.Now()
			r.say("", "waiting: %s", what)
		}
		// On a slow machine the looks must not take the processor from what they
		// wait for.
		if !sleep(ctx, max(lookEvery, 2*time.Since(asked))) {
			return "", fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
	}
}

func (r *run) answers(node string) {
	for _, p := range r.probes.list {
		if !p.reached {
			continue
		}
		r.say(node, "%s answers NFS from %s", p.addr, node)
	}
}

// ended is the result of a wait that was cut off.
func ended(err error) Result {
	if errors.Is(err, context.DeadlineExceeded) {
		return Result{Outcome: TimedOut, Reason: err.Error()}
	}
	return Result{Outcome: Interrupted, Reason: err.Error()}
}

// turnBack asks for the old node after the target has failed. Pacemaker would
// otherwise try the target again, while clients wait.
func (r *run) turnBack(ctx context.Context, why string) (Result, error) {
	res := Result{Outcome: TurnedBack, Reason: why}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backTime)
	defer cancel()
	st, err := pacemaker.Mon(ctx, r.machine, "switchover.crm_mon")
	if err == nil {
		err = r.request(ctx, "modify", r.plan.From)
	}
	if err != nil {
		return res, err
	}
	r.say(r.plan.From, "turned back: asked Pacemaker to promote %s on %s", r.group, r.plan.From)
	w := newWatch(st, r.group, r.plan.To, r.plan.From)
	w.demoted = true
	if failed, err := r.follow(ctx, w); err != nil || failed != "" {
		res.Reason += fmt.Sprintf("; and %s does not serve again", r.plan.From)
		return res, nil
	}
	r.stay(ctx)
	return res, nil
}

// stay waits until Pacemaker would leave the service where it is without the
// constraint: the agents publish the scores of their new roles with their next
// monitors.
func (r *run) stay(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stayTime)
	defer cancel()
	for {
		doc, err := r.query(ctx)
		var f forecast
		if err == nil {
			f, err = r.simulate(ctx, withoutHold(doc, r.group))
		}
		if err == nil && len(f.Demotes) == 0 {
			return
		}
		if !sleep(ctx, time.Second) {
			r.event(Event{Kind: KindProblem, Text: "Pacemaker may move the service again: look at the scores with crm_simulate --live-check --show-scores"})
			return
		}
	}
}

// drop removes the constraint.
func (r *run) drop(ctx context.Context) error {
	if err := r.release(ctx, r.self); err != nil {
		r.event(Event{Kind: KindProblem, Text: err.Error()})
		return err
	}
	r.held = false
	r.say("", "nothing of it is left in Pacemaker's configuration")
	return nil
}

// end says where the service is. Two looks, for Pacemaker needs a moment to do
// what it is going to do without the constraint.
func (r *run) end(ctx context.Context, res *Result) {
	var st pacemaker.Status
	var err error
	for try := range 3 {
		if try > 0 && !sleep(ctx, time.Second) {
			break
		}
		st, err = pacemaker.Mon(ctx, r.machine, "switchover.crm_mon")
		if err == nil && st.Settled(r.group) && try > 0 {
			break
		}
	}
	if promoted := st.Promoted(r.group); err == nil && len(promoted) == 1 && len(r.probes.silent(r.lastSecond())) == 0 {
		res.Active = promoted[0]
	}
	res.Stalls, res.Took = r.probes.stalls(), time.Since(r.began)
	r.probes.stop()
	if res.Outcome != Done || !r.plan.Moves() || res.Active == r.plan.To {
		return
	}
	res.Outcome, res.Reason = TurnedBack, "the service did not stay on "+r.plan.To
	if res.Active == "" {
		res.Reason = "the service is not seen to answer at the end"
	}
}

// lastSecond is since when an answer tells where the service is now.
func (r *run) lastSecond() time.Time { return time.Now().Add(-time.Second) }
