package check

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// WriteJSON writes the report as one line.
func (r Report) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// sign is what stands before a finding, and its colour.
var signs = map[Severity]struct {
	mark  string
	color text.Color
}{
	Error:   {"x", text.FgHiRed},
	Warning: {"!", text.FgHiYellow},
	Note:    {"·", text.Faint},
}

// width is where long texts are broken.
const width = 110

// WriteText writes the report for a person, by area, with colours on a terminal.
func (r Report) WriteText(w io.Writer, terminal bool) error {
	color := func(c text.Color, s string) string {
		if !terminal {
			return s
		}
		// Not c.Sprint, which asks the environment of the process for colours.
		return c.EscapeSeq() + s + text.Reset.EscapeSeq()
	}
	var b strings.Builder
	area := Area("")
	for _, f := range r.Findings {
		if f.Area != area {
			area = f.Area
			b.WriteString(color(text.Bold, string(area)) + "\n")
		}
		s := signs[f.Severity]
		fmt.Fprintf(&b, "  %s %s: %s\n", color(s.color, s.mark), f.Node, wrapped(fmt.Sprintf("%s: %s (%s)", f.Thing, f.Found, f.ID)))
		for _, more := range []struct{ mark, text string }{{"", f.Why}, {"> ", f.Remedy}} {
			if more.text != "" {
				fmt.Fprintf(&b, "      %s%s\n", more.mark, wrapped(more.text))
			}
		}
		if f.Where != "" {
			fmt.Fprintf(&b, "      %s\n", color(text.Faint, f.Where))
		}
	}
	if len(r.Findings) > 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%s: %s\n", r.Node, r.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

// wrapped breaks a long text into lines that stand below its beginning.
func wrapped(s string) string {
	var out []string
	for l := range strings.Lines(text.WrapSoft(s, width)) {
		out = append(out, strings.TrimRight(l, " \n"))
	}
	return strings.Join(out, "\n        ")
}

// Summary counts the findings in words: "1 error, 2 warnings".
func (r Report) Summary() string {
	var parts []string
	for _, x := range []struct {
		n    int
		word string
	}{{r.Errors, "error"}, {r.Warnings, "warning"}, {r.Notes, "note"}} {
		if x.n == 1 {
			parts = append(parts, "1 "+x.word)
		}
		if x.n > 1 {
			parts = append(parts, fmt.Sprintf("%d %ss", x.n, x.word))
		}
	}
	if parts == nil {
		return fmt.Sprintf("%d checks, nothing found", len(catalog))
	}
	return strings.Join(parts, ", ")
}
