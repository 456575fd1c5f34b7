package host_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// scripted returns a machine on which name is the shell script given.
func scripted(t *testing.T, name, script string) *host.Host {
	t.Helper()
	dir := t.TempDir()
	hosttest.Executable(t, filepath.Join(dir, name), "#!/bin/sh\n"+script+"\n")
	return host.New(nil).WithPath(dir + ":/usr/bin:/bin")
}

// Ensure that the reader gets all output, and that how the program ended is told.
func TestStream(t *testing.T) {
	for _, tt := range []struct {
		name, script, want string
		code               int
	}{
		{"ends well", "echo one; echo two", "one\ntwo\n", 0},
		{"ends badly", "echo one; echo 'no such family' >&2; exit 20", "one\n", 20},
		{"has no output", ":", "", 0},
		{"has a clean environment", "echo $LC_ALL $HOME $(pwd)", "C /root /\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := scripted(t, "drbdsetup", tt.script)
			var got []byte
			err := h.Stream(t.Context(), host.Cmd{Op: "drbd.events2", Name: "drbdsetup", Args: []string{"events2"}}, func(r io.Reader) (err error) {
				got, err = io.ReadAll(r)
				return err
			})
			if string(got) != tt.want {
				t.Errorf("read %q, want %q", got, tt.want)
			}
			var ee *host.ExitError
			if tt.code == 0 && err != nil {
				t.Errorf("error = %v, want none", err)
			}
			if tt.code != 0 && (!errors.As(err, &ee) || ee.Code != tt.code || ee.Stderr != "no such family" || ee.Argv[0] != "drbdsetup") {
				t.Errorf("error = %#v, want an ExitError with code %d", err, tt.code)
			}
		})
	}
}

// Ensure that a program which never ends is ended when nobody wants it any more.
func TestStreamEndsProgram(t *testing.T) {
	const script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
	errEnough := errors.New("enough")
	for _, tt := range []struct {
		name   string
		script string
		read   func(cancel func(), sc *bufio.Scanner) error
		want   error
	}{
		{"reader is done", script, func(_ func(), _ *bufio.Scanner) error { return nil }, nil},
		{"reader fails", script, func(_ func(), _ *bufio.Scanner) error { return errEnough }, errEnough},
		{"context ends", script, func(cancel func(), sc *bufio.Scanner) error {
			cancel()
			for sc.Scan() {
			}
			return nil
		}, context.Canceled},
		{"program ignores SIGTERM", "trap '' TERM; echo ready; while :; do sleep 0.05; done", func(cancel func(), sc *bufio.Scanner) error {
			cancel()
			for sc.Scan() {
			}
			return nil
		}, context.Canceled},
		{"grandchild holds the output", "echo ready; sleep 2 & exit 0", func(_ func(), sc *bufio.Scanner) error {
			for sc.Scan() {
			}
			return errEnough
		}, errEnough},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := scripted(t, "drbdsetup", tt.script)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			start := time.Now()
			err := h.Stream(ctx, host.Cmd{Op: "drbd.events2", Name: "drbdsetup"}, func(r io.Reader) error {
				sc := bufio.NewScanner(r)
				if !sc.Scan() || sc.Text() != "ready" {
					t.Errorf("first line = %q, want ready", sc.Text())
				}
				return tt.read(cancel, sc)
			})
			if !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// Ensure that a missing program is told from one that fails.
func TestStreamNotInstalled(t *testing.T) {
	h := host.New(nil).WithPath(t.TempDir())
	err := h.Stream(t.Context(), host.Cmd{Op: "drbd.events2", Name: "drbdsetup"}, func(io.Reader) error {
		t.Error("read was called")
		return nil
	})
	if !errors.Is(err, host.ErrNotInstalled) {
		t.Errorf("error = %v, want %v", err, host.ErrNotInstalled)
	}
}

// Ensure that a talkative program's standard error does not fill the memory.
func TestStreamKeepsEndOfStderr(t *testing.T) {
	h := scripted(t, "drbdsetup", "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1")
	err := h.Stream(t.Context(), host.Cmd{Name: "drbdsetup"}, func(r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	var ee *host.ExitError
	if !errors.As(err, &ee) || len(ee.Stderr) > 4096 || !strings.HasSuffix(ee.Stderr, "line 1999") {
		t.Errorf("error = %v, want an ExitError with the last lines", err)
	}
}

// Ensure that a program can be talked to while it runs, and that writing to one
// that has ended fails.
func TestStreamInput(t *testing.T) {
	const script = `echo ready
while read -r line; do
	case $line in end) exit 3;; *) echo "got $line";; esac
done`
	for _, tt := range []struct {
		name  string
		lines []string
		code  int
	}{
		{"talk is done", []string{"n", "n"}, 0},
		{"program ends", []string{"n", "end"}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := scripted(t, "drbdsetup", script)
			err := h.StreamInput(t.Context(), host.Cmd{Op: "drbd.events2", Name: "drbdsetup"}, func(stdin io.Writer, stdout io.Reader) error {
				sc := bufio.NewScanner(stdout)
				want := "ready"
				for _, line := range append(tt.lines, "") {
					if !sc.Scan() || sc.Text() != want {
						t.Errorf("read %q, want %q", sc.Text(), want)
					}
					if line == "" || line == "end" {
						break
					}
					if _, err := io.WriteString(stdin, line+"\n"); err != nil {
						t.Error(err)
					}
					want = "got " + line
				}
				if tt.code == 0 {
					return nil
				}
				_, _ = io.WriteString(stdin, "end\n")
				for sc.Scan() {
				}
				// The pipe is closed by the end of the program, or has no reader any more.
				if _, err := io.WriteString(stdin, "n\n"); err == nil {
					t.Error("a program that has ended can be written to")
				}
				return sc.Err()
			})
			var ee *host.ExitError
			if tt.code == 0 && err != nil {
				t.Errorf("error = %v, want none", err)
			}
			if tt.code != 0 && (!errors.As(err, &ee) || ee.Code != tt.code) {
				t.Errorf("error = %v, want an ExitError with code %d", err, tt.code)
			}
		})
	}
}

// Ensure that standard input cannot be given twice, and that nothing runs then.
func TestStreamInputTwice(t *testing.T) {
	h := scripted(t, "drbdsetup", "echo ready")
	err := h.StreamInput(t.Context(), host.Cmd{Name: "drbdsetup", Stdin: []byte("x")}, func(io.Writer, io.Reader) error {
		t.Error("talk was called")
		return nil
	})
	if err == nil {
		t.Error("no error")
	}
}
