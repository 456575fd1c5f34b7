package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
)

// Ensure that docs/configuration.md has every key as the code has it.
func TestReference(t *testing.T) {
	const file = "../../docs/configuration.md"
	const begin, end = "-run TestReference -update -->\n", "<!-- end of keys -->"
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
	want := config.Reference()
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

// Ensure that the fencing modes that the documentation explains are those that
// the file may have.
func TestReferenceModes(t *testing.T) {
	data, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{config.FencingSTONITH, config.FencingQuorum, config.FencingDRBD, config.FencingNone} {
		if !strings.Contains(string(data), "\n| `"+mode+"` |") {
			t.Errorf("mode %s has no row", mode)
		}
	}
}
