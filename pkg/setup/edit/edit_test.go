package edit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/setup/edit"
)

const body = "192.168.2.62 drbdtest2\n"

// Ensure that a block is put at the end, replaced where it is, and taken out
// without a trace.
func TestBlock(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an empty file", "", "# drbdnfs begin\n192.168.2.62 drbdtest2\n# drbdnfs end\n"},
		{"a file", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n# drbdnfs begin\n192.168.2.62 drbdtest2\n# drbdnfs end\n"},
		{"no final line end", "127.0.0.1 localhost", "127.0.0.1 localhost\n# drbdnfs begin, after a line without end\n192.168.2.62 drbdtest2\n# drbdnfs end\n"},
		{"CRLF", "a\r\nb\r\n", "a\r\nb\r\n# drbdnfs begin\r\n192.168.2.62 drbdtest2\r\n# drbdnfs end\r\n"},
		{"CRLF and no final line end", "a\r\nb", "a\r\nb\r\n# drbdnfs begin, after a line without end\r\n192.168.2.62 drbdtest2\r\n# drbdnfs end\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := must(t)(edit.SetBlock(tt.text, body))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if b, ok, err := edit.Block(got); err != nil || !ok || b != body {
				t.Errorf("Block = %q, %v, %v", b, ok, err)
			}
			if back := must(t)(edit.RemoveBlock(got)); back != tt.text {
				t.Errorf("after removal %q, want %q", back, tt.text)
			}
		})
	}
}

// Ensure that a block keeps its place, and what follows it stays.
func TestBlockReplace(t *testing.T) {
	text := "a\n# drbdnfs begin\nold\nolder\n# drbdnfs end\nb"
	if got, want := must(t)(edit.SetBlock(text, body)), "a\n# drbdnfs begin\n192.168.2.62 drbdtest2\n# drbdnfs end\nb"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := must(t)(edit.RemoveBlock(text)); got != "a\nb" {
		t.Errorf("after removal %q", got)
	}
}

// Ensure that a file in which a person has damaged the marks is left alone.
func TestDamagedMarks(t *testing.T) {
	for name, text := range map[string]string{
		"no end":    "a\n# drbdnfs begin\nb\n",
		"no begin":  "a\n# drbdnfs end\n",
		"reversed":  "# drbdnfs end\n# drbdnfs begin\n",
		"two":       "# drbdnfs begin\n# drbdnfs end\n# drbdnfs begin\n# drbdnfs end\n",
		"nested":    "# drbdnfs begin\n# drbdnfs begin\n# drbdnfs end\n",
		"two ends":  "# drbdnfs begin\n# drbdnfs end\n# drbdnfs end\n",
		"with CRLF": "a\r\n  # drbdnfs begin\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for what, f := range map[string]func() (string, error){
				"SetBlock":    func() (string, error) { return edit.SetBlock(text, body) },
				"SetKey":      func() (string, error) { return edit.SetKey(text, "general", "k", "v") },
				"RemoveBlock": func() (string, error) { return edit.RemoveBlock(text) },
				"RemoveKey":   func() (string, error) { return edit.RemoveKey(text) },
				"Hosts":       func() (string, error) { _, err := edit.Hosts(text); return "", err },
				"Block":       func() (string, error) { _, _, err := edit.Block(text); return "", err },
			} {
				if _, err := f(); !errors.Is(err, edit.ErrMarks) {
					t.Errorf("%s: %v, want %v", what, err, edit.ErrMarks)
				}
			}
		})
	}
	if _, err := edit.SetBlock("a\n", "# drbdnfs end\n"); !errors.Is(err, edit.ErrMarks) {
		t.Errorf("a block with a mark in it: %v", err)
	}
}

const block = "# drbdnfs begin\npipefs-directory=/run/rpc_pipefs\n# drbdnfs end\n"

// Ensure that a key is set with the least change that nfs-utils understands.
func TestSetKey(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an empty file", "", "# drbdnfs begin\n[general]\npipefs-directory=/run/rpc_pipefs\n# drbdnfs end\n"},
		{"right", "[general]\npipefs-directory = /run/rpc_pipefs\n", "[general]\npipefs-directory = /run/rpc_pipefs\n"},
		{"right in quotes and other case", "[ General ] x\n Pipefs-Directory=\"/run/rpc_pipefs\" x\n", "[ General ] x\n Pipefs-Directory=\"/run/rpc_pipefs\" x\n"},
		{"right with a comment behind", "[general]\npipefs-directory=/run/rpc_pipefs # x\n", "[general]\npipefs-directory=/run/rpc_pipefs # x\n"},
		{"right on two lines", "[general]\npipefs-directory=\\\n/run/rpc_pipefs\n", "[general]\npipefs-directory=\\\n/run/rpc_pipefs\n"},
		{"only the comment of EL8", "[general]\n# pipefs-directory=/var/lib/nfs/rpc_pipefs\n[nfsd]\n", "[general]\n" + block + "# pipefs-directory=/var/lib/nfs/rpc_pipefs\n[nfsd]\n"},
		{"no section", "[nfsd]\nvers3=y\n", "[nfsd]\nvers3=y\n# drbdnfs begin\n[general]\npipefs-directory=/run/rpc_pipefs\n# drbdnfs end\n"},
		{"another section's", "[gssd]\npipefs-directory=/x\n[general]\n", "[gssd]\npipefs-directory=/x\n[general]\n" + block},
		{"a section with an argument", "[general \"x\"]\npipefs-directory=/x\n", "[general \"x\"]\npipefs-directory=/x\n# drbdnfs begin\n[general]\npipefs-directory=/run/rpc_pipefs\n# drbdnfs end\n"},
		{"another value", "[general]\npipefs-directory=/x\na=b\n", "[general]\n# drbdnfs was: pipefs-directory=/x\n" + block + "a=b\n"},
		{"several values", "[general]\npipefs-directory=/run/rpc_pipefs\n[GENERAL]\n pipefs-directory=/y\n", "[general]\n# drbdnfs was: pipefs-directory=/run/rpc_pipefs\n[GENERAL]\n# drbdnfs was:  pipefs-directory=/y\n" + block},
		{"another value on two lines", "[general]\npipefs-directory=/x\\\n/y\na=b\n", "[general]\n# drbdnfs was: pipefs-directory=/x\\\n/y\n" + block + "a=b\n"},
		{"in a comment that goes on", "[general]\n# see \\\npipefs-directory=/x\n", "[general]\n" + block + "# see \\\npipefs-directory=/x\n"},
		{"right, but on a last line without end, which nfs-utils ignores", "[general]\npipefs-directory=/run/rpc_pipefs", "[general]\n# drbdnfs was: pipefs-directory=/run/rpc_pipefs\n" + strings.Replace(block, "begin", "begin, after a line without end", 1)},
		{"CRLF", "[general]\r\n[nfsd]\r\n", "[general]\r\n" + strings.ReplaceAll(block, "\n", "\r\n") + "[nfsd]\r\n"},
		{"outside of a section", "pipefs-directory=/x\n[general\npipefs-directory=/y\n", "pipefs-directory=/x\n[general\npipefs-directory=/y\n# drbdnfs begin\n[general]\npipefs-directory=/run/rpc_pipefs\n# drbdnfs end\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := must(t)(edit.SetKey(tt.text, "general", "pipefs-directory", "/run/rpc_pipefs"))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if v, ok := edit.Key(got, "general", "pipefs-directory"); !ok || v != "/run/rpc_pipefs" {
				t.Errorf("the value is now %q, %v", v, ok)
			}
			if back := must(t)(edit.RemoveKey(got)); back != tt.text {
				t.Errorf("after removal %q, want %q", back, tt.text)
			}
		})
	}
}

// Ensure that a new value takes the place of the one that was set before.
func TestSetKeyAgain(t *testing.T) {
	text := "[general]\npipefs-directory=/x\n"
	once := must(t)(edit.SetKey(text, "general", "pipefs-directory", "/a"))
	got := must(t)(edit.SetKey(once, "general", "pipefs-directory", "/run/rpc_pipefs"))
	if want := "[general]\n# drbdnfs was: pipefs-directory=/x\n" + block; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Ensure that nothing is appended to a line that would swallow it.
func TestSetKeyContinued(t *testing.T) {
	for _, text := range []string{"[nfsd]\nvers3=\\", "[nfsd]\nvers3=\\\n"} {
		if _, err := edit.SetKey(text, "general", "k", "v"); !errors.Is(err, edit.ErrContinued) {
			t.Errorf("%q: %v, want %v", text, err, edit.ErrContinued)
		}
	}
}

// Ensure that entries are found with their lines, and those of setup are not.
func TestHosts(t *testing.T) {
	got, err := edit.Hosts("# a b\n127.0.0.1 localhost\n\n  10.0.0.1\tDrbdTest2 x # y\nz\n# drbdnfs begin\n192.168.2.62 drbdtest2\n# drbdnfs end\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []edit.HostsEntry{
		{Line: 2, Text: "127.0.0.1 localhost", Address: "127.0.0.1", Names: []string{"localhost"}},
		{Line: 4, Text: "  10.0.0.1\tDrbdTest2 x # y", Address: "10.0.0.1", Names: []string{"DrbdTest2", "x"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !got[1].Has("drbdtest2") || got[1].Has("y") {
		t.Errorf("names of %q", got[1].Text)
	}
}

// Ensure that whatever the file is, an edit can be taken back, takes effect, and
// twice is once.
func FuzzEdit(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "a", "a\r", "a\r\nb", "[general]", "[general]\nk=w", "[general]\r\nk=w\\\r\n", "[general]\nk=w\\\nx\n#\\\nk=z\n",
		"[general]\nk=\"v\nk='v'", "k=v\n[general \"x\"]\nk=w\n[Ge", "# drbdnfs begin\n", "[general]\nk=v;\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "# drbdnfs ") {
			return // what is left of an edit
		}
		one := must(t)(edit.SetBlock(text, body))
		if two := must(t)(edit.SetBlock(one, body)); two != one {
			t.Errorf("a block set twice: %q, once: %q", two, one)
		}
		if back := must(t)(edit.RemoveBlock(one)); back != text {
			t.Errorf("block removed: %q", back)
		}
		one, err := edit.SetKey(text, "general", "k", "v")
		if errors.Is(err, edit.ErrContinued) {
			return
		}
		if two := must(t)(edit.SetKey(one, "general", "k", "v")); err != nil || two != one {
			t.Errorf("a key set twice: %q, once: %q, %v", two, one, err)
		}
		if v, ok := edit.Key(one, "general", "k"); !ok || v != "v" {
			t.Errorf("value %q, %v in %q", v, ok, one)
		}
		if back := must(t)(edit.RemoveKey(one)); back != text {
			t.Errorf("key removed: %q", back)
		}
	})
}

func must(t *testing.T) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}
