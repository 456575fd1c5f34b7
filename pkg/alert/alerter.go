package alert

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Outcome is what became of an alert on one way out.
type Outcome string

// The outcomes.
const (
	Sent    Outcome = "sent"
	GivenUp Outcome = "failed"  // every try failed
	Dropped Outcome = "dropped" // the queue was full of newer ones, or the daemon ended
)

// The defaults of Options.
const (
	DefaultTimeout = 10 * time.Second
	DefaultRepeat  = 10 * time.Minute
)

const (
	tries      = 3
	firstPause = 2 * time.Second // before the second try; it doubles
	queueLen   = 32
	maxRecent  = 256
)

// system is what this package needs of the machine; *host.Host is one.
type system interface {
	Stream(ctx context.Context, c host.Cmd, read func(stdout io.Reader) error) error
	ReadFile(path string) ([]byte, error)
}

var _ system = (*host.Host)(nil)

// Options are what [New] builds an alerter from. With neither a command nor a
// webhook nobody is told.
type Options struct {
	Host      system        // required: runs the command, reads the files
	Log       *slog.Logger  // nil discards
	Command   []string      // absolute path of a program, and its arguments
	Webhook   string        // URL, https or http
	TokenFile string        // holds a bearer token for the webhook; read for each try
	CAFile    string        // PEM file with the authorities of the webhook's certificate instead of the system's; read for each try
	Timeout   time.Duration // of one try; 0 is DefaultTimeout
	Repeat    time.Duration // how long an identical alert is not sent again; 0 is DefaultRepeat

	// Count is called with what became of each alert, for metrics; way is
	// "command" or "webhook". It must be quick and safe for concurrent use. nil
	// is not called.
	Count func(way string, what Outcome)
}

// way is one way out.
type way interface {
	name() string
	send(ctx context.Context, a Alert, body []byte) error
}

// finalError is one that a further try would only repeat.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// sender is one way out with its queue. Nobody closes the queue.
type sender struct {
	way   way
	queue chan Alert
}

// Alerter tells people. Use [New].
type Alerter struct {
	log     *slog.Logger
	timeout time.Duration
	repeat  time.Duration
	count   func(string, Outcome)
	senders []*sender

	mu     sync.Mutex
	recent []said // of Send, the oldest first
}

// said is an alert of the past.
type said struct {
	hash string
	at   time.Time
}

// New returns an alerter that does nothing before [Alerter.Run]. Its errors
// name what is wrong with the options without repeating the URL. Whether the
// program, the files or the host exist is only seen when an alert is sent.
func New(o Options) (*Alerter, error) {
	if o.Host == nil {
		return nil, errors.New("alert: no host given")
	}
	a := &Alerter{log: o.Log, timeout: o.Timeout, repeat: o.Repeat, count: o.Count}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.timeout == 0 {
		a.timeout = DefaultTimeout
	}
	if a.repeat == 0 {
		a.repeat = DefaultRepeat
	}
	if a.count == nil {
		a.count = func(string, Outcome) {}
	}
	if len(o.Command) > 0 {
		c, err := newCommand(o.Host, a.log, o.Command)
		if err != nil {
			return nil, err
		}
		a.add(c)
	}
	if o.Webhook != "" {
		w, err := newWebhook(o.Host, o.Webhook, o.TokenFile, o.CAFile)
		if err != nil {
			return nil, err
		}
		a.add(w)
	}
	return a, nil
}

func (a *Alerter) add(w way) {
	a.senders = append(a.senders, &sender{way: w, queue: make(chan Alert, queueLen)})
}

// Send queues al for every way out, and returns at once. An alert that says the
// same as one within the last Repeat, whatever its time, is not sent again. Of
// a full queue the oldest alert is dropped. It is safe for concurrent use, also
// while Run is not running.
func (a *Alerter) Send(al Alert) {
	al.Version, al.ID = formatVersion, ""
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.repeated(al) {
		return
	}
	al.ID = hash(al)
	for _, s := range a.senders {
		a.put(s, al)
	}
}

// repeated reports whether what al says was said a short while ago, and
// remembers it.
func (a *Alerter) repeated(al Alert) bool {
	al.When = time.Time{}
	now, what := time.Now(), hash(al)
	keep := a.recent[:0]
	found := false
	for _, r := range a.recent {
		if now.Sub(r.at) < a.repeat {
			keep = append(keep, r)
			found = found || r.hash == what
		}
	}
	if a.recent = keep; found {
		return true
	}
	if len(a.recent) == maxRecent {
		a.recent = append(a.recent[:0], a.recent[1:]...)
	}
	a.recent = append(a.recent, said{what, now})
	return false
}

// put makes room for al in a full queue. a.mu is held, so that nobody else fills
// what was emptied.
func (a *Alerter) put(s *sender, al Alert) {
	for {
		select {
		case s.queue <- al:
			return
		default:
		}
		select {
		case old := <-s.queue:
			a.drop(s, old)
		default: // it was just taken
		}
	}
}

func (a *Alerter) drop(s *sender, al Alert) {
	a.count(s.way.name(), Dropped)
	a.log.Warn("alert dropped", "way", s.way.name(), "alert", string(al.Kind), "resource", al.Resource, "id", al.ID)
}

// Run sends what is queued until ctx ends, and returns nil then. What is still
// queued at that moment is dropped, and logged so. Run is for one goroutine at a
// time; it starts none that outlives it.
func (a *Alerter) Run(ctx context.Context) error {
	g := new(errgroup.Group)
	for _, s := range a.senders {
		g.Go(func() error {
			a.empty(ctx, s)
			return nil
		})
	}
	err := g.Wait()
	if len(a.senders) == 0 {
		<-ctx.Done()
	}
	return err
}

// empty sends what comes to the queue of s, one alert after the other.
func (a *Alerter) empty(ctx context.Context, s *sender) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case al := <-s.queue:
			a.deliver(ctx, s, al)
		}
	}
	for {
		select {
		case al := <-s.queue:
			a.drop(s, al)
		default:
			return
		}
	}
}

// deliver tries to send one alert until it is sent or given up.
func (a *Alerter) deliver(ctx context.Context, s *sender, al Alert) {
	log := a.log.With("way", s.way.name(), "alert", string(al.Kind), "resource", al.Resource, "id", al.ID)
	body, err := encode(al)
	if err != nil {
		err = finalError{err}
	}
	pause := firstPause
	for try := 1; ; try++ {
		if err == nil {
			err = a.try(ctx, s.way, al, body)
		}
		var final finalError
		switch {
		case err == nil:
			a.count(s.way.name(), Sent)
			log.Info("alert sent", "try", try)
			return
		case try == tries, errors.As(err, &final), ctx.Err() != nil:
			a.count(s.way.name(), GivenUp)
			log.Error("alert not sent", "try", try, "err", err)
			return
		}
		log.Warn("alert not sent, trying again", "try", try, "pause", pause, "err", err)
		if !sleep(ctx, pause) {
			a.drop(s, al)
			return
		}
		pause, err = 2*pause, nil
	}
}

func (a *Alerter) try(ctx context.Context, w way, al Alert, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return w.send(ctx, al, body)
}

// sleep waits for d and reports whether ctx lived that long.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
