package host

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// device returns the two ends of a log: what the second writes, a record at a
// time, is read from the first.
func device(t *testing.T) (log, kernel *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	log, kernel = os.NewFile(uintptr(fds[0]), "log"), os.NewFile(uintptr(fds[1]), "kernel")
	t.Cleanup(func() { log.Close(); kernel.Close() })
	return log, kernel
}

func say(t *testing.T, kernel *os.File, records ...string) {
	t.Helper()
	for _, r := range records {
		if _, err := kernel.WriteString(r); err != nil {
			t.Error(err)
		}
	}
}

var errEnough = errors.New("enough")

// Ensure that what is there comes first, that its end is told once, and that
// what comes later is read when it comes.
func TestFollowRecords(t *testing.T) {
	log, kernel := device(t)
	say(t, kernel, "6,1,10,-;one", "6,2,20,-;two\n SUBSYSTEM=block")
	var got []string
	err := followRecords(t.Context(), log, unix.Read, func(record []byte) error {
		got = append(got, string(record))
		switch {
		case record == nil:
			time.AfterFunc(10*time.Millisecond, func() { say(t, kernel, "6,3,30,-;three", "6,4,40,-;four") })
		case len(got) == 5:
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Errorf("error = %v, want the reader's", err)
	}
	want := []string{"6,1,10,-;one", "6,2,20,-;two\n SUBSYSTEM=block", "", "6,3,30,-;three", "6,4,40,-;four"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// Ensure that overwritten records and interruptions do not end it, and that
// other failures do.
func TestFollowRecordsFailures(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fails error
		want  error
	}{
		{"overwritten", unix.EPIPE, errEnough},
		{"interrupted", unix.EINTR, errEnough},
		{"record too long", unix.EINVAL, unix.EINVAL},
		{"not permitted", unix.EPERM, unix.EPERM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, kernel := device(t)
			say(t, kernel, "6,9,10,-;after")
			calls := 0
			err := followRecords(t.Context(), log, func(fd int, p []byte) (int, error) {
				if calls++; calls == 1 {
					return -1, tt.fails
				}
				return unix.Read(fd, p)
			}, func(record []byte) error {
				if string(record) != "6,9,10,-;after" {
					t.Errorf("record %q", record)
				}
				return errEnough
			})
			if !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

// Ensure that a log that ends is a failure: the reader must not spin.
func TestFollowRecordsEnd(t *testing.T) {
	log, kernel := device(t)
	kernel.Close()
	err := followRecords(t.Context(), log, unix.Read, func([]byte) error { return nil })
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error = %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// Ensure that ctx ends the wait for a record, and that one which has ended
// already reads none.
func TestFollowRecordsContext(t *testing.T) {
	log, kernel := device(t)
	ctx, cancel := context.WithCancel(t.Context())
	start := time.Now()
	err := followRecords(ctx, log, unix.Read, func(record []byte) error {
		if record == nil {
			time.AfterFunc(10*time.Millisecond, cancel)
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || time.Since(start) > 10*time.Second {
		t.Errorf("error = %v after %s", err, time.Since(start))
	}
	say(t, kernel, "6,1,10,-;one")
	err = followRecords(ctx, log, unix.Read, func(record []byte) error {
		t.Errorf("read %q", record)
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
}
