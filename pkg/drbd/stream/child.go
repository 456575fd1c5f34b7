package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
)

// ErrStalled ends a child that printed nothing for 30 s before its dump was
// over.
var ErrStalled = errors.New("drbdsetup events2 prints nothing")

// errEnded is the reason when a child ended well: for events2 there is no good
// reason to.
var errEnded = errors.New("drbdsetup events2 ended")

// child is one run of events2. It belongs to the goroutine of follow.
type child struct {
	*run
	module   module
	utils    drbd.Version
	form     form
	messages chan message // closed when the child and its reader have ended
	ended    chan error   // gets how, once

	stdin   io.Writer // of the child, once it runs
	dumped  bool      // its dump was complete
	stall   *time.Timer
	due     *time.Timer // for the next refresh
	dueAt   time.Time
	numbers chan numbers // gets the result of each dump
	dumping bool         // another child prints one
	failed  bool         // the last one failed, which was told
}

// numbers is the result of a refresh by another child.
type numbers struct {
	state *drbd.State
	err   error
}

// follow runs one child to its end, and reports whether its dump was complete
// and why it ended.
func (r *run) follow(ctx context.Context, m module) (complete bool, why error) {
	c := &child{
		run: r, module: m, utils: r.version(ctx),
		messages: make(chan message, 4), ended: make(chan error, 1), numbers: make(chan numbers, 1),
	}
	c.form = formFor(m.version, c.utils)
	run, stop := context.WithCancel(ctx)
	defer stop()
	c.start(run)
	defer c.stall.Stop()
	defer c.due.Stop()
	why = c.watch(run)
	stop()
	if why != nil && ctx.Err() == nil {
		r.down(ctx, why) // at once: the end of the child may take a while
	}
	err := c.wait(ctx)
	switch {
	case errors.Is(err, ErrStuck), why == nil:
		return c.dumped, err
	}
	return c.dumped, why
}

// version returns the version of the utilities, zero when that is not known.
func (r *run) version(ctx context.Context) drbd.Version {
	v, err := Utils(ctx, r.host)
	if err != nil && ctx.Err() == nil && !r.unversioned {
		r.log.Warn("version of drbd-utils not known, events2 runs with the options of old ones", "err", err)
	}
	r.unversioned = err != nil
	return v
}

// start starts the child.
func (c *child) start(ctx context.Context) {
	if c.children++; c.children > 1 {
		c.tally.update(func(t *Counters) { t.Restarts++ })
	}
	c.stall, c.due = time.NewTimer(stallMax), time.NewTimer(c.every)
	c.dueAt = time.Now().Add(c.every)
	r := &reader{ctx: ctx, messages: c.messages, tally: c.tally, log: c.log, dump: drbd.NewState()}
	go func() {
		err := c.host.StreamInput(ctx, c.form.child(), r.read)
		close(c.messages)
		c.ended <- err
	}()
}

// watch handles what happens until the child is not wanted any more, and
// returns why, or until it has ended by itself.
func (c *child) watch(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case m, ok := <-c.messages:
			if !ok {
				return c.module.changed(c.host) // which also ends a child
			}
			if err := c.take(ctx, m); err != nil {
				return err
			}
		case <-look.C:
			if err := c.module.changed(c.host); err != nil {
				return err
			}
		case <-c.stall.C:
			return fmt.Errorf("%w for %s", ErrStalled, stallMax)
		case <-c.due.C:
			c.renew(ctx)
		case n := <-c.numbers:
			c.renewed(ctx, n)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wait waits until the child, its reader and a refresh have ended, and returns
// how the child did. What is still read goes nowhere. Once ctx has ended too,
// the wait is bounded and may end with [ErrStuck].
func (c *child) wait(ctx context.Context) (how error) {
	late := time.NewTimer(endMax)
	defer late.Stop()
	overdue, ending := false, ctx.Done()
	for messages := c.messages; messages != nil || c.dumping; {
		select {
		case _, ok := <-messages:
			if !ok {
				messages, how = nil, <-c.ended
			}
		case <-c.numbers:
			c.dumping = false
		case <-late.C:
			c.log.Error("drbdsetup does not end, the kernel does not return to it")
			overdue = true
		case <-ending:
			ending = nil
			late.Reset(endMax)
		}
		if overdue && ctx.Err() != nil {
			return ErrStuck
		}
	}
	if how == nil {
		how = errEnded
	}
	return how
}

// take hands on what one read has brought.
func (c *child) take(ctx context.Context, m message) error {
	if m.stdin != nil {
		c.stdin = m.stdin
	}
	if m.syncing {
		c.hurry()
	}
	switch {
	case m.state != nil:
		c.complete(ctx, m)
	case m.events != nil:
		c.deliver(ctx, Update{Events: m.events})
	case !c.dumped:
		c.stall.Reset(stallMax)
	}
	return m.err
}

// complete hands on the dump.
func (c *child) complete(ctx context.Context, m message) {
	c.stall.Stop()
	c.dumped, c.up, c.why = true, true, ""
	c.tally.update(func(t *Counters) { t.Up = true })
	c.deliver(ctx, Update{Up: true, State: m.state, Events: m.events, Kernel: c.module.version, Utils: c.utils})
}

// hurry brings the next refresh forward because a resync runs.
func (c *child) hurry() {
	if time.Now().Add(c.everySyncing).Before(c.dueAt) {
		c.plan(c.everySyncing)
	}
}

// plan sets the next refresh.
func (c *child) plan(d time.Duration) {
	c.dueAt = time.Now().Add(d)
	c.due.Reset(d)
}

// renew asks for new numbers and plans the next time. A child that knows --poll
// prints what is different as changes, by which it is also seen that a resync
// still runs; otherwise another child prints everything.
func (c *child) renew(ctx context.Context) {
	c.plan(c.every)
	switch {
	case !c.dumped:
	case c.form.poll:
		_, _ = io.WriteString(c.stdin, pollNext) // fails when the child has ended, which is noticed
	case !c.dumping:
		c.dumping = true
		go func() { c.numbers <- c.dumpNow(ctx) }()
	}
}

// dumpNow runs the other child.
func (c *child) dumpNow(ctx context.Context) (n numbers) {
	ctx, cancel := context.WithTimeout(ctx, refreshMax)
	defer cancel()
	res, err := c.host.Run(ctx, refresh())
	if err != nil {
		return numbers{err: err}
	}
	n.state, n.err = events2.ReadDump(bytes.NewReader(res.Stdout))
	if n.err == nil && !n.state.Complete {
		n.err = errors.New("the dump breaks off")
	}
	return n
}

// renewed hands on the result of dumpNow. One that fails is no reason to give
// up the child: the states go on.
func (c *child) renewed(ctx context.Context, n numbers) {
	c.dumping = false
	if n.err != nil {
		if !c.failed && ctx.Err() == nil {
			c.log.Warn("numbers of DRBD not refreshed", "err", n.err)
		}
		c.failed = true
		return
	}
	c.failed = false
	if syncing(n.state) {
		c.hurry()
	}
	c.deliver(ctx, Update{Numbers: n.state})
}

// syncing reports whether a resync runs.
func syncing(st *drbd.State) bool {
	for _, r := range st.Resources {
		for _, c := range r.Connections {
			for _, p := range c.PeerDevices {
				if p.Syncing() {
					return true
				}
			}
		}
	}
	return false
}
