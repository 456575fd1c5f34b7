package agent_test

import (
	"encoding/xml"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/ocf/agent"
)

// Ensure that meta-data is what was reviewed, and needs neither parameters nor
// a machine.
func TestMetadataGolden(t *testing.T) {
	const golden = "testdata/meta-data.xml"
	on(t, func(t *testing.T, w *world) {
		w.Bare()
		w.Violations()
		w.params, w.meta = nil, nil
		w.want(t, "meta-data", ocf.Success)
		if len(w.Ops())+len(w.Looks()) > 0 {
			t.Errorf("meta-data looked at the machine: %v %v", w.Ops(), w.Looks())
		}
		version := regexp.MustCompile(`(<resource-agent name="[^"]*" version=")[^"]*"`)
		got := version.ReplaceAllString(w.stdout, `${1}VERSION"`)
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
			t.Errorf("run with -update if this is meant (-want +got):\n%s", diff)
		}
	})
}

// Ensure that what the meta-data says is what pcs and Pacemaker understand:
// timeouts with a unit, monitors that differ in their interval, parameters that
// are required or have a default that the agent accepts.
func TestMetadataMakesSense(t *testing.T) {
	var doc struct {
		Parameters []struct {
			Name     string `xml:"name,attr"`
			Required string `xml:"required,attr"`
			Content  struct {
				Type    string  `xml:"type,attr"`
				Default *string `xml:"default,attr"`
			} `xml:"content"`
		} `xml:"parameters>parameter"`
		Actions []struct {
			Name     string `xml:"name,attr"`
			Timeout  string `xml:"timeout,attr"`
			Interval string `xml:"interval,attr"`
		} `xml:"actions>action"`
	}
	if err := xml.Unmarshal([]byte(agent.Metadata().XML()), &doc); err != nil {
		t.Fatal(err)
	}
	seconds := regexp.MustCompile(`^[1-9][0-9]*s$`)
	intervals := map[string]bool{}
	have := map[string]bool{}
	for _, a := range doc.Actions {
		have[a.Name] = true
		if !seconds.MatchString(a.Timeout) || (a.Interval != "" && !seconds.MatchString(a.Interval)) {
			t.Errorf("%s: timeout %q, interval %q", a.Name, a.Timeout, a.Interval)
		}
		if a.Name == "monitor" && (a.Interval == "" || intervals[a.Interval]) {
			t.Errorf("monitor with interval %q: each needs its own", a.Interval)
		}
		intervals[a.Interval] = true
	}
	for name := range strings.FieldsSeq("start stop promote demote monitor notify reload-agent meta-data validate-all") {
		if !have[name] {
			t.Errorf("no action %s", name)
		}
	}
	defaults := params()
	for _, p := range doc.Parameters {
		if (p.Required == "1") == (p.Content.Default != nil) {
			t.Errorf("%s: required=%q and its default is %v", p.Name, p.Required, p.Content.Default)
		}
		if p.Content.Default != nil {
			defaults[p.Name] = *p.Content.Default
		}
	}
	if _, err := agent.ParseParams("nfs", defaults); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

// Ensure that an action that does not exist is refused with the usage and does
// nothing.
func TestUnknownAction(t *testing.T) {
	for _, action := range []string{"", "dance", "Start", "migrate_to", "announce"} {
		on(t, func(t *testing.T, w *world) {
			if got := w.act(action); got != ocf.ErrUnimplemented {
				t.Errorf("%q: %v", action, got)
			}
			if len(w.Ops())+len(w.Looks()) > 0 || !strings.HasPrefix(w.stderr, "usage: ") || w.stdout != "" {
				t.Errorf("%q: did %v, said %q and %q", action, w.Ops(), w.stderr, w.stdout)
			}
		})
	}
}
