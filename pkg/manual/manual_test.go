package manual_test

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/manual"
)

var update = flag.Bool("update", false, "rewrite the golden page")

// page has each thing that a page can have.
func page() *manual.Page {
	p := &manual.Page{Name: "tool", Section: 8, Short: "does what a tool does"}
	p.Head("DESCRIPTION")
	p.Text("The first paragraph has `tool --now` in it, a \\ and it's \"quoted\".\nIt goes on … with a line that is long enough to be broken by the writer.\n\n" +
		".dots at the start are no request.\n\n   tool ~/x > '.'\n\n   .second line\nafter it")
	p.Head("COMMANDS")
	p.Commands(&cli.App{Name: "tool", Commands: []*cli.Command{
		{Name: "secret", Usage: "not shown", Hidden: true},
		{
			Name: "set", Usage: "a group", Description: "Told once.", Subcommands: []*cli.Command{
				{
					Name: "up", Usage: "set it up", Description: "Told once.", ArgsUsage: "NAME...",
					Flags: []cli.Flag{
						&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "read `FILE`", Value: "/etc/x"},
						&cli.DurationFlag{Name: "timeout", Usage: "wait for `TIME`", Value: time.Hour},
						&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
						&cli.StringSliceFlag{Name: "stage", Usage: "only `STAGE`"},
						&cli.BoolFlag{Name: "hidden", Hidden: true},
					},
				},
			},
		},
	}})
	p.Head("FILES")
	p.Item("`/etc/x`", "One.\n\nMore of it.")
	p.Item("nothing", "")
	p.Literal("a = 1\n\n.b = \"2\"\n")
	return p
}

// Ensure that a page is what the golden file has.
func TestRoff(t *testing.T) {
	got := page().Roff("1.2", time.Unix(0, 0))
	const file = "testdata/tool.8"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run with -update: (-want +got)\n%s", diff)
	}
}

// Ensure that neither mandoc nor groff has anything to say, and that a reader
// sees the words as they are typed.
func TestRendered(t *testing.T) {
	roff := page().Roff("1.2", time.Unix(0, 0))
	for _, argv := range [][]string{
		{"mandoc", "-T", "lint", "-W", "style"}, {"groff", "-ww", "-man", "-z"},
	} {
		if out := render(t, roff, argv...); out != "" {
			t.Errorf("%s says:\n%s", argv[0], out)
		}
	}
	text := render(t, roff, "mandoc", "-T", "utf8", "-O", "width=200")
	for _, want := range []string{"a \\ and it's \"quoted\"", "goes on … with", "tool ~/x > '.'", ".second line", ".dots at", "-f, --file FILE", "The default is 1h."} {
		if text != "" && !strings.Contains(unstruck(text), want) {
			t.Errorf("the page does not show %q:\n%s", want, text)
		}
	}
}

// unstruck takes out what overstrikes for bold and underlined letters.
func unstruck(text string) string {
	var out []rune
	for _, r := range text {
		if r == '\b' {
			out = out[:len(out)-1]
			continue
		}
		out = append(out, r)
	}
	return string(out)
}

// render is what a program says to a page, "" where the program is missing.
func render(t *testing.T, roff string, argv ...string) string {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Logf("%s is not installed: scripts/install-deps check", argv[0])
		return ""
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(roff)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v", argv[0], err)
	}
	return string(out)
}
