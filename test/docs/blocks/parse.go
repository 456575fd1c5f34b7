package blocks

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Languages of blocks that hold commands.
const (
	Console = "console"
	Shell   = "sh"
)

// Block is one fenced block of a document.
type Block struct {
	Line int // of its first line in the document, from 1
	Lang string
	Text string // without the fences, and without the indentation of a list
	// What the comments right before it say.
	NotRun   string // why it is not run, "" when it is
	Given    string // state of the lab before it, "" for as it is
	As       string // run instead of its only command
	With     string // "A=B": B stands for A in its commands
	Exit     int    // exit status of its commands
	Together bool
	Until    bool
}

// Runs reports whether the lab runs the block.
func (b Block) Runs() bool { return b.Lang == Console && b.NotRun == "" }

// fence is the first or last line of a block.
var fence = regexp.MustCompile("^( *)```([a-z]*)$")

// Parse returns the fenced blocks of a document in their order. It refuses a
// block without end or language, one that is only indented, commands of which is
// not said why they are not run, and words for the lab that it does not know or
// that stand before no block. Each error names the line.
func Parse(markdown string) ([]Block, error) {
	p := parser{blank: true}
	for i, line := range strings.Split(markdown, "\n") {
		p.line(i+1, line)
	}
	if p.open != nil {
		p.fail(p.open.Line, "the block has no end")
	}
	if p.comment != "" {
		p.fail(p.at, "the comment has no end")
	}
	p.unused()
	return p.blocks, errors.Join(p.errs...)
}

// parser reads a document line by line.
type parser struct {
	blocks  []Block
	errs    []error
	open    *Block // the block that is being read
	indent  string // of its fences
	next    *Block // what comments have said of the block to come
	at      int    // line of the last comment for the lab
	comment string // a comment that goes on in the next line
	blank   bool   // the line before was empty
}

func (p *parser) fail(line int, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...))
}

func (p *parser) line(n int, line string) {
	m := fence.FindStringSubmatch(line)
	switch {
	case p.open != nil && m != nil && m[2] == "" && m[1] == p.indent:
		p.end()
	case p.open != nil:
		p.open.Text += strings.TrimPrefix(line, p.indent) + "\n"
	case p.comment != "":
		p.words(p.comment + "\n" + line)
	case m != nil:
		p.begin(n, m[1], m[2])
	case strings.HasPrefix(strings.TrimSpace(line), "<!-- lab:"):
		p.at = n
		p.words(strings.TrimSpace(line))
	case strings.TrimSpace(line) != "":
		p.unused()
		if p.blank && strings.HasPrefix(line, "    ") {
			p.fail(n, "a block that is only indented: put it between fences, with its language")
		}
	}
	p.blank = strings.TrimSpace(line) == ""
}

func (p *parser) begin(n int, indent, lang string) {
	p.indent, p.open = indent, &Block{}
	if p.next != nil {
		p.open, p.next = p.next, nil
	}
	p.open.Line, p.open.Lang = n+1, lang
	if lang == "" {
		p.fail(n, "the block has no language")
	}
}

func (p *parser) end() {
	b := *p.open
	p.open = nil
	p.blocks = append(p.blocks, b)
	switch {
	case b.Lang == Shell && b.NotRun == "":
		p.fail(b.Line, "commands that are not run, without a reason: <!-- lab: not run: REASON -->")
	case b.Lang != Shell && b.Lang != Console && (b.NotRun != "" || b.Given != "" || b.As != "" || b.With != "" || b.Together || b.Until || b.Exit != 0):
		p.fail(b.Line, "words for the lab before a block of %s", b.Lang)
	}
	if b.Lang == Console {
		if _, err := b.Commands(); err != nil {
			p.errs = append(p.errs, err)
		}
	}
}

// unused refuses words that stand before no block.
func (p *parser) unused() {
	if p.next != nil {
		p.fail(p.at, "words for the lab before no block")
		p.next = nil
	}
}

// words reads a comment for the lab, once it is whole.
func (p *parser) words(text string) {
	body, ok := strings.CutSuffix(strings.TrimRight(text, " "), "-->")
	if !ok {
		p.comment = text
		return
	}
	p.comment = ""
	if p.next == nil {
		p.next = &Block{}
	}
	key, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(body, "<!-- lab:")), ":")
	value = strings.TrimSpace(value)
	if err := p.next.set(key, value); err != nil {
		p.fail(p.at, "%w", err)
	}
}

func (b *Block) set(key, value string) error {
	flag := key == "together" || key == "until"
	if flag != (value == "") {
		return fmt.Errorf("%q is not understood: see package test/docs/blocks", key+": "+value)
	}
	switch key {
	case "not run":
		b.NotRun = value
	case "given":
		b.Given = value
	case "as":
		b.As = value
	case "with":
		if !strings.Contains(value, "=") {
			return fmt.Errorf("with: %q is not A=B", value)
		}
		b.With = value
	case "exit":
		if _, err := fmt.Sscanf(value, "%d", &b.Exit); err != nil {
			return fmt.Errorf("exit: %q is no number", value)
		}
	case "together":
		b.Together = true
	case "until":
		b.Until = true
	default:
		return fmt.Errorf("no word for the lab: %q", key)
	}
	return nil
}
