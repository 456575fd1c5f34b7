package metrics_test

import (
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
	"github.com/spacei/drbdnfs/pkg/metrics"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// splitBrain is the moment of the recordings when both nodes were StandAlone.
var splitBrain = time.Date(2026, 11, 23, 5, 42, 0, 0, time.UTC)

// replay feeds a recording to m as the daemon does, up to a point in time or to
// its end, and returns the state.
func replay(t testing.TB, m *metrics.Metrics, path string, until time.Time) *drbd.State {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st := drbd.NewState()
	for ev, err := range events2.Read(f) {
		if err != nil {
			t.Fatal(err)
		}
		if !until.IsZero() && ev.Time.After(until) {
			break
		}
		m.Events2Line(ev.Object, ev.Time)
		for _, c := range st.Apply(ev) {
			if c.Kind == drbd.Called {
				m.HelperCalled(c.ID.Resource, c.New)
			}
		}
	}
	st.Complete = true
	return st
}

// world is a daemon around the metrics, as far as they can see it.
type world struct {
	*metrics.Metrics
	snap *metrics.Snapshot
}

func newWorld(t testing.TB, scope metrics.Scope) *world {
	t.Helper()
	w := &world{}
	var err error
	w.Metrics, err = metrics.New(metrics.Options{
		Source:  func() *metrics.Snapshot { return w.snap },
		Scope:   scope,
		Version: "0.1.0", Revision: "1f2e3d4",
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var managed = metrics.Scope{Managed: []string{"res0"}, States: true}

// scrape returns what Prometheus gets, without what differs from run to run.
func scrape(t testing.TB, w *world) string {
	t.Helper()
	return stable(scrapeAll(t, w))
}

func scrapeAll(t testing.TB, w *world) string {
	t.Helper()
	rec := httptest.NewRecorder()
	handler(w).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

// options are those of an endpoint of w on a port of this machine.
func options(w *world) metrics.ServerOptions {
	return metrics.ServerOptions{
		Metrics: w.Metrics,
		Healthy: func() error { return nil },
		Ready:   func() bool { return w.snap != nil && w.snap.StreamUp },
		Listen:  []string{"127.0.0.1:0"},
		Log:     slog.New(slog.DiscardHandler),
	}
}

func handler(w *world) http.Handler { return metrics.NewHTTP(options(w)).Handler }

var (
	runtimeLine = regexp.MustCompile(`(?m)^(# (HELP|TYPE) )?(go|process)_.*\n`)
	goVersion   = regexp.MustCompile(`goversion="[^"]*"`)
)

func stable(text string) string {
	return goVersion.ReplaceAllString(runtimeLine.ReplaceAllString(text, ""), `goversion="go1.25.0"`)
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: read the difference, then run with -update (-want +got):\n%s", file, diff)
	}
}

// found is when the split brain of the recordings was found.
var found = time.Date(2026, 11, 23, 5, 41, 48, 0, time.UTC)

// serving is the surviving node at the end of the recording of DRBD 9, as long
// as the resync of the other one runs.
func serving(t testing.TB, scope metrics.Scope) *world {
	t.Helper()
	w := newWorld(t, scope)
	st := replay(t, w.Metrics, "testdata/drbd-9.1.23-node1.log", time.Time{})
	st.Resources["res0"].Devices[0].Open = drbd.Yes // drbd-utils 9.22 does not print it; 9.29 does
	peer := metrics.Peer{Resource: "res0", NodeID: 1, Connection: "drbdtest2"}
	w.snap = &metrics.Snapshot{
		DRBD: st, StreamUp: true, Kernel: "9.1.23", Utils: "9.22.0", UsermodeHelper: drbd.Yes,
		SplitBrains: map[metrics.Peer]metrics.SplitBrain{peer: {Phase: "reconnecting", DetectedAt: found}},
		Policies:    map[string]string{"res0": "discard-least-changes"},
		Groups: []metrics.Group{{
			Name: "nfs", Active: true, Exports: 2, Announcements: map[string]uint64{"ipv4": 12, "ipv6": 0},
			Steps: map[string]bool{"drbd": true, "filesystem": true, "nfsd": true, "export": true, "vip": true},
		}},
		NFSD: &metrics.NFSD{Threads: 128, InGrace: drbd.No, Clients: 14},
	}
	w.SplitBrainDetected("res0", found)
	w.SplitBrainEnded("res0", "discard-least-changes", metrics.Resolved)
	act(w.Metrics, found)
	return w
}

// act is a day of the agent and of the daemon.
func act(m *metrics.Metrics, at time.Time) {
	m.ConfigLoaded(true, at.Add(-time.Hour))
	m.AgentAction("nfs", "start", 0, 800*time.Millisecond, at.Add(-time.Minute))
	m.AgentAction("nfs", "promote", 0, 4*time.Second, at.Add(-30*time.Second))
	m.AgentAction("nfs", "monitor", 8, 20*time.Millisecond, at)
	m.AlertSent("webhook", true)
	m.AlertSent("command", false)
}

// diverged is the other node while the split brain was there.
func diverged(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, managed)
	st := replay(t, w.Metrics, "testdata/drbd-9.1.23-node2.log", splitBrain)
	peer := metrics.Peer{Resource: "res0", NodeID: 0, Connection: "drbdtest1"}
	w.snap = &metrics.Snapshot{
		DRBD: st, StreamUp: true, Kernel: "9.1.23", Utils: "9.22.0", UsermodeHelper: drbd.Yes,
		SplitBrains: map[metrics.Peer]metrics.SplitBrain{peer: {Found: true, Phase: "held", DetectedAt: found}},
		Policies:    map[string]string{"res0": "manual"},
		Groups:      []metrics.Group{{Name: "nfs", Exports: -1}},
		NFSD:        &metrics.NFSD{Threads: -1, Clients: -1},
	}
	w.SplitBrainDetected("res0", found)
	w.SplitBrainEnded("res0", "manual", metrics.Refused)
	return w
}

// serving84 is a node with DRBD 8.4 that has just taken the service over.
func serving84(t testing.TB) *world {
	t.Helper()
	w := newWorld(t, managed)
	st := replay(t, w.Metrics, "testdata/drbd-8.4.11.log", time.Time{})
	w.snap = &metrics.Snapshot{
		DRBD: st, StreamUp: true, Kernel: "8.4.11", Utils: "9.22.0",
		Policies: map[string]string{"res0": "manual"},
		Groups: []metrics.Group{{
			Name: "nfs", Active: true, Exports: 2, Announcements: map[string]uint64{"ipv4": 3, "ipv6": 3},
			Steps: map[string]bool{"drbd": true, "filesystem": true, "nfsd": true, "export": false, "vip": true},
		}},
		NFSD: &metrics.NFSD{Threads: 128, InGrace: drbd.Yes, Clients: -1},
	}
	return w
}

// Ensure that what Prometheus reads of real DRBD is what the golden files say.
func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		file  string
		world func(testing.TB) *world
	}{
		{"testdata/metrics-9.1.23.prom", func(t testing.TB) *world { return serving(t, managed) }},
		{"testdata/metrics-9.1.23-without-states.prom", func(t testing.TB) *world {
			return serving(t, metrics.Scope{Managed: managed.Managed})
		}},
		{"testdata/metrics-9.1.23-split-brain.prom", diverged},
		{"testdata/metrics-8.4.11.prom", serving84},
		{"testdata/metrics-nothing-known.prom", func(t testing.TB) *world { return newWorld(t, managed) }},
	} {
		t.Run(tt.file, func(t *testing.T) { golden(t, tt.file, scrape(t, tt.world(t))) })
	}
}

// Ensure that promtool has nothing against the golden files but the two names
// that are kept for the sake of dashboards.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (package prometheus): ", err)
	}
	text, err := os.ReadFile("testdata/metrics-9.1.23.prom")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(string(text))
	out, _ := cmd.CombinedOutput() // exit code 3 says that there are remarks
	var got []string
	for line := range strings.Lines(string(out)) {
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		`drbd_peerdevice_received_bytes counter metrics should have "_total" suffix`,
		`drbd_peerdevice_sent_bytes counter metrics should have "_total" suffix`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("promtool check metrics (-want +got):\n%s", diff)
	}
}
