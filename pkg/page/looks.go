package page

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/status"
)

const (
	lookLimit = 2 * time.Second                  // then a look is told to end
	patience  = lookLimit + 500*time.Millisecond // how long somebody waits for one
	restTime  = time.Second                      // between the end of a look and the next
)

var (
	errSlow   = fmt.Errorf("the look at this node has not come back within %v", patience)
	errBroken = errors.New("the look at this node broke off: the journal of drbdnfsd says where")
	errClosed = errors.New("drbdnfsd is stopping")
)

// result is what a look led to. It is never changed.
type result struct{ html, json []byte }

// looks are those of all who ask.
type looks struct {
	look func(context.Context) status.Picture
	log  *slog.Logger
	life context.Context // of the looks; no request may end one that others wait for
	end  context.CancelFunc

	mu    sync.Mutex
	last  *turn // under way, or the last one
	ended time.Time
}

// turn is one look. result and err are there when done is closed, by the
// goroutine that looks.
type turn struct {
	done   chan struct{}
	result *result
	err    error
}

func newLooks(o Options) *looks {
	l := &looks{look: o.Look, log: o.Log}
	l.life, l.end = context.WithCancel(context.Background())
	return l
}

// get returns what the look under way, the last one if it is new enough, or else
// a new one led to.
func (l *looks) get(ctx context.Context) (*result, error) {
	if l.life.Err() != nil {
		return nil, errClosed
	}
	t := l.turn()
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case <-t.done:
		return t.result, t.err
	case <-wait.C:
		return nil, errSlow
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the look at this node: %w", ctx.Err())
	case <-l.life.Done():
		return nil, errClosed
	}
}

// turn returns the look to wait for, and begins it if it has to.
func (l *looks) turn() *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	underWay := l.last != nil && l.ended.IsZero()
	if underWay || l.last != nil && time.Since(l.ended) < restTime {
		return l.last
	}
	t := &turn{done: make(chan struct{})}
	l.last, l.ended = t, time.Time{}
	go func() {
		t.result, t.err = l.run()
		l.mu.Lock()
		l.ended = time.Now()
		l.mu.Unlock()
		close(t.done)
	}()
	return t
}

// run looks. A mistake in it must not end the daemon, which may be in the midst
// of resolving a split brain.
func (l *looks) run() (r *result, err error) {
	ctx, cancel := context.WithTimeout(l.life, lookLimit)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("the look for the status page broke off", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			r, err = nil, errBroken
		}
	}()
	return draw(l.look(ctx))
}
