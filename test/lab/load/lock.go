package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// LockEvent is one line of the lock log.
type LockEvent struct {
	At time.Time `json:"at"`
	// What is "held" (the holder owns the lock and could write), "lost" (it
	// could not), "denied" or "granted" (what a contender was told).
	What  string `json:"what"`
	Error string `json:"error,omitempty"`
}

// lockRange is the byte range that holders and contenders fight for.
func lockRange(kind int16) unix.Flock_t {
	return unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: 0, Len: 64}
}

// Hold takes the lock on the file at path, waiting for it, and keeps it until ctx
// ends. Every interval it writes into the locked range and logs whether that
// worked: a client that has lost its lock gets an error from its kernel.
func Hold(ctx context.Context, path string, interval time.Duration, log io.Writer) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	fl := lockRange(unix.F_WRLCK)
	for {
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLKW, &fl)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	for i := 0; ; i++ {
		ev := LockEvent{What: "held"}
		if err := touch(f, i); err != nil {
			ev.What, ev.Error = "lost", err.Error()
		}
		if err := emit(log, ev); err != nil {
			return err
		}
		if !pause(ctx, interval) {
			un := lockRange(unix.F_UNLCK)
			return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &un)
		}
	}
}

func touch(f *os.File, i int) error {
	if _, err := f.WriteAt(fmt.Appendf(nil, "%063d\n", i), 0); err != nil {
		return err
	}
	return f.Sync()
}

// Contend tries every interval to take the lock without waiting, until ctx ends,
// and logs the answers. A lock that it is granted it gives back at once, so that
// one wrong grant is one line and does not hide the next.
func Contend(ctx context.Context, path string, interval time.Duration, log io.Writer) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		ev := LockEvent{}
		fl := lockRange(unix.F_WRLCK)
		err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &fl)
		switch {
		case err == nil:
			ev.What = "granted"
			un := lockRange(unix.F_UNLCK)
			_ = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &un)
		case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES):
			ev.What = "denied"
		case errors.Is(err, syscall.EINTR):
			continue
		default:
			ev.What, ev.Error = "error", err.Error()
		}
		if err := emit(log, ev); err != nil {
			return err
		}
		if !pause(ctx, interval) {
			return nil
		}
	}
}

func emit(w io.Writer, ev LockEvent) error {
	ev.At = time.Now()
	return json.NewEncoder(w).Encode(ev)
}

// pause waits for d and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
