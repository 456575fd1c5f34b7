package stream_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/stream"
	"github.com/spacei/drbdnfs/pkg/host"
)

// scripted is this machine, with scripts for DRBD's tools and a module that they
// stand for.
type scripted struct {
	*host.Host
	dir, kernel string
}

func newScripted(t *testing.T, kernel string) scripted {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"drbdsetup", "drbdadm"} {
		script, err := filepath.Abs(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(script, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return scripted{host.New(nil).WithPath(dir + ":/usr/bin:/bin"), dir, kernel}
}

func (r scripted) ReadFile(string) ([]byte, error) { return []byte(r.kernel), nil }

func (r scripted) Stat(string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }

// children returns the process ids of all children that were started to stay.
func (r scripted) children(t *testing.T) []int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for line := range strings.Lines(string(data)) {
		pid, args, _ := strings.Cut(line, " ")
		if strings.Contains(args, "--now") {
			continue
		}
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, n)
	}
	return pids
}

// Ensure that drbdsetup as a real process is followed, refreshed, replaced when
// somebody kills it, and gone with its goroutines at the end.
func TestRealChild(t *testing.T) {
	for _, tt := range []struct{ name, kernel string }{{"9", kernel9}, {"8.4", kernel84}} {
		t.Run(tt.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			r := newScripted(t, tt.kernel)
			s, err := stream.New(stream.Options{Host: r, Refresh: 20 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			out := make(chan stream.Update, 16)
			ended := make(chan error, 1) // the goroutine below sends once
			go func() { ended <- s.Run(ctx, out) }()

			refreshed(ctx, t, out)
			first := r.children(t)
			if len(first) != 1 {
				t.Fatalf("children %v", first)
			}
			if err := syscall.Kill(first[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			down(ctx, t, out)
			refreshed(ctx, t, out)
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run = %v", err)
			}
			for _, pid := range r.children(t) {
				if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
					t.Errorf("child %d is left: %v", pid, err)
				}
			}
			for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				}
			}
		})
	}
}

// refreshed waits until a new state has come and its numbers were refreshed.
func refreshed(ctx context.Context, t *testing.T, out <-chan stream.Update) {
	t.Helper()
	state := drbd.NewState()
	for {
		select {
		case u := <-out:
			if u.State != nil {
				state = u.State
			}
			for _, ev := range u.Events {
				state.Apply(ev)
			}
			if u.Numbers != nil {
				state.Refresh(u.Numbers)
			}
		case <-ctx.Done():
			t.Fatal("numbers were not refreshed")
		}
		if r := state.Resources["res0"]; r != nil && state.Complete && r.Devices[0].ReadBytes == 2<<10 {
			return
		}
	}
}

// down waits until the child's end by a signal is told.
func down(ctx context.Context, t *testing.T, out <-chan stream.Update) {
	t.Helper()
	for {
		select {
		case u := <-out:
			var ee *host.ExitError
			if errors.As(u.Down, &ee) && ee.Signal == "SIGKILL" {
				return
			}
			if u.Down != nil {
				t.Fatalf("down: %v", u.Down)
			}
		case <-ctx.Done():
			t.Fatal("the end of the child was not told")
		}
	}
}
