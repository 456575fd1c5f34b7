package resources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// handmade finds the resources that do the group's work by hand, and returns the
// items for them: none when there are no such resources.
//
// They are replaced on the node where they serve, because only that node sees
// the directories of the exports.
func (s *Stage) handmade(ctx context.Context, v view) ([]setup.Item, error) {
	h, err := cib.FindHandmade(v.doc, s.c)
	list := strings.Join(h.Tops, ", ")
	it := setup.Item{Object: "hand-made resources " + list, Key: "pacemaker.group"}
	switch {
	case err != nil:
		it.Object, it.Action, it.Detail = "hand-made resources", setup.Refuse, err.Error()
		return []setup.Item{it}, nil
	case !h.Found():
		return nil, nil
	}
	if node := serving(v.status, h.Primitives); node != "" && node != s.self {
		it.Action, it.Detail = setup.Other, fmt.Sprintf("serve on %s: drbdnfs setup apply --replace there puts the group in their place", node)
		return []setup.Item{it}, nil
	}
	if !s.replace {
		it.Action, it.Detail = setup.Refuse, "do the work of the group "+s.group()+" already"
		it.Why = "to put the group in their place: drbdnfs setup apply --replace (clients wait as for a move)"
		return []setup.Item{it}, nil
	}
	after, _, err := cib.ReplaceHandmade(v.doc, s.c)
	if err != nil {
		it.Action, it.Detail = setup.Refuse, err.Error()
		return []setup.Item{it}, nil
	}
	s.replaced = h.Primitives
	if refused, err := s.refusals(ctx, idle(v.doc), idle(after)); err != nil || len(refused) > 0 {
		return refused, err
	}
	it.Action, it.Detail = setup.Change, "stopped, then the group "+s.group()+" takes their place in one change of the CIB"
	it.Interrupts = "clients wait as for a planned move"
	it.Do = s.takeOver
	return []setup.Item{it}, nil
}

// idle is a copy of a CIB in which nothing runs, as when the group comes: while
// the resources run, crm_verify takes those that left the configuration for
// instances that run twice.
func idle(doc *etree.Document) *etree.Document {
	out := doc.Copy()
	if status := out.FindElement("cib/status"); status != nil {
		status.Parent().RemoveChild(status)
	}
	return out
}

// serving is the node on which most of the primitives are active; the promoted
// instance and what runs once decide, "" when nothing of them runs.
func serving(st pacemaker.Status, primitives []string) string {
	for _, id := range primitives {
		if promoted := st.Promoted(id); len(promoted) == 1 {
			return promoted[0]
		}
	}
	for _, id := range primitives {
		if on := st.Running(id); len(on) == 1 {
			return on[0]
		}
	}
	return ""
}

// takeOver stops the hand-made resources, waits until nothing of them runs, and
// puts the group in their place. Between the two the data is nowhere in use, so
// that whatever ends it there can be gone back from: the error says how.
func (s *Stage) takeOver(ctx context.Context, p setup.Progress) error {
	v, _, err := s.view(ctx)
	if err != nil {
		return err
	}
	h, err := cib.FindHandmade(v.doc, s.c)
	if err != nil {
		return err
	}
	s.replaced = h.Primitives
	if err := s.apply(ctx, p, cib.StopHandmade); err != nil {
		return fmt.Errorf("stop %s: %w", strings.Join(h.Tops, ", "), err)
	}
	back := func(err error) error {
		return fmt.Errorf("%w\nto go on: drbdnfs setup apply --replace; to go back: pcs resource enable %s", err, strings.Join(h.Tops, " "))
	}
	if err := s.awaitGone(ctx, p, h.Primitives); err != nil {
		return back(err)
	}
	if s.stopped != nil {
		if err := s.stopped(); err != nil {
			return back(err)
		}
	}
	if err := s.apply(ctx, p, cib.ReplaceHandmade); err != nil {
		return back(err)
	}
	return nil
}

// awaitGone returns when none of the primitives runs any more. A stop that fails
// is the end of it: without fencing Pacemaker does not try again.
func (s *Stage) awaitGone(ctx context.Context, p setup.Progress, primitives []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	since := time.Now().Truncate(time.Second) // Pacemaker tells seconds
	running := primitives
	for {
		st, err := s.status(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("still running: %s: %w", strings.Join(running, ", "), ctx.Err())
		}
		if err != nil {
			return err
		}
		running = nil
		for _, id := range primitives {
			for _, node := range st.Running(id) {
				running = append(running, id+" on "+node)
			}
			stops := slices.DeleteFunc(st.Failures(id), func(f pacemaker.Failure) bool { return f.Task != "stop" || f.When.Before(since) })
			if len(stops) > 0 {
				return errors.New(reasons(stops))
			}
		}
		if len(running) == 0 {
			return nil
		}
		p.Waiting("to stop: " + strings.Join(running, ", "))
		if err := sleep(ctx, setup.PollInterval); err != nil {
			return fmt.Errorf("still running: %s: %w", strings.Join(running, ", "), err)
		}
	}
}
