package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/spacei/drbdnfs/pkg/setup"
)

// Options are how text is shown.
type Options struct {
	// Terminal turns on colours and lines that change in place. Without it each
	// line is printed once, as a log wants it.
	Terminal bool
	// At says where in the configuration file a key is, as config.Config.At
	// does; nil leaves the place out.
	At func(key string) string
}

// Text writes for a person. It implements [setup.Reporter].
type Text struct {
	out     io.Writer
	o       Options
	current *line
}

var _ setup.Reporter = (*Text)(nil)

// NewText returns a Text that writes to out.
func NewText(out io.Writer, o Options) *Text { return &Text{out: out, o: o} }

// sign is what stands before an item, and its colour.
type sign struct {
	mark  string
	color text.Color
}

var signs = map[setup.Action]sign{
	setup.Keep:   {"=", text.Faint},
	setup.Make:   {"+", text.FgGreen},
	setup.Change: {"~", text.FgYellow},
	setup.Drop:   {"-", text.FgYellow},
	setup.Await:  {"…", text.FgCyan},
	setup.Later:  {"?", text.FgCyan},
	setup.Other:  {"·", text.Faint},
	setup.Warn:   {"!", text.FgHiYellow},
	setup.Refuse: {"x", text.FgHiRed},
}

// columns of a plan's text: wide enough for what an item usually says.
const (
	objectWidth = 40
	detailWidth = 100
)

// Plan prints every stage's items, then one line that counts them.
func (t *Text) Plan(node string, p setup.Plan) {
	for _, part := range p.Parts {
		fmt.Fprintln(t.out, t.color(text.Bold, part.Stage))
		w := table.NewWriter()
		w.SetStyle(plain)
		w.SetColumnConfigs([]table.ColumnConfig{
			{Number: 3, WidthMax: objectWidth, WidthMaxEnforcer: text.WrapSoft},
		})
		for _, it := range part.Items {
			s := signs[it.Action]
			w.AppendRow(table.Row{" ", t.color(s.color, s.mark), it.Object, t.words(it)})
		}
		for l := range strings.Lines(w.Render()) {
			fmt.Fprintln(t.out, strings.TrimRight(l, " \n"))
		}
	}
	fmt.Fprintf(t.out, "\n%s: %s\n", node, Summary(p))
}

// plain is a table without lines.
var plain = table.Style{
	Name: "plain",
	Box:  table.BoxStyle{PaddingRight: " "},
	Options: table.Options{
		DoNotColorBordersAndSeparators: true, DrawBorder: false, SeparateColumns: false, SeparateHeader: false, SeparateRows: false,
	},
}

// words is everything that an item says, one thing a line.
func (t *Text) words(it setup.Item) string {
	var lines []string
	add := func(c text.Color, s string) {
		if s != "" {
			lines = append(lines, t.color(c, text.WrapSoft(s, detailWidth)))
		}
	}
	add(text.Reset, it.Detail)
	add(text.Reset, it.Why)
	add(text.FgHiRed, it.Interrupts)
	if it.Key != "" && it.Action != setup.Keep && t.o.At != nil {
		add(text.Faint, t.o.At(it.Key)+": "+it.Key)
	}
	return strings.Join(lines, "\n")
}

func (t *Text) color(c text.Color, s string) string {
	if !t.o.Terminal {
		return s
	}
	// Not c.Sprint, which asks the environment of the process for colours.
	return c.EscapeSeq() + s + text.Reset.EscapeSeq()
}

// Summary counts a plan's items in words.
func Summary(p setup.Plan) string {
	if n := p.Count(setup.Refuse); n > 0 {
		return fmt.Sprintf("%d to decide first (x), nothing will be done", n)
	}
	n := p.Pending()
	s := fmt.Sprintf("nothing to do, %d in place", p.Count(setup.Keep))
	if n > 0 {
		s = fmt.Sprintf("%d to do, %d in place", n, p.Count(setup.Keep))
	}
	if w := p.Count(setup.Warn); w > 0 {
		s += fmt.Sprintf(", %d to know (!)", w)
	}
	switch {
	case p.Interrupts():
		s += "; clients are interrupted"
	case n > 0:
		s += "; clients are not interrupted"
	}
	return s
}

// Stage prints the name of the stage that begins.
func (t *Text) Stage(name string) { fmt.Fprintln(t.out, t.color(text.Bold, name)) }

// Begin remembers the item; what it waits for is shown until End.
func (t *Text) Begin(it setup.Item) setup.Progress {
	t.current = newLine(t.out, t.o.Terminal, it.Object)
	return t.current
}

// End prints the item with what has become of it and how long that took.
func (t *Text) End(it setup.Item, took time.Duration, err error) {
	t.current.end()
	s := signs[it.Action]
	if err != nil {
		s = signs[setup.Refuse]
	}
	what := it.Detail
	if what != "" {
		what = ": " + what
	}
	if took >= time.Second {
		what += fmt.Sprintf(" (%s)", took.Round(100*time.Millisecond))
	}
	fmt.Fprintf(t.out, "  %s %s%s\n", t.color(s.color, s.mark), it.Object, what)
}
