package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/journal"
)

// buffer is written by the daemon while the test reads it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Ensure that the command reads the file it is given, logs its beginning and its
// end, and ends when it is told to.
func TestRuns(t *testing.T) {
	var log buffer
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1) // the goroutine below sends once
	file := t.TempDir() + "/none.toml"
	go func() {
		app := newApp(&bytes.Buffer{}, host.New(nil).WithPath(t.TempDir()), slog.New(journal.NewText(&log, slog.LevelInfo)))
		ended <- app.RunContext(ctx, []string{"drbdnfsd", "--file", file})
	}()
	for _, want := range []string{`msg="drbdnfsd begins"`, "path=" + file + " missing=true"} {
		for !strings.Contains(log.String(), want) {
			if ctx.Err() != nil {
				t.Fatalf("%s is not logged, but:\n%s", want, log.String())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the command ended with %v", err)
	}
	if !strings.Contains(log.String(), `msg="drbdnfsd ends"`) {
		t.Errorf("the end is not logged:\n%s", log.String())
	}
}

// Ensure that arguments that the command does not know start nothing, and say
// so by the exit code.
func TestArguments(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int // of a cli.ExitCoder; 0 is another error
	}{
		{[]string{"start"}, 2},
		{[]string{"--file"}, 0},
		{[]string{"--no-such-flag"}, 0},
	} {
		var out, log buffer
		app := newApp(&out, host.New(nil).WithPath(""), slog.New(journal.NewText(&log, slog.LevelInfo)))
		app.ErrWriter = &out
		app.ExitErrHandler = func(*cli.Context, error) {}
		err := app.Run(append([]string{"drbdnfsd"}, tt.args...))
		var coder cli.ExitCoder
		if err == nil || errors.As(err, &coder) != (tt.code != 0) || tt.code != 0 && coder.ExitCode() != tt.code {
			t.Errorf("%v: %v", tt.args, err)
		}
		if log.String() != "" {
			t.Errorf("%v logged %s", tt.args, log.String())
		}
	}
}

// Ensure that --version and --help say what they have to and start nothing.
func TestVersion(t *testing.T) {
	for flag, want := range map[string]string{"--version": "drbdnfsd version devel\n", "--help": "--file"} {
		var out bytes.Buffer
		if err := newApp(&out, host.New(nil).WithPath(""), nil).Run([]string{"drbdnfsd", flag}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s printed %q, want %q", flag, out.String(), want)
		}
	}
}

// Ensure that systemd is asked for the watchdog's time, and that half of it is
// used.
func TestWatchdog(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "60000000")
	t.Setenv("WATCHDOG_PID", "")
	if got := watchdog(); got != 30*time.Second {
		t.Errorf("watchdog %v", got)
	}
	t.Setenv("WATCHDOG_USEC", "nonsense")
	if got := watchdog(); got != 0 {
		t.Errorf("watchdog %v", got)
	}
}
