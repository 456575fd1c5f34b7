package group

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Step is one named piece of bringing the group up or down.
type Step struct {
	Name string
	Run  func(ctx context.Context) error
}

// Stage is a set of steps that need nothing of each other and run at once.
type Stage []Step

// Boundary is called before and after each step. Tests end the process there.
type Boundary func(action, step, when string)

// names joins the steps' names for records and logs.
func (s Stage) names() string {
	out := make([]string, len(s))
	for i, st := range s {
		out[i] = st.Name
	}
	return strings.Join(out, "+")
}

// StepError is the failure of one step.
type StepError struct {
	Step string
	Err  error
}

// Error is what happened, then the step: exit reasons are cut at the end.
func (e *StepError) Error() string { return fmt.Sprintf("%v (step %s)", e.Err, e.Step) }

// Unwrap gives errors.Is and errors.As what happened.
func (e *StepError) Unwrap() error { return e.Err }

// stageShare is the part of the time left that one stage of a demotion may
// take, so that a step that hangs leaves some to those after it.
const stageShare = 0.5

// runStages runs stages in order, and the steps of each at once. With keepGoing
// it runs all and joins the errors, first failure first; otherwise it ends
// after the first stage that failed. The record names an action that failed
// until another one ends well: see [Group.unfinished].
func (g *Group) runStages(ctx context.Context, action string, stages []Stage, keepGoing bool) error {
	var errs []error
	for _, stage := range stages {
		if err := g.note(action, stage.names()); err != nil && !keepGoing {
			return err // nothing is begun that could not be written down
		} else if err != nil {
			g.log.Warn("taking down without a record", "err", err)
		}
		errs = append(errs, g.runStage(ctx, action, stage, keepGoing))
		if !keepGoing && errors.Join(errs...) != nil {
			break
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := g.note("", ""); err != nil && !keepGoing {
		return err
	} else if err != nil {
		g.log.Warn("the record still says that this action is being done", "err", err)
	}
	return nil
}

// runStage runs the steps of a stage at once. With keepGoing each has its share
// of the time; otherwise the first that fails ends the others, whose own errors
// then say nothing.
func (g *Group) runStage(ctx context.Context, action string, stage Stage, keepGoing bool) error {
	var cancel context.CancelFunc
	if keepGoing {
		ctx, cancel = withShare(ctx, stageShare)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	results := make(chan error, len(stage))
	for _, step := range stage {
		go func() { results <- g.runStep(ctx, action, step) }()
	}
	var errs []error
	for range stage {
		err := <-results
		if err == nil {
			continue
		}
		if !keepGoing {
			cancel()
		}
		if ended := !keepGoing && len(errs) > 0 && errors.Is(err, context.Canceled); !ended {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (g *Group) runStep(ctx context.Context, action string, step Step) error {
	g.boundary(action, step.Name, "before")
	start := time.Now()
	err := step.Run(ctx)
	dur := time.Since(start).Round(time.Millisecond)
	if err != nil {
		g.log.Error("step failed", "action", action, "step", step.Name, "dur", dur, "err", err)
		return &StepError{Step: step.Name, Err: err}
	}
	g.log.Info("step done", "action", action, "step", step.Name, "dur", dur)
	g.boundary(action, step.Name, "after")
	return nil
}

// note writes down what is about to be done.
func (g *Group) note(action, step string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.record.Action, g.record.Step = action, step
	return saveRecord(g.sys, g.cfg.Instance, g.record)
}

// noteThere writes down that a piece, one of the flags of the record, is about
// to be there, or is gone.
func (g *Group) noteThere(piece *bool, there bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if *piece == there {
		return nil
	}
	*piece = there
	return saveRecord(g.sys, g.cfg.Instance, g.record)
}

// noteStopped writes down that a unit of the node is stopped for the time of
// the promotion.
func (g *Group) noteStopped(unit string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if slices.Contains(g.record.Stopped, unit) {
		return nil
	}
	g.record.Stopped = append(g.record.Stopped, unit)
	return saveRecord(g.sys, g.cfg.Instance, g.record)
}
