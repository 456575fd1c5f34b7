package events2_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
)

// id builds an identity from the parts that a line has.
func id(resource string, set ...func(*drbd.ID)) drbd.ID {
	v := drbd.NoID()
	v.Resource = resource
	for _, f := range set {
		f(&v)
	}
	return v
}

func conn(node int, name string) func(*drbd.ID) {
	return func(v *drbd.ID) { v.PeerNodeID, v.ConnName = node, name }
}
func volume(n int) func(*drbd.ID) { return func(v *drbd.ID) { v.Volume = n } }
func minor(n int) func(*drbd.ID)  { return func(v *drbd.ID) { v.Minor = n } }

var parseTests = []struct {
	name, line string
	want       drbd.Event
}{
	{
		"resource on 9", "exists resource name:nfs role:Primary suspended:no force-io-failures:no may_promote:no promotion_score:10102",
		drbd.Event{Verb: "exists", Object: "resource", ID: id("nfs"), Fields: []drbd.Field{
			{Key: "role", Value: "Primary"},
			{Key: "suspended", Value: "no"},
			{Key: "force-io-failures", Value: "no"},
			{Key: "may_promote", Value: "no"},
			{Key: "promotion_score", Value: "10102"},
		}},
	},
	{
		"resource on 8.4", "exists resource name:nfs role:Primary suspended:user,fencing",
		drbd.Event{Verb: "exists", Object: "resource", ID: id("nfs"), Fields: []drbd.Field{{Key: "role", Value: "Primary"}, {Key: "suspended", Value: "user,fencing"}}},
	},
	{
		"timestamp", "2026-11-23T05:21:47.395615+02:00 change resource name:nfs role:Secondary",
		drbd.Event{
			Time: time.Date(2026, 11, 23, 3, 21, 47, 395615000, time.UTC), Verb: "change", Object: "resource", ID: id("nfs"),
			Fields: []drbd.Field{{Key: "role", Value: "Secondary"}},
		},
	},
	{
		"device", "change device name:nfs volume:0 minor:7 backing_dev:none disk:Diskless client:no quorum:yes",
		drbd.Event{Verb: "change", Object: "device", ID: id("nfs", volume(0), minor(7)), Fields: []drbd.Field{
			{Key: "backing_dev", Value: "none"}, {Key: "disk", Value: "Diskless"}, {Key: "client", Value: "no"}, {Key: "quorum", Value: "yes"},
		}},
	},
	{
		"connection without a name on 8.4", "exists connection name:nfs peer-node-id:0 connection:StandAlone role:Unknown",
		drbd.Event{Verb: "exists", Object: "connection", ID: id("nfs", conn(0, "")), Fields: []drbd.Field{{Key: "connection", Value: "StandAlone"}, {Key: "role", Value: "Unknown"}}},
	},
	{
		"peer device on 8.4 has a minor", "change peer-device name:nfs peer-node-id:0 conn-name:peer volume:0 minor:0 replication:SyncTarget",
		drbd.Event{Verb: "change", Object: "peer-device", ID: id("nfs", conn(0, "peer"), volume(0), minor(0)), Fields: []drbd.Field{{Key: "replication", Value: "SyncTarget"}}},
	},
	{
		"empty change", "change peer-device name:nfs peer-node-id:1 conn-name:nfs2 volume:0",
		drbd.Event{Verb: "change", Object: "peer-device", ID: id("nfs", conn(1, "nfs2"), volume(0))},
	},
	{
		"path", "create path name:nfs peer-node-id:1 conn-name:nfs2 local:ipv6:[fd00::1]:7789 peer:ipv4:5.6.7.8:7790 established:no",
		drbd.Event{
			Verb: "create", Object: "path", ID: id("nfs", conn(1, "nfs2"), func(v *drbd.ID) { v.Local, v.Peer = "ipv6:[fd00::1]:7789", "ipv4:5.6.7.8:7790" }),
			Fields: []drbd.Field{{Key: "established", Value: "no"}},
		},
	},
	{
		"helper call without a minor", "call helper name:nfs peer-node-id:1 conn-name:nfs2 helper:fence-peer",
		drbd.Event{Verb: "call", Object: "helper", ID: id("nfs", conn(1, "nfs2")), Fields: []drbd.Field{{Key: "helper", Value: "fence-peer"}}},
	},
	{
		"helper response", "response helper name:nfs volume:0 minor:0 helper:local-io-error status:256",
		drbd.Event{Verb: "response", Object: "helper", ID: id("nfs", volume(0), minor(0)), Fields: []drbd.Field{{Key: "helper", Value: "local-io-error"}, {Key: "status", Value: "256"}}},
	},
	{"rename", "rename resource name:nfs new_name:nfsdata", drbd.Event{Verb: "rename", Object: "resource", ID: id("nfs"), Fields: []drbd.Field{{Key: "new_name", Value: "nfsdata"}}}},
	{"destroy", "destroy device name:nfs volume:0", drbd.Event{Verb: "destroy", Object: "device", ID: id("nfs", volume(0))}},
	{"end of the dump", "exists -", drbd.Event{Verb: "exists", Object: "-", ID: drbd.NoID()}},
	{"lines lost", "- skipped 12", drbd.Event{Verb: "-", Object: "-", ID: drbd.NoID(), Skipped: 12}},
	{
		"what nobody knows yet", "praise moon name:nfs phase:full sticky tide:a:b",
		drbd.Event{Verb: "praise", Object: "moon", ID: id("nfs"), Fields: []drbd.Field{{Key: "phase", Value: "full"}, {Key: "sticky"}, {Key: "tide", Value: "a:b"}}},
	},
	{
		"open, since 9.29", "exists device name:nfs volume:0 minor:0 backing_dev:/dev/vg/nfs disk:UpToDate client:no open:unknown quorum:yes",
		drbd.Event{Verb: "exists", Object: "device", ID: id("nfs", volume(0), minor(0)), Fields: []drbd.Field{
			{Key: "backing_dev", Value: "/dev/vg/nfs"}, {Key: "disk", Value: "UpToDate"}, {Key: "client", Value: "no"}, {Key: "open", Value: "unknown"}, {Key: "quorum", Value: "yes"},
		}},
	},
	{
		"a key that only status prints yet", "change connection name:nfs peer-node-id:1 conn-name:nfs2 tls:yes",
		drbd.Event{Verb: "change", Object: "connection", ID: id("nfs", conn(1, "nfs2")), Fields: []drbd.Field{{Key: "tls", Value: "yes"}}},
	},
	{
		"progress without statistics", "change peer-device name:nfs peer-node-id:1 conn-name:nfs2 volume:0 done:3.92",
		drbd.Event{Verb: "change", Object: "peer-device", ID: id("nfs", conn(1, "nfs2"), volume(0)), Fields: []drbd.Field{{Key: "done", Value: "3.92"}}},
	},
	{
		"statistics of statistics", "change peer-device name:nfs peer-node-id:1 conn-name:nfs2 volume:0 rs-total:1 rs-dt0-ms:2 ov-skipped:3 dbdt1:1.5 eta:nan",
		drbd.Event{Verb: "change", Object: "peer-device", ID: id("nfs", conn(1, "nfs2"), volume(0)), Fields: []drbd.Field{
			{Key: "rs-total", Value: "1"}, {Key: "rs-dt0-ms", Value: "2"}, {Key: "ov-skipped", Value: "3"}, {Key: "dbdt1", Value: "1.5"}, {Key: "eta", Value: "nan"},
		}},
	},
	{
		"lists of reasons", "change resource name:nfs suspended:user,no-data,fencing,quorum resync-suspended:user,peer,dependency blocked:upper,lower",
		drbd.Event{Verb: "change", Object: "resource", ID: id("nfs"), Fields: []drbd.Field{
			{Key: "suspended", Value: "user,no-data,fencing,quorum"}, {Key: "resync-suspended", Value: "user,peer,dependency"}, {Key: "blocked", Value: "upper,lower"},
		}},
	},
	{
		"helper of a path", "call helper name:nfs peer-node-id:1 conn-name:nfs2 local:ipv4:1.2.3.4:7789 peer:ipv4:5.6.7.8:7790 helper:fence-peer",
		drbd.Event{
			Verb: "call", Object: "helper", ID: id("nfs", conn(1, "nfs2"), func(v *drbd.ID) { v.Local, v.Peer = "ipv4:1.2.3.4:7789", "ipv4:5.6.7.8:7790" }),
			Fields: []drbd.Field{{Key: "helper", Value: "fence-peer"}},
		},
	},
	{
		"names that look like --diff", "change device name:a->b volume:0 minor:0 backing_dev:/dev/mapper/x->y",
		drbd.Event{Verb: "change", Object: "device", ID: id("a->b", volume(0), minor(0)), Fields: []drbd.Field{{Key: "backing_dev", Value: "/dev/mapper/x->y"}}},
	},
	{"renamed to what looks like --diff", "rename resource name:a new_name:a->b", drbd.Event{Verb: "rename", Object: "resource", ID: id("a"), Fields: []drbd.Field{{Key: "new_name", Value: "a->b"}}}},
	{
		"end of the dump with a time", "2026-11-23T05:21:47.395615-03:30 exists -",
		drbd.Event{Time: time.Date(2026, 11, 23, 8, 51, 47, 395615000, time.UTC), Verb: "exists", Object: "-", ID: drbd.NoID()},
	},
	{
		"lines lost with a time", "2026-02-28T23:59:59.000001+14:00 - skipped 1",
		drbd.Event{Time: time.Date(2026, 2, 28, 9, 59, 59, 1000, time.UTC), Verb: "-", Object: "-", ID: drbd.NoID(), Skipped: 1},
	},
	{"a time of another make", "2026-11-23T05:21:47Z exists -", drbd.Event{Time: time.Date(2026, 11, 23, 5, 21, 47, 0, time.UTC), Verb: "exists", Object: "-", ID: drbd.NoID()}},
	{"many keys", "change resource name:nfs" + strings.Repeat(" k:v", 300), drbd.Event{Verb: "change", Object: "resource", ID: id("nfs"), Fields: slices.Repeat([]drbd.Field{{Key: "k", Value: "v"}}, 300)}},
	{"newline and superfluous blanks", "destroy  device name:nfs  volume:0 \r\n", drbd.Event{}},
}

func TestParse(t *testing.T) {
	for _, tt := range parseTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := events2.Parse(tt.line)
			if tt.want.Verb == "" {
				if err == nil || !errors.Is(err, events2.ErrSyntax) {
					t.Fatalf("got %+v, %v; want ErrSyntax", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !got.Time.Equal(tt.want.Time) {
				t.Errorf("time %v, want %v", got.Time, tt.want.Time)
			}
			got.Time = tt.want.Time
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			for stream, err := range events2.Read(strings.NewReader("exists -\n" + tt.line + "\n")) {
				if err != nil {
					t.Error(err)
				}
				if stream.Time.Equal(tt.want.Time) {
					stream.Time = tt.want.Time
				}
				if diff := cmp.Diff(tt.want, stream); diff != "" && !stream.DumpEnd() {
					t.Errorf("event of a stream (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"nothing":               "",
		"only blanks":           "   ",
		"one word":              "exists",
		"only a time":           "2026-11-23T05:21:47.395615+00:00",
		"two times":             "2026-11-23T05:21:47.395615+00:00 2026-11-23T05:21:47.395615+00:00 change resource name:nfs",
		"a broken time":         "2026-11-23 change resource name:nfs",
		"no resource":           "change resource role:Primary",
		"an empty name":         "change resource name: role:Primary",
		"a volume that is none": "change device name:nfs volume:x",
		"a negative volume":     "change device name:nfs volume:-1",
		"a huge minor":          "change device name:nfs volume:0 minor:4294967296",
		"a missing node id":     "change connection name:nfs peer-node-id:",
		"a count that is none":  "- skipped many",
		"no count":              "- skipped",
		"another dash":          "- lost 3",
		"a time without zone":   "2026-11-23T05:21:47.395615 change resource name:nfs role:Primary",
		"a time that is none":   "2026-13-23T05:21:47.395615+00:00 change resource name:nfs role:Primary",
		"no microseconds":       "2026-11-23T05:21:47.39561x+00:00 change resource name:nfs role:Primary",
		"a zone that is none":   "2026-11-23T05:21:47.395615+0x:00 change resource name:nfs role:Primary",
		"a zone too far":        "2026-11-23T05:21:47.395615+24:00 change resource name:nfs role:Primary",
		"a zone without sign":   "2026-11-23T05:21:47.395615 00:00 change resource name:nfs role:Primary",
		"a zone without colon":  "2026-11-23T05:21:47.395615+00000 change resource name:nfs role:Primary",
		"--diff":                "change connection name:nfs peer-node-id:1 conn-name:nfs2 connection:Connected->Unconnected role:Secondary->Unknown",
		"--diff of a new one":   "exists resource name:nfs role:UNKNOWN->Secondary suspended:UNKNOWN->no may_promote:UNKNOWN->no promotion_score:0->10102",
		"prose":                 "drbdsetup: Error opening netlink socket",
	} {
		t.Run(name, func(t *testing.T) {
			if ev, err := events2.Parse(line); !errors.Is(err, events2.ErrSyntax) {
				t.Errorf("got %+v, %v; want ErrSyntax", ev, err)
			}
		})
	}
}

func TestHelperExit(t *testing.T) {
	tests := []struct {
		name, status string
		code         int
		ok           bool
	}{
		{"success", " status:0", 0, true},
		{"exit code 1", " status:256", 1, true},
		{"peer was fenced", " status:1792", 7, true},
		{"killed", " status:9", 137, true},
		{"not installed", " status:4294967294", drbd.HelperMissing, true},
		{"no status", "", 0, false},
		{"nonsense", " status:x", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev, err := events2.Parse("response helper name:nfs helper:fence-peer" + tt.status)
			if err != nil {
				t.Fatal(err)
			}
			if code, ok := ev.HelperExit(); code != tt.code || ok != tt.ok || ev.Helper() != "fence-peer" {
				t.Errorf("%s: got %d, %v; want %d, %v", ev.Helper(), code, ok, tt.code, tt.ok)
			}
		})
	}
}

// recordings returns all recorded lines.
func recordings(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("../testdata/*/*.log")
	if err != nil {
		tb.Fatal(err)
	}
	more, err := filepath.Glob("../testdata/*/*/*.log")
	if err != nil {
		tb.Fatal(err)
	}
	var lines []string
	for _, f := range append(files, more...) {
		data, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSpace(string(data)), "\n")...)
	}
	if len(lines) < 600 {
		tb.Fatalf("only %d recorded lines", len(lines))
	}
	return lines
}

// Ensure that no recorded line loses anything: printed again, it is the same
// but for the timestamp.
func TestRecordedLinesRoundTrip(t *testing.T) {
	for _, line := range recordings(t) {
		ev, err := events2.Parse(line)
		if err != nil {
			t.Error(err)
			continue
		}
		want := line
		if !ev.Time.IsZero() {
			_, want, _ = strings.Cut(line, " ")
		}
		if got := ev.String(); got != want {
			t.Errorf("printed again:\n got %s\nwant %s", got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range recordings(f) {
		f.Add(line)
	}
	for _, line := range []string{
		"- skipped 1", "exists -", "rename resource name:a new_name:b", "x y name::: : :a", "change device name:a volume:00",
		"0000-01-01T0:00:00+00:00 0 0 name:0", "change peer-device name:0 peer-node-id:0 peer-disk:0 volume:0 peer-disk",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		ev, err := events2.Parse(line)
		if err != nil {
			if !errors.Is(err, events2.ErrSyntax) {
				t.Fatalf("%q: %v is not ErrSyntax", line, err)
			}
			return
		}
		again, err := events2.Parse(ev.String())
		if err != nil {
			t.Fatalf("%q printed as %q: %v", line, ev, err)
		}
		again.Time = ev.Time
		if diff := cmp.Diff(ev, again); diff != "" {
			t.Fatalf("%q printed as %q (-first +second):\n%s", line, ev, diff)
		}
		st := drbd.NewState()
		st.Apply(ev)
		repeated := st.Apply(ev)
		for _, c := range repeated {
			if (c.Kind == drbd.Set || c.Kind == drbd.Created) && !repeatsKey(ev) {
				t.Fatalf("%q applied again: %v", line, repeated)
			}
		}
		for _, r := range st.SortedResources() {
			drbd.PromotionScore(r)
			drbd.Health(r)
		}
	})
}

// repeatsKey reports whether a key of ev occurs twice.
func repeatsKey(ev drbd.Event) bool {
	seen := map[string]bool{}
	for _, f := range ev.Fields {
		if seen[f.Key] {
			return true
		}
		seen[f.Key] = true
	}
	return false
}
