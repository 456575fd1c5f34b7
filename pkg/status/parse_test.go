package status

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Ensure that what is needed of a CIB with operations, failures and constraints
// is found.
func TestParseCIB(t *testing.T) {
	data, err := os.ReadFile("testdata/cib-2.1.5.xml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCIB(data)
	if err != nil {
		t.Fatal(err)
	}
	want := &CIB{
		Properties: map[string]string{"cluster-name": "nfs_cluster", "stonith-enabled": "false"},
		Nodes:      []string{"drbdtest1", "drbdtest2"}, Fences: []string{"fence_ipmi"},
		Groups: []GroupResource{{ID: "nfs", Clone: "nfs-clone", Threshold: 3, Parameters: map[string]string{
			"directory": "/home/nfs", "drbd_resource": "res0", "exports": "/home/nfs/user-data 192.168.2.0/24(rw,sync)",
			"vips": "192.168.2.63/24@ens3", "nfs_versions": "3",
		}}},
		Constraints: []Constraint{
			{"cli-ban-nfs-clone-on-drbdtest1", "nfs-clone", "drbdtest1"}, {"drbd-fence-by-handler-res0-nfs-clone", "nfs-clone", ""},
		},
		Operations: []Operation{
			{Node: "drbdtest1", Resource: "nfs", Task: "demote", OK: true, Start: time.Unix(1795417762, 0), Took: 2604 * time.Millisecond},
			{Node: "drbdtest1", Resource: "nfs", Task: "start", Reason: "no such device", Start: time.Unix(1795410000, 0), Took: 120 * time.Millisecond},
			{Node: "drbdtest2", Resource: "nfs", Task: "promote", OK: true, Start: time.Unix(1795417775, 0), Took: 10368 * time.Millisecond},
		},
		FailCounts: map[string]map[string]int{"drbdtest1": {"nfs": infinity + 2}, "drbdtest2": {}},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	p, err := planOfCIB(c)
	if err != nil || p.Resource != "res0" || p.NullVersion != 3 || len(p.Exports) != 1 || len(p.VIPs) != 1 || !p.FromCIB {
		t.Errorf("plan %+v, %v", p, err)
	}
	if _, err := ParseCIB([]byte("<html/>")); err == nil {
		t.Error("no error for what is no CIB")
	}
}

// Ensure that rate and time of a resync are read of an 8.4 kernel.
func TestParseProgress(t *testing.T) {
	data, err := os.ReadFile("testdata/proc-drbd-8.4")
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]Progress{1000: {Percent: 63.1, MiBPerSecond: 210, ETA: 4*time.Minute + time.Second}}
	if diff := cmp.Diff(want, parseProgress(string(data))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Ensure that the journal's lines become events, and that what is not ours, or
// broken, does not.
func TestParseJournal(t *testing.T) {
	lines := `{"__REALTIME_TIMESTAMP":"1795417785000000","SYSLOG_IDENTIFIER":"drbdnfs","ACTION":"promote","MESSAGE":"step done action=promote step=unblock"}
{"__REALTIME_TIMESTAMP":"1795417786000000","SYSLOG_IDENTIFIER":"drbdnfs","ACTION":"promote","MESSAGE":"step failed action=promote step=unblock"}
{"__REALTIME_TIMESTAMP":"1795417762500000","SYSLOG_IDENTIFIER":"pacemaker-controld","MESSAGE":" notice: Initiating demote operation nfs_demote_0 on drbdtest1"}
{"__REALTIME_TIMESTAMP":"1795417763000000","SYSLOG_IDENTIFIER":"pacemaker-controld","MESSAGE":"Initiating promote operation nfs_promote_0 locally on drbdtest2"}
{"__REALTIME_TIMESTAMP":"1795417763000000","SYSLOG_IDENTIFIER":"pacemaker-controld","MESSAGE":"Initiating promote operation other_promote_0 locally on drbdtest2"}
{"__REALTIME_TIMESTAMP":"1795417761000000","SYSLOG_IDENTIFIER":"pacemaker-controld","MESSAGE":"Node drbdtest1 state is now lost"}
{"__REALTIME_TIMESTAMP":"1795417761000000","SYSLOG_IDENTIFIER":"pacemaker-controld","MESSAGE":"Node drbdtest1 state is now member"}
{"__REALTIME_TIMESTAMP":"1795417761000000","SYSLOG_IDENTIFIER":"pacemaker-controld","MESSAGE":[78,111]}
{"__REALTIME_TIMESTAMP":"x","SYSLOG_IDENTIFIER":"drbdnfs"}
garbage
`
	var got []string
	for _, e := range parseJournal("drbdtest2", "nfs", []byte(lines)) {
		got = append(got, string(e.Kind)+" "+e.Node+" "+e.At.UTC().Format("15:04:05.0"))
	}
	want := []string{"promote drbdtest2 07:09:45.0", "demote drbdtest1 07:09:22.5", "promoting drbdtest2 07:09:23.0", "lost drbdtest1 07:09:21.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if args := strings.Join(journalArgs("nfs"), " "); !strings.Contains(args, "--lines=400") ||
		!strings.Contains(args, "GROUP=nfs ACTION=promote STEP=unblock + SYSLOG_IDENTIFIER=drbdnfs GROUP=nfs ACTION=demote STEP=block + ") {
		t.Error(args)
	}
}

// Ensure that failovers are told with where from, why, and how long.
func TestFailovers(t *testing.T) {
	day := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	sec := func(s float64) time.Time { return day.Add(time.Duration(s * float64(time.Second))) }
	one, two := "drbdtest1", "drbdtest2"
	tests := []struct {
		name   string
		events []Event
		failed []Failed
		want   []Failover
	}{
		{"nothing", nil, nil, []Failover{}},
		{
			"a start of which nothing else is known",
			[]Event{{EventPromote, one, sec(0), 0}},
			nil,
			[]Failover{{Time: sec(0), To: one, Reason: ReasonUnknown}},
		},
		{"the active node was lost", []Event{{EventPromote, two, sec(0), 0}, {EventLost, two, sec(100), 0}, {EventPromote, one, sec(109.8), 0}}, nil, []Failover{
			{Time: sec(109.8), From: two, To: one, StallMS: 9800, Reason: ReasonLost}, {Time: sec(0), To: two, Reason: ReasonUnknown},
		}},
		{"the passive node was lost, then the service moved", []Event{{EventPromote, two, sec(0), 0}, {EventLost, one, sec(50), 0}, {EventDemote, two, sec(100), 0}, {EventPromote, one, sec(108), 0}}, nil, []Failover{
			{Time: sec(108), From: two, To: one, StallMS: 8000, Reason: ReasonMoved}, {Time: sec(0), To: two, Reason: ReasonUnknown},
		}},
		{"one promotion by journal, CIB and coordinator", []Event{
			{EventPromote, one, sec(10.5), 0}, {EventPromote, one, sec(11), 4 * time.Second}, {EventPromoting, one, sec(6), 0}, {EventDemote, two, sec(1), 0},
		}, nil, []Failover{{Time: sec(10.5), From: two, To: one, StallMS: 9500, Promote: 4000, Reason: ReasonMoved}}},
		{
			"a promotion elsewhere that the coordinator began",
			[]Event{{EventDemote, one, sec(1), 0}, {EventPromoting, two, sec(4), 0}},
			nil,
			[]Failover{{Time: sec(4), From: one, To: two, StallMS: 3000, Reason: ReasonMoved}},
		},
		{
			"a monitor failed",
			[]Event{{EventDemote, one, sec(1), 0}, {EventPromote, one, sec(6), 0}},
			[]Failed{{Node: one, Task: "monitor", Reason: "rpc.mountd is not running", When: sec(0)}, {Node: two, Task: "start", When: sec(0)}},
			[]Failover{{Time: sec(6), From: one, To: one, StallMS: 5000, Reason: ReasonFailed, Detail: "monitor on drbdtest1 failed: rpc.mountd is not running"}},
		},
		{
			"restarted",
			[]Event{{EventDemote, one, sec(1), 0}, {EventPromote, one, sec(6), 0}},
			nil,
			[]Failover{{Time: sec(6), From: one, To: one, StallMS: 5000, Reason: ReasonAgain}},
		},
		{
			"an outage of its own",
			[]Event{{EventDemote, one, sec(0), 0}, {EventPromote, one, sec(3600), 0}},
			nil,
			[]Failover{{Time: sec(3600), To: one, Reason: ReasonUnknown}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, failovers(tt.events, tt.failed)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Ensure that only the latest failovers are kept.
func TestManyFailovers(t *testing.T) {
	one, day := "drbdtest1", time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	var many []Event
	for i := range 20 {
		many = append(many, Event{EventPromote, one, day.Add(time.Duration(i) * 100 * time.Second), 0})
	}
	if got := failovers(many, nil); len(got) != keptFailovers || !got[0].Time.After(got[1].Time) {
		t.Errorf("%d failovers of many: %v", len(got), got)
	}
}

// Ensure that times and sizes are short.
func TestText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 s", 45 * time.Second: "45 s", 241 * time.Second: "4 min", 200 * time.Minute: "3 h 20 min", 52 * time.Hour: "2 d 4 h",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 8 << 20: "8.0 MiB", 6 << 40: "6.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// Ensure that the words are unique, in the order of their severities, and that
// each has a cause.
func TestWords(t *testing.T) {
	seen := map[string]bool{}
	last := 0
	for _, w := range Words() {
		order := severityOrder(w.Severity)
		if seen[w.Word] || order < last || w.Cause == "" {
			t.Errorf("%+v", w)
		}
		seen[w.Word], last = true, order
	}
	if !slices.IsSorted([]int{severityOrder(Critical), severityOrder(Warning), severityOrder(Notice)}) {
		t.Error("the order of the severities")
	}
}
