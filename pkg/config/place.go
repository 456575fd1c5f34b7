package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// place is where a key is in the file: the offsets of the key and of its value,
// and the value as it is written there.
type place struct {
	key, offset int
	value       string
	found       bool
}

// places are the places of all keys of a file, by the path of the key as
// Config.At has it. Nil is a file in which nothing is.
type places struct {
	file  string
	data  []byte
	at    map[string]place
	count map[string]int // elements of arrays of tables
}

// locate reads data, which is correct TOML.
func locate(file string, data []byte) *places {
	p := &places{file: file, data: data, at: map[string]place{}, count: map[string]int{}}
	var parser unstable.Parser
	parser.Reset(data)
	table := ""
	for parser.NextExpression() {
		e := parser.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = p.table(e)
		case unstable.KeyValue:
			p.keyValue(table, e)
		}
	}
	return p
}

// table notes a header and returns the path of the table that it begins.
func (p *places) table(e *unstable.Node) string {
	path := ""
	for it := e.Key(); it.Next(); {
		n := it.Node()
		path = join(path, string(n.Data))
		p.note(path, place{key: int(n.Raw.Offset), offset: int(n.Raw.Offset)})
		if e.Kind == unstable.ArrayTable && n.Next() == nil {
			p.count[path]++
		}
		if c := p.count[path]; c > 0 {
			path = index(path, c-1)
			p.note(path, place{key: int(n.Raw.Offset), offset: int(n.Raw.Offset)})
		}
	}
	return path
}

func (p *places) keyValue(path string, e *unstable.Node) {
	pl := place{}
	for it := e.Key(); it.Next(); {
		n := it.Node()
		if pl.found {
			p.note(path, pl)
		}
		path = join(path, string(n.Data))
		pl = place{key: int(n.Raw.Offset), offset: int(n.Raw.Offset), found: true}
	}
	p.setValue(path, pl, e.Value())
}

func (p *places) setValue(path string, pl place, v *unstable.Node) {
	if v.Raw.Length > 0 {
		pl.offset = int(v.Raw.Offset)
	}
	switch v.Kind {
	case unstable.Array:
		pl.value = "[…]"
		i := 0
		for it := v.Children(); it.Next(); {
			if n := it.Node(); n.Kind != unstable.Comment {
				at := place{key: pl.key, offset: pl.key}
				if n.Raw.Length > 0 {
					at.key = int(n.Raw.Offset)
				}
				p.setValue(index(path, i), at, n)
				i++
			}
		}
	case unstable.InlineTable:
		pl.value = "{…}"
		for it := v.Children(); it.Next(); {
			if n := it.Node(); n.Kind == unstable.KeyValue {
				p.keyValue(path, n)
			}
		}
	default:
		pl.value = clip(string(p.data[v.Raw.Offset : v.Raw.Offset+v.Raw.Length]))
		if secretKey(path) {
			pl.value = hidden
		}
	}
	p.note(path, pl)
}

// note keeps the first place of a key.
func (p *places) note(path string, pl place) {
	if !p.at[path].found {
		pl.found = true
		p.at[path] = pl
	}
}

// value returns the place of key, or of the table in which it would be.
func (p *places) value(key string) place {
	pl := p.at[key]
	for !pl.found && key != "" {
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
		pl = p.at[key]
		pl.value = ""
	}
	return pl
}

// has reports whether the file has the key.
func (p *places) has(key string) bool { return p.at[key].found }

// position turns an offset into line, column and the text of the line.
func (p *places) position(offset int) (line, column int, source string) {
	head := string(p.data[:offset])
	start := strings.LastIndexByte(head, '\n') + 1
	source, _, _ = strings.Cut(string(p.data[start:]), "\n")
	return strings.Count(head, "\n") + 1, utf8.RuneCountInString(head[start:]) + 1, strings.TrimSuffix(source, "\r")
}

// problem completes q with the place.
func (p *places) problem(pl place, q Problem) Problem {
	q.File = p.file
	if !pl.found {
		return q
	}
	q.Line, q.Column, q.source = p.position(pl.offset)
	if !slices.Contains(plainKeys, q.Key) && (isSecret(q.source) || isSecret(q.Key)) {
		q.source = ""
	}
	return q
}

// At returns where the file has key, as "drbdnfs.toml:12": a key such as
// "resource.size", "node[1].device" or "export[0].options". It returns the
// file's name alone when the file does not have it.
func (c *Config) At(key string) string {
	if c.places == nil {
		return DefaultFile
	}
	pl, ok := c.places.at[key]
	if !ok {
		return c.places.file
	}
	line, _, _ := c.places.position(pl.key)
	return fmt.Sprintf("%s:%d", c.places.file, line)
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// join appends a key to a path, in quotes where it would not be one key.
func join(path, key string) string {
	if key == "" || !alnum(key, "_-") {
		key = quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// hidden stands for a secret.
const hidden = "(hidden)"

// tokenKey is corosync's timeout.
const tokenKey = "corosync.token"

// plainKeys are keys that sound like a secret and are none.
var plainKeys = []string{tokenKey, "alerts.token_file"}

// secretKey reports whether the value of a key is not to be shown.
func secretKey(path string) bool { return isSecret(path) && !slices.Contains(plainKeys, path) }

// isSecret reports whether text, a key or a line of the file, is about a
// password or the like. The URL of a webhook often is all that its service asks
// for.
func isSecret(text string) bool {
	text = strings.ToLower(text)
	words := []string{"passw", "secret", "token", "webhook"}
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// clip keeps a message to one line.
func clip(s string) string {
	const most = 60
	head, _, more := strings.Cut(s, "\n")
	if r := []rune(head); len(r) > most {
		head, more = string(r[:most]), true
	}
	if more {
		head += "…"
	}
	return head
}
