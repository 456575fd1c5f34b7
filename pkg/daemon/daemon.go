package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
	"github.com/spacei/drbdnfs/pkg/host"
)

// The pause before events2 is started again doubles from minPause to maxPause,
// and starts over once a dump was read to its end.
const (
	minPause = time.Second
	maxPause = 30 * time.Second
)

// errLost ends a stream whose state cannot be trusted any more.
var errLost = errors.New("DRBD dropped lines of events2")

// streamer is what this package needs of the machine; *host.Host is one.
type streamer interface {
	Stream(ctx context.Context, c host.Cmd, read func(stdout io.Reader) error) error
}

var _ streamer = (*host.Host)(nil)

// Options is what [New] builds a daemon from.
type Options struct {
	Host streamer     // required: runs drbdsetup
	Log  *slog.Logger // nil discards
}

// Daemon follows DRBD on this node. Use [New].
type Daemon struct {
	host streamer
	log  *slog.Logger
}

// New returns a daemon that does nothing yet. It fails without a Host.
func New(o Options) (*Daemon, error) {
	if o.Host == nil {
		return nil, errors.New("daemon: no host given")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Daemon{host: o.Host, log: o.Log}, nil
}

// Run follows DRBD until ctx ends, and returns nil then. It never gives up
// before: a drbdsetup that fails, is missing or ends is started again after at
// most 30 s. The same failure is logged once, not at every try. Run is for one
// goroutine at a time; it starts none that outlives it.
func (d *Daemon) Run(ctx context.Context) error {
	var told string
	pause := minPause
	for {
		complete, err := d.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if complete {
			told, pause = "", minPause
		}
		if why := fmt.Sprint(err); why != told {
			told = why
			d.log.Warn("DRBD cannot be followed, trying again", "err", err, "pause", pause)
		}
		if !sleep(ctx, pause) {
			return nil
		}
		pause = min(2*pause, maxPause)
	}
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

// follow runs events2 once and reports whether its dump was complete. The
// error says why it ended; for events2 there is no good reason to.
func (d *Daemon) follow(ctx context.Context) (complete bool, err error) {
	state := drbd.NewState()
	err = d.host.Stream(ctx, host.Cmd{Op: "drbd.events2", Name: "drbdsetup", Args: []string{"events2"}}, func(stdout io.Reader) error {
		for ev, err := range events2.Read(stdout) {
			if errors.Is(err, events2.ErrSyntax) {
				d.log.Warn("line of events2 not understood", "err", err)
				continue
			}
			if err != nil {
				return err
			}
			if err := d.apply(state, ev); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = errors.New("drbdsetup events2 ended")
	}
	return state.Complete, err
}

// apply brings state up to date with one event and logs what it changed. Until
// the dump is over it only collects; what is there is then told in one line
// per resource.
func (d *Daemon) apply(state *drbd.State, ev drbd.Event) error {
	told := state.Complete
	for _, c := range state.Apply(ev) {
		switch {
		case c.Kind == drbd.Lost:
			return fmt.Errorf("%w: %d", errLost, c.Code)
		case c.Kind == drbd.Complete:
			d.dumped(state)
		case told:
			d.changed(c)
		}
	}
	return nil
}

// dumped logs what a dump has found.
func (d *Daemon) dumped(state *drbd.State) {
	d.log.Info("following DRBD", "resources", len(state.Resources))
	for _, r := range state.SortedResources() {
		level, attrs := slog.LevelInfo, []any{"resource", r.Name, "role", string(r.Role)}
		if why := drbd.Health(r); len(why) > 0 {
			level = slog.LevelWarn
			attrs = append(attrs, "degraded", strings.Join(why, ", "))
		}
		d.log.Log(context.Background(), level, "resource found", attrs...)
	}
}
