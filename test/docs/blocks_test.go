package docs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/test/docs/blocks"
)

// documents are all documents for users, from here.
func documents(t *testing.T) []string {
	t.Helper()
	list := []string{"../../README.md", "../../README.ja.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/ja/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no documents: %v", pattern, err)
		}
		list = append(list, files...)
	}
	return list
}

func parsed(t *testing.T, file string) []blocks.Block {
	t.Helper()
	list, err := blocks.Parse(read(t, file))
	if err != nil {
		t.Errorf("%s: %v", file, err)
	}
	return list
}

// translated reports whether a document is one that the lab does not run, because
// it runs the one from which it was translated.
func translated(file string) bool {
	return strings.Contains(file, ".ja.") || strings.Contains(file, "/ja/")
}

// Ensure that each block of commands is run by the lab, or says why it is not.
func TestBlocks(t *testing.T) {
	commands, not := 0, 0
	for _, file := range documents(t) {
		for _, b := range parsed(t, file) {
			switch {
			case translated(file):
			case b.NotRun != "":
				not++
				t.Logf("%s:%d is not run: %s", filepath.Base(file), b.Line, b.NotRun)
			case b.Runs():
				list, err := b.Commands()
				if err != nil {
					t.Errorf("%s: %v", file, err)
				}
				commands += len(list)
			}
		}
	}
	t.Logf("%d commands are run, %d blocks are not", commands, not)
	if commands < 50 || not > commands/4 {
		t.Errorf("%d commands are run and %d blocks are not: more of them can be", commands, not)
	}
}

// Ensure that the Japanese documents have the commands of the English ones, and
// what they print, in the same order.
func TestTranslations(t *testing.T) {
	for ja, en := range map[string]string{
		"../../README.ja.md":          "../../README.md",
		"../../docs/ja/quickstart.md": "../../docs/quickstart.md",
	} {
		typed := func(file string) []string {
			var list []string
			for _, b := range parsed(t, file) {
				if b.Lang == blocks.Console || b.Lang == blocks.Shell {
					list = append(list, b.Lang+"\n"+b.Text)
				}
			}
			return list
		}
		want := typed(en)
		if len(want) == 0 {
			t.Errorf("%s has no commands", en)
		}
		if diff := cmp.Diff(want, typed(ja)); diff != "" {
			t.Errorf("%s (-%s +%s)\n%s", ja, filepath.Base(en), filepath.Base(ja), diff)
		}
	}
}
