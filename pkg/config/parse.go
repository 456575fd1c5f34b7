package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// Parse reads the contents of a configuration file. It returns the
// configuration with every default filled in, or an *[Errors] with everything
// that is wrong. The name of the file is for messages and for [Config.At].
func Parse(file string, data []byte) (*Config, error) {
	doc := map[string]any{}
	if err := toml.Unmarshal(data, &doc); err != nil {
		return nil, &Errors{syntaxProblem(file, data, err)}
	}
	p := &problems{places: locate(file, data)}
	if err := setDefaults(doc); err != nil {
		return nil, fmt.Errorf("defaults: %w", err)
	}
	c := &Config{places: p.places}
	decoder{p}.table(reflect.ValueOf(c).Elem(), doc, "")
	p.unread = len(p.list)
	c.derive()
	(&checker{problems: p, c: c}).check()
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// syntaxProblem is what the TOML parser stopped at.
func syntaxProblem(file string, data []byte, err error) Problem {
	q := Problem{
		File: file, Text: "not TOML: " + strings.TrimPrefix(err.Error(), "toml: "),
		Remedy: "correct what the caret shows; texts are in double quotes, names of tables in brackets",
	}
	var de *toml.DecodeError
	if !errors.As(err, &de) {
		return q
	}
	q.Line, q.Column = de.Position()
	lines := strings.Split(string(data), "\n")
	if q.Line < 1 || q.Line > len(lines) {
		return q
	}
	source := strings.TrimSuffix(lines[q.Line-1], "\r")
	split := min(max(q.Column-1, 0), len(source))
	if unquoted(err.Error(), source[split:]) {
		q.Text, q.Remedy = "not TOML: a text without quotes", "write it in double quotes"
	}
	q.Column = utf8.RuneCountInString(source[:split]) + 1
	// A text of several lines has its key on another line.
	long := strings.Contains(string(data), `"""`) || strings.Contains(string(data), "'''")
	if !isSecret(source) && (!long || !isSecret(string(data))) {
		q.source = strings.Map(visible, source)
	}
	return q
}

// unquoted reports whether the parser's message about rest is what it says when
// quotes are forgotten.
func unquoted(message, rest string) bool {
	r, _ := utf8.DecodeRuneInString(rest)
	return (unicode.IsLetter(r) || r == '/') &&
		(strings.Contains(message, "at start of value") || strings.Contains(message, "expected keyword"))
}

// visible replaces what a terminal would not print.
func visible(r rune) rune {
	if r != '\t' && (r == utf8.RuneError || unicode.IsControl(r)) {
		return '?'
	}
	return r
}

// derive fills in the defaults that depend on other keys.
func (c *Config) derive() {
	if c.Storage.Controller == "" {
		c.Storage.Controller = c.First().Name
	}
	if d := c.Diskful(); c.Resource.Source == "" && len(d) > 0 {
		c.Resource.Source = d[0].Name
	}
	c.Resource.DRBD = c.drbdOptions()
}

// Node returns the node called name.
func (c *Config) Node(name string) (Node, bool) {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// First returns the first node of the file, which does what one node has to do
// for all.
func (c *Config) First() Node {
	if len(c.Nodes) == 0 {
		return Node{}
	}
	return c.Nodes[0]
}

// Diskful returns the nodes that hold data, in the order of the file.
func (c *Config) Diskful() []Node {
	var nodes []Node
	for _, n := range c.Nodes {
		if !n.Diskless {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Source returns the node from which the first synchronisation copies.
func (c *Config) Source() Node {
	n, _ := c.Node(c.Resource.Source)
	return n
}
