package hosttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Program is a program that runs until it returns. When its context ends it was
// sent a signal: its pipes are closed, and it has to return.
type Program func(ctx context.Context, c host.Cmd, stdin io.Reader, stdout io.Writer) error

// Runs installs program name, for [Host.Stream] and [Host.StreamInput]: each
// start is one call of f.
func (h *Host) Runs(name string, f Program) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[name] = f
}

// Stream runs a program of [Host.Runs] and reads what it prints.
func (h *Host) Stream(ctx context.Context, c host.Cmd, read func(stdout io.Reader) error) error {
	in := newInput()
	in.rest = c.Stdin
	in.close()
	return h.stream(ctx, c, in, read)
}

// StreamInput runs a program of [Host.Runs] and talks to it. Faults meet its
// start.
func (h *Host) StreamInput(ctx context.Context, c host.Cmd, talk func(stdin io.Writer, stdout io.Reader) error) error {
	in := newInput()
	return h.stream(ctx, c, in, func(stdout io.Reader) error { return talk(in, stdout) })
}

func (h *Host) stream(ctx context.Context, c host.Cmd, in *input, read func(io.Reader) error) error {
	var f Program
	err := h.do(ctx, c.Op, func() error {
		if f = h.running[c.Name]; f == nil {
			return fmt.Errorf("%s: %w", c.Name, host.ErrNotInstalled)
		}
		h.argv = append(h.argv, strings.Join(append([]string{c.Name}, c.Args...), " "))
		return nil
	})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	out, stdout := io.Pipe()
	pipes := func() {
		in.close()
		_ = stdout.Close()
	}
	context.AfterFunc(run, pipes)
	ended := make(chan error, 1) // the goroutine below sends once
	go func() {
		err := f(run, c, in, stdout)
		pipes()
		ended <- err
	}()
	eof := &eofReader{r: out}
	readErr := read(eof)
	stop()
	err = <-ended
	switch {
	case readErr != nil:
		return readErr
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", c.Name, ctx.Err())
	case !eof.seen:
		return nil
	}
	return err
}

// inputLimit is how many writes a program may leave unread.
const inputLimit = 64

// input is the standard input of a program.
type input struct {
	data  chan []byte
	rest  []byte
	ended chan struct{} // closed when there is nothing more to come
	close func()        // closes ended
}

func newInput() *input {
	i := &input{data: make(chan []byte, inputLimit), ended: make(chan struct{})}
	i.close = sync.OnceFunc(func() { close(i.ended) })
	return i
}

func (i *input) Write(p []byte) (int, error) {
	select {
	case <-i.ended:
		return 0, io.ErrClosedPipe
	default:
	}
	select {
	case i.data <- bytes.Clone(p):
		return len(p), nil
	case <-i.ended:
		return 0, io.ErrClosedPipe
	}
}

func (i *input) Read(p []byte) (int, error) {
	if len(i.rest) == 0 {
		select {
		case i.rest = <-i.data:
		case <-i.ended:
			return 0, io.EOF
		}
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	return n, nil
}

// eofReader remembers whether its reader was read to the end.
type eofReader struct {
	r    io.Reader
	seen bool
}

func (e *eofReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.seen = e.seen || errors.Is(err, io.EOF)
	return n, err
}
