package kmsg_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/kmsg"
)

// log is a machine whose kernel's log holds the records given; "" is its end.
type log struct {
	files   map[string]string
	records []string
}

func newLog(records ...string) log {
	return log{map[string]string{"/proc/sys/kernel/random/boot_id": "boot-2\n", "/proc/uptime": "100.50 180.00\n"}, records}
}

func (l log) ReadFile(path string) ([]byte, error) {
	text, ok := l.files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

var errUnplugged = errors.New("unplugged")

func (l log) FollowKmsg(_ context.Context, read func(record []byte) error) error {
	for _, r := range l.records {
		var data []byte
		if r != "" {
			data = []byte(r)
		}
		if err := read(data); err != nil {
			return err
		}
	}
	return errUnplugged
}

// seen is what of a record these tests look at.
type seen struct {
	Seq  uint64
	Text string
	Live bool
	Lost uint64
	Kind kmsg.Kind
}

func follow(t *testing.T, l log, from kmsg.Position) (list []seen) {
	t.Helper()
	err := kmsg.Follow(t.Context(), l, from, func(r kmsg.Record) error {
		if r.Position.BootID != "boot-2" {
			t.Errorf("boot %q", r.Position.BootID)
		}
		list = append(list, seen{r.Position.Seq, r.Text, r.Live, r.Lost, r.Message.Kind})
		return nil
	})
	if !errors.Is(err, errUnplugged) {
		t.Errorf("error = %v, want the device's", err)
	}
	return list
}

// Ensure that a reader gets what it has not had yet, and is told of what is
// gone.
func TestFollow(t *testing.T) {
	l := newLog("6,3,1,-;three", "1,4,2,-;block drbd0: Unrelated data, aborting!", "", "6,5,3,-;five", "garbage", "6,9,4,-;nine")
	rest := []seen{{4, "", true, 0, ""}, {5, "five", true, 0, ""}, {9, "nine", true, 3, ""}}
	four := seen{4, "block drbd0: Unrelated data, aborting!", false, 0, kmsg.UnrelatedData}
	for _, tt := range []struct {
		name string
		from kmsg.Position
		want []seen
	}{
		{"for the first time", kmsg.Position{}, append([]seen{{3, "three", false, 0, ""}, four}, rest...)},
		{"after a boot", kmsg.Position{BootID: "boot-1", Seq: 4}, append([]seen{{3, "three", false, 0, ""}, four}, rest...)},
		{"after a restart", kmsg.Position{BootID: "boot-2", Seq: 3}, append([]seen{four}, rest...)},
		{"after a long time", kmsg.Position{BootID: "boot-2", Seq: 0}, append([]seen{{3, "three", false, 2, ""}, four}, rest...)},
		{"with nothing new", kmsg.Position{BootID: "boot-2", Seq: 9}, []seen{{9, "", true, 0, ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, follow(t, l, tt.from)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
	if got := follow(t, newLog("", "6,0,1,-;first"), kmsg.Position{}); len(got) != 2 || got[1] != (seen{0, "first", true, 0, ""}) {
		t.Errorf("the first record of a boot: %+v", got)
	}
}

// Ensure that the time is that of the message, for old ones as far as the boot
// time tells, and never in the future.
func TestFollowTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		booted := time.Now().Add(-100500 * time.Millisecond)
		var got []time.Duration
		l := newLog("6,1,40000000,-;old", "6,2,200000000,-;of a clock that is ahead", "", "6,3,50000000,-;live")
		_ = kmsg.Follow(t.Context(), l, kmsg.Position{}, func(r kmsg.Record) error {
			got = append(got, r.At.Sub(booted))
			time.Sleep(time.Second)
			return nil
		})
		want := []time.Duration{40 * time.Second, 101500 * time.Millisecond, 102500 * time.Millisecond, 103500 * time.Millisecond}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("times since boot (-want +got):\n%s", diff)
		}
	})
}

// Ensure that a reader's error ends it, and that a machine that does not tell
// its boot is not followed.
func TestFollowFailures(t *testing.T) {
	errFull := errors.New("full")
	for _, at := range []string{"6,1,1,-;one", ""} {
		err := kmsg.Follow(t.Context(), newLog(at), kmsg.Position{}, func(kmsg.Record) error { return errFull })
		if !errors.Is(err, errFull) {
			t.Errorf("record %q: error = %v, want %v", at, err, errFull)
		}
	}
	for _, path := range []string{"/proc/sys/kernel/random/boot_id", "/proc/uptime"} {
		l := newLog("6,1,1,-;one")
		delete(l.files, path)
		err := kmsg.Follow(t.Context(), l, kmsg.Position{}, func(kmsg.Record) error { t.Error("called"); return nil })
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without %s: %v", path, err)
		}
	}
	l := newLog("6,1,1,-;one")
	l.files["/proc/uptime"] = "long\n"
	err := kmsg.Follow(t.Context(), l, kmsg.Position{}, func(kmsg.Record) error { t.Error("called"); return nil })
	if err == nil || errors.Is(err, errUnplugged) {
		t.Errorf("with a strange uptime: %v", err)
	}
}

// Ensure that a position survives being kept, and that the daemon of a machine
// that was rebooted sees all of the new boot.
func TestFollowAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hosttest.New(t)
		h.Kmsg("drbd res0: one", "drbd res0/0 drbd1000 drbdtest2: Split-Brain detected but unresolved, dropping connection!")
		kept := []byte("{}")
		run := func() (texts []string) {
			ctx, cancel := context.WithCancel(t.Context())
			var from kmsg.Position
			if err := json.Unmarshal(kept, &from); err != nil {
				t.Fatal(err)
			}
			err := kmsg.Follow(ctx, h, from, func(r kmsg.Record) error {
				if r.Text == "" {
					cancel()
				} else {
					texts = append(texts, r.Text)
				}
				from = r.Position
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error = %v, want %v", err, context.Canceled)
			}
			kept, err = json.Marshal(from)
			if err != nil {
				t.Fatal(err)
			}
			return texts
		}
		if got := run(); len(got) != 2 {
			t.Errorf("at first: %q", got)
		}
		h.Kmsg("drbd res0: three")
		if got := run(); len(got) != 1 || got[0] != "drbd res0: three" {
			t.Errorf("after a restart: %q", got)
		}
		if got := run(); got != nil {
			t.Errorf("after another: %q", got)
		}
		h.Reboot()
		h.Kmsg("drbd res0: after boot")
		if got := run(); len(got) != 1 || got[0] != "drbd res0: after boot" {
			t.Errorf("after a boot: %q", got)
		}
	})
}
