package group_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/nfs"
)

// Ensure that the group comes up and goes down, twice each, on both kernels.
func TestUpDown(t *testing.T) {
	for _, is84 := range []bool{false, true} {
		on(t, func(t *testing.T, h *hosttest.Host) {
			h.DRBD.Kernel84 = is84
			serve(t, h)
			must(t, open(t, h).Up(t.Context()))
			must(t, open(t, h).Down(t.Context()))
			must(t, open(t, h).Down(t.Context()))
			if left := h.Leftovers(); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			must(t, open(t, h).Stop(t.Context()))
			must(t, open(t, h).Stop(t.Context()))
			if h.DRBD.Up {
				t.Error("DRBD is up")
			}
		})
	}
}

// Ensure that a group without an address, or without what is needed for one,
// is refused.
func TestNewRefuses(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		cfg := config()
		cfg.VIPs = nil
		if _, err := group.New(group.Options{System: h, Config: cfg}); err == nil {
			t.Error("no address: no error")
		}
	})
}

// Ensure that every step calls the boundary before and after it, in the order
// of StepNames as far as there is one, and that a step that fails has no
// "after".
func TestBoundaries(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		must(t, open(t, h).Start(t.Context()))
		var mu sync.Mutex // the steps of one stage run at once
		seen := map[string][]string{}
		g := open(t, h, func(o *group.Options) {
			o.Boundary = func(action, step, when string) {
				mu.Lock()
				defer mu.Unlock()
				seen[action] = append(seen[action], step+" "+when)
			}
		})
		must(t, g.Up(t.Context()))
		h.Fail("mount.umount", errInjected)
		if err := g.Down(t.Context()); err == nil {
			t.Error("no error")
		}
		for _, action := range []string{"promote", "demote"} {
			var want []string
			for _, step := range g.StepNames(action) {
				want = append(want, step+" before")
				if step != "umount" && step != "secondary" {
					want = append(want, step+" after")
				}
			}
			got := seen[action]
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", action, got, want)
			}
		}
	})
}

// Ensure that the failure of a step names it and keeps its cause, that a step
// beside it is not named when it was only ended, and that everything is taken
// back.
func TestUpFails(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		must(t, open(t, h).Start(t.Context()))
		h.Fail("nfs.export", errInjected)
		err := open(t, h).Up(t.Context())
		var step *group.StepError
		if !errors.As(err, &step) || step.Step != "exports" || !errors.Is(err, errInjected) || !strings.HasSuffix(err.Error(), "(step exports)") {
			t.Errorf("error: %v", err)
		}
		if left := h.Leftovers(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// Ensure that a promotion that hangs keeps time enough to take itself back.
func TestUpHangs(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		must(t, open(t, h).Start(t.Context()))
		h.NFSD.NoWatch = true
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		start := time.Now()
		err := open(t, h).Up(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error: %v", err)
		}
		if took := time.Since(start); took > 40*time.Second || len(h.Leftovers()) > 0 {
			t.Errorf("after %v left: %v", took, h.Leftovers())
		}
	})
}

// Ensure that every step of a demotion is tried though each fails, and that all
// failures are told, the first first.
func TestDownGoesOn(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		g := serve(t, h)
		h.Fail("portblock.block", errors.New("first"))
		h.Fail("peers.destroy", errors.New("second"))
		h.Fail("drbd.secondary", errors.New("third"))
		err := g.Down(t.Context())
		if err == nil {
			t.Fatal("no error")
		}
		i, j, k := strings.Index(err.Error(), "first"), strings.Index(err.Error(), "second"), strings.Index(err.Error(), "third")
		if i < 0 || j < i || k < j {
			t.Errorf("error: %v", err)
		}
		if h.HasAddress(vip4) || h.Mounted("/home/nfs") != "" || h.NFSD.Threads > 0 {
			t.Errorf("left: %v", h.Leftovers())
		}
		h.Clear()
		must(t, open(t, h).Stop(t.Context()))
		if left := h.Leftovers(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// Ensure that start waits for the peer, and not for ever; and that it waits for
// nobody who is not coming.
func TestStartSettles(t *testing.T) {
	tests := []struct {
		name  string
		scene func(h *hosttest.Host)
		min   time.Duration
		max   time.Duration
	}{
		{"connected", func(*hosttest.Host) {}, 0, 0},
		{"peer gone", func(h *hosttest.Host) { h.DRBD.LosePeer() }, 5 * time.Second, 6 * time.Second},
		{"standing alone", func(h *hosttest.Host) { h.DRBD.LosePeer(); h.DRBD.Connection = "StandAlone" }, 0, 0},
		{"standing alone on 8.4", func(h *hosttest.Host) { h.DRBD.Kernel84 = true; h.DRBD.LosePeer(); h.DRBD.Connection = "StandAlone" }, 0, 6 * time.Second},
		{"peer comes", func(h *hosttest.Host) {
			h.DRBD.LosePeer()
			looks := 0
			h.On("drbd.status", func() {
				if looks++; looks == 6 {
					h.DRBD.Connection, h.DRBD.Replication, h.DRBD.PeerDisk = "Connected", "Established", "UpToDate"
				}
			})
		}, 500 * time.Millisecond, 2 * time.Second},
		{"disk attaching", func(h *hosttest.Host) {
			h.DRBD.Disk = "Attaching"
			looks := 0
			h.On("drbd.status", func() {
				if looks++; looks == 4 {
					h.DRBD.Disk = "UpToDate"
				}
			})
		}, 200 * time.Millisecond, 2 * time.Second},
		{"half up", func(h *hosttest.Host) { h.SetUp(); h.DRBD.Half = true }, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, h *hosttest.Host) {
				tt.scene(h)
				start := time.Now()
				must(t, open(t, h).Start(t.Context()))
				if took := time.Since(start); took < tt.min || took > tt.max {
					t.Errorf("took %v, want %v to %v", took, tt.min, tt.max)
				}
				if h.DRBD.Half || !h.DRBD.Up {
					t.Error("DRBD is not up")
				}
			})
		})
	}
}

// Ensure that a start ends with its context.
func TestStartEnds(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		h.DRBD.LosePeer()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := open(t, h).Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error: %v", err)
		}
	})
}

// Ensure that reload withdraws nothing that is still wanted.
func TestReload(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		serve(t, h)
		before := config()
		now, err := nfs.ParseExports("/home/nfs/user-data 192.168.2.0/24(ro); /home/nfs/more-data *(rw)", "res0")
		must(t, err)
		g := open(t, h, func(o *group.Options) {
			o.Config.Exports, o.Config.Server.Threads = now, 16
			o.Params = map[string]string{"exports": "new"}
		})
		must(t, g.Reload(t.Context(), before))
		if etab, _ := h.File(nfs.EtabPath); len(nfs.Missing(now, etab)) > 0 || strings.Contains(etab, "(rw,sync") {
			t.Errorf("etab:\n%s", etab)
		}
		rec, err := group.LoadRecord(h, "nfs")
		if err != nil || rec.Params["exports"] != "new" || h.NFSD.Threads != 16 {
			t.Errorf("record %+v, threads %d, %v", rec, h.NFSD.Threads, err)
		}
	})
}

// Ensure that a write to a volume that hangs is not waited for longer than the
// context says.
func TestTestWrite(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		g := serve(t, h)
		must(t, g.TestWrite(t.Context()))
		h.Suspend("quorum")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := g.TestWrite(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error: %v", err)
		}
		h.Resume()
	})
}

// Ensure that CheckState accepts what start can use.
func TestCheckState(t *testing.T) {
	on(t, func(t *testing.T, h *hosttest.Host) {
		g := open(t, h)
		must(t, g.CheckState())
		h.Delete("/var/lib/nfs")
		must(t, g.CheckState())
		h.SetLink("/var/lib/nfs", "/srv/nfs")
		if err := g.CheckState(); !errors.Is(err, nfs.ErrForeignState) || !strings.Contains(err.Error(), "/srv/nfs") {
			t.Errorf("error: %v", err)
		}
		h.Fail("stat /var/lib/nfs", errInjected)
		if err := g.CheckState(); !errors.Is(err, errInjected) {
			t.Errorf("error: %v", err)
		}
	})
}
