package events2_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
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

func TestRead(t *testing.T) {
	in := "exists resource name:a role:Primary\n\nnot a line\nexists -\n"
	var got []string
	var bad int
	for ev, err := range events2.Read(strings.NewReader(in)) {
		if errors.Is(err, events2.ErrSyntax) {
			bad++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ev.String())
	}
	want := []string{"exists resource name:a role:Primary", "exists -"}
	if diff := cmp.Diff(want, got); diff != "" || bad != 1 {
		t.Errorf("%d bad lines, events (-want +got):\n%s", bad, diff)
	}
}

func TestReadEnds(t *testing.T) {
	broken := errors.New("pipe burst")
	in := io.MultiReader(strings.NewReader("exists -\nexists -\n"), iotest.ErrReader(broken))
	var seen int
	var last error
	for _, err := range events2.Read(in) {
		seen++
		last = err
	}
	if seen != 3 || !errors.Is(last, broken) {
		t.Errorf("%d steps, the last with %v; want 3 and the reader's error", seen, last)
	}

	t.Run("WhenTheCallerStops", func(t *testing.T) {
		n := 0
		for range events2.Read(strings.NewReader("exists -\nexists -\n")) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%d events after break", n)
		}
	})
	t.Run("AtALineWithoutEnd", func(t *testing.T) {
		var last error
		for _, err := range events2.Read(strings.NewReader(strings.Repeat("x", 2<<20))) {
			last = err
		}
		if !errors.Is(last, bufio.ErrTooLong) {
			t.Errorf("got %v, want ErrTooLong", last)
		}
	})
}

// Ensure that the events of a stream do not share memory that the next line
// overwrites.
func TestReadEventsStay(t *testing.T) {
	lines := recordings(t)
	var kept []drbd.Event
	for ev, err := range events2.Read(strings.NewReader(strings.Join(lines, "\n"))) {
		if err != nil {
			t.Fatal(err)
		}
		ev.Fields = append(ev.Fields, drbd.Field{Key: "mine"}) // must not reach the next event
		ev.Fields = ev.Fields[:len(ev.Fields)-1]
		kept = append(kept, ev)
	}
	for i, ev := range kept {
		want, err := events2.Parse(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		if ev.String() != want.String() {
			t.Fatalf("line %d became %s, want %s", i, ev, want)
		}
	}
}

func TestReadDump(t *testing.T) {
	const dump = "exists resource name:a role:Secondary suspended:no\nexists device name:a volume:0 minor:1 disk:UpToDate\n"
	tests := []struct {
		name, in           string
		resources          int
		complete, wantFail bool
	}{
		{"with its end", dump + "exists -\n", 1, true, false},
		{"what follows is not read", dump + "exists -\ndestroy resource name:a\nprose\n", 1, true, false},
		{"that just ends", dump, 1, false, false},
		{"of nothing", "exists -\n", 0, true, false},
		{"of nothing at all", "", 0, false, false},
		{"with prose in it", dump + "Segmentation fault\n", 0, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st, err := events2.ReadDump(strings.NewReader(tt.in))
			if tt.wantFail {
				if !errors.Is(err, events2.ErrSyntax) {
					t.Errorf("got %v, %v; want ErrSyntax", st, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(st.Resources) != tt.resources || st.Complete != tt.complete {
				t.Errorf("%d resources, complete %v; want %d, %v", len(st.Resources), st.Complete, tt.resources, tt.complete)
			}
		})
	}
}
