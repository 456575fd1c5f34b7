package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
)

// ErrLost ends a child after which the state cannot be trusted any more.
var ErrLost = errors.New("DRBD dropped lines of events2")

// message is what one read of the child's output has brought.
type message struct {
	stdin   io.Writer    // of the child, with the first message
	state   *drbd.State  // the dump is complete; comes before any events
	events  []drbd.Event // after the dump
	syncing bool         // a resync runs
	err     error        // lines were lost: the last message
}

// reader turns the output of one child into messages. Until the dump is over
// it sends empty ones, as a sign of life.
type reader struct {
	ctx      context.Context // of the child
	messages chan<- message
	tally    *tally
	log      *slog.Logger

	dump     *drbd.State // nil once it was sent
	next     message
	fresh    bool // something was read since next was sent
	lines    lines
	bad      uint64 // lines that were none, of this read
	badTold  bool   // such a line was told
	lastSize int    // events of the last message
}

// read reads until stdout or the context ends, or lines were lost.
func (r *reader) read(stdin io.Writer, stdout io.Reader) error {
	r.next.stdin = stdin
	for ev, err := range events2.Read(flusher{stdout, r}) {
		switch {
		case errors.Is(err, events2.ErrCutOff): // the child was killed while it wrote
		case errors.Is(err, events2.ErrSyntax):
			r.malformed(err)
		case err != nil:
			return err
		default:
			if r.take(ev); r.next.err != nil {
				return errors.Join(r.next.err, r.flush())
			}
		}
	}
	return r.flush()
}

// flusher hands on what was read so far before it asks for more, which may
// take for ever.
type flusher struct {
	stdout io.Reader
	r      *reader
}

func (f flusher) Read(p []byte) (int, error) {
	if err := f.r.flush(); err != nil {
		return 0, err
	}
	n, err := f.stdout.Read(p)
	f.r.fresh = true
	return n, err
}

// malformed counts a line that is none, and tells the first one of a child.
func (r *reader) malformed(err error) {
	r.bad++
	if !r.badTold {
		r.badTold = true
		r.log.Warn("line of events2 not understood, more are only counted", "err", err)
	}
}

// take puts one event into the next message.
func (r *reader) take(ev drbd.Event) {
	r.lines.count(ev)
	if ev.Verb == drbd.VerbSkipped {
		r.next.err = fmt.Errorf("%w: %d", ErrLost, ev.Skipped)
		return
	}
	if ev.Object == drbd.ObjectPeerDevice && !r.next.syncing {
		word, _ := ev.Get("replication")
		r.next.syncing = drbd.ReplicationState(word).Resyncing()
	}
	if r.dump != nil {
		if r.dump.Apply(ev); r.dump.Complete {
			r.next.state, r.dump = r.dump, nil
		}
		return
	}
	if ev.DumpEnd() {
		return // another dump in the same stream; its lines are as good as changes
	}
	if r.next.events == nil {
		// Reads are alike: a single line most of the time, many in a storm.
		r.next.events = make([]drbd.Event, 0, max(1, r.lastSize))
	}
	r.next.events = append(r.next.events, ev)
}

// flush sends what the last read has brought.
func (r *reader) flush() error {
	if !r.fresh {
		return nil
	}
	r.fresh = false
	r.lines.add(r.tally)
	if r.bad > 0 {
		bad := r.bad
		r.bad = 0
		r.tally.update(func(c *Counters) { c.ParseErrors += bad })
	}
	m := r.next
	r.lastSize, r.next = len(m.events), message{}
	if m.state == nil && m.events == nil && m.err == nil && r.dump == nil {
		return nil
	}
	select {
	case r.messages <- m:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}
