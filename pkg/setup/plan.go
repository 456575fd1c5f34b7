package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Part is what one stage saw.
type Part struct {
	Stage string
	Items []Item
}

// Plan is what all stages saw, in their order.
type Plan struct {
	Parts []Part
}

// Look asks every stage what there is to do. It changes nothing. An error names
// the stage that could not look; the plan then holds the stages before it.
func Look(ctx context.Context, stages []Stage) (Plan, error) {
	return look(ctx, stages, Stage.Look)
}

// LookRemove asks every stage, the last one first, what there is to take back.
func LookRemove(ctx context.Context, stages []Stage) (Plan, error) {
	backwards := slices.Clone(stages)
	slices.Reverse(backwards)
	return look(ctx, backwards, Stage.LookRemove)
}

func look(ctx context.Context, stages []Stage, f looker) (Plan, error) {
	var p Plan
	for _, s := range stages {
		items, err := f(s, ctx)
		if err != nil {
			return p, fmt.Errorf("look at stage %s: %w", s.Name(), err)
		}
		p.Parts = append(p.Parts, Part{Stage: s.Name(), Items: items})
	}
	return p, nil
}

// Count returns how many items have one of the actions.
func (p Plan) Count(actions ...Action) int {
	n := 0
	for _, part := range p.Parts {
		n += len(part.with(actions...))
	}
	return n
}

// Pending is the number of items that apply would do something for. What can
// only be seen later counts too.
func (p Plan) Pending() int { return p.Count(Make, Change, Drop, Await, Later) }

// Interrupts reports whether clients notice something of the plan.
func (p Plan) Interrupts() bool {
	return slices.ContainsFunc(p.Parts, func(part Part) bool {
		return slices.ContainsFunc(part.Items, func(it Item) bool { return it.Interrupts != "" && it.Do != nil })
	})
}

// Refused is nil, or a [*RefusedError] with every refusal of the plan.
func (p Plan) Refused() error {
	var refused []Part
	for _, part := range p.Parts {
		if items := part.with(Refuse); len(items) > 0 {
			refused = append(refused, Part{Stage: part.Stage, Items: items})
		}
	}
	if refused == nil {
		return nil
	}
	return &RefusedError{Parts: refused}
}

// with returns the items that have one of the actions.
func (p Part) with(actions ...Action) []Item {
	var out []Item
	for _, it := range p.Items {
		if slices.Contains(actions, it.Action) {
			out = append(out, it)
		}
	}
	return out
}

// RefusedError lists what a person has to decide before anything is done.
type RefusedError struct {
	Parts []Part // refusals only
}

// Error names each object, the problem and what to do.
func (e *RefusedError) Error() string {
	var lines []string
	for _, p := range e.Parts {
		for _, it := range p.Items {
			line := it.Object + ": " + it.Detail
			if it.Why != "" {
				line += "; " + it.Why
			}
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// ErrStuck reports an item that is still to be done after it was done, or that
// waits for something no stage brings about.
var ErrStuck = errors.New("there is no way on")
