package host_test

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// noRaceSleep spares a process of a test under the race detector the second for
// which it waits at its end.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

// inNamespace reports whether the test runs in a mount namespace of its own.
// Otherwise it runs the test once more in one, in another process, and the
// caller returns: nothing that it mounts is ever seen outside.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const marker = "DRBDNFS_TEST_NAMESPACE"
	if os.Getenv(marker) == t.Name() {
		return true
	}
	needRoot(t)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.count=1", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), marker+"="+t.Name(), noRaceSleep)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil && bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("in a namespace of its own:\n%s", out)
	case err != nil && cmd.ProcessState == nil:
		t.Skipf("no mount namespace here: %v", err)
	case err != nil:
		t.Errorf("in a namespace of its own: %v\n%s", err, out)
	}
	return false
}

// tmpfs mounts one in the namespace of the test.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	mountOver(t, dir, options)
	return dir
}

// mountOver hides dir below an empty tmpfs until the test ends.
func mountOver(t *testing.T, dir, options string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}
