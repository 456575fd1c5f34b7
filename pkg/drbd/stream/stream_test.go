package stream_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/stream"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

const (
	runsFull = "runs events2 --timestamps --full --poll"
	runsOld  = "runs events2 --timestamps --statistics"
	up       = "up: 1 resources, kernel 9.1.23, utilities 9.22.0"
	killed   = "down: drbdsetup events2: ended by SIGKILL"
)

var (
	errKilled = &host.ExitError{Argv: []string{"drbdsetup", "events2"}, Code: -1, Signal: "SIGKILL"}
	errFails  = &host.ExitError{Argv: []string{"drbdsetup", "events2"}, Code: 20}
)

// lives are what can happen to a child and to the module, as a story each.
var lives = []struct {
	name     string
	programs []hosttest.Program
	plot     func(w *world)
	d        time.Duration
	want     []string
}{
	{
		"changes follow the dump",
		[]hosttest.Program{prints(dump+"change resource name:r0 role:Secondary\nexists -\n", "")},
		nil, 59 * time.Second,
		[]string{"0s " + runsFull, "0s " + up, "0s line: change resource name:r0 role:Secondary"},
	},
	{
		"killed after a while, it is replaced at once",
		[]hosttest.Program{ends(dump, 10*time.Second, errKilled), prints(dump, "")},
		nil, 30 * time.Second,
		[]string{"0s " + runsFull, "0s " + up, "10s " + killed, "10s " + runsFull, "10s " + up},
	},
	{
		"killed soon, it is replaced with growing pauses until one lives",
		[]hosttest.Program{
			ends(dump, 0, errKilled), ends(dump, 0, errKilled), ends(dump, time.Second, errKilled), ends(dump, 0, errKilled), prints(dump, ""),
		},
		nil, 30 * time.Second,
		[]string{
			"0s " + runsFull, "0s " + up, "0s " + killed, "1s " + runsFull, "1s " + up, "1s " + killed,
			"3s " + runsFull, "3s " + up, "4s " + killed, "4s " + runsFull, "4s " + up, "4s " + killed, "5s " + runsFull, "5s " + up,
		},
	},
	{
		"fails for ever",
		[]hosttest.Program{ends("", 0, errFails)},
		nil, 95 * time.Second,
		[]string{
			"0s " + runsFull, "0s down: drbdsetup events2: exit code 20", "1s " + runsFull, "3s " + runsFull, "7s " + runsFull,
			"15s " + runsFull, "31s " + runsFull, "1m1s " + runsFull, "1m31s " + runsFull,
		},
	},
	{
		"ends well, which is no good reason",
		[]hosttest.Program{ends(dump, time.Minute-time.Second, nil), prints(dump, "")},
		nil, 100 * time.Second,
		[]string{"0s " + runsFull, "0s " + up, "59s down: drbdsetup events2 ended", "59s " + runsFull, "59s " + up},
	},
	{
		"dump broken off: never up",
		[]hosttest.Program{ends("exists resource name:r0 role:Primary\nexists dev", 0, errFails), prints(dump, "")},
		nil, 30 * time.Second,
		[]string{"0s " + runsFull, "0s down: drbdsetup events2: exit code 20", "1s " + runsFull, "1s " + up},
	},
	{
		"cut off in the middle of a line, which is not applied",
		[]hosttest.Program{ends(dump+"change resource name:r0 role:Sec", 5*time.Second, errKilled), prints(dump, "")},
		nil, 9 * time.Second,
		[]string{"0s " + runsFull, "0s " + up, "5s " + killed, "5s " + runsFull, "5s " + up},
	},
	{
		"lost lines need a new dump",
		[]hosttest.Program{prints(dump+"change resource name:r0 role:Secondary\n- skipped 3\nchange resource name:r0 role:Primary\n", ""), prints(dump, "")},
		nil, 30 * time.Second,
		[]string{
			"0s " + runsFull, "0s " + up, "0s line: change resource name:r0 role:Secondary", "0s down: DRBD dropped lines of events2: 3",
			"1s " + runsFull, "1s " + up,
		},
	},
	{
		"lost lines in the dump",
		[]hosttest.Program{prints("exists resource name:r0 role:Primary\n- skipped 1\nexists -\n", ""), prints(dump, "")},
		nil, 30 * time.Second,
		[]string{"0s " + runsFull, "0s down: DRBD dropped lines of events2: 1", "1s " + runsFull, "1s " + up},
	},
	{
		"hangs in the dump",
		[]hosttest.Program{prints("exists resource name:r0 role:Primary\n", ""), prints(dump, "")},
		nil, time.Minute,
		[]string{"0s " + runsFull, "30s down: drbdsetup events2 prints nothing for 30s", "31s " + runsFull, "31s " + up},
	},
	{
		"module not loaded, then loaded, then unloaded, which ends the child",
		[]hosttest.Program{ends(dump, 10*time.Second, errFails), prints(dump, "")},
		func(w *world) {
			w.load("", 0)
			time.Sleep(9500 * time.Millisecond)
			w.load(kernel9, 1)
			time.Sleep(10 * time.Second)
			w.load("", 0)
			time.Sleep(10 * time.Second)
			w.load(kernel9, 2)
		},
		40 * time.Second,
		[]string{
			"0s down: DRBD's kernel module is not loaded", "0s emptied", "10s " + runsFull, "10s " + up,
			"20s down: DRBD's kernel module is not loaded", "20s emptied", "30s " + runsFull, "30s " + up,
		},
	},
	{
		"module unloaded behind the child's back",
		[]hosttest.Program{prints(dump, "")},
		func(w *world) {
			time.Sleep(4500 * time.Millisecond)
			w.load("", 0)
		},
		10 * time.Second,
		[]string{"0s " + runsFull, "0s " + up, "5s down: DRBD's kernel module is not loaded", "5s emptied"},
	},
	{
		"module loaded anew behind the child's back",
		[]hosttest.Program{prints(dump, ""), prints("exists -\n", "")},
		func(w *world) {
			time.Sleep(4500 * time.Millisecond)
			w.load(kernel9, 2)
		},
		10 * time.Second,
		[]string{
			"0s " + runsFull, "0s " + up, "5s down: DRBD's kernel module was loaded anew",
			"5s " + runsFull, "5s up: 0 resources, kernel 9.1.23, utilities 9.22.0",
		},
	},
	{
		"module replaced by another version",
		[]hosttest.Program{prints(dump, "")},
		func(w *world) {
			time.Sleep(4500 * time.Millisecond)
			w.load(kernel84, 2)
		},
		10 * time.Second,
		[]string{
			"0s " + runsFull, "0s " + up, "5s down: DRBD's kernel module was loaded anew",
			"5s " + runsOld, "5s up: 1 resources, kernel 8.4.11, utilities 9.22.0",
		},
	},
}

// Ensure that the stream survives what can happen to its child and to the
// module, and tells it in order.
func TestRun(t *testing.T) {
	for _, tt := range lives {
		t.Run(tt.name, func(t *testing.T) {
			story, w := live(t, tt.d, func(t *testing.T) *world {
				w := newWorld(t, tt.programs...)
				if strings.HasPrefix(tt.name, "module not loaded") {
					w.load("", 0)
				}
				return w
			}, tt.plot)
			if diff := cmp.Diff(tt.want, story); diff != "" {
				t.Errorf("story (-want +got):\n%s\nlog:\n%s", diff, w.log.String())
			}
			if n := w.stream.Counters().ParseErrors; n != 0 {
				t.Errorf("%d lines not understood", n)
			}
		})
	}
}

// Ensure that the same trouble is logged once, and trouble after a good time again.
func TestLog(t *testing.T) {
	_, w := live(t, time.Hour, func(t *testing.T) *world {
		fails := ends("prose\nmore prose\n", 0, errFails)
		return newWorld(t, fails, fails, fails, ends(dump, time.Minute, errFails), fails, prints(dump, ""))
	}, nil)
	for text, want := range map[string]int{
		`level=WARN msg="DRBD cannot be followed, trying again" err="drbdsetup events2: exit code 20"`: 2,
		`level=WARN msg="line of events2 not understood, more are only counted"`:                       4,
		"level=": 6,
	} {
		if got := strings.Count(w.log.String(), text); got != want {
			t.Errorf("%q is logged %d times, want %d, in:\n%s", text, got, want, w.log.String())
		}
	}
}

// Ensure that waiting for the module is told once and runs nothing: drbdsetup
// would load it.
func TestModuleIsNotLoadedByLooking(t *testing.T) {
	_, w := live(t, time.Hour, func(t *testing.T) *world {
		w := newWorld(t, prints(dump, ""))
		w.load("", 0)
		return w
	}, nil)
	if got := w.Commands(); len(got) != 0 {
		t.Errorf("ran %q", got)
	}
	if got, want := w.log.String(), "level=INFO msg=\"DRBD's kernel module is not loaded, waiting for it\"\n"; got != want {
		t.Errorf("log = %q, want %q", got, want)
	}
}

// Ensure that what cannot be read or understood about the module is told, and
// tried again.
func TestUnreadableModule(t *testing.T) {
	story, _ := live(t, 10*time.Second, func(t *testing.T) *world {
		w := newWorld(t, prints(dump, ""))
		w.load("hello\n", 1)
		return w
	}, func(w *world) {
		time.Sleep(3500 * time.Millisecond)
		w.load(kernel9, 1)
		time.Sleep(time.Second)
		w.load("hello\n", 1) // while the child runs, it is no reason to end it
	})
	want := []string{`0s down: /proc/drbd: no DRBD version in "hello"`, "4s " + runsFull, "4s " + up}
	if diff := cmp.Diff(want, story); diff != "" {
		t.Errorf("story (-want +got):\n%s", diff)
	}
}

// Ensure that the counters tell what happened.
func TestCounters(t *testing.T) {
	const stamp = "2026-11-23T05:42:52.942916+00:00 "
	stamped := stamp + strings.ReplaceAll(strings.TrimSuffix(dump, "\n"), "\n", "\n"+stamp) + "\n"
	more := "2026-11-23T05:42:53.000000+02:00 change path name:r0 peer-node-id:1 conn-name:b local:x peer:y established:yes\n" +
		"call helper name:r0 helper:split-brain\nprose\nchange moon name:r0\n"
	_, w := live(t, 30*time.Second, func(t *testing.T) *world {
		return newWorld(t, ends(stamped, 10*time.Second, errKilled), prints(stamped+more, ""))
	}, func(w *world) {
		time.Sleep(20 * time.Second)
		got := w.stream.Counters()
		want := stream.Counters{
			Up: true, ParseErrors: 1, Restarts: 1, LastEvent: time.Date(2026, 11, 23, 3, 42, 53, 0, time.UTC),
			Lines: map[drbd.Object]uint64{"resource": 2, "connection": 2, "device": 2, "peer-device": 2, "path": 1, "helper": 1, "other": 3},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("counters (-want +got):\n%s", diff)
		}
		got.Lines["resource"] = 99 // a copy
	})
	if got := w.stream.Counters(); got.Up || got.Lines["resource"] != 2 {
		t.Errorf("at the end: %+v", got)
	}
}

// Ensure that a receiver that does not read holds up the child, not the end of
// the stream.
func TestSlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := 0
		w := newWorld(t, func(_ context.Context, _ host.Cmd, _ io.Reader, stdout io.Writer) error {
			for text := dump; ; written++ {
				if _, err := io.WriteString(stdout, text); err != nil {
					return err
				}
				text = "change resource name:r0 role:Secondary\n"
			}
		})
		s, err := stream.New(stream.Options{Host: w})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := s.Run(ctx, make(chan stream.Update)); err != nil {
			t.Errorf("Run = %v", err)
		}
		if written == 0 || written > 100 {
			t.Errorf("%d lines were taken from the child", written)
		}
	})
}

// Ensure that a child that the kernel does not let go is told, that no second
// one is started beside it, and that Run does not wait for it for ever.
func TestStuckChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		w := newWorld(t, func(context.Context, host.Cmd, io.Reader, io.Writer) error {
			<-release
			return errKilled
		})
		var log strings.Builder
		s, err := stream.New(stream.Options{Host: w, Log: textLog(&log)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		out := make(chan stream.Update, 10)
		start := time.Now()
		err = s.Run(ctx, out)
		if took := time.Since(start); !errors.Is(err, stream.ErrStuck) || took > time.Hour+10*time.Second {
			t.Errorf("Run = %v after %s", err, took)
		}
		if u := <-out; !errors.Is(u.Down, stream.ErrStalled) || len(out) != 0 {
			t.Errorf("told %+v and %d more", u, len(out))
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors logged:\n%s", n, log.String())
		}
		close(release)
		synctest.Wait()
	})
}

// Ensure that a stream without a machine is refused.
func TestNewWithoutHost(t *testing.T) {
	if _, err := stream.New(stream.Options{}); err == nil {
		t.Error("New did not fail")
	}
}
