package journal

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	sdjournal "github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"
)

// entry is what the journal was sent.
type entry struct {
	Message  string
	Priority sdjournal.Priority
	Fields   map[string]string
}

// capture returns a logger and what it has sent last.
func capture(level slog.Leveler) (*slog.Logger, *entry) {
	var last entry
	h := &handler{identifier: "drbdnfs", level: level, send: func(m string, p sdjournal.Priority, f map[string]string) error {
		last = entry{m, p, f}
		return nil
	}}
	return slog.New(h), &last
}

// Ensure that each attribute is a field that journalctl can match, and that
// the message alone says as much.
func TestHandle(t *testing.T) {
	tests := []struct {
		name string
		log  func(*slog.Logger)
		want entry
	}{
		{"a message", func(l *slog.Logger) { l.Info("step done") }, entry{"step done", sdjournal.PriInfo, map[string]string{}}},
		{
			"attributes", func(l *slog.Logger) { l.Info("step done", "step", "mount", "dur", 120*time.Millisecond, "code", 7) },
			entry{"step done step=mount dur=120ms code=7", sdjournal.PriInfo, map[string]string{"STEP": "mount", "DUR": "120ms", "CODE": "7"}},
		},
		{
			"those of the logger come first", func(l *slog.Logger) { l.With("resource", "res0").Warn("busy", "pid", 5) },
			entry{"busy resource=res0 pid=5", sdjournal.PriWarning, map[string]string{"RESOURCE": "res0", "PID": "5"}},
		},
		{
			"a message id", func(l *slog.Logger) { l.Warn("split brain found", MessageID, SplitBrainFound, "peer", "drbdtest2") },
			entry{"split brain found peer=drbdtest2", sdjournal.PriWarning, map[string]string{"MESSAGE_ID": SplitBrainFound, "PEER": "drbdtest2"}},
		},
		{
			"empty values are left out", func(l *slog.Logger) { l.With("group", "").Error("x", "err", error(nil), "path", "") },
			entry{"x", sdjournal.PriErr, map[string]string{}},
		},
		{
			"a group", func(l *slog.Logger) { l.With("a", 1).WithGroup("drbd").With("b", 2).Info("x", "role", "Primary") },
			entry{"x a=1 drbd_b=2 drbd_role=Primary", sdjournal.PriInfo, map[string]string{"A": "1", "DRBD_B": "2", "DRBD_ROLE": "Primary"}},
		},
		{
			"an error", func(l *slog.Logger) { l.Error("action failed", "err", errors.New("mount: no")) },
			entry{"action failed err=mount: no", sdjournal.PriErr, map[string]string{"ERR": "mount: no"}},
		},
		{
			"a list", func(l *slog.Logger) { l.Debug("command ended", "argv", []string{"drbdsetup", "primary"}) },
			entry{"command ended argv=[drbdsetup primary]", sdjournal.PriDebug, map[string]string{"ARGV": "[drbdsetup primary]"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log, last := capture(slog.LevelDebug)
			tt.log(log)
			tt.want.Fields["SYSLOG_IDENTIFIER"] = "drbdnfs"
			if diff := cmp.Diff(tt.want, *last); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that loggers that were made from one do not share attributes.
func TestWithAttrsCopies(t *testing.T) {
	log, last := capture(slog.LevelInfo)
	base := log.With("a", 1)
	one, two := base.With("b", 2), base.With("c", 3)
	one.Info("one")
	if got := last.Message; got != "one a=1 b=2" {
		t.Errorf("%q", got)
	}
	two.Info("two")
	if got := last.Message; got != "two a=1 c=3" {
		t.Errorf("%q", got)
	}
}

// Ensure that a level that is changed while the program runs counts.
func TestEnabled(t *testing.T) {
	level := new(slog.LevelVar)
	log, last := capture(level)
	log.Debug("unseen")
	if last.Message != "" {
		t.Errorf("%q", last.Message)
	}
	level.Set(slog.LevelDebug)
	log.Debug("seen")
	if last.Message != "seen" {
		t.Errorf("%q", last.Message)
	}
	level.Set(slog.LevelError)
	if log.Enabled(context.Background(), slog.LevelWarn) {
		t.Error("Warn is enabled at Error")
	}
}

func TestFieldName(t *testing.T) {
	for key, want := range map[string]string{
		"resource": "RESOURCE", "new_state": "NEW_STATE", "peer-node.id": "PEER_NODE_ID", "Dur2": "DUR2",
		"_pid": "PID", "2nd": "ND", "__1": "DRBDNFS_FIELD", "": "DRBDNFS_FIELD", "größe": "GR__E",
	} {
		if got := fieldName(key); got != want {
			t.Errorf("fieldName(%q) = %q, want %q", key, got, want)
		}
	}
}

func TestPriority(t *testing.T) {
	for level, want := range map[slog.Level]sdjournal.Priority{
		slog.LevelDebug - 4: sdjournal.PriDebug, slog.LevelDebug: sdjournal.PriDebug, slog.LevelInfo: sdjournal.PriInfo,
		slog.LevelInfo + 1: sdjournal.PriInfo, slog.LevelWarn: sdjournal.PriWarning, slog.LevelError: sdjournal.PriErr, slog.LevelError + 4: sdjournal.PriErr,
	} {
		if got := priority(level); got != want {
			t.Errorf("priority(%v) = %v, want %v", level, got, want)
		}
	}
}

// Ensure that without a journal, text goes to standard error, with the
// attributes and at the level of the options.
func TestNewText(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(NewText(&b, slog.LevelWarn))
	log.Info("unseen")
	log.Warn("seen", "step", "mount")
	if got := b.String(); !strings.Contains(got, "level=WARN msg=seen step=mount\n") || strings.Contains(got, "unseen") {
		t.Errorf("%q", got)
	}
}

func TestNew(t *testing.T) {
	if sdjournal.Enabled() {
		t.Skip("this machine has a journal, which would be written to")
	}
	f, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log := New(Options{Identifier: "drbdnfs", Stderr: f, Attrs: []slog.Attr{slog.String("group", "nfs")}})
	log.Debug("unseen")
	log.Info("seen")
	data, err := os.ReadFile(f.Name())
	if err != nil || !strings.HasSuffix(string(data), "level=INFO msg=seen group=nfs\n") {
		t.Errorf("%q, %v", data, err)
	}
	if !New(Options{Level: slog.LevelDebug}).Enabled(t.Context(), slog.LevelDebug) {
		t.Error("the level of the options does not count")
	}
}

func TestIsTerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Error("the null device is taken for a terminal: actions of Pacemaker would not reach the journal")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if isTerminal(w) {
		t.Error("a pipe is taken for a terminal")
	}
	w.Close()
	if isTerminal(w) {
		t.Error("a closed file is taken for a terminal")
	}
}

// Ensure that message ids are what journald takes, each its own.
func TestMessageIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []string{
		SplitBrainFound, SplitBrainDecided, SplitBrainDiscarded, SplitBrainResolved, SplitBrainRefused, SplitBrainFailed,
	} {
		if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || seen[id] {
			t.Errorf("%q is no id of its own", id)
		}
		seen[id] = true
	}
}
