package blocks

import (
	"fmt"
	"regexp"
	"strings"
)

// Command is one command of a session.
type Command struct {
	Line int    // in the document, from 1
	Node string // machine on which it is typed
	Text string // may have several lines
	// Want is what it prints, as the document has it. Without lines nothing is
	// said about its output.
	Want []string
}

// prompt begins a command.
var prompt = regexp.MustCompile(`^\[root@([a-z0-9]+) ~\]# (.+)$`)

// Commands returns the session of a block `console`. A command goes on behind a
// line that ends with a backslash. Before the first prompt there is nothing.
func (b Block) Commands() ([]Command, error) {
	var list []Command
	more := false // the command goes on
	for i, line := range strings.Split(strings.TrimSuffix(b.Text, "\n"), "\n") {
		at := b.Line + i
		m := prompt.FindStringSubmatch(line)
		switch {
		case more:
			last := &list[len(list)-1]
			last.Text += "\n" + line
			more = strings.HasSuffix(line, `\`)
		case m != nil:
			list = append(list, Command{Line: at, Node: m[1], Text: m[2]})
			more = strings.HasSuffix(line, `\`)
		case len(list) == 0:
			return nil, fmt.Errorf("line %d: output without a command, which begins with [root@NODE ~]#", at)
		default:
			last := &list[len(list)-1]
			last.Want = append(last.Want, line)
		}
	}
	if b.As != "" {
		if len(list) != 1 {
			return nil, fmt.Errorf("line %d: as is for a block with one command, this one has %d", b.Line, len(list))
		}
		list[0].Text = b.As
	}
	if from, to, ok := strings.Cut(b.With, "="); ok {
		for i := range list {
			list[i].Text = strings.ReplaceAll(list[i].Text, from, to)
		}
	}
	return list, nil
}

// varying are parts of output that differ from run to run, and what they are
// compared as. Their order matters.
var varying = []struct {
	part *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?UTC|Z)?`), "TIME"},
	{regexp.MustCompile(`\b\d{2}:\d{2}:\d{2}(\.\d+)?\b`), "TIME"},
	{regexp.MustCompile(`\b\d{8}T\d{6}\b`), "TIME"},
	{regexp.MustCompile(`\b(\d+(\.\d+)?(h|m|s|ms|µs))+\b`), "TIME"},
	{regexp.MustCompile(`\b\d+(\.\d+)? (ms|s|min|h)\b`), "TIME"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?([KMGTP]i?B?|bytes|B)(/s)?\b`), "SIZE"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?%`), "PART"},
	{regexp.MustCompile(`\[[#=>. -]{4,}\]`), "BAR"},
	// How long a step of setup took is left out where it was short.
	{regexp.MustCompile(` \(TIME\)$`), ""},
	{regexp.MustCompile(`\s+`), " "},
}

// normal is a line with what varies taken out.
func normal(line string) string {
	line = strings.TrimRight(line, " \t\r")
	for _, v := range varying {
		line = v.part.ReplaceAllString(line, v.as)
	}
	return line
}

// anything is what varies, in the documents.
const anything = "…"

// pattern is the regular expression for a normal line of a document.
func pattern(line string) string {
	if strings.TrimSpace(line) == anything {
		return `(?:[^\n]*\n)*?`
	}
	parts := strings.Split(normal(line), anything)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return strings.Join(parts, `[^\n]*`) + `\n`
}

// Match compares what a command has printed with what a document shows. The
// error names the first line of the document that does not fit. Empty lines at
// either end do not count.
func Match(want []string, got string) error {
	lines := strings.Split(strings.Trim(got, "\n"), "\n")
	for i := range lines {
		lines[i] = normal(lines[i])
	}
	text := strings.Join(lines, "\n") + "\n"
	want = strings.Split(strings.Trim(strings.Join(want, "\n"), "\n"), "\n")
	var expr strings.Builder
	expr.WriteString(`\A`)
	for _, line := range want {
		expr.WriteString(pattern(line))
		if !regexp.MustCompile(expr.String()).MatchString(text) {
			return fmt.Errorf("no line as %q where the document has it; printed was:\n%s", line, got)
		}
	}
	if !regexp.MustCompile(expr.String() + `\z`).MatchString(text) {
		return fmt.Errorf("it printed more than the document shows:\n%s", got)
	}
	return nil
}
