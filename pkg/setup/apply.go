package setup

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Reporter is told what happens while a plan is applied. Its methods are called
// from one goroutine.
type Reporter interface {
	// Stage is called when a stage begins.
	Stage(name string)
	// Begin is called before an item is done. What takes time is shown through
	// the Progress until End.
	Begin(it Item) Progress
	// End is called after Begin, with the error of the item, nil when it is done.
	End(it Item, took time.Duration, err error)
}

// passes bounds how often a stage is looked at: each pass may find what only the
// one before it made possible. No stage needs more than half of them.
const passes = 8

// Apply brings about what the stages find, stage by stage. First it looks at
// all of them: with a refusal anywhere nothing is done, and the error is a
// [*RefusedError]. Each stage is looked at again after its items were done,
// until nothing is left. The first item that fails ends it; what was done stays
// and is found in place by the next Apply. ctx ends it between items and
// wherever an item waits.
//
// It returns the number of items that were done.
func Apply(ctx context.Context, stages []Stage, r Reporter) (int, error) {
	plan, err := Look(ctx, stages)
	if err != nil {
		return 0, err
	}
	if err := plan.Refused(); err != nil {
		return 0, err
	}
	return each(ctx, stages, Stage.Look, r)
}

// Remove takes back what LookRemove found, the last stage first. A refusal
// anywhere means that nothing is done. Otherwise it is as Apply.
func Remove(ctx context.Context, stages []Stage, r Reporter) (int, error) {
	plan, err := LookRemove(ctx, stages)
	if err != nil {
		return 0, err
	}
	if err := plan.Refused(); err != nil {
		return 0, err
	}
	backwards := slices.Clone(stages)
	slices.Reverse(backwards)
	return each(ctx, backwards, Stage.LookRemove, r)
}

// looker is one of a stage's two ways to look.
type looker func(Stage, context.Context) ([]Item, error)

// each brings one stage after the other to its end.
func each(ctx context.Context, stages []Stage, f looker, r Reporter) (int, error) {
	total := 0
	for _, s := range stages {
		r.Stage(s.Name())
		n, err := exhaust(ctx, s, f, r)
		total += n
		if err != nil {
			return total, fmt.Errorf("stage %s: %w", s.Name(), err)
		}
	}
	return total, nil
}

// exhaust repeats look and do until the stage has nothing left.
func exhaust(ctx context.Context, s Stage, f looker, r Reporter) (int, error) {
	total, before := 0, map[string]bool{}
	for range passes {
		items, err := f(s, ctx)
		if err != nil {
			return total, err
		}
		part := Part{Stage: s.Name(), Items: items}
		if err := (Plan{Parts: []Part{part}}).Refused(); err != nil {
			return total, err
		}
		done, err := doAll(ctx, part, before, r)
		total += done
		if err != nil {
			return total, err
		}
		if done == 0 {
			return total, waits(part)
		}
	}
	return total, fmt.Errorf("%w: something is left to do after %d passes", ErrStuck, passes)
}

// doAll does the items that have something to do. An item that was done in the
// pass before and is still there in the same words did not help.
func doAll(ctx context.Context, part Part, before map[string]bool, r Reporter) (int, error) {
	n := 0
	now := map[string]bool{}
	for _, it := range part.Items {
		if it.Do == nil {
			continue
		}
		key := string(it.Action) + " " + it.Object + ": " + it.Detail
		if before[key] {
			return n, fmt.Errorf("%w: still there after it was done: %s", ErrStuck, key)
		}
		now[key] = true
		if err := do(ctx, it, r); err != nil {
			return n, fmt.Errorf("%s: %w", it.Object, err)
		}
		n++
	}
	clear(before)
	for key := range now {
		before[key] = true
	}
	return n, nil
}

func do(ctx context.Context, it Item, r Reporter) error {
	p := r.Begin(it)
	start := time.Now()
	err := ctx.Err()
	if err == nil {
		err = it.Do(ctx, p)
	}
	r.End(it, time.Since(start), err)
	return err
}

// waits is an error when the stage has something that never came within reach.
func waits(part Part) error {
	for _, it := range part.with(Later) {
		return fmt.Errorf("%w: %s: %s; %s", ErrStuck, it.Object, it.Detail, it.Why)
	}
	return nil
}
