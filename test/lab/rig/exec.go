package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// errTail is how much of a failed command's output an error quotes, in bytes.
const errTail = 1500

// run executes a program on this machine and returns its standard output. The
// error quotes the end of what it printed.
func run(ctx context.Context, argv ...string) (string, error) {
	return runInput(ctx, nil, argv...)
}

func runInput(ctx context.Context, stdin io.Reader, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdin = stdin
	cmd.WaitDelay = 2 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// A signal typed at the terminal is for the lab tool, which ends its
	// children through ctx in its own order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return stdout.String(), fmt.Errorf("%s: %w\n%s", strings.Join(argv[:min(len(argv), 4)], " "), err, tail(stdout.String()+stderr.String()))
	}
	return stdout.String(), nil
}

func tail(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > errTail {
		s = "[...] " + s[len(s)-errTail:]
	}
	return s
}

// Poll calls check until it returns nil, ctx ends or limit has passed. The error
// says what was waited for and check's last answer.
func Poll(ctx context.Context, what string, limit, every time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	last := errors.New("never checked")
	for {
		if err := check(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil || last.Error() == "never checked" {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %w", limit, what, last)
		case <-time.After(every):
		}
	}
}
