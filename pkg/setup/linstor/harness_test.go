package linstor_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/linstor"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	twoNodes = `
cluster = "nfs_cluster"
[[node]]
name = "drbdtest1"
address = "192.168.2.61"
device = "/dev/vda3"
[[node]]
name = "drbdtest2"
address = "192.168.2.62"
device = "/dev/vda3"
[filesystem]
mount = "/home/nfs"
[[export]]
path = "/home/nfs/user-data"
clients = ["192.168.2.0/24"]
[[vip]]
address = "192.168.2.63/24"
interface = "ens3"
`
	third = `
[[node]]
name = "drbdtest3"
address = "192.168.2.64"
diskless = true
`
	plain = "[resource]\nname = \"res0\"\nsize = \"6T\"\n"
	lvm   = "[storage]\nmanager = \"linstor\"\n"
	thin  = "[storage]\nmanager = \"linstor\"\ndriver = \"lvmthin\"\nthin_pool = \"thin\"\n"

	none    = "[fencing]\nmode = \"none\"\naccept_split_brain = true\n"
	quorum  = "[fencing]\nmode = \"drbd-quorum\"\n"
	devices = `
[[fencing.device]]
name = "ipmi1"
agent = "fence_ipmilan"
targets = ["drbdtest1"]
parameters = { ip = "192.168.2.71" }
[[fencing.device]]
name = "ipmi2"
agent = "fence_ipmilan"
targets = ["drbdtest2"]
parameters = { ip = "192.168.2.72" }
`
	stonith = "[fencing]\nmode = \"stonith\"\n" + devices
	byDRBD  = "[fencing]\nmode = \"resource-and-stonith\"\n" + devices

	twoLVM  = twoNodes + lvm + plain + none
	twoThin = twoNodes + thin + plain + none
	tied    = twoNodes + third + lvm + plain + quorum
)

func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("drbdnfs.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// empty is a LINSTOR that has nothing, with 7 TiB free in each volume group.
func empty(t *testing.T) *controller {
	c := newController(t)
	for _, n := range []string{"drbdtest1", "drbdtest2", "drbdtest3"} {
		c.free[n] = 7 << 30
	}
	return c
}

// transport hands requests to a controller without a network, so that they take
// no time in a bubble of synctest.
type transport struct{ c *controller }

func (tr transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	tr.c.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// stage is a stage on the controller's node that speaks to c.
func stage(t testing.TB, c *controller, text string) *linstor.Stage {
	t.Helper()
	return through(t, transport{c}, text)
}

func through(t testing.TB, tr http.RoundTripper, text string) *linstor.Stage {
	t.Helper()
	return linstor.New(linstor.Options{
		Machine: machine(t, "active", time.Hour), Config: parse(t, text), Self: "drbdtest1",
		Controllers: []string{"http://localhost:3370"}, HTTPClient: &http.Client{Transport: tr},
	})
}

// machine is a node whose controller's unit has been in a state for some time.
func machine(t testing.TB, state string, since time.Duration) *hosttest.Host {
	t.Helper()
	h := hosttest.New(t)
	const uptime = 90000 * time.Second
	h.SetFile("/proc/uptime", fmt.Sprintf("%.2f 12345.67\n", uptime.Seconds()))
	h.Tool("systemctl", func(host.Cmd) (string, error) {
		entered := (uptime - since).Microseconds()
		if state != "active" {
			entered = 0
		}
		return fmt.Sprintf("ActiveState=%s\nActiveEnterTimestampMonotonic=%d\n", state, entered), nil
	})
	return h
}

// watcher is a setup.Reporter and setup.Progress that keeps what it is told.
type watcher struct{ waiting []string }

func (w *watcher) Stage(string)                         {}
func (w *watcher) Begin(setup.Item) setup.Progress      { return w }
func (w *watcher) End(setup.Item, time.Duration, error) {}
func (w *watcher) Fraction(float64, string)             {}
func (w *watcher) Waiting(what string)                  { w.waiting = append(w.waiting, what) }
func (w *watcher) apply(ctx context.Context, s setup.Stage) error {
	_, err := setup.Apply(ctx, []setup.Stage{s}, w)
	return err
}

// apply brings everything about, and fails the test when it cannot.
func apply(t testing.TB, s setup.Stage) *watcher {
	t.Helper()
	w := &watcher{}
	if err := w.apply(t.Context(), s); err != nil {
		t.Fatalf("apply: %v", err)
	}
	return w
}

// look returns the items as text, one a line.
func look(t testing.TB, s setup.Stage) string {
	t.Helper()
	items, err := s.Look(t.Context())
	if err != nil {
		t.Fatalf("look: %v", err)
	}
	return render(items)
}

func render(items []setup.Item) string {
	var b strings.Builder
	for _, it := range items {
		fmt.Fprintf(&b, "%s %s: %s", it.Action, it.Object, it.Detail)
		if it.Why != "" {
			fmt.Fprintf(&b, " (%s)", it.Why)
		}
		if it.Key != "" {
			fmt.Fprintf(&b, " [%s]", it.Key)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// settled reports what in a plan is more than keeping and knowing.
func settled(plan string) error {
	for line := range strings.Lines(plan) {
		if word, _, _ := strings.Cut(line, " "); word != string(setup.Keep) && word != string(setup.Warn) {
			return errors.New("there is something left: " + line)
		}
	}
	return nil
}

// writes are the calls among calls that change something.
func writes(calls []string) []string {
	var out []string
	for _, call := range calls {
		if !strings.HasPrefix(call, "GET ") {
			out = append(out, call)
		}
	}
	return out
}

// golden compares text with a file in testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got)\n%s", file, diff)
	}
}
