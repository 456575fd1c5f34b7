package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/stream"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/handler"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/kmsg"
	"github.com/spacei/drbdnfs/pkg/metrics"
	"github.com/spacei/drbdnfs/pkg/notice"
	"github.com/spacei/drbdnfs/pkg/page"
	"github.com/spacei/drbdnfs/pkg/status"
)

// Machine is what the daemon needs of the node; *host.Host is one. The group's
// part is only looked through.
type Machine interface {
	group.System
	Stream(ctx context.Context, c host.Cmd, read func(stdout io.Reader) error) error
	StreamInput(ctx context.Context, c host.Cmd, talk func(stdin io.Writer, stdout io.Reader) error) error
	FollowKmsg(ctx context.Context, read func(record []byte) error) error
	Lock(ctx context.Context, path string) (unlock func(), err error)
	BlockDevice(path string) (major, minor int, err error)
	Hostname() (string, error)
	KillSelf()
}

var _ Machine = (*host.Host)(nil)

// Options is what [New] builds a daemon from.
type Options struct {
	Host Machine      // required
	Log  *slog.Logger // nil discards
	// ConfigFile is the configuration; "" is the usual one. It need not exist:
	// without it nothing is resolved and every resource is only watched.
	ConfigFile string
	// StateDir is where split brains are remembered; "" is /var/lib/drbdnfs.
	StateDir string
	// Notify tells systemd, as sd_notify(3) does; nil tells nobody. Watchdog is
	// how often it wants to hear "WATCHDOG=1"; 0 is never.
	Notify   func(state string)
	Watchdog time.Duration
	// Reload is a channel of requests to read the configuration again, such as
	// SIGHUP; may be nil.
	Reload <-chan struct{}
	// Socket is where the agent's and the handler's notices arrive; "" is the
	// usual place.
	Socket            string
	Version, Revision string // of this build, for the metrics
}

// Daemon watches DRBD on this node. Use [New].
type Daemon struct {
	o        Options
	self     string
	stream   *stream.Stream
	metrics  *metrics.Metrics
	page     *page.Page // looks by itself; the owner has no part in it
	snapshot atomic.Pointer[metrics.Snapshot]
	alive    atomic.Int64 // when the owner's loop last turned, in nanoseconds since 1970
	ready    atomic.Bool  // DRBD's state is complete
}

// New returns a daemon that does nothing yet. It fails without a Host, and when
// the node does not know its name.
func New(o Options) (*Daemon, error) {
	if o.Host == nil {
		return nil, errors.New("daemon: no host given")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ConfigFile == "" {
		o.ConfigFile = config.DefaultFile
	}
	if o.StateDir == "" {
		o.StateDir = "/var/lib/drbdnfs"
	}
	if o.Socket == "" {
		o.Socket = notice.Path
	}
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	d := &Daemon{o: o}
	var err error
	if d.self, err = o.Host.Hostname(); err != nil {
		return nil, fmt.Errorf("daemon: name of this node: %w", err)
	}
	if d.stream, err = stream.New(stream.Options{Host: o.Host, Log: o.Log}); err != nil {
		return nil, err
	}
	if d.metrics, err = metrics.New(metrics.Options{Source: d.snapshot.Load, Version: o.Version, Revision: o.Revision}); err != nil {
		return nil, err
	}
	looker, err := status.New(status.Options{Host: o.Host, ConfigFile: o.ConfigFile, StateDir: o.StateDir})
	if err != nil {
		return nil, err
	}
	d.page, err = page.New(page.Options{Look: looker.Look, Log: o.Log})
	return d, err
}

// Run watches until ctx ends, and returns nil then. It never gives up before:
// what is missing or fails is tried again, and said once. Run can be called
// once; the goroutines that it starts end with it, but for those that wait for a
// program or a file that the kernel does not let end.
func (d *Daemon) Run(ctx context.Context) error {
	defer d.page.Close()
	w := newOwner(d)
	w.load()
	updates := make(chan stream.Update, 16)
	g, run := errgroup.WithContext(ctx)
	g.Go(func() error { return d.stream.Run(run, updates) })
	g.Go(func() error { d.followKernel(run, w.inbox); return nil })
	g.Go(func() error { d.listen(run, w.inbox); return nil })
	g.Go(func() error { d.serve(run, w.endpoints); return nil })
	g.Go(func() error { w.cluster.run(run); return nil })
	g.Go(func() error { w.alerts.run(run); return nil })
	g.Go(func() error {
		watch(run, d.o.Log, filepath.Dir(d.o.ConfigFile), func() { w.inbox.post(run, (*owner).reload) })
		return nil
	})
	g.Go(func() error {
		watch(run, d.o.Log, handler.Dir, func() { w.inbox.post(run, (*owner).readRecords) })
		return nil
	})
	g.Go(func() error { return w.run(run, updates) })
	err := g.Wait()
	w.workers.Wait()
	w.times.stopped(time.Now())
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// inbox is how other goroutines reach the owner: functions that it runs.
type inbox chan func(*owner)

// post hands f to the owner, unless ctx ends first.
func (in inbox) post(ctx context.Context, f func(*owner)) {
	select {
	case in <- f:
	case <-ctx.Done():
	}
}

// followKernel gives DRBD's words in the kernel's log to the owner.
func (d *Daemon) followKernel(ctx context.Context, in inbox) {
	told := false
	for {
		err := kmsg.Follow(ctx, d.o.Host, kmsg.Position{}, func(r kmsg.Record) error {
			if r.Lost > 0 {
				d.o.Log.Warn("lines of the kernel's log were lost", "count", r.Lost)
			}
			if r.Message.Kind == kmsg.SplitBrain || r.Message.Kind == kmsg.UnrelatedData {
				in.post(ctx, func(w *owner) { w.kernelSaid(r) })
			}
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		if !told {
			d.o.Log.Warn("the kernel's log cannot be followed, a split brain is seen in events2 alone", "err", err)
			told = true
		}
		if !sleep(ctx, retryWatch) {
			return
		}
	}
}

// listen takes the notices of the agent and of DRBD's handler.
func (d *Daemon) listen(ctx context.Context, in inbox) {
	for told := false; ctx.Err() == nil; told = true {
		err := notice.Listen(ctx, d.o.Socket, func(n notice.Notice, err error) {
			if err != nil {
				d.o.Log.Debug("notice not understood", "err", err)
				return
			}
			in.post(ctx, func(w *owner) { w.noticed(n) })
		})
		if err != nil && !told {
			d.o.Log.Warn("notices of the agent cannot be received", "err", err)
		}
		sleep(ctx, retryWatch)
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
