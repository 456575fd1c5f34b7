package metrics_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const reference = "../../docs/metrics.md"

// Ensure that docs/metrics.md has every family as the code has it.
func TestReference(t *testing.T) {
	const begin, end = "-run TestReference -update -->\n", "<!-- end of metrics -->"
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	if !ok {
		t.Fatalf("%s has no mark %q", reference, begin)
	}
	got, tail, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no mark %q", reference, end)
	}
	want := tables(t)
	if *update {
		if err := os.WriteFile(reference, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("run with -update: (-want +got)\n%s", diff)
	}
}

// tables are all families in Markdown: those of this project, and the
// compatible ones.
func tables(t *testing.T) string {
	t.Helper()
	const head = "\n| name | type | labels | meaning |\n|---|---|---|---|\n"
	own, compat := "\n### drbdnfs\n"+head, "\n### drbd, as drbd-reactor has them\n"+head
	for _, f := range newWorld(t, managed).Families() {
		var labels []string
		for _, l := range f.Labels {
			labels = append(labels, "`"+l+"`")
		}
		row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", f.Name, f.Kind, strings.Join(labels, " "), strings.ReplaceAll(f.Help, "|", `\|`))
		if strings.HasPrefix(f.Name, "drbd_") {
			compat += row
		} else {
			own += row
		}
	}
	return own + compat + "\n"
}
