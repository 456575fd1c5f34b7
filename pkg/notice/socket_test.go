package notice_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/notice"
)

// got is one call of the listener's function.
type got struct {
	n   notice.Notice
	err error
}

// probe is what [listen] tries with, and [next] skips.
var probe = notice.Notice{Node: "probe", Action: &notice.Action{Group: "g", Name: "a"}}

// listen listens at path until the returned function is called, which reports
// how that ended.
func listen(t *testing.T, path string) (chan got, func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	calls := make(chan got, 100)
	done := make(chan error, 1)
	go func() { done <- notice.Listen(ctx, path, func(n notice.Notice, err error) { calls <- got{n, err} }) }()
	// Another one may have the path before: it listens once it gets a notice.
	for listening := false; !listening; {
		_ = notice.Send(path, probe)
		select {
		case g := <-calls:
			listening = g.err == nil
		case err := <-done:
			t.Fatalf("it does not listen: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return calls, func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(10 * time.Second):
			return errors.New("it listens on")
		}
	}
}

func next(t *testing.T, calls chan got) got {
	t.Helper()
	for {
		select {
		case g := <-calls:
			if g.n.Node != probe.Node {
				return g
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no notice came")
		}
	}
}

// raw sends bytes as one datagram.
func raw(t *testing.T, path string, data []byte) {
	t.Helper()
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
}

// Ensure that what is sent arrives whole and in order, that a datagram that is
// no notice costs one call with an error and nothing else, and that the socket
// is for root alone and gone at the end.
func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "d.sock")
	calls, end := listen(t, path)
	for _, want := range []notice.Notice{helper(), action()} {
		if err := notice.Send(path, want); err != nil {
			t.Fatal(err)
		}
		want.Version = 1
		g := next(t, calls)
		if diff := cmp.Diff(want, g.n); g.err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", g.err, diff)
		}
	}
	for _, data := range []string{"", "{", strings.Repeat("x", 3*notice.MaxSize), `{"version":9}`} {
		raw(t, path, []byte(data))
		if g := next(t, calls); g.err == nil {
			t.Errorf("%.20q was taken for %+v", data, g.n)
		}
	}
	for name, want := range map[string]fs.FileMode{path: fs.ModeSocket | 0o600, filepath.Dir(path): fs.ModeDir | 0o700} {
		if st, err := os.Stat(name); err != nil || st.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", filepath.Base(name), st.Mode(), err, want)
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Ensure that the socket that a killed daemon left, and one that it had not yet
// moved to its place, do not stop the next daemon, and that a daemon that ends
// late does not take the socket of the next one away.
func TestListenReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.sock")
	for _, stale := range []string{path, path + ".new"} {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: stale, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	if err := notice.Send(path, action()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("the stale socket answers: %v", err)
	}
	_, endFirst := listen(t, path)
	calls, endSecond := listen(t, path)
	if err := endFirst(); err != nil {
		t.Error(err)
	}
	if err := notice.Send(path, helper()); err != nil {
		t.Fatalf("the first one's end took the second one's socket: %v", err)
	}
	if g := next(t, calls); g.err != nil || g.n.Helper == nil {
		t.Errorf("%+v", g)
	}
	if err := endSecond(); err != nil {
		t.Error(err)
	}
}

// Ensure that a place where no socket can be is an error that names what was
// being done, and leaves nothing.
func TestListenFails(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"a directory":  filepath.Join(dir, "is-dir"),
		"below a file": filepath.Join(dir, "is-file", "d.sock"),
		"too long":     filepath.Join(dir, strings.Repeat("n", 120)),
	} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "is-dir"), 0o700), os.WriteFile(filepath.Join(dir, "is-file"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		err := notice.Listen(t.Context(), path, func(notice.Notice, error) {})
		if err == nil || !strings.HasPrefix(err.Error(), "listen for notices: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Ensure that a sender does not wait: neither without a daemon, nor for one that
// has stopped reading and whose queue is full. The bounds here are far above
// what it takes, for a machine that is busy.
func TestSendDoesNotWait(t *testing.T) {
	dir := t.TempDir()
	begin := time.Now()
	for range 100 {
		if err := notice.Send(filepath.Join(dir, "none"), action()); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if d := time.Since(begin) / 100; d > time.Millisecond {
		t.Errorf("without a daemon it takes %v", d)
	}
	path := filepath.Join(dir, "full")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 10000 {
		begin = time.Now()
		if err = notice.Send(path, action()); err != nil {
			break
		}
	}
	if d := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || d > time.Second {
		t.Errorf("full queue: %v after %v", err, d)
	}
}

// Ensure that a notice that is too long is told from one that nobody takes.
func TestSendTooLong(t *testing.T) {
	n := action()
	n.Action.Group = strings.Repeat("g", notice.MaxSize)
	if err := notice.Send(filepath.Join(t.TempDir(), "none"), n); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// The cost of a notice when the daemon is absent.
func BenchmarkSendAbsent(b *testing.B) {
	path := filepath.Join(b.TempDir(), "none")
	n := action()
	for b.Loop() {
		if notice.Send(path, n) == nil {
			b.Fatal("somebody listens")
		}
	}
}
