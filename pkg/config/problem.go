package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing in the file that has to be changed.
type Problem struct {
	File string
	// Line and Column are where the value is, or where the key belongs; they count
	// from 1, Column in characters. 0 is nowhere in particular.
	Line, Column int
	Key          string // as for Config.At
	Value        string // as the file has it; "" when it does not have the key
	Text         string // what is wrong
	Remedy       string // what to write instead

	source string // the line; "" when it may hold a secret
}

// String is one line with the problem and, where the file has one, the source
// line with a caret below it.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
		if p.Value != "" {
			b.WriteString(" = " + p.Value)
		}
	}
	for _, s := range []string{p.Text, p.Remedy} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	if p.source != "" {
		fmt.Fprintf(&b, "\n    %s\n    %s^", p.source, blank(p.source, p.Column-1))
	}
	return b.String()
}

// blank is what takes as much room as the first n characters of s.
func blank(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		if n--; n < 0 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Errors are all the problems of one file, in the order of its lines. What has
// no line comes last.
type Errors []Problem

// Error prints every problem.
func (e *Errors) Error() string {
	texts := make([]string, 0, len(*e))
	for _, p := range *e {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, "\n")
}

// problems collects what is wrong, at most one problem for each key.
type problems struct {
	places *places
	list   Errors
	// unread are the first of list: what is in these keys was not read, so that
	// nothing can be said about it.
	unread int
	// meant are keys that unknown ones stand for: that they are not there was said.
	meant []string
}

// add notes that the value of key is wrong, unless it was found wrong before.
func (p *problems) add(key, text, remedy string) {
	p.append(key, p.places.value(key), text, remedy)
}

// addKey notes that key itself is wrong.
func (p *problems) addKey(key, text, remedy string) {
	pl := p.places.at[key]
	pl.value, pl.offset = "", pl.key
	p.append(key, pl, text, remedy)
}

func (p *problems) append(key string, pl place, text, remedy string) {
	if p.has(key) {
		return
	}
	p.list = append(p.list, p.places.problem(pl, Problem{Key: key, Value: pl.value, Text: text, Remedy: remedy}))
}

// said notes that nothing more has to be said about key.
func (p *problems) said(key string) { p.meant = append(p.meant, key) }

// has reports whether key is known to be wrong, or was not read.
func (p *problems) has(key string) bool {
	if slices.Contains(p.meant, key) {
		return true
	}
	for i, q := range p.list {
		rest, ok := strings.CutPrefix(key, q.Key)
		if ok && (rest == "" || i < p.unread && strings.ContainsAny(rest[:1], ".[")) {
			return true
		}
	}
	return false
}

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return b.Line - a.Line
		}
		return a.Line - b.Line
	})
	return &p.list
}
