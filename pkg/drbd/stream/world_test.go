package stream_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/stream"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

const (
	kernel9  = "version: 9.1.23 (api:2/proto:86-121)\n"
	kernel84 = "version: 8.4.11 (api:1/proto:86-101)\n"
	utils922 = "DRBDADM_BUILDTAG=GIT-hash:\\ 409097fe\nDRBDADM_API_VERSION=2\nDRBD_KERNEL_VERSION_CODE=0x090117\n" +
		"DRBD_KERNEL_VERSION=9.1.23\nDRBDADM_VERSION_CODE=0x091600\nDRBDADM_VERSION=9.22.0\n"
)

// dump is what a child prints first.
const dump = `exists resource name:r0 role:Primary suspended:no may_promote:no promotion_score:10101
exists connection name:r0 peer-node-id:1 conn-name:b connection:Connected role:Secondary
exists device name:r0 volume:0 minor:1000 disk:UpToDate client:no quorum:yes size:100 read:1 written:1
exists peer-device name:r0 peer-node-id:1 conn-name:b volume:0 replication:Established peer-disk:UpToDate out-of-sync:0
exists -
`

// world is a machine on which the module can be loaded and unloaded, and whose
// drbdsetup behaves as its programs do, one after the other; the last one goes
// on for ever.
type world struct {
	*hosttest.Host
	mu       sync.Mutex
	options  stream.Options
	version  string // contents of /proc/drbd, "" when the module is not loaded
	inode    uint64
	programs []hosttest.Program
	running  int
	log      strings.Builder
	began    time.Time
	story    []string
	state    *drbd.State
	stream   *stream.Stream
}

func newWorld(t *testing.T, programs ...hosttest.Program) *world {
	w := &world{Host: hosttest.New(t), version: kernel9, inode: 1, programs: programs, state: drbd.NewState()}
	w.Tool("drbdadm", func(host.Cmd) (string, error) { return utils922, nil })
	w.Tool("drbdsetup", func(host.Cmd) (string, error) { return dump, nil })
	n := 0
	w.Runs("drbdsetup", func(ctx context.Context, c host.Cmd, stdin io.Reader, stdout io.Writer) error {
		w.mu.Lock()
		w.running++
		f := w.programs[min(n, len(w.programs)-1)]
		n++
		if w.running > 1 {
			t.Errorf("%d children at a time", w.running)
		}
		w.mu.Unlock()
		synctest.Wait() // for the receiver to have told what came before
		w.tell("runs %s", strings.Join(c.Args, " "))
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.running--
		}()
		return f(ctx, c, stdin, stdout)
	})
	return w
}

func (w *world) load(version string, inode uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version, w.inode = version, inode
}

func (w *world) ReadFile(path string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if path != "/proc/drbd" || w.version == "" {
		return nil, fs.ErrNotExist
	}
	return []byte(w.version), nil
}

// sysDir is a directory in sysfs.
type sysDir struct {
	fs.FileInfo
	inode uint64
}

func (s sysDir) Sys() any { return &syscall.Stat_t{Ino: s.inode} }

func (w *world) Stat(path string) (fs.FileInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if path != "/sys/module/drbd" || w.version == "" {
		return nil, fs.ErrNotExist
	}
	return sysDir{inode: w.inode}, nil
}

// tell adds one line to the story.
func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf("%s ", time.Since(w.began))+fmt.Sprintf(format, args...))
}

// receive is the owner of the state.
func (w *world) receive(u stream.Update) {
	if u.Down != nil {
		w.tell("down: %v", u.Down)
	}
	if u.State != nil {
		w.state = u.State
	}
	if u.Up {
		w.tell("up: %d resources, kernel %s, utilities %s", len(w.state.Resources), u.Kernel, u.Utils)
	} else if u.State != nil {
		w.tell("emptied")
	}
	for _, ev := range u.Events {
		w.tell("line: %s", ev)
		w.state.Apply(ev)
	}
	if u.Numbers != nil {
		w.tell("numbers")
		w.state.Refresh(u.Numbers)
	}
}

// live runs a stream on w for as long as d, in a bubble, and returns the story.
// plot is what happens on the machine meanwhile.
func live(t *testing.T, d time.Duration, build func(t *testing.T) *world, plot func(w *world)) ([]string, *world) {
	t.Helper()
	var end *world
	synctest.Test(t, func(t *testing.T) {
		w := build(t)
		end = w
		w.began = time.Now()
		var err error
		w.options.Host, w.options.Log = w, textLog(&w.log)
		if w.stream, err = stream.New(w.options); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		out := make(chan stream.Update)
		ended := make(chan error, 1) // the goroutine below sends once
		go func() { ended <- w.stream.Run(ctx, out) }()
		if plot != nil {
			go plot(w)
		}
		for {
			select {
			case u := <-out:
				w.receive(u)
				continue
			case err = <-ended:
			}
			break
		}
		if err != nil {
			t.Errorf("Run = %v", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.running != 0 {
			t.Errorf("%d children are left", w.running)
		}
	})
	return end.story, end
}

// textLog logs to w without the time.
func textLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// prints is a child that prints text, answers requests for new numbers with
// answer, and runs until its context ends.
func prints(text, answer string) hosttest.Program {
	return func(ctx context.Context, _ host.Cmd, stdin io.Reader, stdout io.Writer) error {
		if _, err := io.WriteString(stdout, text); err != nil {
			return err
		}
		for b := make([]byte, 1); ; {
			if _, err := stdin.Read(b); err != nil {
				<-ctx.Done()
				return ctx.Err()
			}
			if string(b) != "n" {
				return fmt.Errorf("asked for %q", b)
			}
			if _, err := io.WriteString(stdout, answer); err != nil {
				return err
			}
		}
	}
}

// ends is a child that prints text, runs for as long as d, and then ends with
// err.
func ends(text string, d time.Duration, err error) hosttest.Program {
	return func(ctx context.Context, _ host.Cmd, _ io.Reader, stdout io.Writer) error {
		if _, err := io.WriteString(stdout, text); err != nil {
			return err
		}
		select {
		case <-time.After(d):
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
