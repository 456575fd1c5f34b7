package alert_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/alert"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// script writes an executable.
func script(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "page")
	hosttest.Executable(t, path, "#!/bin/sh\n"+text)
	return path
}

// logged is a logger that hands out its lines.
func logged() (*slog.Logger, chan string) {
	lines := make(chan string, 100)
	return slog.New(slog.NewTextHandler(lineWriter(lines), nil)), lines
}

type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

// await returns the first line with text.
func await(t *testing.T, lines chan string, text string) string {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case l := <-lines:
			if strings.Contains(l, text) {
				return l
			}
		case <-deadline:
			t.Fatalf("%q is never logged", text)
		}
	}
}

// Ensure that a real program is started without a shell, reads the alert and
// has the variables.
func TestRealCommand(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	log, lines := logged()
	a, end := start(t, alert.Options{
		Host: host.New(nil), Log: log,
		Command: []string{script(t, `cat >"$1"; echo "$2 $DRBDNFS_ALERT_KIND $DRBDNFS_ALERT_RESOURCE"`), out, "$(x) ;"},
	})
	a.Send(found())
	if line := await(t, lines, "alert command printed"); !strings.Contains(line, `output="$(x) ; found res0"`) {
		t.Error(line)
	}
	await(t, lines, "alert sent")
	end()
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var got alert.Alert
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := found()
	want.Version, want.ID = 1, got.ID
	if diff := cmp.Diff(want, got); diff != "" || !bytes.HasSuffix(data, []byte("}\n")) {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Ensure that a real program that hangs is ended in time, and that how one
// failed is told.
func TestRealCommandFails(t *testing.T) {
	tests := []struct{ name, script, says string }{
		{"hangs", "exec sleep 60", "context deadline exceeded"},
		{"fails", "echo no modem >&2; exit 3", "exit code 3: no modem"},
		{"does not read", "exit 1", "exit code 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			log, lines := logged()
			a, _ := start(t, alert.Options{Host: host.New(nil), Log: log, Command: []string{script(t, tt.script)}, Timeout: time.Second})
			a.Send(found())
			if line := await(t, lines, "trying again"); !strings.Contains(line, tt.says) {
				t.Error(line)
			}
		})
	}
}
