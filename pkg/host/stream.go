package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
)

// errReadDone ends the copying of a program's output that nobody reads any more.
var errReadDone = errors.New("reader is done")

// Stream runs c and calls read with its standard output while it runs; it
// returns when both have ended. The reader sees io.EOF when the program has
// ended; when read returns first, the program gets SIGTERM and, half a second
// later, SIGKILL, as it does when ctx ends.
//
// An error of read comes first and is returned as it is. Otherwise a ctx that
// ended is ctx.Err() wrapped, a program that is missing is [ErrNotInstalled],
// one that ended badly by itself is an [*ExitError], and one that ended well,
// or because read was done, is nil. Starting the program anew is the caller's.
//
// Environment, locale and working directory are those of [Host.Run].
func (h *Host) Stream(ctx context.Context, c Cmd, read func(stdout io.Reader) error) error {
	return h.stream(ctx, c, func(cmd *exec.Cmd) (func(io.Reader) error, error) {
		if c.Stdin != nil {
			cmd.Stdin = bytes.NewReader(c.Stdin)
		}
		return read, nil
	})
}

// StreamInput is [Host.Stream] for a program that is talked to while it runs:
// stdin is a pipe to its standard input, which stays open until the program has
// ended. Any goroutine may write to it; a write waits only while the program
// leaves 64 KiB unread, and fails once the program has ended. The Stdin of c
// has to be nil.
func (h *Host) StreamInput(ctx context.Context, c Cmd, talk func(stdin io.Writer, stdout io.Reader) error) error {
	return h.stream(ctx, c, func(cmd *exec.Cmd) (func(io.Reader) error, error) {
		if c.Stdin != nil {
			return nil, errors.New("standard input is given twice")
		}
		stdin, err := cmd.StdinPipe() // closed by Wait
		if err != nil {
			return nil, err
		}
		return func(stdout io.Reader) error { return talk(stdin, stdout) }, nil
	})
}

// stream runs c; input says what its standard input is, and who reads its output.
func (h *Host) stream(ctx context.Context, c Cmd, input func(*exec.Cmd) (func(io.Reader) error, error)) error {
	path, err := h.LookPath(c.Name)
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(run, path, c.Args...)
	// An io.Pipe, not StdoutPipe: Wait then gives up after WaitDelay on an
	// output that a grandchild holds open.
	out, in := io.Pipe()
	stderr := &tail{limit: stderrLimit}
	cmd.Stdout, cmd.Stderr = in, stderr
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=" + h.path, "LC_ALL=C", "HOME=/root"}, c.Env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
	read, err := input(cmd)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", strings.Join(cmd.Args, " "), err)
	}
	ended := make(chan error, 1) // the goroutine below sends once
	go func() {
		err := cmd.Wait()
		_ = in.Close() // never fails; the reader now sees io.EOF
		ended <- err
	}()
	stdout := &eofReader{r: out}
	readErr := read(stdout)
	stop()
	_ = out.CloseWithError(errReadDone) // never fails
	waitErr := <-ended
	var ee *exec.ExitError
	switch {
	case readErr != nil:
		return readErr
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), ctx.Err())
	case !stdout.eof: // read had enough: how the program then ended is of no interest
		return nil
	case errors.As(waitErr, &ee):
		return newExitError(c, cmd.Args, ee, stderr.data)
	}
	return waitErr
}

// eofReader remembers whether its reader was read to the end.
type eofReader struct {
	r   io.Reader
	eof bool
}

func (e *eofReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.eof = e.eof || errors.Is(err, io.EOF)
	return n, err
}

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	data  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if extra := len(t.data) - t.limit; extra > 0 {
		t.data = append(t.data[:0], t.data[extra:]...)
	}
	return len(p), nil
}
