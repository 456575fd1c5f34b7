package stream

import (
	"maps"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// OtherObject stands in [Counters] for lines about no object, or about one that
// is not known: the number of different objects is bounded.
const OtherObject drbd.Object = "other"

// Counters is what a [Stream] has done since it was made.
type Counters struct {
	Up          bool                   // a dump was read to its end and its child still runs
	Lines       map[drbd.Object]uint64 // lines read, by object; all objects are in it
	ParseErrors uint64                 // lines that were none
	Restarts    uint64                 // children after the first
	LastEvent   time.Time              // of the last line, by DRBD's tools; zero before the first
}

// objects are the keys of Counters.Lines.
var objects = []drbd.Object{
	drbd.ObjectResource, drbd.ObjectConnection, drbd.ObjectDevice, drbd.ObjectPeerDevice, drbd.ObjectPath, drbd.ObjectHelper, OtherObject,
}

// tally is Counters with a lock.
type tally struct {
	mu sync.Mutex
	c  Counters
}

func newTally() *tally {
	t := &tally{c: Counters{Lines: make(map[drbd.Object]uint64, len(objects))}}
	for _, o := range objects {
		t.c.Lines[o] = 0
	}
	return t
}

// update changes the counters.
func (t *tally) update(f func(c *Counters)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.c)
}

// get returns a copy.
func (t *tally) get() Counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.c
	c.Lines = maps.Clone(c.Lines)
	return c
}

// lines counts what one read has brought, without a lock or a map for each line.
type lines struct {
	byObject [7]uint64 // in the order of objects
	last     time.Time
}

func (l *lines) count(ev drbd.Event) {
	l.byObject[place(ev.Object)]++
	if !ev.Time.IsZero() {
		l.last = ev.Time
	}
}

// place is the index of o in objects.
func place(o drbd.Object) int {
	switch o {
	case drbd.ObjectResource:
		return 0
	case drbd.ObjectConnection:
		return 1
	case drbd.ObjectDevice:
		return 2
	case drbd.ObjectPeerDevice:
		return 3
	case drbd.ObjectPath:
		return 4
	case drbd.ObjectHelper:
		return 5
	}
	return 6
}

// add puts l into t and empties it.
func (l *lines) add(t *tally) {
	t.update(func(c *Counters) {
		for i, o := range objects {
			c.Lines[o] += l.byObject[i]
		}
		if !l.last.IsZero() {
			c.LastEvent = l.last
		}
	})
	*l = lines{}
}
