package host_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// Ensure that output, arguments and input arrive as they are, without a shell
// in between.
func TestRun(t *testing.T) {
	h := scripted(t, "tool", `printf '[%s]' "$@"; cat; echo complaint >&2`)
	res, err := h.Run(t.Context(), host.Cmd{Name: "tool", Args: []string{"a b", "$HOME", ";", "", "*"}, Stdin: []byte("in")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(res.Stdout), "[a b][$HOME][;][][*]in"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
	if got := string(res.Stderr); got != "complaint\n" {
		t.Errorf("standard error %q", got)
	}
}

// Ensure that a program sees nothing of the caller's environment, in
// particular nothing by which systemd would take it for a service.
func TestRunEnvironment(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/x")
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LANG", "ja_JP.UTF-8")
	h := scripted(t, "tool", "env | grep -v '^PWD=\\|^_=\\|^SHLVL='; pwd")
	res, err := h.Run(t.Context(), host.Cmd{Name: "tool", Env: []string{"OCF_RESOURCE_INSTANCE=nfs"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(res.Stdout)) {
		if !strings.HasPrefix(line, "PATH=") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"/", "HOME=/root", "LC_ALL=C", "OCF_RESOURCE_INSTANCE=nfs"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ensure that a program stays in the caller's process group, which Pacemaker
// kills on a timeout, and reads nothing from the caller's input.
func TestRunProcessGroup(t *testing.T) {
	h := scripted(t, "tool", "cut -d' ' -f5 /proc/$$/stat; readlink /proc/$$/fd/0")
	res, err := h.Run(t.Context(), host.Cmd{Name: "tool"})
	if err != nil {
		t.Fatal(err)
	}
	group, input, _ := strings.Cut(strings.TrimSpace(string(res.Stdout)), "\n")
	if want := itoa(syscall.Getpgrp()); group != want {
		t.Errorf("process group %s, want %s", group, want)
	}
	if input != os.DevNull {
		t.Errorf("input from %s", input)
	}
}

func TestRunExitError(t *testing.T) {
	tests := []struct {
		name, script string
		want         host.ExitError
		text         string
	}{
		{"a code", "echo first >&2; echo '  last  ' >&2; echo >&2; exit 17", host.ExitError{Code: 17, Stderr: "first\n  last"}, "tool -x y: exit code 17: last"},
		{"no words", "exit 1", host.ExitError{Code: 1}, "tool -x y: exit code 1"},
		{"a signal", "kill -KILL $$", host.ExitError{Code: -1, Signal: "SIGKILL"}, "tool -x y: ended by SIGKILL"},
		{"another signal", "echo out of >&2; kill -SEGV $$", host.ExitError{Code: -1, Signal: "SIGSEGV", Stderr: "out of"}, "tool -x y: ended by SIGSEGV: out of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := scripted(t, "tool", "echo out; "+tt.script)
			res, err := h.Run(t.Context(), host.Cmd{Op: "test.op", Name: "tool", Args: []string{"-x", "y"}})
			var ee *host.ExitError
			if !errors.As(err, &ee) {
				t.Fatalf("error %v, want an ExitError", err)
			}
			tt.want.Op, tt.want.Argv = "test.op", []string{"tool", "-x", "y"}
			if diff := cmp.Diff(tt.want, *ee); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if ee.Error() != tt.text {
				t.Errorf("text %q, want %q", ee, tt.text)
			}
			if string(res.Stdout) != "out\n" {
				t.Errorf("output %q is lost", res.Stdout)
			}
		})
	}
}

// Ensure that the end of a long complaint is kept, which says what happened.
func TestRunLongStderr(t *testing.T) {
	h := scripted(t, "tool", "i=0; while [ $i -lt 1000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1")
	_, err := h.Run(t.Context(), host.Cmd{Name: "tool"})
	var ee *host.ExitError
	if !errors.As(err, &ee) || len(ee.Stderr) > 4096 || !strings.HasSuffix(ee.Stderr, "line 999") {
		t.Errorf("error = %v", err)
	}
}

// Ensure that a program that does not end gets SIGTERM when the context ends,
// and SIGKILL soon after when it does not listen; and that a grandchild that
// holds the output open does not hold up the caller.
func TestRunTimeout(t *testing.T) {
	tests := []struct {
		name, script string
		mark         bool // the program had the time to clean up
	}{
		{"ends on SIGTERM", "trap 'echo > mark; exit 0' TERM; echo > ready; sleep 60 & wait", true},
		{"is deaf", "trap '' TERM; echo > ready; while :; do sleep 0.1; done", false},
		{"leaves a child", "echo > ready; sleep 60 & exec sleep 60", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			h := scripted(t, "tool", "cd "+dir+"; "+tt.script)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				for !exists(dir + "/ready") {
					time.Sleep(10 * time.Millisecond)
				}
				cancel()
			}()
			start := time.Now()
			_, err := h.Run(ctx, host.Cmd{Name: "tool", Args: []string{"arg"}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error = %v, want the context's", err)
			}
			if err != nil && !strings.Contains(err.Error(), "tool arg: ") {
				t.Errorf("error %q does not name the program", err)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
			if exists(dir+"/mark") != tt.mark {
				t.Errorf("cleaned up: %v", !tt.mark)
			}
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Ensure that a program that did its work is a success, even when a child of
// it keeps the output open.
func TestRunLeavesChild(t *testing.T) {
	h := scripted(t, "tool", "echo done; sleep 60 & exit 0")
	start := time.Now()
	res, err := h.Run(t.Context(), host.Cmd{Name: "tool"})
	if err != nil || string(res.Stdout) != "done\n" {
		t.Errorf("output %q, error %v", res.Stdout, err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

// Ensure that programs are looked for in the fixed path alone, and that what
// cannot be executed is not there.
func TestLookPath(t *testing.T) {
	dir, second := t.TempDir(), t.TempDir()
	for path, mode := range map[string]os.FileMode{
		dir + "/tool": 0o755, second + "/tool": 0o755, second + "/other": 0o755, dir + "/text": 0o644,
	} {
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/directory", 0o755); err != nil {
		t.Fatal(err)
	}
	h := host.New(nil).WithPath(dir + ":" + second)
	for name, want := range map[string]string{
		"tool": dir + "/tool", "other": second + "/other", second + "/tool": second + "/tool",
	} {
		if got, err := h.LookPath(name); err != nil || got != want {
			t.Errorf("LookPath(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
	t.Setenv("PATH", second+":/usr/bin:/bin")
	for _, name := range []string{"text", "directory", "sh", "none", dir + "/text", "/none/tool"} {
		_, err := h.LookPath(name)
		if !errors.Is(err, host.ErrNotInstalled) || !strings.Contains(err.Error(), name) {
			t.Errorf("LookPath(%q): %v, want %v", name, err, host.ErrNotInstalled)
		}
		if _, err := h.Run(t.Context(), host.Cmd{Name: name}); !errors.Is(err, host.ErrNotInstalled) {
			t.Errorf("Run(%q): %v, want %v", name, err, host.ErrNotInstalled)
		}
	}
	if _, err := host.New(nil).LookPath("sh"); err != nil {
		t.Errorf("the usual path has no sh: %v", err)
	}
}

// Ensure that a file that the kernel cannot execute is an error that names it.
func TestRunBroken(t *testing.T) {
	dir := t.TempDir()
	hosttest.Executable(t, dir+"/tool", "\x7fELF nonsense")
	_, err := host.New(nil).WithPath(dir).Run(t.Context(), host.Cmd{Name: "tool"})
	var ee *host.ExitError
	if err == nil || errors.As(err, &ee) || errors.Is(err, host.ErrNotInstalled) || !strings.Contains(err.Error(), "/tool: ") {
		t.Errorf("error = %v", err)
	}
}

// Ensure that each program run is in the log with its operation.
func TestRunLogs(t *testing.T) {
	var log bytes.Buffer
	h := host.New(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))).WithPath("/usr/bin:/bin")
	if _, err := h.Run(t.Context(), host.Cmd{Op: "drbd.primary", Name: "true", Args: []string{"res0"}}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"drbd.primary", "true res0"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log does not say %q:\n%s", text, &log)
		}
	}
}
