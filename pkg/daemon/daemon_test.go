package daemon

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// runs is a machine whose drbdsetup behaves as its functions do, one after the
// other; the last one goes on for ever.
type runs struct {
	t     *testing.T
	funcs []func(ctx context.Context, read func(io.Reader) error) error
	at    []time.Duration // when each run began, since the first
	start time.Time
}

func (r *runs) Stream(ctx context.Context, c host.Cmd, read func(io.Reader) error) error {
	if got, want := strings.Join(append([]string{c.Name}, c.Args...), " "), "drbdsetup events2"; got != want {
		r.t.Errorf("ran %q, want %q", got, want)
	}
	if r.start.IsZero() {
		r.start = time.Now()
	}
	r.at = append(r.at, time.Since(r.start))
	f := r.funcs[min(len(r.at), len(r.funcs))-1]
	return f(ctx, read)
}

// prints is a drbdsetup that prints text and then runs until ctx ends.
func prints(text string) func(context.Context, func(io.Reader) error) error {
	return func(ctx context.Context, read func(io.Reader) error) error {
		if err := read(strings.NewReader(text)); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
}

// ends is a drbdsetup that prints text and then ends with err.
func ends(text string, err error) func(context.Context, func(io.Reader) error) error {
	return func(_ context.Context, read func(io.Reader) error) error {
		if readErr := read(strings.NewReader(text)); readErr != nil {
			return readErr
		}
		return err
	}
}

// follow runs a daemon for the time given and returns what it logged.
func follow(t *testing.T, r *runs, d time.Duration) string {
	t.Helper()
	r.t = t
	var log strings.Builder
	synctest.Test(t, func(t *testing.T) {
		h := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		}})
		dm, err := New(Options{Host: r, Log: slog.New(h)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		if err := dm.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return log.String()
}

// Ensure that recordings of real DRBD become the log lines that a person needs.
func TestRecordings(t *testing.T) {
	for _, tt := range []struct{ name, file string }{
		{"drbd-9.1.23 split brain", "../drbd/testdata/drbd-9.1.23/node1/events2.log"},
		{"drbd-8.4.11 split brain", "../drbd/testdata/drbd-8.4.11/split-brain.log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := os.ReadFile(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			got := follow(t, &runs{funcs: []func(context.Context, func(io.Reader) error) error{prints(string(text))}}, time.Minute)
			golden := filepath.Join("testdata", strings.ReplaceAll(tt.name, " ", "-")+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that single lines of events2 are told at the right level, or not at all.
func TestLevels(t *testing.T) {
	const dump = `exists resource name:r0 role:Secondary suspended:no may_promote:no promotion_score:10101
exists connection name:r0 peer-node-id:1 conn-name:b connection:Connected role:Primary
exists device name:r0 volume:0 minor:1000 disk:UpToDate client:no quorum:yes
exists peer-device name:r0 peer-node-id:1 conn-name:b volume:0 replication:Established peer-disk:UpToDate
exists -
`
	for _, tt := range []struct{ name, line, want string }{
		{"promoted", "change resource name:r0 role:Primary", `level=INFO msg="role changed" resource=r0 old=Secondary new=Primary`},
		{"peer lost", "change connection name:r0 peer-node-id:1 conn-name:b connection:NetworkFailure", `level=WARN msg="connection changed" resource=r0 peer=b old=Connected new=NetworkFailure`},
		{"disk failed", "change device name:r0 volume:0 minor:1000 disk:Failed", `level=WARN msg="disk changed" resource=r0 volume=0 old=UpToDate new=Failed`},
		{"quorum lost", "change device name:r0 volume:0 minor:1000 quorum:no", `level=WARN msg="quorum changed" resource=r0 volume=0 old=yes new=no`},
		{"suspended", "change resource name:r0 suspended:quorum", `level=WARN msg="suspension of I/O changed" resource=r0 old=no new=quorum`},
		{"forced failures", "change resource name:r0 force-io-failures:yes", `level=WARN msg="forced I/O failures changed" resource=r0 old=unknown new=yes`},
		{"split brain", "call helper name:r0 peer-node-id:1 conn-name:b volume:0 minor:1000 helper:split-brain", `level=ERROR msg="DRBD calls a helper" resource=r0 peer=b volume=0 helper=split-brain`},
		{"helper failed", "response helper name:r0 peer-node-id:1 conn-name:b helper:fence-peer status:256", `level=WARN msg="helper of DRBD failed" resource=r0 peer=b helper=fence-peer code=1`},
		{"helper ended well", "response helper name:r0 peer-node-id:1 conn-name:b helper:disconnected status:0", ""},
		{"only counters", "change peer-device name:r0 peer-node-id:1 conn-name:b volume:0 done:4.26", ""},
		{"path", "change path name:r0 peer-node-id:1 conn-name:b local:ipv4:1.2.3.4:7000 peer:ipv4:1.2.3.5:7000 established:no", ""},
		{"went down", "destroy resource name:r0", `level=INFO msg="resource went down" resource=r0`},
		{"came up", "create resource name:r1 role:Secondary", "level=INFO msg=\"resource came up\" resource=r1\nlevel=INFO msg=\"role changed\" resource=r1 old=\"\" new=Secondary"},
		{"renamed", "rename resource name:r0 new_name:r2", `level=INFO msg="resource renamed" resource=r2 old=r0`},
		{"volume removed", "destroy device name:r0 volume:0 minor:1000", `level=INFO msg="volume removed" resource=r0 volume=0`},
		{"connection removed", "destroy connection name:r0 peer-node-id:1 conn-name:b", `level=INFO msg="connection removed" resource=r0 peer=b`},
		{"nonsense", "what", `level=WARN msg="line of events2 not understood"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := follow(t, &runs{funcs: []func(context.Context, func(io.Reader) error) error{prints(dump + tt.line + "\n")}}, time.Minute)
			first := "level=INFO msg=\"following DRBD\" resources=1\nlevel=INFO msg=\"resource found\" resource=r0 role=Secondary\n"
			rest, ok := strings.CutPrefix(got, first)
			if !ok {
				t.Fatalf("log begins with %q, want %q", got, first)
			}
			if rest = strings.TrimSpace(rest); rest != tt.want && (tt.name != "nonsense" || !strings.HasPrefix(rest, tt.want)) {
				t.Errorf("log = %q, want %q", rest, tt.want)
			}
		})
	}
}

// Ensure that the daemon outlives a drbdsetup that fails, with growing pauses,
// and does not repeat itself.
func TestTriesAgain(t *testing.T) {
	r := &runs{funcs: []func(context.Context, func(io.Reader) error) error{
		ends("", &host.ExitError{Argv: []string{"drbdsetup", "events2"}, Code: 20}),
	}}
	got := follow(t, r, 100*time.Second)
	want := []time.Duration{0, 1, 3, 7, 15, 31, 61, 91}
	for i := range want {
		want[i] *= time.Second
	}
	if diff := cmp.Diff(want, r.at); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if want := "level=WARN msg=\"DRBD cannot be followed, trying again\" err=\"drbdsetup events2: exit code 20\" pause=1s\n"; got != want {
		t.Errorf("log = %q, want %q", got, want)
	}
}

// Ensure that lost lines lead to a new dump, and that the pauses start over
// after a complete one.
func TestStartsOverAfterLoss(t *testing.T) {
	const dump = "exists resource name:r0 role:Primary suspended:no\nexists -\n"
	fails := ends("", errors.New("no such family"))
	r := &runs{funcs: []func(context.Context, func(io.Reader) error) error{
		fails, fails, prints(dump + "- skipped 3\n"), ends(dump, nil), prints(dump),
	}}
	got := follow(t, r, time.Hour)
	want := []time.Duration{0, time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second}
	if diff := cmp.Diff(want, r.at); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	for _, s := range []string{"err=\"no such family\"", "err=\"DRBD dropped lines of events2: 3\"", "err=\"drbdsetup events2 ended\""} {
		if n := strings.Count(got, s); n != 1 {
			t.Errorf("%s is logged %d times, want once, in:\n%s", s, n, got)
		}
	}
	if n := strings.Count(got, "following DRBD"); n != 3 {
		t.Errorf("%d dumps are logged, want 3, in:\n%s", n, got)
	}
}

// Ensure that a daemon without a machine is refused.
func TestNewWithoutHost(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("New did not fail")
	}
}
