package events2

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

const (
	// maxLine bounds one line. The longest that DRBD prints is below 2 KiB.
	maxLine = 1 << 20
	// bufferSize is how much is read at once: as much as os/exec passes on. All
	// lines of one read share one string.
	bufferSize = 32 << 10
	// maxEmptyReads is how often a reader may return nothing in a row.
	maxEmptyReads = 100
)

// Read returns the events of a stream of lines, as they come. A line that does
// not parse yields an error that is [ErrSyntax] and the iteration goes on; a
// last line without its newline is [ErrCutOff]. Any other error comes from r and
// ends it, as the end of r does without an error. Empty lines are left out.
//
// Read blocks as long as r does: closing r, or the end of the process that
// writes to it, ends it. It asks r for more only after the last whole line has
// been handled, so that r knows when nothing is left to handle.
//
// The strings of an event are parts of what was read with it, up to 32 KiB:
// copy what is to stay, as [drbd.State.Apply] does.
func Read(r io.Reader) iter.Seq2[drbd.Event, error] {
	return func(yield func(drbd.Event, error) bool) {
		p := parser{slabs: true}
		in := input{r: r, buf: make([]byte, bufferSize)}
		for {
			text, err := in.lines()
			for text != "" {
				var line string
				line, text, _ = strings.Cut(text, "\n")
				if line == "" {
					continue
				}
				if !yield(p.parse(line)) {
					return
				}
			}
			if err == nil {
				continue
			}
			if !errors.Is(err, io.EOF) {
				yield(drbd.Event{}, fmt.Errorf("read events2: %w", err))
			} else if in.n > 0 {
				yield(drbd.Event{}, fmt.Errorf("%w: %.120q", ErrCutOff, in.buf[:in.n]))
			}
			return
		}
	}
}

// input cuts what a reader returns into whole lines.
type input struct {
	r   io.Reader
	buf []byte
	n   int // bytes of buf that hold the beginning of a line
}

// lines returns the whole lines of the next read that has any. With an error
// there may be lines too.
func (in *input) lines() (string, error) {
	for empty := 0; empty < maxEmptyReads; {
		if in.n == len(in.buf) {
			if in.n >= maxLine {
				return "", bufio.ErrTooLong
			}
			in.buf = append(in.buf, make([]byte, in.n)...)
		}
		m, err := in.r.Read(in.buf[in.n:])
		have := in.n + m
		end := in.n + bytes.LastIndexByte(in.buf[in.n:have], '\n') + 1
		if end == in.n { // no newline
			in.n = have
			if err != nil {
				return "", err
			}
			if m == 0 {
				empty++
			}
			continue
		}
		text := string(in.buf[:end])
		in.n = copy(in.buf, in.buf[end:have])
		return text, err
	}
	return "", io.ErrNoProgress
}

// ReadDump returns the state that an initial dump describes: the output of
// "events2 --now", or the beginning of a stream. It reads up to "exists -" or,
// because a dump may also just end, up to the end of r; State.Complete tells
// which. Unlike [Read] it fails on the first line that does not parse: a state
// with a hole is worse than none.
func ReadDump(r io.Reader) (*drbd.State, error) {
	st := drbd.NewState()
	for ev, err := range Read(r) {
		if err != nil {
			return nil, err
		}
		st.Apply(ev)
		if st.Complete {
			break
		}
	}
	return st, nil
}
