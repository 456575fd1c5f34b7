package alert_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/alert"
)

var update = flag.Bool("update", false, "rewrite the example and the table in docs/notifications.md")

const docs = "../../docs/notifications.md"

// example has every key.
func example() alert.Alert {
	a := found()
	a.Kind = alert.Refused
	a.Incident = "b1c7f0d2a4e89365"
	a.Summary = "res0 is split between drbdtest1 and drbdtest2: nothing is discarded"
	a.Reason = "the victim has it mounted"
	a.Policy = "discard-least-changes"
	a.Victim, a.Survivor = "drbdtest2", "drbdtest1"
	a.Snapshots = []string{"drbdpool/res0_sb_20261123T140745"}
	a.Advice = []string{"drbdadm disconnect res0", "drbdadm connect --discard-my-data res0"}
	return a
}

// meaning says what each key is.
var meaning = map[string]string{
	"version":   "of this format: 1",
	"id":        "the same for each try of one alert",
	"kind":      "see below",
	"when":      "RFC 3339, of what happened",
	"cluster":   "name of the cluster",
	"node":      "the node that tells",
	"resource":  "DRBD resource",
	"peer":      "the other node",
	"incident":  "the same on both nodes for one split brain; not there until both have shown their evidence",
	"summary":   "one line",
	"reason":    "why it was decided so, refused, or failed",
	"policy":    "`split_brain.policy`",
	"victim":    "node whose changes are, or would be, discarded",
	"survivor":  "node whose data stay",
	"snapshots": "what is kept of the discarded data, as VG/LV",
	"advice":    "commands to type, one each",
}

// Ensure that the example in the documentation is what is sent, byte for byte
// but for its line ends, and that the table has each key.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	text := replace(t, string(data), "<!-- end of example -->", "```json\n"+sent(t)+"```\n")
	text = replace(t, text, "<!-- end of keys -->", table(t))
	if *update {
		if err := os.WriteFile(docs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text, string(data)); diff != "" {
		t.Errorf("run with -update: (-want +got)\n%s", diff)
	}
}

// Ensure that the documentation names every kind.
func TestDocsKinds(t *testing.T) {
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []alert.Kind{alert.Found, alert.Decided, alert.Discarded, alert.Resolved, alert.Refused, alert.Failed} {
		if !strings.Contains(string(data), "\n| `"+string(k)+"` | ") {
			t.Errorf("%s is not in the table of kinds", k)
		}
	}
}

// replace puts what between the marker that is before end and end.
func replace(t *testing.T, text, end, what string) string {
	t.Helper()
	head, tail, ok := strings.Cut(text, end)
	i := strings.LastIndex(head, "-update -->\n")
	if !ok || i < 0 {
		t.Fatalf("no mark %q", end)
	}
	return head[:i] + "-update -->\n" + what + end + tail
}

// sent is the example as a command gets it, indented.
func sent(t *testing.T) string {
	t.Helper()
	m := &machine{}
	synctest.Test(t, func(t *testing.T) {
		a, end := start(t, alert.Options{Host: m, Command: argv})
		a.Send(example())
		synctest.Wait()
		end()
	})
	var b bytes.Buffer
	if err := json.Indent(&b, m.cmds[0].Stdin, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func table(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| key | always | |\n|---|---|---|\n")
	fields := reflect.TypeFor[alert.Alert]()
	if fields.NumField() != len(meaning) {
		t.Errorf("%d fields, %d meanings", fields.NumField(), len(meaning))
	}
	for i := range fields.NumField() {
		key, opt, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		always := "yes"
		if opt == "omitempty" {
			always = ""
		}
		if meaning[key] == "" {
			t.Errorf("key %s has no meaning", key)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key, always, meaning[key])
	}
	return b.String()
}
