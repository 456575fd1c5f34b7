package setup_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/setup"
)

// stage is a stage of facts that have to become true one after the other: a
// fact can be seen when the one before it is true.
type stage struct {
	name  string
	facts []string
	have  map[string]bool
	fail  map[string]error // by fact, what doing it returns
	lost  map[string]bool  // facts that do not become true by being done
	extra []setup.Item
}

func (s *stage) Name() string { return s.name }

func (s *stage) Look(context.Context) ([]setup.Item, error) {
	items := slices.Clone(s.extra)
	for _, f := range s.facts {
		if s.have[f] {
			items = append(items, setup.Item{Object: f, Action: setup.Keep})
			continue
		}
		items = append(items, setup.Item{Object: f, Action: setup.Make, Do: func(context.Context, setup.Progress) error {
			if !s.lost[f] {
				s.have[f] = s.fail[f] == nil
			}
			return s.fail[f]
		}})
		break
	}
	return items, nil
}

func (s *stage) LookRemove(context.Context) ([]setup.Item, error) {
	var items []setup.Item
	for _, f := range slices.Backward(s.facts) {
		if s.have[f] {
			items = append(items, setup.Item{Object: f, Action: setup.Drop, Do: func(context.Context, setup.Progress) error {
				delete(s.have, f)
				return s.fail[f]
			}})
		}
	}
	return append(s.extra, items...), nil
}

func newStage(name string, facts ...string) *stage {
	return &stage{name: name, facts: facts, have: map[string]bool{}, fail: map[string]error{}, lost: map[string]bool{}}
}

// log records what a Reporter is told.
type log struct{ lines []string }

func (l *log) Stage(name string)               { l.lines = append(l.lines, "stage "+name) }
func (l *log) Begin(setup.Item) setup.Progress { return nil }
func (l *log) End(it setup.Item, _ time.Duration, e error) {
	line := "done " + it.Object
	if e != nil {
		line = "failed " + it.Object
	}
	l.lines = append(l.lines, line)
}

// Ensure that a stage is looked at again until what one item made possible is
// done too, and that a second run does nothing.
func TestApply(t *testing.T) {
	host, cib := newStage("host", "disk", "group"), newStage("cib", "clone")
	stages := []setup.Stage{host, cib}
	var l log
	n, err := setup.Apply(t.Context(), stages, &l)
	if n != 3 || err != nil {
		t.Fatalf("Apply did %d items, %v; want 3", n, err)
	}
	want := []string{"stage host", "done disk", "done group", "stage cib", "done clone"}
	if diff := cmp.Diff(want, l.lines); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	if n, err := setup.Apply(t.Context(), stages, &log{}); n != 0 || err != nil {
		t.Errorf("the second run did %d items, %v; want none", n, err)
	}
}

// Ensure that a refusal of the last stage keeps the first one from doing
// anything, and says what to do.
func TestApplyRefused(t *testing.T) {
	host, cib := newStage("host", "disk"), newStage("cib")
	cib.extra = []setup.Item{{Object: "resource nfs", Action: setup.Refuse, Detail: "is another agent's", Why: "set pacemaker.group"}}
	_, err := setup.Apply(t.Context(), []setup.Stage{host, cib}, &log{})
	var refused *setup.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v, want a RefusedError", err)
	}
	if got, want := err.Error(), "resource nfs: is another agent's; set pacemaker.group"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	if len(host.have) != 0 {
		t.Error("something was done before the refusal")
	}
}

// Ensure that what goes wrong ends the run with words, keeps what was done, and
// that the next run goes on from there.
func TestApplyFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*stage)
		want  string
		done  int
	}{
		{"an item fails", func(s *stage) { s.fail["group"] = errors.New("no space") }, "stage host: group: no space", 1},
		{"an item does not help", func(s *stage) { s.lost["group"] = true }, "still there after it was done: make group", 2},
		{"something never comes into reach", func(s *stage) {
			s.extra = []setup.Item{{Object: "volume", Action: setup.Later, Detail: "no satellite", Why: "start it"}}
		}, "volume: no satellite; start it", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			host, cib := newStage("host", "disk", "group"), newStage("cib", "clone")
			tt.spoil(host)
			n, err := setup.Apply(t.Context(), []setup.Stage{host, cib}, &log{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if n != tt.done || !host.have["disk"] || cib.have["clone"] {
				t.Errorf("did %d items (%v, %v), want %d and nothing of the stage behind", n, host.have, cib.have, tt.done)
			}
			clear(host.fail)
			clear(host.lost)
			host.extra = nil
			if _, err := setup.Apply(t.Context(), []setup.Stage{host, cib}, &log{}); err != nil || !cib.have["clone"] {
				t.Errorf("the next run does not go on: %v", err)
			}
		})
	}
}

// Ensure that an ended context keeps the next item from being done.
func TestApplyCancelled(t *testing.T) {
	host := newStage("host", "disk")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := setup.Apply(ctx, []setup.Stage{host}, &log{}); !errors.Is(err, context.Canceled) || len(host.have) != 0 {
		t.Errorf("error %v, done %v; want context.Canceled and nothing done", err, host.have)
	}
}

// Ensure that removal goes backwards and that a refusal comes before it.
func TestRemove(t *testing.T) {
	host, cib := newStage("host", "disk", "group"), newStage("cib", "clone")
	stages := []setup.Stage{host, cib}
	if _, err := setup.Apply(t.Context(), stages, &log{}); err != nil {
		t.Fatal(err)
	}
	host.extra = []setup.Item{{Object: "disk", Action: setup.Refuse, Detail: "in use"}}
	if _, err := setup.Remove(t.Context(), stages, &log{}); err == nil || !cib.have["clone"] {
		t.Fatalf("error %v: something was removed in spite of a refusal", err)
	}
	host.extra = nil
	var l log
	if n, err := setup.Remove(t.Context(), stages, &l); n != 3 || err != nil {
		t.Fatalf("Remove did %d items, %v; want 3", n, err)
	}
	want := []string{"stage cib", "done clone", "stage host", "done group", "done disk"}
	if diff := cmp.Diff(want, l.lines); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}

// Ensure that a plan says what waits and what clients notice.
func TestPlan(t *testing.T) {
	nothing := func(context.Context, setup.Progress) error { return nil }
	p := setup.Plan{Parts: []setup.Part{{Stage: "cib", Items: []setup.Item{
		{Action: setup.Keep},
		{Action: setup.Change, Do: nothing},
		{Action: setup.Later},
		{Action: setup.Warn, Interrupts: "nothing is done, so nothing is noticed"},
	}}}}
	if got := p.Pending(); got != 2 {
		t.Errorf("Pending is %d, want 2", got)
	}
	if p.Interrupts() {
		t.Error("Interrupts, though the change does not")
	}
	p.Parts[0].Items[1].Interrupts = "the resource restarts"
	if !p.Interrupts() {
		t.Error("does not interrupt, though the change does")
	}
	if err := p.Refused(); err != nil {
		t.Errorf("Refused is %v, want nil", err)
	}
}
