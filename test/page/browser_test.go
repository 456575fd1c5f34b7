package page

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// chromium is the browser to use. It skips the test where there is none.
func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("DRBDNFS_CHROMIUM"); path != "" {
		return path
	}
	if testing.Short() {
		t.Skip("a browser takes its time: scripts/check-page runs this test")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium in PATH, and DRBDNFS_CHROMIUM names none: scripts/check-page installs it")
	}
	return path
}

// browser is the command that opens url in a browser without a screen. It ends
// with ctx, and all that it started.
func browser(ctx context.Context, t *testing.T, url string, args ...string) *exec.Cmd {
	t.Helper()
	program := chromium(t)
	profile, err := os.MkdirTemp("", "drbdnfs-page-")
	if err != nil {
		t.Fatal(err)
	}
	// What the browser leaves running may still write for a moment.
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	cmd := exec.CommandContext(ctx, program, slices.Concat([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
		"--enable-logging=stderr", "--user-data-dir=" + profile,
	}, args, []string{url})...)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// browse opens url and returns what the browser printed and what it logged.
func browse(t *testing.T, url string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := browser(ctx, t, url, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd.Path, err, log.String())
	}
	return out.String(), log.String()
}

// dump is the document as it is after the given time of the page's own clock.
func dump(t *testing.T, url string, after time.Duration) (document, log string) {
	t.Helper()
	return browse(t, url, "--dump-dom", fmt.Sprintf("--virtual-time-budget=%d", after.Milliseconds()))
}

// console is what the page, or the browser about the page, wrote there.
func console(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "CONSOLE") {
			lines = append(lines, line)
		}
	}
	return lines
}

// site answers as its test says, and knows what was asked for.
type site struct {
	URL string

	mu    sync.Mutex
	asked []string
}

// serve starts a site. The handler is told how many requests came before.
func serve(t *testing.T, handler func(before int) http.Handler) *site {
	t.Helper()
	s := &site{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		before := len(s.asked)
		s.asked = append(s.asked, r.Method+" "+r.URL.String())
		s.mu.Unlock()
		handler(before).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// requests are those that came.
func (s *site) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}
