package host_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

const lockVariable = "DRBDNFS_TEST_LOCK"

// TestLockHolder is no test: it is the other process of the tests below. It
// holds the lock until its input ends.
func TestLockHolder(t *testing.T) {
	path := os.Getenv(lockVariable)
	if path == "" {
		t.Skip("only as the other process of TestLock")
	}
	if _, err := host.New(nil).Lock(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// holdLock starts another process that holds the lock on path.
func holdLock(t *testing.T, path string) (cmd *exec.Cmd, release func()) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", "^TestLockHolder$", "-test.count=1")
	cmd.Env = append(os.Environ(), lockVariable+"="+path, noRaceSleep)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "locked\n" {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	return cmd, func() { in.Close() }
}

// Ensure that two processes never hold one lock, that the second waits until
// its context ends, and gets it when the first lets go or is killed.
func TestLock(t *testing.T) {
	h, path := host.New(nil), t.TempDir()+"/nfs.lock"
	cmd, release := holdLock(t, path)

	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := h.Lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), path+" is held by another action") {
		t.Errorf("error %v", err)
	}
	release()
	unlock, err := h.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	st, err := os.Stat(path)
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	unlock()

	cmd, _ = holdLock(t, path)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	unlock, err = h.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// Ensure that the lock is not inherited by programs, which could outlive the
// action.
func TestLockNotInherited(t *testing.T) {
	h, path := host.New(nil).WithPath("/usr/bin:/bin"), t.TempDir()+"/nfs.lock"
	unlock, err := h.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	res, err := h.Run(t.Context(), host.Cmd{Name: "ls", Args: []string{"-l", "/proc/self/fd"}})
	if err != nil || strings.Contains(string(res.Stdout), "nfs.lock") {
		t.Errorf("%v\n%s", err, res.Stdout)
	}
}

func TestLockNoDirectory(t *testing.T) {
	if _, err := host.New(nil).Lock(t.Context(), t.TempDir()+"/none/lock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}
