package blocks

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const document = "# Title\n" + `
Some text.

<!-- lab: given: group -->
<!-- lab: with: /mnt=/srv -->
<!-- lab: exit: 2 -->
` + "```console" + `
[root@drbdtest1 ~]# drbdnfs setup plan
host
  = uname -n  drbdtest1
[root@client ~]# ls \
    /mnt
` + "```" + `

1. In a list:

   <!-- lab: as: sed -i \
   s/a/b/ file -->
   ` + "```console" + `
   [root@drbdtest2 ~]# vi file
   ` + "```" + `

<!-- lab: not run: no dnf -->
` + "```sh" + `
dnf install drbdnfs
` + "```" + `

` + "```toml" + `
    key = 1
` + "```" + `
`

// Ensure that blocks are read with what is said of them, and sessions with their
// output.
func TestParse(t *testing.T) {
	list, err := Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	want := []Block{
		{Line: 9, Lang: "console", Given: "group", With: "/mnt=/srv", Exit: 2, Text: "[root@drbdtest1 ~]# drbdnfs setup plan\nhost\n  = uname -n  drbdtest1\n[root@client ~]# ls \\\n    /mnt\n"},
		{Line: 21, Lang: "console", As: "sed -i \\\n   s/a/b/ file", Text: "[root@drbdtest2 ~]# vi file\n"},
		{Line: 26, Lang: "sh", NotRun: "no dnf", Text: "dnf install drbdnfs\n"},
		{Line: 30, Lang: "toml", Text: "    key = 1\n"},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	for i, runs := range []bool{true, true, false, false} {
		if list[i].Runs() != runs {
			t.Errorf("block %d runs: %v", i, list[i].Runs())
		}
	}
	first, err := list[0].Commands()
	if diff := cmp.Diff([]Command{
		{Line: 9, Node: "drbdtest1", Text: "drbdnfs setup plan", Want: []string{"host", "  = uname -n  drbdtest1"}},
		{Line: 12, Node: "client", Text: "ls \\\n    /srv"},
	}, first); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	second, err := list[1].Commands()
	if err != nil || len(second) != 1 || !strings.HasPrefix(second[0].Text, "sed -i") {
		t.Errorf("%+v %v, want what stands for vi", second, err)
	}
}

// Ensure that what nobody would run, or run by mistake, is refused with its line.
func TestParseRefuses(t *testing.T) {
	const open, end = "```", "\n```\n"
	for _, tt := range []struct{ name, text, want string }{
		{"no end", open + "text\na\n", "line 2: the block has no end"},
		{"no language", open + "\na" + end, "line 1: the block has no language"},
		{"indented", "text\n\n    drbdadm up res0\n", "line 3: a block that is only indented"},
		{"no reason", open + "sh\nls" + end, "line 2: commands that are not run, without a reason"},
		{"empty reason", "<!-- lab: not run: -->\n" + open + "sh\nls" + end, "is not understood"},
		{"unknown word", "<!-- lab: later -->\n" + open + "console\n[root@a ~]# ls" + end, "is not understood"},
		{"unknown key", "<!-- lab: node: a -->\n" + open + "console\n[root@a ~]# ls" + end, "no word for the lab"},
		{"before text", "<!-- lab: until -->\ntext\n", "line 1: words for the lab before no block"},
		{"at the end", "<!-- lab: until -->\n", "words for the lab before no block"},
		{"before toml", "<!-- lab: until -->\n" + open + "toml\na = 1" + end, "words for the lab before a block of toml"},
		{"no prompt", open + "console\n# ls" + end, "line 2: output without a command"},
		{"two for one", "<!-- lab: as: true -->\n" + open + "console\n[root@a ~]# ls\n[root@a ~]# ls" + end, "this one has 2"},
		{"no replacement", "<!-- lab: with: a -->\n" + open + "console\n[root@a ~]# ls" + end, "is not A=B"},
		{"no number", "<!-- lab: exit: some -->\n" + open + "console\n[root@a ~]# ls" + end, "is no number"},
		{"comment without end", "<!-- lab: as: a\n", "the comment has no end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// Ensure that output is compared line by line, but for what varies.
func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		name, want, got, err string
	}{
		{"same", "a\nb", "a\nb\n", ""},
		{"other", "a\nb", "a\nc\n", `no line as "b"`},
		{"more", "a", "a\nb\n", "printed more"},
		{"less", "a\nb", "a\n", `no line as "b"`},
		{"nothing", "a", "", `no line as "a"`},
		{"any lines", "a\n…\nz", "a\nb\nc\nz\n", ""},
		{"no lines are any", "a\n…\nz", "a\nz\n", ""},
		{"any end", "a\n…", "a\nb\n", ""},
		{"wrong after any", "a\n…\nz", "a\nb\n", `no line as "z"`},
		{"part of a line", "member … is up", "member 7 of drbdtest1 is up", ""},
		{"part of a line differs", "member … is up", "member 7 is down", "no line as"},
		{"not over lines", "a…b", "a\nb", "no line as"},
		{"mark of setup", "  … first copy (1.1s)", "  … first copy\n", ""},
		{"times", "since 14:02:11, 2026-11-23 14:07:45 UTC, 12.8 s, 4 min, 1m51.3s", "since 09:00:00, 2027-01-02 00:00:00 UTC, 0.4 s, 11 min, 30s", ""},
		{"sizes", "6T, 210 MiB/s, 63.1 %, 537919488 bytes", "512M, 9 KiB/s, 7 %, 1 bytes", ""},
		{"bars", "[#########.....] x", "[##............] x", ""},
		{"spaces", "NODE       ROLE", "NODE  ROLE  ", ""},
		{"numbers count", "exports 2", "exports 3", "no line as"},
		{"dots are no pattern", "a.c", "abc", "no line as"},
		{"empty lines at the ends", "a\n\nb", "\na\n\nb\n\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Match(strings.Split(tt.want, "\n"), tt.got)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}
