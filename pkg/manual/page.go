package manual

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Page is one manual page under construction. The zero value with the exported
// fields set is an empty page.
type Page struct {
	Name    string
	Section int    // 8 for commands of the administrator, 5 for files, 7 for the rest
	Short   string // one line, for apropos

	body  strings.Builder
	begun bool // the section has text
}

// Head begins a section.
func (p *Page) Head(title string) {
	p.line(".SH " + escape(title))
	p.begun = false
}

// Sub begins a part of a section.
func (p *Page) Sub(title string) {
	p.line(".SS " + inline(title))
	p.begun = false
}

// Text adds paragraphs. They are parted by empty lines; lines that begin with a
// space are set as they are.
func (p *Page) Text(text string) {
	for _, b := range blocks(text) {
		p.paragraph(b)
	}
}

func (p *Page) paragraph(b block) {
	if p.begun {
		p.line(".PP")
	}
	p.begun = true
	p.block(b)
}

// Item adds an entry of a list: a tag, in which `words` are bold, and its
// explanation.
func (p *Page) Item(tag, text string) {
	p.line(".TP\n" + inline(tag))
	p.begun = true
	list := blocks(text)
	if len(list) == 0 {
		p.line(`\&`)
	}
	for i, b := range list {
		if i > 0 {
			p.line(".IP")
		}
		p.block(b)
	}
}

// Literal adds text as it is, such as a file.
func (p *Page) Literal(text string) {
	p.paragraph(block{lines: strings.Split(strings.TrimRight(text, "\n"), "\n"), verbatim: true})
}

// Roff is the page. A zero time leaves its date empty.
func (p *Page) Roff(version string, date time.Time) string {
	day := ""
	if !date.IsZero() {
		day = date.UTC().Format(time.DateOnly)
	}
	return fmt.Sprintf(".TH %s %d \"%s\" \"%s\" \"drbdnfs\"\n.SH NAME\n%s \\- %s\n%s",
		escape(strings.ToUpper(p.Name)), p.Section, day, escape("drbdnfs "+version), escape(p.Name), inline(p.Short), p.body.String())
}

func (p *Page) line(s string) { p.body.WriteString(s + "\n") }

func (p *Page) block(b block) {
	if !b.verbatim {
		for _, l := range wrapped(inline(strings.Join(b.lines, " "))) {
			p.line(guarded(l))
		}
		return
	}
	p.line(".RS 4\n.nf")
	for _, l := range b.lines {
		l = guarded(escape(strings.TrimRight(l, " \t")))
		if l == "" {
			l = `\&` // an empty line is for roff to wonder at
		}
		p.line(l)
	}
	p.line(".fi\n.RE")
}

// block is a paragraph, or lines that are set as they are.
type block struct {
	lines    []string
	verbatim bool
}

// blocks parts a text. Lines that are set as they are lose the indentation of
// the first of them.
func blocks(text string) []block {
	var out []block
	open := false
	indent := ""
	for l := range strings.Lines(text) {
		l = strings.TrimRight(l, " \t\n")
		verbatim := strings.HasPrefix(l, " ") || strings.HasPrefix(l, "\t")
		if l == "" {
			open = false
			continue
		}
		if !open || out[len(out)-1].verbatim != verbatim {
			out, open = append(out, block{verbatim: verbatim}), true
			indent = l[:len(l)-len(strings.TrimLeft(l, " \t"))]
		}
		b := &out[len(out)-1]
		b.lines = append(b.lines, strings.TrimPrefix(l, indent))
	}
	return out
}

// inline escapes a text in which `words` are bold.
func inline(text string) string {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 && part != "" {
			part = `\fB` + escape(part) + `\fP`
		} else {
			part = escape(part)
		}
		b.WriteString(part)
	}
	return b.String()
}

// special are the characters that mean something to roff, or that it would print
// as a typographer's: what is typed must be found and copied as it is.
var special = strings.NewReplacer(
	`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`,
)

// escape makes plain text safe within a line.
func escape(text string) string {
	var b strings.Builder
	for _, r := range special.Replace(text) {
		switch {
		case unicode.IsControl(r):
			b.WriteByte(' ')
		case r > unicode.MaxASCII:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// guarded keeps a line of text from being taken for a request.
func guarded(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, `\fB.`) {
		return `\&` + line
	}
	return line
}

const width = 78

// wrapped breaks a line between words.
func wrapped(text string) []string {
	var out []string
	line := ""
	for w := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(w) > width {
			out, line = append(out, line), ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}
