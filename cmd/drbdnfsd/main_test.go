package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/journal"
)

// buffer is written by the daemon while the test reads it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Ensure that the command follows a drbdsetup that really runs, and that it and
// the drbdsetup end when they are told to.
func TestFollowsScriptedDrbdsetup(t *testing.T) {
	dir := t.TempDir()
	script := `#!/bin/sh
[ "$*" = events2 ] || exit 1
trap 'echo ended >"` + dir + `/ended"; exit 0' TERM
echo "exists resource name:res0 role:Secondary suspended:no may_promote:yes promotion_score:10101"
echo "exists connection name:res0 peer-node-id:1 conn-name:drbdtest2 connection:Connected role:Secondary"
echo "exists device name:res0 volume:0 minor:1000 disk:UpToDate client:no quorum:yes"
echo "exists peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0 replication:Established peer-disk:UpToDate"
echo "exists -"
echo "change resource name:res0 role:Primary"
while :; do sleep 0.05; done
`
	if err := os.WriteFile(filepath.Join(dir, "drbdsetup"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	var log buffer
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1) // the goroutine below sends once
	go func() {
		app := newApp(&bytes.Buffer{}, host.New(nil).WithPath(dir+":/usr/bin:/bin"), slog.New(journal.NewText(&log, slog.LevelInfo)))
		ended <- app.RunContext(ctx, []string{"drbdnfsd"})
	}()
	const want = `level=INFO msg="role changed" resource=res0 old=Secondary new=Primary`
	for !strings.Contains(log.String(), want) {
		if ctx.Err() != nil {
			t.Fatalf("%s is not logged, but:\n%s", want, log.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the command ended with %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ended")); err != nil {
		t.Errorf("drbdsetup was not ended by SIGTERM: %v", err)
	}
	if !strings.Contains(log.String(), "level=INFO msg=\"resource found\" resource=res0 role=Secondary\n") {
		t.Errorf("the initial state is not logged:\n%s", log.String())
	}
}

// Ensure that --version says the version and does not start the daemon.
func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if err := newApp(&out, host.New(nil).WithPath(""), nil).Run([]string{"drbdnfsd", "--version"}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "drbdnfsd version devel\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
