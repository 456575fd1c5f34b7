// Package journal is a log/slog handler that writes to the systemd journal with
// every attribute as a field, so that
//
//	journalctl -t drbdnfs RESOURCE=res0
//
// finds what happened to a resource. Where there is no journal, or a person
// looks (standard error is a terminal), it writes text lines instead.
//
//	log := journal.New(journal.Options{Identifier: "drbdnfs", Level: slog.LevelInfo, Stderr: os.Stderr})
//	log.Info("step done", "step", "mount", "dur", 120*time.Millisecond)
package journal

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"

	sdjournal "github.com/coreos/go-systemd/v22/journal"
)

// Options say where and what to log.
type Options struct {
	Identifier string       // SYSLOG_IDENTIFIER, what journalctl -t finds
	Level      slog.Leveler // nil: Info
	Stderr     *os.File     // where text goes; nil: os.Stderr
	Attrs      []slog.Attr  // on every record
}

// New returns a logger for o.
func New(o Options) *slog.Logger {
	if o.Level == nil {
		o.Level = slog.LevelInfo
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if isTerminal(o.Stderr) || !sdjournal.Enabled() {
		return slog.New(NewText(o.Stderr, o.Level).WithAttrs(o.Attrs))
	}
	return slog.New((&handler{identifier: o.Identifier, level: o.Level, send: sdjournal.Send}).WithAttrs(o.Attrs))
}

// NewText returns a handler that writes lines of text to w.
func NewText(w io.Writer, level slog.Leveler) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
}

func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}

// handler writes to the journal. It is immutable; WithAttrs copies.
type handler struct {
	identifier string
	level      slog.Leveler
	attrs      []slog.Attr
	group      string
	send       func(string, sdjournal.Priority, map[string]string) error
}

// Enabled reports whether records of level l are written.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// WithAttrs returns a handler that adds attrs to every record.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = c.attrs[:len(c.attrs):len(c.attrs)]
	for _, a := range attrs {
		c.attrs = append(c.attrs, slog.Attr{Key: h.group + a.Key, Value: a.Value})
	}
	return &c
}

// WithGroup returns a handler that puts name before the keys that follow.
func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	c.group += name + "_"
	return &c
}

// Handle writes one record. Its message repeats the attributes as key=value,
// because journalctl shows the message alone.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	vars := map[string]string{"SYSLOG_IDENTIFIER": h.identifier}
	var text strings.Builder
	text.WriteString(r.Message)
	add := func(key string, v slog.Value) {
		value := v.Resolve().String()
		if value == "" || value == "<nil>" {
			return
		}
		vars[fieldName(key)] = value
		if key != MessageID { // it is for programs
			text.WriteString(" " + key + "=" + value)
		}
	}
	for _, a := range h.attrs {
		add(a.Key, a.Value)
	}
	r.Attrs(func(a slog.Attr) bool {
		add(h.group+a.Key, a.Value)
		return true
	})
	return h.send(text.String(), priority(r.Level), vars)
}

// fieldName makes a journal field out of a key: upper case letters, digits and
// underscores, not starting with one of the latter two.
func fieldName(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
	name = strings.TrimLeft(name, "_0123456789")
	if name == "" {
		return "DRBDNFS_FIELD"
	}
	return name
}

func priority(l slog.Level) sdjournal.Priority {
	switch {
	case l >= slog.LevelError:
		return sdjournal.PriErr
	case l >= slog.LevelWarn:
		return sdjournal.PriWarning
	case l >= slog.LevelInfo:
		return sdjournal.PriInfo
	}
	return sdjournal.PriDebug
}
