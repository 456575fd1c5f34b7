package pacemaker_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/pacemaker"
)

var update = flag.Bool("update", false, "write the golden files")

func recording(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "crm_mon-2.1.5-"+name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(t *testing.T, text string) pacemaker.Status {
	t.Helper()
	st, err := pacemaker.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// Ensure that everything that is used is read from what a real crm_mon printed:
// a group that serves, a node without a coordinator, a failure that was just
// injected, maintenance with a ban, and a node on standby.
func TestParseRecorded(t *testing.T) {
	for _, name := range []string{"promoted", "starting", "no-coordinator", "failed", "maintenance-banned", "standby"} {
		got, err := json.MarshalIndent(parse(t, recording(t, name)), "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Ensure that a crm_mon that has not seen the CIB is not taken for a cluster in
// which nothing runs, although it ends well; and that other text is an error.
func TestParseNothing(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		noAnswer   bool
		want       string
	}{
		{"CIB manager hangs", recording(t, "cib-silent"), true, "Could not connect to the CIB: Transport endpoint is not connected"},
		{"not running", recording(t, "not-running"), true, "Could not connect to launcher"},
		{"daemons are starting", `<pacemaker-result><pacemakerd state="starting_daemons"/><status code="0"/></pacemaker-result>`, true, "does not answer"},
		{"empty", "", false, "EOF"},
		{"cut off", recording(t, "promoted")[:1000], false, "XML syntax error"},
		{"another root", "<crm_mon/>", false, "pacemaker-result"},
	} {
		_, err := pacemaker.Parse([]byte(tt.text))
		if err == nil || errors.Is(err, pacemaker.ErrNoAnswer) != tt.noAnswer || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// old is what Pacemaker 2.0 prints about two nodes and a group of its time.
const old = `<?xml version="1.0"?>
<pacemaker-result api-version="2.3" request="crm_mon --one-shot --output-as=xml">
  <summary>
    <current_dc present="true" version="2.0.5" name="b" id="2" with_quorum="false"/>
    <cluster_options maintenance-mode="false" new-option="whatever"/>
  </summary>
  <nodes>
    <node name="a" online="true" pending="true" unclean="yes"/>
    <node name="b" online="true" pending="false"/>
  </nodes>
  <resources>
    <clone id="nfs-clone" multi_state="true" managed="true" disabled="false">
      <resource id="nfs:0" role="Master" pending="Monitoring"><node name="b"/></resource>
      <resource id="nfs:1" role="Slave" pending="Promoting"><node name="a"/></resource>
    </clone>
    <group id="web"><resource id="ip" role="Started"><node name="a"/></resource></group>
    <resource id="apache" role="Started" managed="false"><node name="a"/><node name="b"/></resource>
  </resources>
  <failures>
    <failure op_key="nfs:1_monitor_10000" node="a" exitstatus="error" exitreason="none" last-rc-change="2026-11-23 18:43:26 +02:00" task="monitor"/>
    <failure op_key="nfs_migrate_to_0" node="a" exitstatus="error" exitreason="" />
    <failure op_key="my_nfs_start_0" node="b" exitstatus="timeout" exitreason="a &amp;lt; b &amp;amp; &amp;quot;c&amp;quot;" last-rc-change="yesterday" task="start"/>
    <failure id="nfs_last_failure_0" node="b" exitstatus="error"/>
  </failures>
  <bans><ban id="handler" resource="nfs-clone" node="a" weight="-1000000" master_only="true"/></bans>
  <status code="0" message="OK"/>
</pacemaker-result>`

// Ensure that the words of Pacemaker 2.0 are understood, that what is new or odd
// is skipped, and that each primitive gets its own failures.
func TestParseOld(t *testing.T) {
	st := parse(t, old)
	want := pacemaker.Status{
		HasDC: true, DC: "b",
		Nodes: []pacemaker.Node{{Name: "a", Online: true, Pending: true}, {Name: "b", Online: true}},
		Clones: []pacemaker.Clone{{ID: "nfs-clone", Instances: []pacemaker.Instance{
			{Resource: "nfs", Role: "Master", Pending: "Monitoring", Nodes: []string{"b"}},
			{Resource: "nfs", Role: "Slave", Pending: "Promoting", Nodes: []string{"a"}},
		}}},
		Alone: []pacemaker.Instance{
			{Resource: "apache", Role: "Started", Unmanaged: true, Nodes: []string{"a", "b"}},
			{Resource: "ip", Role: "Started", Nodes: []string{"a"}},
		},
		Bans: []pacemaker.Ban{{ID: "handler", Resource: "nfs-clone", Node: "a", PromotedOnly: true}},
		FailedActions: []pacemaker.Failure{
			{Resource: "nfs", Task: "monitor", Node: "a", Result: "error", Reason: "none", When: time.Date(2026, 11, 23, 16, 43, 26, 0, time.UTC)},
			{Resource: "nfs", Task: "migrate_to", Node: "a", Result: "error"},
			{Resource: "my_nfs", Task: "start", Node: "b", Result: "timeout", Reason: `a < b & "c"`},
			{Node: "b", Result: "error"},
		},
	}
	if diff := cmp.Diff(want, st); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	var texts []string
	for _, f := range st.Failures("nfs") {
		texts = append(texts, f.String())
	}
	if diff := cmp.Diff([]string{"monitor on a failed: none", "migrate_to on a failed: error"}, texts); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	if st.Pending("nfs") != "Promoting" || st.Settled("nfs") || !cmp.Equal(st.Promoted("nfs"), []string{"b"}) {
		t.Errorf("pending %q, settled %t, promoted on %v", st.Pending("nfs"), st.Settled("nfs"), st.Promoted("nfs"))
	}
	if !cmp.Equal(st.Running("apache"), []string{"a", "b"}) || st.Online("a") || !st.Online("b") || st.Online("c") {
		t.Errorf("apache runs on %v, members %v", st.Running("apache"), st.Nodes)
	}
}

// Ensure that a time as ctime(3) writes it is a local one.
func TestFailureLocalTime(t *testing.T) {
	st := parse(t, strings.Replace(old, "2026-11-23 18:43:26 +02:00", "Mon Nov 23 16:43:26 2026", 1))
	if want := time.Date(2026, 11, 23, 16, 43, 26, 0, time.Local); !st.FailedActions[0].When.Equal(want) {
		t.Errorf("failed at %s, want %s", st.FailedActions[0].When, want)
	}
}

// Ensure that each way of switching a resource off is told, and only for that
// resource.
func TestOff(t *testing.T) {
	served := recording(t, "promoted")
	for _, tt := range []struct{ name, from, to, want string }{
		{"on", "", "", ""},
		{"maintenance", `maintenance-mode="false"`, `maintenance-mode="true"`, "maintenance mode"},
		{"disabled", `disabled="false" failed`, `disabled="true" failed`, "target-role"},
		{"unmanaged", `unique="false" managed="true"`, `unique="false" managed="false"`, "unmanaged"},
	} {
		st := parse(t, strings.Replace(served, tt.from, tt.to, 1))
		if got := st.Off("nfs"); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q", tt.name, got)
		}
		if got := st.Off("other"); (got != "") != st.Maintenance {
			t.Errorf("%s: another resource is %q", tt.name, got)
		}
	}
}

// Ensure that a group that serves with its first monitor still to come is
// settled, and one that is being demoted is not.
func TestSettled(t *testing.T) {
	served := recording(t, "promoted")
	for pending, want := range map[string]bool{"": true, "Monitoring": true, "Demoting": false} {
		st := parse(t, strings.Replace(served, `role="Promoted"`, `role="Promoted" pending="`+pending+`"`, 1))
		if st.Settled("nfs") != want {
			t.Errorf("settled while %q: %t, want %t", pending, !want, want)
		}
	}
	if st := parse(t, strings.ReplaceAll(served, "Unpromoted", "Promoted")); st.Settled("nfs") {
		t.Error("settled while promoted on both nodes")
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(old))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := pacemaker.Parse(data)
		if err != nil && !cmp.Equal(st, pacemaker.Status{}) {
			t.Errorf("%v, and yet %+v", err, st)
		}
		if st.Quorum && !st.HasDC {
			t.Error("quorum without a coordinator")
		}
		running := 0
		for _, i := range st.Instances("nfs") {
			running += len(i.Nodes)
		}
		if len(st.Running("nfs")) != running || len(st.Promoted("nfs")) > running || len(st.Failures("nfs")) > len(st.FailedActions) {
			t.Errorf("promoted on %v, running on %v of %+v", st.Promoted("nfs"), st.Running("nfs"), st)
		}
	})
}
