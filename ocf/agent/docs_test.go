package agent_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/ocf/agent"
)

var update = flag.Bool("update", false, "rewrite golden files and the table in docs/agent.md")

// Ensure the table of parameters in docs/agent.md is what the agent's meta-data
// says.
func TestDocsParameters(t *testing.T) {
	const file = "../../docs/agent.md"
	const begin, end = "-update -->\n", "<!-- end of parameters -->"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	if !ok {
		t.Fatalf("%s has no mark %q", file, begin)
	}
	got, tail, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no mark %q", file, end)
	}
	want := parameterTable()
	if *update {
		if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("run with -update: (-want +got)\n%s", diff)
	}
}

func parameterTable() string {
	var b strings.Builder
	b.WriteString("| parameter | default | |\n|---|---|---|\n")
	for _, p := range agent.Metadata().Parameters {
		def := "`" + p.Default + "`"
		switch {
		case p.Required:
			def = "required"
		case p.Default == "":
			def = ""
		}
		long := strings.Join(strings.Fields(p.Long), " ")
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Name, def, strings.ReplaceAll(long, "|", `\|`))
	}
	return b.String()
}
