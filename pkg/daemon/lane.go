package daemon

import "sync"

// laneLength is how much may wait in a lane behind what is being done.
const laneLength = 8

// lane is what takes time for one connection, one after the other. It has a
// goroutine only while there is something to do: on a node of many resources
// most connections never have anything.
type lane struct {
	mu   sync.Mutex
	jobs []func()
	runs bool
}

// add queues f, unless too much waits. Where start is true the caller has run
// started.
func (l *lane) add(f func()) (start, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.jobs) == laneLength {
		return false, false
	}
	l.jobs = append(l.jobs, f)
	start, l.runs = !l.runs, true
	return start, true
}

// run does what is queued until nothing is left.
func (l *lane) run() {
	for f := l.next(); f != nil; f = l.next() {
		f()
	}
}

// next takes the first of the queue, nil for the end.
func (l *lane) next() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.jobs) == 0 {
		l.jobs, l.runs = nil, false
		return nil
	}
	f := l.jobs[0]
	l.jobs = l.jobs[1:]
	return f
}
