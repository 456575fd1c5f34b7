package check_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/check"
)

// golden compares got with a file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// some is a report with findings of each severity.
func some(t *testing.T) check.Report {
	t.Helper()
	f := well(t)
	f.Cluster.Nodes[1].Online = false
	f.Options["after-sb-1pri"] = []string{"discard-secondary"}
	f.Units.Failed = []string{"rpcbind.service"}
	f.SELinux.NoTool = true
	f.Unseen = []check.Unseen{{Source: "snapshots", Area: check.Storage, Why: "no answer within 10s"}}
	item("host", "path to drbdtest2", "warn", "set the same MTU on the nodes' interfaces and on what is between them")(f)
	return check.Summed(f)
}

// Ensure that a report is shown to people and to programs, by area and the worst
// first.
func TestReport(t *testing.T) {
	r := some(t)
	var text, color, js bytes.Buffer
	if err := r.WriteText(&text, false); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "report.txt"), text.String())
	if err := r.WriteText(&color, true); err != nil || !strings.Contains(color.String(), "\x1b[") {
		t.Errorf("no colour on a terminal: %v", err)
	}
	if err := r.WriteJSON(&js); err != nil || strings.Count(js.String(), "\n") != 1 {
		t.Errorf("JSON of more than a line: %v", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, js.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "report.json"), out.String())
}

// Ensure that the worst finding decides, and that none at all is said.
func TestWorst(t *testing.T) {
	for _, tt := range []struct {
		name    string
		report  check.Report
		want    check.Severity
		summary string
	}{
		{"nothing", check.Report{}, "", "checks, nothing found"},
		{"notes", check.Report{Notes: 2}, check.Note, "2 notes"},
		{"a warning", check.Report{Warnings: 1, Notes: 1}, check.Warning, "1 warning, 1 note"},
		{"an error", check.Report{Errors: 1, Warnings: 3}, check.Error, "1 error, 3 warnings"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.report.Worst(); got != tt.want || !strings.HasSuffix(tt.report.Summary(), tt.summary) {
				t.Errorf("%q, %q; want %q, %q", got, tt.report.Summary(), tt.want, tt.summary)
			}
		})
	}
}

// Ensure that docs/check.md has every check as the code has it.
func TestReference(t *testing.T) {
	const file = "../../docs/check.md"
	const begin, end = "-run TestReference -update -->\n", "<!-- end of checks -->"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	got, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no marks %q and %q", file, begin, end)
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+begin+check.Reference()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(check.Reference(), got); diff != "" {
		t.Errorf("run with -update: (-want +got)\n%s", diff)
	}
}

// Ensure that each check is complete and that no two have one id.
func TestChecks(t *testing.T) {
	ids := map[string]bool{}
	for _, c := range check.Checks() {
		if ids[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		ids[c.ID] = true
		if c.Looks == "" || c.Severity == "" || c.Area == "" || c.Severity != check.Note && c.Remedy == "" && c.ID != "group" && c.ID != "advice" {
			t.Errorf("%+v is not complete", c)
		}
	}
}
