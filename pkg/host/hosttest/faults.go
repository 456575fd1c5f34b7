package hosttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// When is a moment of a call.
type When string

// The moments at which [Host.Kill] ends the program. During leaves half of
// what takes more than one system call; a single system call is finished by
// the kernel, and a child of the program goes on without it.
const (
	Before When = "before"
	During When = "during"
	After  When = "after"
)

// fault is what happens to calls with one label.
type fault struct {
	op   string
	nth  int // 0: each call; otherwise the nth call from now on
	seen int
	err  error
	hang bool
	wait chan struct{} // closed by Clear
	kill When
}

// errKilled is what every call of a program that was killed returns. Nothing
// of it has an effect.
var errKilled = errors.New("hosttest: the program was killed")

// Fail makes each call labelled op fail with err, until [Host.Clear].
func (h *Host) Fail(op string, err error) { h.inject(fault{op: op, err: err}) }

// FailOnce makes the next call labelled op fail with err.
func (h *Host) FailOnce(op string, err error) { h.inject(fault{op: op, nth: 1, err: err}) }

// FailNth makes the nth call labelled op from now on fail with err.
func (h *Host) FailNth(op string, n int, err error) { h.inject(fault{op: op, nth: n, err: err}) }

// Hang makes each call labelled op wait until its context ends. Calls without
// a context go through: they are single system calls, which return or wait
// where nothing helps. See [Host.CanHang].
func (h *Host) Hang(op string) { h.inject(fault{op: op, hang: true}) }

// Freeze makes each call labelled op wait in the kernel, whatever its context,
// until [Host.Clear].
func (h *Host) Freeze(op string) { h.inject(fault{op: op, wait: make(chan struct{})}) }

// HangNth makes the nth call labelled op from now on wait until its context ends.
func (h *Host) HangNth(op string, n int) { h.inject(fault{op: op, nth: n, hang: true}) }

// Kill ends the program at the nth call labelled op from now on.
func (h *Host) Kill(op string, n int, when When) { h.inject(fault{op: op, nth: n, kill: when}) }

// Clear takes back all faults.
func (h *Host) Clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.faults {
		if f.wait != nil {
			close(f.wait)
		}
	}
	h.faults = nil
}

func (h *Host) inject(f fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, &f)
}

// On runs fn right before each call labelled op, as something that happens on
// the machine meanwhile. fn may set the exported fields of the world and
// nothing else: the world is locked.
func (h *Host) On(op string, fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hooks[op] = append(h.hooks[op], fn)
}

// fault returns what is to happen to a call labelled op, or nil.
func (h *Host) fault(op string) *fault {
	for i, f := range h.faults {
		if f.op != op {
			continue
		}
		f.seen++
		if f.nth == 0 {
			return f
		}
		if f.seen == f.nth {
			h.faults = slices.Delete(h.faults, i, i+1)
			return f
		}
	}
	return &fault{}
}

// Action runs fn as one run of a program on this machine, with a context that
// ends when the program is killed, and reports whether it was. What fn returned
// or printed after that has not happened. It forgets the calls of earlier runs.
func (h *Host) Action(ctx context.Context, fn func(ctx context.Context)) (killed bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h.mu.Lock()
	h.cancel, h.dead, h.ops, h.looks = cancel, false, nil, nil
	h.known = h.broken()
	h.mu.Unlock()
	fn(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	killed, h.dead, h.cancel = h.dead, false, nil
	for _, path := range h.taken {
		h.unlock(path)
	}
	h.taken = nil
	return killed
}

// KillSelf ends the running action.
func (h *Host) KillSelf() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.die()
}

func (h *Host) die() {
	h.dead = true
	if h.cancel != nil {
		h.cancel()
	}
}

// Ops lists the labels of the calls that the last action made, in their order,
// without those that only look.
func (h *Host) Ops() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ops)
}

// Looks lists the labels of the last action's calls that only look.
func (h *Host) Looks() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.looks)
}

// noContext is the context of calls that have none.
var noContext = context.Background()

// CanHang reports whether calls labelled op have a context, so that
// [Host.Hang] makes sense for them.
func (h *Host) CanHang(op string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waits[op] && !interruptless[op]
}

// interruptless are the calls whose context is only looked at before them.
var interruptless = map[string]bool{"mount.mount": true, "mount.umount": true, "nfs.mount": true}

// do is one call that may change something: it is recorded, meets the faults
// that wait for it, and is followed by the checks of what must always hold.
// The context of a call that has none is noContext.
func (h *Host) do(ctx context.Context, op string, effect func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.dead {
		h.ops = append(h.ops, op)
		h.waits[op] = h.waits[op] || ctx.Done() != nil
	}
	f, err := h.enter(ctx, op)
	if err != nil {
		return err
	}
	h.half = f.kill == During
	err = effect()
	h.half = false
	h.compare(op)
	if f.kill != "" {
		h.die()
		return errKilled
	}
	return err
}

// look is one call that changes nothing.
func look[T any](ctx context.Context, h *Host, what string, answer func() (T, error)) (T, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.dead {
		h.looks = append(h.looks, what)
	}
	var none T
	f, err := h.enter(ctx, what)
	if err != nil {
		return none, err
	}
	t, err := answer()
	if f.kill != "" {
		h.die()
		return none, errKilled
	}
	return t, err
}

func (h *Host) enter(ctx context.Context, op string) (*fault, error) {
	if h.dead {
		return nil, errKilled
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w", op, ctx.Err())
	}
	for _, fn := range h.hooks[op] {
		fn()
		h.known = h.broken()
	}
	f := h.fault(op)
	switch {
	case f.hang && ctx.Done() != nil:
		h.mu.Unlock()
		<-ctx.Done()
		h.mu.Lock()
		return nil, fmt.Errorf("%s: %w", op, ctx.Err())
	case f.wait != nil:
		h.mu.Unlock()
		<-f.wait
		h.mu.Lock()
		if h.dead {
			return nil, errKilled
		}
	case f.kill == Before:
		h.die()
		return nil, errKilled
	case f.err != nil:
		return nil, fmt.Errorf("%s: %w", op, f.err)
	}
	return f, nil
}
