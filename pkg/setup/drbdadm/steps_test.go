package drbdadm_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// mutations are the labels of everything that the first apply does.
var mutations = []string{
	"setup.lvcreate", "setup.wipefs", "setup.lvchange", "setup.rundir", "setup.trial", "drbd.check-file", "setup.resdir",
	"setup.resfile", "setup.trial-remove", "drbd.create-md", "drbd.up", "drbd.primary-force", "drbd.secondary",
}

// Ensure that a failure of each step is reported and that the next run goes on
// to the end.
func TestEachStepFails(t *testing.T) {
	broken := errors.New("broken")
	for _, op := range append([]string{"setup.vgs", "setup.lvs", "setup.blkid", "setup.flushbufs", "drbd.status", "drbd.dump-md", "drbd.get-gi"}, mutations...) {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			w.stale = "ext4"
			w.FailOnce(op, broken)
			s := w.stage(conf(), "drbdtest1")
			if _, err := w.apply(t.Context(), s); !errors.Is(err, broken) {
				t.Fatalf("got %v", err)
			}
			w.finished(t, s)
		})
	}
}

// finished applies once more and checks the result.
func (w *world) finished(t *testing.T, s setup.Stage) {
	t.Helper()
	if _, err := w.apply(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if w.tags != "drbdnfs" || w.content != "" || w.meta != "v09" || w.role != "Secondary" || w.disk != "UpToDate" || w.forced != 1 {
		t.Errorf("tags %q, content %q, metadata %q, %s, %s, forced %d times", w.tags, w.content, w.meta, w.role, w.disk, w.forced)
	}
	if n, err := w.apply(t.Context(), s); n != 0 || err != nil {
		t.Errorf("run after that: %d items, %v", n, err)
	}
}

// Ensure that a run that is killed before, in and after each step is continued
// by the next one.
func TestEachStepKilled(t *testing.T) {
	for _, op := range mutations {
		for _, when := range []hosttest.When{hosttest.Before, hosttest.During, hosttest.After} {
			t.Run(op+" "+string(when), func(t *testing.T) {
				w := newWorld(t)
				w.stale = "ext4"
				s := w.stage(conf(), "drbdtest1")
				w.Kill(op, 1, when)
				killed := w.Action(t.Context(), func(ctx context.Context) { _, _ = w.apply(ctx, s) })
				if !killed {
					t.Fatal("was not killed: the step did not happen")
				}
				w.finished(t, s)
			})
		}
	}
}

// Ensure that remove takes the resource down and the file away, keeps the
// volume, and refuses what is in use.
func TestRemove(t *testing.T) {
	w := made(t, newWorld(t))
	s := w.stage(conf(), "drbdtest1")
	before := len(w.changes())
	items, err := s.LookRemove(t.Context())
	want := []string{
		"drop DRBD resource res0: take it down, the data stays",
		"drop /etc/drbd.d/res0.res: made by setup",
		"keep logical volume drbdpool/res0: holds the data",
	}
	if diff := cmp.Diff(want, plan(t, items, err)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	w.role = "Primary"
	items, err = s.LookRemove(t.Context())
	if got := plan(t, items, err)[0]; len(items) != 2 || got != "later DRBD resource res0: is Primary here: it is in use" {
		t.Errorf("in use: %s", got)
	}
	w.role = "Secondary"
	if _, err := setup.Remove(t.Context(), []setup.Stage{s}, &silent{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"drbdadm down res0"}, w.changes()[before:]); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if _, err := w.ReadFile(resFile); err == nil || w.size == 0 {
		t.Errorf("file left: %v, volume %d bytes", err == nil, w.size)
	}
	items, err = s.LookRemove(t.Context())
	if diff := cmp.Diff(want[2:], plan(t, items, err)); diff != "" {
		t.Errorf("second plan (-want +got):\n%s", diff)
	}
}

// Ensure that the file of somebody else stays, and that the resource that may
// have become Primary meanwhile is not taken down.
func TestRemoveIsCareful(t *testing.T) {
	w := made(t, newWorld(t))
	s := w.stage(conf(), "drbdtest1")
	items, err := s.LookRemove(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.role = "Primary"
	if err := items[0].Do(t.Context(), &silent{}); err == nil || !w.up {
		t.Errorf("taken down while Primary: %v", err)
	}
	w.SetFile(resFile, "resource res0 {}")
	if err := items[1].Do(t.Context(), &silent{}); err != nil {
		t.Error(err)
	}
	items, err = s.LookRemove(t.Context())
	if got := plan(t, items, err)[0]; got != "keep /etc/drbd.d/res0.res: was not made by setup" {
		t.Errorf("got %s", got)
	}
}
