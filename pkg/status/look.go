package status

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host"
)

// Machine is what a look needs of [*host.Host]. It changes nothing there.
type Machine interface {
	group.System
	Hostname() (string, error)
}

var _ Machine = (*host.Host)(nil)

// DefaultLimit is how long a look takes at most. With the start of the program
// and the drawing it stays below two seconds.
const DefaultLimit = 1700 * time.Millisecond

// maxOutstanding is how many questions to one source may be without an answer. A
// source that hangs in the kernel keeps a goroutine each, for ever.
const maxOutstanding = 4

// defaultStateDir is where drbdnfsd remembers split brains.
const defaultStateDir = "/var/lib/drbdnfs"

// Options is what [New] builds a looker from.
type Options struct {
	Host       Machine       // required
	ConfigFile string        // "" is the usual one; it need not exist
	StateDir   string        // of drbdnfsd; "" is /var/lib/drbdnfs
	Limit      time.Duration // of a look; 0 is [DefaultLimit]
}

// Looker looks at the cluster from this node. Use [New]. It is safe for
// concurrent use, and keeps nothing from one look to the next but the count of
// questions that never were answered.
type Looker struct {
	o     Options
	slots map[string]chan struct{}
}

// New returns a looker that has not looked yet. It fails without a Host.
func New(o Options) (*Looker, error) {
	if o.Host == nil {
		return nil, errors.New("status: no host given")
	}
	if o.ConfigFile == "" {
		o.ConfigFile = config.DefaultFile
	}
	if o.StateDir == "" {
		o.StateDir = defaultStateDir
	}
	if o.Limit <= 0 {
		o.Limit = DefaultLimit
	}
	l := &Looker{o: o, slots: map[string]chan struct{}{}}
	for _, s := range Sources() {
		l.slots[s.Word] = make(chan struct{}, maxOutstanding)
	}
	return l, nil
}

// Look asks all sources at once and returns the picture when all have answered,
// Options.Limit is over, or ctx ends. It always answers: what did not is among
// Picture.Unknown. It changes nothing on the machine or in the cluster, and
// works for any user, who sees less than root.
//
// A question that is not answered in time is left behind: its program gets
// SIGTERM and then SIGKILL, and one that hangs in the kernel costs a goroutine.
// At most four of them are begun for each source.
func (l *Looker) Look(ctx context.Context) Picture { return Judge(l.Facts(ctx)) }

// Facts is what [Looker.Look] judges.
func (l *Looker) Facts(ctx context.Context) Facts {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, l.o.Limit)
	defer cancel()
	k := &look{l: l, ctx: ctx, waiting: map[string]bool{}, done: make(chan struct{})}
	k.f.Now, k.f.ConfigFile = begin, l.o.ConfigFile
	k.mu.Lock()
	k.f.Self, _ = l.o.Host.Hostname()
	k.first()
	k.mu.Unlock()
	select {
	case <-k.done:
	case <-ctx.Done():
	}
	return k.end(begin)
}

// answer puts what a source said into the facts. It runs with the look locked.
type answer func(f *Facts)

// look is one look.
type look struct {
	l   *Looker
	ctx context.Context

	mu      sync.Mutex
	f       Facts
	waiting map[string]bool
	planned bool
	late    bool // the questions that wait for others were begun
	ended   bool
	done    chan struct{} // closed when nothing is waited for any more
}

// ask begins a question. It is called with the look locked.
func (k *look) ask(source string, question func(ctx context.Context) (answer, error)) {
	slot := k.l.slots[source]
	select {
	case slot <- struct{}{}:
	default:
		k.miss(source, errors.New("earlier questions hang"))
		return
	}
	k.waiting[source] = true
	go func() {
		a, err := question(k.ctx)
		<-slot
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.ended {
			return
		}
		delete(k.waiting, source)
		if err != nil {
			k.miss(source, err)
		}
		if a != nil {
			a(&k.f)
		}
		k.next()
		if len(k.waiting) == 0 {
			k.ended = true
			close(k.done)
		}
	}()
}

// miss notes that a source could not be asked.
func (k *look) miss(source string, err error) {
	why := clean(err.Error())
	if errors.Is(err, context.DeadlineExceeded) {
		why = k.slow()
	}
	k.f.Unknown = append(k.f.Unknown, Unknown{Source: source, Why: why})
}

func (k *look) slow() string { return fmt.Sprintf("no answer within %v", k.l.o.Limit) }

// end returns what is known now. Answers that come later are lost.
func (k *look) end(begin time.Time) Facts {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	for _, s := range Sources() {
		if k.waiting[s.Word] {
			k.f.Unknown = append(k.f.Unknown, Unknown{Source: s.Word, Why: k.slow()})
		}
	}
	k.f.Took = time.Since(begin)
	return k.f
}
