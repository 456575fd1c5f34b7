package stream

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host"
)

// The pause before a child is started again. One that did its work for a while
// is replaced at once; after that the pause doubles from minPause to maxPause.
const (
	minPause = time.Second
	maxPause = 30 * time.Second
)

const (
	// lookEvery is how often the module is looked at, loaded or not.
	lookEvery = time.Second
	// stallMax is how long a child may print nothing before its dump is over.
	// Afterwards silence is the normal case.
	stallMax = 30 * time.Second
	// endMax is how long a child may take to end. It gets SIGKILL long before;
	// only a system call that does not return keeps it.
	endMax = 10 * time.Second
	// refreshMax bounds the run of drbdsetup that prints new numbers.
	refreshMax = 10 * time.Second
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	StreamInput(ctx context.Context, c host.Cmd, talk func(stdin io.Writer, stdout io.Reader) error) error
	ReadFile(path string) ([]byte, error)
	Stat(path string) (fs.FileInfo, error)
}

var _ machine = (*host.Host)(nil)

// Options is what [New] builds a stream from.
type Options struct {
	Host machine      // required: runs DRBD's tools, and tells whether the module is loaded
	Log  *slog.Logger // nil discards

	// Refresh is how often numbers are refreshed, by default every 60 s; they
	// do not change by themselves. RefreshSyncing is the same while a resync
	// runs, by default 5 s.
	Refresh, RefreshSyncing time.Duration
}

// Update is one piece of news. What is nil has not changed.
type Update struct {
	// Up is true when following DRBD begins, with State and the versions set,
	// and false with Down.
	Up bool
	// Down says why DRBD is not followed any more, or not yet. The state is as
	// it was last, and may be out of date; with [ErrModuleNotLoaded] State is
	// empty. It comes again when the reason is another one.
	Down error
	// State replaces all that was known. It belongs to the receiver.
	State *drbd.State
	// Events are the lines of one read, in their order, to be applied to the
	// state. They belong to the receiver; see [drbd.Event] about their strings.
	Events []drbd.Event
	// Numbers is a dump for [drbd.State.Refresh]. Only its statistics are to be
	// taken from it. It does not change any more.
	Numbers *drbd.State
	// Kernel and Utils are the versions of the module and of the utilities,
	// with Up. Utils is the zero version where drbdadm does not tell.
	Kernel, Utils drbd.Version
}

// Stream follows DRBD on this node. Use [New].
type Stream struct {
	host                machine
	log                 *slog.Logger
	every, everySyncing time.Duration // between refreshes
	tally               *tally
}

// New returns a stream that does nothing yet. It fails without a Host.
func New(o Options) (*Stream, error) {
	if o.Host == nil {
		return nil, errors.New("stream: no host given")
	}
	s := &Stream{host: o.Host, log: o.Log, every: o.Refresh, everySyncing: o.RefreshSyncing, tally: newTally()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.every <= 0 {
		s.every = time.Minute
	}
	if s.everySyncing <= 0 {
		s.everySyncing = 5 * time.Second
	}
	return s, nil
}

// Counters returns what s has done so far. It may be called from any goroutine.
func (s *Stream) Counters() Counters { return s.tally.get() }

// ErrStuck is the end of a [Stream.Run] whose child did not end within 10 s,
// SIGKILL or not: the kernel does not return to it.
var ErrStuck = errors.New("drbdsetup events2 does not end")

// Run follows DRBD until ctx ends, and returns nil then, or [ErrStuck]. It
// never gives up before: a drbdsetup that fails, is missing, hangs before its
// dump is over or ends is started again, and a module that is not loaded is
// waited for without running anything. The same reason is logged once, not at
// every try.
//
// What it learns goes to out, which it neither closes nor wants unbuffered. It
// waits for the receiver as long as ctx lives. Run is for one goroutine at a
// time; but for ErrStuck no goroutine and no child outlives it.
func (s *Stream) Run(ctx context.Context, out chan<- Update) error {
	r := &run{Stream: s, out: out}
	defer s.tally.update(func(c *Counters) { c.Up = false })
	for pause := (backoff{}); ctx.Err() == nil; {
		m, err := look(s.host)
		if err != nil {
			r.down(ctx, err)
			pause = backoff{}
			sleep(ctx, lookEvery)
			continue
		}
		began := time.Now()
		complete, err := r.follow(ctx, m)
		if ctx.Err() != nil {
			if errors.Is(err, ErrStuck) {
				return err
			}
			break
		}
		r.down(ctx, err)
		sleep(ctx, pause.next(complete, time.Since(began)))
	}
	return nil
}

// run is what one Run knows.
type run struct {
	*Stream
	out      chan<- Update
	up       bool
	why      string // the last reason for being down, "" while up
	children int    // started so far

	unversioned bool // the version of the utilities was not known the last time
}

// deliver hands u to the receiver, unless ctx ends first.
func (r *run) deliver(ctx context.Context, u Update) {
	select {
	case r.out <- u:
	case <-ctx.Done():
	}
}

// down tells that DRBD is not followed, and why, unless that is known.
func (r *run) down(ctx context.Context, why error) {
	if !r.up && r.why == why.Error() {
		return
	}
	r.up, r.why = false, why.Error()
	r.tally.update(func(c *Counters) { c.Up = false })
	u := Update{Down: why}
	if errors.Is(why, ErrModuleNotLoaded) {
		u.State = drbd.NewState()
		r.log.Info("DRBD's kernel module is not loaded, waiting for it")
	} else {
		r.log.Warn("DRBD cannot be followed, trying again", "err", why)
	}
	r.deliver(ctx, u)
}

// backoff is the pause before the next child.
type backoff struct{ pause time.Duration }

// next returns the pause after a child that lived as long as that. One whose
// dump was complete is replaced at once, but never more often than once in
// minPause.
func (b *backoff) next(complete bool, lived time.Duration) time.Duration {
	if complete && lived >= minPause {
		b.pause = 0
		return 0
	}
	b.pause = min(max(minPause, 2*b.pause), maxPause)
	return b.pause
}

// sleep waits for d, or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
