package events2

import (
	"bufio"
	"fmt"
	"io"
	"iter"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// maxLine bounds one line. The longest that DRBD prints is below 2 KiB.
const maxLine = 1 << 20

// Read returns the events of a stream of lines, as they come. A line that does
// not parse yields an error that is [ErrSyntax] and the iteration goes on; any
// other error comes from r and ends it, as the end of r does without an error.
// Empty lines are left out. Read blocks as long as r does: closing r, or the
// end of the process that writes to it, ends it.
func Read(r io.Reader) iter.Seq2[drbd.Event, error] {
	return func(yield func(drbd.Event, error) bool) {
		p := parser{slabs: true}
		sc := bufio.NewScanner(r)
		sc.Buffer(make([]byte, 0, 8<<10), maxLine)
		for sc.Scan() {
			if len(sc.Bytes()) == 0 {
				continue
			}
			if !yield(p.parse(sc.Text())) {
				return
			}
		}
		if err := sc.Err(); err != nil {
			yield(drbd.Event{}, fmt.Errorf("read events2: %w", err))
		}
	}
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
