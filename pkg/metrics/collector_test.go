package metrics_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
	"github.com/spacei/drbdnfs/pkg/metrics"
)

// series returns the values of a scrape by series, as printed: labels are in
// the order of their names.
func series(t testing.TB, w *world) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(scrape(t, w)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[line[:i]] = v
	}
	return all
}

// parse makes a state of lines of events2.
func parse(t testing.TB, lines ...string) *drbd.State {
	t.Helper()
	st, err := events2.ReadDump(strings.NewReader(strings.Join(append(lines, "exists -"), "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// Ensure that the compatible families are those of drbd-reactor, to the name,
// the type and the labels (src/plugin/prometheus.rs, with enums).
func TestCompatible(t *testing.T) {
	const resource, conn = "name", "name conn_name peer_node_id"
	const peer, dev = conn + " volume", "name volume minor"
	want := map[string]string{
		"drbd_version":                      "gauge kmod utils",
		"drbd_resource_resources":           "gauge ",
		"drbd_resource_role":                "gauge " + resource + " drbd_resource_role",
		"drbd_resource_suspended":           "gauge " + resource,
		"drbd_resource_maypromote":          "gauge " + resource,
		"drbd_resource_promotionscore":      "gauge " + resource,
		"drbd_resource_forceiofailures":     "gauge " + resource,
		"drbd_connection_state":             "gauge " + conn + " drbd_connection_state",
		"drbd_connection_congested":         "gauge " + conn,
		"drbd_connection_apinflight_bytes":  "gauge " + conn,
		"drbd_connection_rsinflight_bytes":  "gauge " + conn,
		"drbd_peerdevice_outofsync_bytes":   "gauge " + peer,
		"drbd_peerdevice_sent_bytes":        "counter " + peer,
		"drbd_peerdevice_received_bytes":    "counter " + peer,
		"drbd_device_state":                 "gauge " + dev + " drbd_device_state",
		"drbd_device_client":                "gauge " + dev,
		"drbd_device_unintentionaldiskless": "gauge " + dev,
		"drbd_device_quorum":                "gauge " + dev,
		"drbd_device_open":                  "gauge " + dev,
		"drbd_device_size_bytes":            "gauge " + dev,
		"drbd_device_read_bytes_total":      "counter " + dev,
		"drbd_device_written_bytes_total":   "counter " + dev,
		"drbd_device_alwrites_total":        "counter " + dev,
		"drbd_device_bmwrites_total":        "counter " + dev,
		"drbd_device_upperpending":          "gauge " + dev,
		"drbd_device_lowerpending":          "gauge " + dev,
		"drbd_device_alsuspended":           "gauge " + dev,
	}
	got := map[string]string{}
	for _, f := range newWorld(t, managed).Families() {
		if strings.HasPrefix(f.Name, "drbd_") {
			got[f.Name] = f.Kind + " " + strings.Join(f.Labels, " ")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("families (-drbd-reactor +here):\n%s", diff)
	}
}

// Ensure that a node that serves shows every family, so that rules and
// dashboards can be checked against one file.
func TestEveryFamilyIsShown(t *testing.T) {
	text := scrape(t, serving(t, managed))
	for _, f := range newWorld(t, managed).Families() {
		head := fmt.Sprintf("# HELP %s %s\n# TYPE %s %s\n%s", f.Name, f.Help, f.Name, f.Kind, f.Name)
		if !strings.Contains(text, head) {
			t.Errorf("%s is not shown", f.Name)
		}
	}
}

// Ensure that the naming rules of Prometheus are kept, but for two names that
// dashboards and rules of others use.
func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(serving(t, managed).Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.Metric+": "+p.Text)
	}
	want := []string{
		`drbd_peerdevice_received_bytes: counter metrics should have "_total" suffix`,
		`drbd_peerdevice_sent_bytes: counter metrics should have "_total" suffix`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lint (-want +got):\n%s", diff)
	}
}

// Ensure that each scrape keeps to what was described, without a series twice.
func TestPedantic(t *testing.T) {
	for name, w := range map[string]*world{
		"serving": serving(t, managed), "diverged": diverged(t), "8.4": serving84(t), "nothing": newWorld(t, managed),
	} {
		reg := prometheus.NewPedanticRegistry()
		if err := reg.Register(w.Collector()); err != nil {
			t.Fatal(err)
		}
		if _, err := reg.Gather(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Ensure that nothing goes to the registry that all packages share.
func TestDefaultRegistryUntouched(t *testing.T) {
	serving(t, managed)
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "drbd") {
			t.Errorf("%s is in the default registry", f.GetName())
		}
	}
}

// enumLabel finds the label that holds the word of a state.
var enumLabel = regexp.MustCompile(`,?\b(drbd_resource_role|drbd_connection_state|drbd_device_state|peer_role|disk_state|replication_state|phase)="[^"]*"`)

// Ensure that the series of a state always add up to one, whatever the word,
// and also if it is one of a DRBD to come.
func TestEnumsAddUpToOne(t *testing.T) {
	w := serving(t, managed)
	r := w.snap.DRBD.Resources["res0"]
	c := r.Connections[1]
	lists := metrics.Words()
	for i := range 16 {
		pick := func(list string) string {
			if i >= len(lists[list]) {
				return "FromTheFuture"
			}
			return lists[list][i]
		}
		r.Role, c.Role = drbd.Role(pick("role")), drbd.Role(pick("role"))
		c.State = drbd.ConnectionState(pick("connection"))
		r.Devices[0].Disk, c.PeerDevices[0].PeerDisk = drbd.DiskState(pick("disk")), drbd.DiskState(pick("disk"))
		c.PeerDevices[0].Replication = drbd.ReplicationState(pick("replication"))
		w.snap.SplitBrains[metrics.Peer{Resource: "res0", NodeID: 1, Connection: "drbdtest2"}] = metrics.SplitBrain{
			Phase: append(metrics.Phases(), "invented")[min(i, len(metrics.Phases()))],
		}
		sums := map[string]float64{}
		for s, v := range series(t, w) {
			if short := enumLabel.ReplaceAllString(s, ""); short != s {
				sums[short] += v
			}
		}
		if len(sums) != 7 {
			t.Errorf("round %d: %d states, want 7: %v", i, len(sums), slices.Sorted(maps.Keys(sums)))
		}
		for s, sum := range sums {
			if sum != 1 {
				t.Errorf("round %d: %s adds up to %v", i, s, sum)
			}
		}
	}
}

// Ensure that the lists of words are DRBD's, each word once.
func TestWords(t *testing.T) {
	valid := map[string]func(string) bool{
		"role":        func(s string) bool { return drbd.Role(s).Valid() },
		"connection":  func(s string) bool { return drbd.ConnectionState(s).Valid() },
		"disk":        func(s string) bool { return drbd.DiskState(s).Valid() },
		"replication": func(s string) bool { return drbd.ReplicationState(s).Valid() },
	}
	numbers := map[string]int{"role": 3, "connection": 10, "disk": 10, "replication": 15}
	for name, list := range metrics.Words() {
		once := slices.Compact(slices.Sorted(slices.Values(list)))
		if len(once) != numbers[name] || len(list) != numbers[name] {
			t.Errorf("%s: %d words, %d different, want %d", name, len(list), len(once), numbers[name])
		}
		for _, w := range list {
			if !valid[name](w) {
				t.Errorf("%s: %q is none of DRBD's words", name, w)
			}
		}
	}
}

// Ensure that a fact of three values has a series only when it is known.
func TestUnknownHasNoSeries(t *testing.T) {
	const dev = `{minor="1000",name="res0",volume="0"}`
	const conn = `{conn_name="drbdtest2",name="res0",peer_node_id="1"}`
	w := serving(t, managed)
	r := w.snap.DRBD.Resources["res0"]
	d := r.Devices[0]
	d.Disk = drbd.DiskDiskless
	for _, tt := range []struct {
		series string
		set    func(drbd.Tri)
		is     [3]any // for unknown, no, yes
	}{
		{"drbd_device_open" + dev, func(v drbd.Tri) { d.Open = v }, [3]any{nil, 0.0, 1.0}},
		{"drbd_device_client" + dev, func(v drbd.Tri) { d.Client = v }, [3]any{nil, 0.0, 1.0}},
		{"drbd_device_unintentionaldiskless" + dev, func(v drbd.Tri) { d.Client = v }, [3]any{nil, 1.0, 0.0}},
		{"drbd_device_quorum" + dev, func(v drbd.Tri) { d.Quorum = v }, [3]any{nil, 0.0, 1.0}},
		{"drbd_device_alsuspended" + dev, func(v drbd.Tri) { d.ALSuspended = v }, [3]any{nil, 0.0, 1.0}},
		{`drbd_resource_maypromote{name="res0"}`, func(v drbd.Tri) { r.MayPromote = v }, [3]any{nil, 0.0, 1.0}},
		{`drbd_resource_forceiofailures{name="res0"}`, func(v drbd.Tri) { r.ForceIOFailures = v }, [3]any{nil, 0.0, 1.0}},
		{"drbd_connection_congested" + conn, func(v drbd.Tri) { r.Connections[1].Congested = v }, [3]any{nil, 0.0, 1.0}},
		{"drbdnfs_usermode_helper_enabled", func(v drbd.Tri) { w.snap.UsermodeHelper = v }, [3]any{nil, 0.0, 1.0}},
		{"drbdnfs_nfsd_in_grace", func(v drbd.Tri) { w.snap.NFSD.InGrace = v }, [3]any{nil, 0.0, 1.0}},
	} {
		t.Run(tt.series, func(t *testing.T) {
			for i, v := range []drbd.Tri{drbd.Unknown, drbd.No, drbd.Yes} {
				tt.set(v)
				got, ok := series(t, w)[tt.series]
				if want, wanted := tt.is[i].(float64); ok != wanted || got != want {
					t.Errorf("%s: %v, shown %v; want %v", v, got, ok, tt.is[i])
				}
			}
		})
	}
}

// Ensure that only a volume that should have a disk counts as having lost it.
func TestUnintentionalDiskless(t *testing.T) {
	for _, tt := range []struct {
		name, resource, device string
		want                   any
	}{
		{"lost", "may_promote:no promotion_score:1", "disk:Diskless client:no", 1.0},
		{"on purpose", "may_promote:no promotion_score:1", "disk:Diskless client:yes", 0.0},
		{"who knows", "may_promote:no promotion_score:1", "disk:Diskless client:unknown", nil},
		{"there", "may_promote:no promotion_score:1", "disk:UpToDate client:unknown", 0.0},
		{"lost on 8.4, which has none on purpose", "", "disk:Diskless", 1.0},
		{"no word about the disk", "", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, managed)
			w.snap = &metrics.Snapshot{DRBD: parse(t,
				"exists resource name:res0 role:Secondary suspended:no "+tt.resource,
				"exists device name:res0 volume:0 minor:7 "+tt.device)}
			got, ok := series(t, w)[`drbd_device_unintentionaldiskless{minor="7",name="res0",volume="0"}`]
			if want, wanted := tt.want.(float64); ok != wanted || got != want {
				t.Errorf("%v, shown %v; want %v", got, ok, tt.want)
			}
		})
	}
}

// Ensure that numbers that events2 did not print are not shown as 0.
func TestWithoutStatistics(t *testing.T) {
	w := newWorld(t, managed)
	lines := []string{
		"exists resource name:res0 role:Secondary suspended:no force-io-failures:no may_promote:no promotion_score:10101",
		"exists connection name:res0 peer-node-id:1 conn-name:b connection:Connected role:Primary",
		"exists device name:res0 volume:0 minor:7 disk:UpToDate client:no quorum:yes",
		"exists peer-device name:res0 peer-node-id:1 conn-name:b volume:0 replication:Established peer-disk:UpToDate",
	}
	w.snap = &metrics.Snapshot{DRBD: parse(t, lines...)}
	for s := range series(t, w) {
		if strings.Contains(s, "_bytes") || strings.Contains(s, "writes") || strings.Contains(s, "pending") {
			t.Errorf("%s is shown", s)
		}
	}
	lines[1] += " congested:no ap-in-flight:3 rs-in-flight:4"
	lines[2] += " size:8 read:7 written:6 al-writes:5 bm-writes:4 upper-pending:3 lower-pending:2 al-suspended:no blocked:no"
	lines[3] += " received:1 sent:2 out-of-sync:3 pending:0 unacked:0"
	w.snap = &metrics.Snapshot{DRBD: parse(t, lines...)}
	got := series(t, w)
	const dev, conn, peer = `{minor="7",name="res0",volume="0"}`, `{conn_name="b",name="res0",peer_node_id="1"}`,
		`{conn_name="b",name="res0",peer_node_id="1",volume="0"}`
	for s, want := range map[string]float64{
		"drbd_device_size_bytes" + dev: 8 << 10, "drbd_device_read_bytes_total" + dev: 7 << 10, "drbd_device_written_bytes_total" + dev: 6 << 10,
		"drbd_device_alwrites_total" + dev: 5, "drbd_device_bmwrites_total" + dev: 4, "drbd_device_upperpending" + dev: 3,
		"drbd_device_lowerpending" + dev: 2, "drbd_connection_apinflight_bytes" + conn: 3 * 512, "drbd_connection_rsinflight_bytes" + conn: 4 * 512,
		"drbd_peerdevice_received_bytes" + peer: 1 << 10, "drbd_peerdevice_sent_bytes" + peer: 2 << 10, "drbd_peerdevice_outofsync_bytes" + peer: 3 << 10,
	} {
		if v, ok := got[s]; !ok || v != want {
			t.Errorf("%s = %v, shown %v; want %v", s, v, ok, want)
		}
	}
}

// Ensure that a dump that is still being read shows nothing of DRBD, and that
// the split brain on record is shown all the same.
func TestIncompleteState(t *testing.T) {
	w := diverged(t)
	w.snap.DRBD.Complete = false
	got := series(t, w)
	for s := range got {
		if strings.HasPrefix(s, "drbd_") && !strings.HasPrefix(s, "drbd_version") {
			t.Errorf("%s is shown", s)
		}
	}
	if v := got[`drbdnfs_split_brain{conn_name="drbdtest1",name="res0",peer_node_id="0"}`]; v != 1 {
		t.Errorf("split brain = %v, want 1", v)
	}
}

// Ensure that every reason for which I/O is held back is shown by itself.
func TestSuspendedReasons(t *testing.T) {
	w := newWorld(t, managed)
	w.snap = &metrics.Snapshot{DRBD: parse(t, "exists resource name:res0 role:Primary suspended:no-data,quorum may_promote:no promotion_score:1")}
	got := series(t, w)
	if got[`drbd_resource_suspended{name="res0"}`] != 1 {
		t.Error("not suspended")
	}
	for reason, want := range map[string]float64{"user": 0, "no-data": 1, "fencing": 0, "quorum": 1} {
		if v, ok := got[`drbdnfs_resource_suspended_reason{name="res0",reason="`+reason+`"}`]; !ok || v != want {
			t.Errorf("%s = %v, shown %v; want %v", reason, v, ok, want)
		}
	}
}

// Ensure that text that is no UTF-8 costs at most its own label value.
func TestInvalidText(t *testing.T) {
	w := newWorld(t, managed)
	w.snap = &metrics.Snapshot{DRBD: parse(t,
		"exists resource name:res0 role:Pri\xff suspended:no may_promote:no promotion_score:1",
		"exists connection name:res0 peer-node-id:1 conn-name:\xfe\xfe connection:Conn\xffected role:Primary")}
	got := series(t, w)
	if got["drbd_resource_role{drbd_resource_role=\"Pri\uFFFD\",name=\"res0\"}"] != 1 {
		t.Errorf("role is not shown: %v", slices.Sorted(maps.Keys(got)))
	}
	if v := got["drbd_connection_state{conn_name=\"\uFFFD\",drbd_connection_state=\"Conn\uFFFDected\",name=\"res0\",peer_node_id=\"1\"}"]; v != 1 {
		t.Error("connection is not shown")
	}
}

// Ensure that scrapes are right and race with nothing, while the daemon counts
// and swaps its snapshot.
func TestConcurrentScrapes(t *testing.T) {
	base := serving(t, managed)
	var current atomic.Pointer[metrics.Snapshot]
	current.Store(base.snap)
	m, err := metrics.New(metrics.Options{Source: current.Load, Scope: metrics.Scope{All: true, States: true}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Metrics: m, snap: base.snap}
	done := make(chan struct{})
	var daemon, scrapes sync.WaitGroup
	daemon.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			next := *base.snap
			next.DRBD = base.snap.DRBD.Clone()
			if i%2 == 0 {
				delete(next.DRBD.Resources, "res0")
			}
			current.Store(&next)
			m.Events2Line(drbd.ObjectDevice, found)
			m.HelperCalled("res0", "split-brain")
			m.SplitBrainDetected("res0", found)
			m.SplitBrainEnded("res0", "manual", metrics.Failed)
			m.SetScope(metrics.Scope{All: i%3 == 0, Managed: []string{"res0"}, States: true})
			act(m, found)
		}
	})
	for range metrics.MaxScrapes {
		scrapes.Go(func() {
			for range 25 {
				families, err := w.Gatherer().Gather()
				if err != nil || len(families) == 0 {
					t.Errorf("%d families, %v", len(families), err)
				}
			}
		})
	}
	scrapes.Wait()
	close(done)
	daemon.Wait()
}

// Ensure that the line that is counted most often costs no memory.
func TestEvents2LineAllocatesNothing(t *testing.T) {
	w := newWorld(t, managed)
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { w.Events2Line(drbd.ObjectPeerDevice, now) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
