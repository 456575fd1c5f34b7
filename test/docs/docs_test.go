package docs

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/handler"
	"github.com/spacei/drbdnfs/pkg/notice"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/splitbrain/marker"
)

var update = flag.Bool("update", false, "rewrite the tables that are made from the code")

const (
	daemonFile     = "../../docs/daemon.md"
	splitBrainFile = "../../docs/split-brain.md"
)

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// made checks, or rewrites, what is between the marks of a table that is made.
func made(t *testing.T, file, name, want string) {
	t.Helper()
	begin := fmt.Sprintf("<!-- %s: made by go test ./test/docs -run %s -update -->\n", name, t.Name())
	end := fmt.Sprintf("<!-- end of %s -->", name)
	head, rest, ok := strings.Cut(read(t, file), begin)
	if !ok {
		t.Fatalf("%s has no mark %q", file, begin)
	}
	got, tail, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no mark %q", file, end)
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, run with -update: (-want +got)\n%s", file, diff)
	}
}

// rows checks that a file has one row for each word, outside of what is made.
func rows(t *testing.T, file string, words []string) {
	t.Helper()
	text := read(t, file)
	if head, rest, ok := strings.Cut(text, " -update -->\n"); ok {
		_, tail, _ := strings.Cut(rest, "<!-- end of ")
		text = head + tail
	}
	for _, w := range words {
		if n := strings.Count(text, "\n| `"+w+"` |"); n != 1 {
			t.Errorf("%s has %d rows for %s, want 1", file, n, w)
		}
	}
}

func values(list []constant) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.value)
	}
	return out
}

// ends says in the document's words how long a refusal stands.
var ends = map[string]string{
	"waits": "when it is not so any more", "settles": "likewise within 10 minutes, then a person", "final": "a person",
}

// Ensure that docs/split-brain.md has every refusal, with the reason and the
// remedy that a person is shown.
func TestReasons(t *testing.T) {
	stands := lasting(t)
	var b strings.Builder
	b.WriteString("| reason | why nothing is done | what to do | what ends it |\n|---|---|---|---|\n")
	for _, c := range constants(t, "pkg/splitbrain/refusal.go", "Refusal") {
		r := splitbrain.Refusal(c.value)
		end := ends[stands[c.name]]
		if !r.Valid() || end == "" {
			t.Errorf("%s: valid %v, stands %q", c.name, r.Valid(), stands[c.name])
		}
		why, remedy := r.Explain()
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c.value, why, remedy, end)
	}
	made(t, splitBrainFile, "reasons", b.String())
}

// Ensure that docs/split-brain.md explains every policy, mode of snapshots,
// phase and word of DRBD.
func TestWords(t *testing.T) {
	for _, of := range []struct{ file, typ string }{
		{"policy.go", "PolicyKind"}, {"policy.go", "SnapshotMode"}, {"record.go", "Phase"}, {"evidence.go", "WordKind"},
	} {
		t.Run(of.typ, func(t *testing.T) {
			rows(t, splitBrainFile, values(constants(t, "pkg/splitbrain/"+of.file, of.typ)))
		})
	}
}

// Ensure that docs/daemon.md has every MESSAGE_ID.
func TestMessages(t *testing.T) {
	var b strings.Builder
	b.WriteString("| `MESSAGE_ID` | message | meaning |\n|---|---|---|\n")
	for _, c := range constants(t, "pkg/journal/messages.go", "") {
		word, ok := strings.CutPrefix(c.name, "SplitBrain")
		if ok {
			fmt.Fprintf(&b, "| `%s` | split brain %s | %s |\n", c.value, strings.ToLower(word), c.comment)
		}
	}
	made(t, daemonFile, "messages", b.String())
}

// Ensure that docs/daemon.md has every field of the journal that a record of a
// split brain has.
func TestFields(t *testing.T) {
	var fields []string
	for _, key := range alertKeys(t) {
		fields = append(fields, strings.ToUpper(key))
	}
	rows(t, daemonFile, fields)
}

// Ensure that docs/daemon.md names the files as the code does.
func TestFiles(t *testing.T) {
	rows(t, daemonFile, []string{marker.Path("RESOURCE"), handler.Dir, notice.Path})
}
