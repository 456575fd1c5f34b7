package filesystem_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// Ensure that whatever happens between the plan and the work stops the work
// before it touches the volume.
func TestBuildLooksAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*world)
		says   string
	}{
		{"peer Primary", func(w *world) { w.DRBD.PeerRole = "Primary" }, "drbdtest2 became Primary meanwhile"},
		{"down", func(w *world) { w.DRBD.Up = false }, "went down meanwhile"},
		{"disk lost", func(w *world) { w.DRBD.Disk = "Diskless" }, "is not UpToDate"},
		{"mounted", func(w *world) { w.mount(mnt, "xfs") }, "got mounted on /home/nfs meanwhile"},
		{"data appeared", func(w *world) { w.fs = "ext4" }, "holds ext4: setup does not overwrite it"},
		{"mkfs makes something else", func(w *world) { w.mkfsMakes = "swap" }, `there is swap "drbdnfs-new" afterwards`},
		{"no quorum", func(w *world) { w.DRBD.Quorum = false }, "No quorum"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			items, err := w.stage(conf(), "drbdtest1").Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tt.change(w)
			if err := items[0].Do(t.Context(), &silent{}); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
			if slices.ContainsFunc(w.changes(), func(c string) bool { return strings.HasPrefix(c, "mkfs") }) != (w.mkfsMakes != "") {
				t.Errorf("ran %q", w.changes())
			}
			if tt.name != "mounted" {
				w.clean(t)
			}
		})
	}
}

// steps are the labels of everything that the work does.
var steps = []string{
	"setup.private", "drbd.primary", "setup.mkfs", "setup.mount", "setup.parent", "setup.install", "setup.directory",
	"setup.umount", "setup.label", "drbd.secondary", "setup.private-remove",
}

// Ensure that a failure of each step is reported, leaves nothing mounted and
// nobody Primary, and that the next run goes on to the end.
func TestEachStepFails(t *testing.T) {
	broken := errors.New("broken")
	for _, op := range append([]string{"setup.blkid", "setup.flushbufs", "drbd.status", "drbd.backing-device"}, steps...) {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			s := w.stage(conf(), "drbdtest1")
			w.FailOnce(op, broken)
			if _, err := apply(t.Context(), s); !errors.Is(err, broken) {
				t.Fatalf("got %v", err)
			}
			if op != "drbd.secondary" && op != "setup.private-remove" {
				w.clean(t)
			}
			w.finished(t, s)
		})
	}
}

// finished applies once more and checks the result.
func (w *world) finished(t *testing.T, s setup.Stage) {
	t.Helper()
	if _, err := apply(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	w.clean(t)
	if w.fs != "xfs" || w.label != "res0" {
		t.Errorf("file system %q, label %q", w.fs, w.label)
	}
	if diff := cmp.Diff(exported, w.there(t)); diff != "" {
		t.Errorf("directories (-want +got):\n%s", diff)
	}
	if n, err := apply(t.Context(), s); n != 0 || err != nil {
		t.Errorf("run after that: %d items, %v", n, err)
	}
}

// Ensure that a run that is killed before, in and after each step is continued
// by the next one, also after a reboot.
func TestEachStepKilled(t *testing.T) {
	for _, op := range steps {
		for _, when := range []hosttest.When{hosttest.Before, hosttest.During, hosttest.After} {
			for _, reboot := range []bool{false, true} {
				name := op + " " + string(when)
				if reboot {
					name += ", reboot"
				}
				t.Run(name, func(t *testing.T) {
					w := newWorld(t)
					s := w.stage(conf(), "drbdtest1")
					w.Kill(op, 1, when)
					if !w.Action(t.Context(), func(ctx context.Context) { _, _ = apply(ctx, s) }) {
						t.Fatal("was not killed: the step did not happen")
					}
					if reboot {
						w.Reboot()
						w.SetUp()
					}
					w.finished(t, s)
				})
			}
		}
	}
}

// Ensure that the end of the context in the middle of mkfs leaves nobody
// Primary, and that a device that udev holds open is let go.
func TestBuildEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Hang("setup.mkfs")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := w.stage(conf(), "drbdtest1")
		if _, err := apply(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		w.clean(t)
		w.Clear()
		held := 3
		w.On("drbd.secondary", func() {
			w.DRBD.HeldOpen = held > 0
			held--
		})
		w.finished(t, s)
	})
}
