package handler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/notice"
)

// The kernel waits for us. A disk that does not answer may be why it called.
const (
	recordLimit = 2 * time.Second
	logLimit    = 500 * time.Millisecond
)

// System is what the handler needs of the machine.
type System interface {
	files
	Hostname() (string, error)
}

var _ System = (*host.Host)(nil)

// Options are what [Run] needs.
type Options struct {
	System  System
	Log     *slog.Logger // nil discards
	Environ []string     // os.Environ(), with what the kernel and drbdadm tell
	Stderr  io.Writer
	Dir     string                    // of the records; "" is Dir
	Notify  func(notice.Notice) error // tells the daemon, without waiting for it
}

// Run serves one call of DRBD with the arguments of the program, of which the
// first is the name of the handler, and returns the exit code: 0 for every kind
// that it records, whether it could or not, and whether the daemon is there or
// not. It takes a few milliseconds, and at most 3 s when the disk or the journal
// does not answer.
func Run(o Options, args []string) int {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dir == "" {
		o.Dir = Dir
	}
	if len(args) == 0 {
		fmt.Fprintln(o.Stderr, "usage: drbdnfs-handler HANDLER, in the section handlers of DRBD's configuration")
		return 2
	}
	name := args[0] // what follows is for other handlers, such as a mail address
	k, known := kinds[name]
	h := helper(name, o.Environ)
	switch {
	case !known:
		k.refusal, k.exit = "DRBD has no such handler", 2
		fallthrough
	case k.refusal != "":
		fmt.Fprintf(o.Stderr, "drbdnfs-handler: %s: %s\n", name, k.refusal)
		within(logLimit, func() {
			o.Log.Warn("handler called for what it does not serve", "helper", text(name), "resource", h.Resource, "err", k.refusal)
		})
		return k.exit
	}
	serve(o, k, h)
	return 0
}

// serve keeps and tells what DRBD called for: the record first, because the
// daemon is told its name.
func serve(o Options, k kind, h *notice.Helper) {
	node, _ := o.System.Hostname() // the daemon is on this node, and knows
	n := notice.Notice{Node: node, When: time.Now().UTC(), Helper: h}
	record, err := add(o, n)
	h.Record = record
	if err != nil {
		fmt.Fprintf(o.Stderr, "drbdnfs-handler: %s of %s: %v\n", h.Name, h.Resource, err)
	}
	told := o.Notify(n)
	within(logLimit, func() {
		o.Log.Log(context.Background(), k.level, "called by DRBD", "helper", h.Name, "resource", h.Resource, "peer", h.Peer,
			"volumes", h.Volumes, "connection", h.Connection, "record", record, "err", err)
		if told != nil {
			o.Log.Debug("daemon not told", "err", told)
		}
	})
}

// added is the answer of [Store.Add].
type added struct {
	record string
	err    error
}

func add(o Options, n notice.Notice) (record string, err error) {
	done := make(chan added, 1) // the goroutine sends once, also when nobody waits any more
	h := *n.Helper
	n.Helper = &h // the caller goes on with his when this takes too long
	go func() {
		record, err := NewStore(o.System, o.Dir).Add(n)
		done <- added{record, err}
	}()
	select {
	case a := <-done:
		if a.err != nil && a.record == "" {
			return "", fmt.Errorf("not recorded: %w", a.err)
		}
		return a.record, a.err
	case <-time.After(recordLimit):
		return "", errors.New("not recorded: the disk does not answer")
	}
}

// within runs fn and stops waiting for it after limit. The program ends soon
// after.
func within(limit time.Duration, fn func()) {
	done := make(chan struct{}) // closed by the goroutine
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
	case <-time.After(limit):
	}
}
