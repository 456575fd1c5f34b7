package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/config"
)

// roff is the page of that name as the command prints it.
func roff(t *testing.T, name string) string {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", "1763900000")
	var out, errs strings.Builder
	if code := run(t.Context(), console{out: &out, err: &errs}, []string{"drbdnfs", "man", name}); code != 0 {
		t.Fatalf("drbdnfs man %s ends with %d: %s", name, code, errs.String())
	}
	return out.String()
}

// Ensure that mandoc and groff have nothing to say to the pages, that each has
// the sections that a reader looks for, and that two builds give the same bytes.
func TestManPages(t *testing.T) {
	for _, page := range manPages(newApp(console{})) {
		t.Run(pageFile(page), func(t *testing.T) {
			text := roff(t, pageFile(page))
			if text != roff(t, pageFile(page)) {
				t.Error("the page is made differently each time")
			}
			if !strings.Contains(strings.SplitN(text, "\n", 2)[0], `"2025-11-23"`) {
				t.Error("the page has not the date of SOURCE_DATE_EPOCH")
			}
			for _, head := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"} {
				if strings.Count(text, "\n.SH "+head+"\n") != 1 {
					t.Errorf("no section %s", head)
				}
			}
			for _, argv := range [][]string{{"mandoc", "-T", "lint", "-W", "warning"}, {"groff", "-ww", "-man", "-z"}} {
				if said := says(t, text, argv); said != "" {
					t.Errorf("%s says:\n%s", argv[0], said)
				}
			}
		})
	}
}

// says is what a program prints when it reads text.
func says(t *testing.T, text string, argv []string) string {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Logf("%s is not installed: scripts/install-deps check", argv[0])
		return ""
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(text), 10*time.Second
	out, err := cmd.CombinedOutput()
	if err != nil && len(out) == 0 {
		return err.Error()
	}
	return string(out)
}

// Ensure that nothing is left out: each command, flag, key and parameter has its
// place on a page.
func TestManPagesComplete(t *testing.T) {
	bold := func(s string) string { return `\fB` + strings.ReplaceAll(s, "-", `\-`) + `\fP` }
	app := newApp(console{})
	page := roff(t, "drbdnfs.8")
	for path, cmd := range commands(app.Commands, "drbdnfs ") {
		if hidden := cmd.Hidden; hidden == strings.Contains(page, "\n.SS "+bold(path)) {
			t.Errorf("%s: hidden %v", path, hidden)
		}
		for _, f := range cmd.VisibleFlags() {
			if !cmd.Hidden && !strings.Contains(page, bold("--"+f.Names()[0])) {
				t.Errorf("%s: no flag %s", path, f.Names()[0])
			}
		}
	}
	page = roff(t, "drbdnfs.toml.5")
	for _, table := range config.Tables() {
		for _, k := range table.Keys {
			if !strings.Contains(page, "\n"+bold(k.Name)+" (") {
				t.Errorf("no key %s %s", table.Header, k.Name)
			}
		}
	}
	page = roff(t, "ocf_spacei_drbdnfs.7")
	for _, p := range agent.Metadata().Parameters {
		if !strings.Contains(page, "\n"+bold(p.Name)+" (") {
			t.Errorf("no parameter %s", p.Name)
		}
	}
}

// Ensure that a page that is not there is refused with those that are.
func TestManUnknown(t *testing.T) {
	var out, errs strings.Builder
	c := console{out: &out, err: &errs}
	if code := run(t.Context(), c, []string{"drbdnfs", "man", "no.1"}); code != 2 || !strings.Contains(errs.String(), "drbdnfs.toml.5") || out.Len() > 0 {
		t.Errorf("ends with %d, says %s", code, errs.String())
	}
}
