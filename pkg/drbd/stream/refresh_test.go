package stream_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// syncing is a line of a resync.
const (
	peer    = "peer-device name:r0 peer-node-id:1 conn-name:b volume:0"
	syncing = "change " + peer + " replication:SyncTarget out-of-sync:100\n"
	synced  = "change " + peer + " replication:Established out-of-sync:0\n"
)

// Ensure that a child that knows --poll is asked for new numbers, more often
// while a resync runs, and that what it answers are changes.
func TestPoll(t *testing.T) {
	const answer = "change device name:r0 volume:0 minor:1000 read:7\n"
	for _, tt := range []struct {
		name, text, answer string
		d                  time.Duration
		want               []string
	}{
		{"every minute", dump, answer, 3*time.Minute - time.Second, []string{"1m0s", "2m0s"}},
		{"nothing is different", dump, "", 3*time.Minute - time.Second, nil},
		{"resync runs", dump + syncing, syncing, 19 * time.Second, []string{"0s", "5s", "10s", "15s"}},
		{"resync in the dump", strings.Replace(dump, "Established", "SyncTarget", 1), syncing, 11 * time.Second, []string{"5s", "10s"}},
		{"resync ends", dump + syncing, synced, 2*time.Minute - time.Second, []string{"0s", "5s", "1m5s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story, w := live(t, tt.d, func(t *testing.T) *world { return newWorld(t, prints(tt.text, tt.answer)) }, nil)
			var got []string
			for _, s := range story[2:] {
				at, what, _ := strings.Cut(s, " ")
				if !strings.HasPrefix(what, "line: change") {
					t.Errorf("unexpected: %s", s)
				}
				got = append(got, at)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			if read := w.state.Resources["r0"].Devices[0].ReadBytes; tt.answer == answer && read != 7<<10 {
				t.Errorf("%d bytes read", read)
			}
			if got := w.Commands(); len(got) != 2 {
				t.Errorf("ran %q", got)
			}
		})
	}
}

var dumpTests = []struct {
	name, kernel, utils string
	dump                func(n int, c host.Cmd) (string, error)
	d                   time.Duration
	want                []string // when numbers come
	warnings            int
}{
	{"8.4", kernel84, utils922, nil, 3*time.Minute - time.Second, []string{"1m0s", "2m0s"}, 0},
	{"old utilities", kernel9, strings.Replace(utils922, "0x091600", "0x090f01", 1), nil, 2*time.Minute - time.Second, []string{"1m0s"}, 0},
	{"resync runs for a while", kernel84, utils922, func(n int, _ host.Cmd) (string, error) {
		if n < 3 {
			return strings.Replace(dump, "Established", "SyncSource", 1), nil
		}
		return dump, nil
	}, 3 * time.Minute, []string{"1m0s", "1m5s", "1m10s", "2m10s"}, 0},
	{"fails", kernel84, utils922, func(n int, c host.Cmd) (string, error) {
		if n < 3 {
			return "", hosttest.Exit(c, 20, "no")
		}
		return dump, nil
	}, 5*time.Minute - time.Second, []string{"3m0s", "4m0s"}, 1},
	{"breaks off", kernel84, utils922, func(int, host.Cmd) (string, error) {
		return strings.TrimSuffix(dump, "exists -\n"), nil
	}, 5 * time.Minute, nil, 1},
	{"prints prose", kernel84, utils922, func(int, host.Cmd) (string, error) { return "Segmentation fault\n", nil }, 5 * time.Minute, nil, 1},
}

// Ensure that numbers of an 8.4 kernel and of old utilities come from another
// child, which does not touch the states, and that one that fails is told once
// and does no harm.
func TestRefreshByDump(t *testing.T) {
	for _, tt := range dumpTests {
		t.Run(tt.name, func(t *testing.T) {
			story, w := live(t, tt.d, func(t *testing.T) *world {
				w := newWorld(t, prints(dump+"change resource name:r0 role:Secondary\n", ""))
				w.load(tt.kernel, 1)
				w.Tool("drbdadm", func(host.Cmd) (string, error) { return tt.utils, nil })
				n := 0
				w.Tool("drbdsetup", func(c host.Cmd) (string, error) {
					if got := strings.Join(c.Args, " "); got != "events2 --now --statistics" {
						t.Errorf("ran drbdsetup %s", got)
					}
					if n++; tt.dump != nil {
						return tt.dump(n, c)
					}
					return strings.Replace(dump, "read:1", "read:7", 1), nil
				})
				return w
			}, nil)
			var got []string
			for _, s := range story {
				if at, ok := strings.CutSuffix(s, " numbers"); ok {
					got = append(got, at)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("numbers (-want +got):\n%s", diff)
			}
			r := w.state.Resources["r0"]
			if r.Role != "Secondary" {
				t.Errorf("the role of the dump was taken over: %s", r.Role)
			}
			if read := r.Devices[0].ReadBytes; tt.dump == nil && read != 7<<10 {
				t.Errorf("%d bytes read", read)
			}
			if story[0] != "0s "+runsOld {
				t.Errorf("story begins with %q", story[0])
			}
			if n := strings.Count(w.log.String(), "level=WARN"); n != tt.warnings {
				t.Errorf("%d warnings, want %d:\n%s", n, tt.warnings, w.log.String())
			}
		})
	}
}

// Ensure that a refresh that hangs is ended and does not hold up the lines, nor
// the end of the stream.
func TestRefreshHangs(t *testing.T) {
	for _, d := range []time.Duration{65 * time.Second, 2*time.Minute - time.Second} {
		story, w := live(t, d, func(t *testing.T) *world {
			w := newWorld(t, ends(dump, time.Hour, nil))
			w.load(kernel84, 1)
			w.Hang("drbd.events2-now")
			return w
		}, nil)
		if len(story) != 2 {
			t.Errorf("story: %q", story)
		}
		if told := strings.Contains(w.log.String(), "numbers of DRBD not refreshed"); told != (d > 70*time.Second) {
			t.Errorf("log after %s: %s", d, w.log.String())
		}
	}
}

// Ensure that events2 runs with what the machine's versions understand, and
// that a version that is not known is told once and taken for an old one.
func TestForms(t *testing.T) {
	answer := func(code string) func(host.Cmd) (string, error) {
		return func(host.Cmd) (string, error) { return strings.Replace(utils922, "0x091600", code, 1), nil }
	}
	for _, tt := range []struct {
		name, kernel string
		drbdadm      func(host.Cmd) (string, error)
		want, utils  string
		warnings     int
	}{
		{"9 with 9.15.1", kernel9, answer("0x090f01"), runsOld, "9.15.1", 0},
		{"9 with 9.16.0", kernel9, answer("0x091000"), runsFull, "9.16.0", 0},
		{"9 with 9.34.0", kernel9, answer("0x092200"), runsFull, "9.34.0", 0},
		{"9.3 with 10.0.0", "version: 9.3.0-rc.1 (api:2/proto:86-122)\n", answer("0x0a0000"), runsFull, "10.0.0", 0},
		{"8.4 with 9.34.0", kernel84, answer("0x092200"), runsOld, "9.34.0", 0},
		{"no number", kernel9, answer("0xnine"), runsOld, "0.0.0", 1},
		{"zero", kernel9, answer("0x000000"), runsOld, "0.0.0", 1},
		{"too long", kernel9, answer("0x09160000"), runsOld, "0.0.0", 1},
		{"no such line", kernel9, func(host.Cmd) (string, error) { return "drbdadm 9.22\n", nil }, runsOld, "0.0.0", 1},
		{"fails", kernel9, func(c host.Cmd) (string, error) { return utils922, hosttest.Exit(c, 1, "no") }, runsOld, "0.0.0", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story, w := live(t, 50*time.Second, func(t *testing.T) *world {
				w := newWorld(t, ends(dump, 20*time.Second, errKilled))
				w.load(tt.kernel, 1)
				w.Tool("drbdadm", tt.drbdadm)
				return w
			}, nil)
			if story[0] != "0s "+tt.want || !strings.HasSuffix(story[1], "utilities "+tt.utils) {
				t.Errorf("story begins with %q", story[:2])
			}
			if n := strings.Count(w.log.String(), "version of drbd-utils not known"); n != tt.warnings {
				t.Errorf("%d warnings, want %d:\n%s", n, tt.warnings, w.log.String())
			}
			if got, want := w.Commands()[0], "drbdadm --version"; got != want {
				t.Errorf("first ran %q, want %q", got, want)
			}
		})
	}
}

// Ensure that calls that fail or hang are survived.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		inject func(w *world)
		want   []string
	}{
		{"version hangs", func(w *world) { w.HangNth("drbd.version", 1) }, []string{"5s " + runsOld, "5s up: 1 resources, kernel 9.1.23, utilities 0.0.0"}},
		{"start fails", func(w *world) { w.FailOnce("drbd.events2", errors.New("no memory")) }, []string{"0s down: drbd.events2: no memory", "1s " + runsFull, "1s " + up}},
		{"start hangs", func(w *world) { w.HangNth("drbd.events2", 1) }, []string{"30s down: drbdsetup events2 prints nothing for 30s", "31s " + runsFull, "31s " + up}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			story, w := live(t, 50*time.Second, func(t *testing.T) *world {
				w := newWorld(t, prints(dump, ""))
				tt.inject(w)
				return w
			}, nil)
			if diff := cmp.Diff(tt.want, story); diff != "" {
				t.Errorf("story (-want +got):\n%s\nlog:\n%s", diff, w.log.String())
			}
		})
	}
}

// Ensure that the intervals can be chosen.
func TestIntervals(t *testing.T) {
	story, _ := live(t, 35*time.Second, func(t *testing.T) *world {
		w := newWorld(t, prints(dump, syncing))
		w.options.Refresh, w.options.RefreshSyncing = 20*time.Second, 6*time.Second
		return w
	}, nil)
	line := " line: " + strings.TrimSpace(syncing)
	want := []string{"0s " + runsFull, "0s " + up, "20s" + line, "26s" + line, "32s" + line}
	if diff := cmp.Diff(want, story); diff != "" {
		t.Errorf("story (-want +got):\n%s", diff)
	}
}
