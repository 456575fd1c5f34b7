package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd/option"
)

// Key is one key of the file.
type Key struct {
	Name      string // without its table
	Type      string // in words
	Default   string // as TOML, "" for none
	Otherwise string // what holds without the key where there is no default: "required", or in words
	Text      string // what it means, in one sentence
}

// Option is one of DRBD's options as setup sets it where the file says nothing.
type Option struct {
	Name, Value string
	Mode        string // the fencing mode that asks for it, "" for all
}

// Table is one table of the file.
type Table struct {
	Header   string // as the file has it, "[[node]]"; "" for the keys at the top
	Text     string // what it is about, in one sentence
	Required bool
	Keys     []Key
	Options  []Option // of [resource.drbd], whose keys are DRBD's
}

// Tables returns every key that the file may have, table by table in the order
// in which they are shown.
func Tables() []Table {
	out := []Table{{Keys: keysBelow("")}}
	for _, k := range keys {
		t := Table{Header: "[" + header(k.name) + "]", Text: k.text, Required: k.other == required}
		switch k.kind {
		case tTable:
			t.Keys = keysBelow(k.name + ".")
		case tTables:
			t.Header, t.Keys = "["+t.Header+"]", keysBelow(k.name+"[].")
		default:
			continue
		}
		if k.name == "resource.drbd" {
			t.Options = options()
		}
		out = append(out, t)
	}
	return out
}

// keysBelow returns the keys directly below prefix.
func keysBelow(prefix string) []Key {
	var out []Key
	for _, k := range keys {
		name, ok := strings.CutPrefix(k.name, prefix)
		if ok && !strings.ContainsAny(name, ".[") && k.kind != tTable && k.kind != tTables {
			out = append(out, Key{Name: name, Type: k.kind, Default: k.def, Otherwise: k.other, Text: k.text})
		}
	}
	return out
}

func options() []Option {
	var out []Option
	add := func(values map[string]string, mode string) {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			out = append(out, Option{Name: name, Value: values[name], Mode: mode})
		}
	}
	add(option.Defaults(), "")
	for _, m := range fencingModes {
		add(m.drbd, m.word)
	}
	return out
}

// Reference returns every key in Markdown, one table for each table of the
// file, and DRBD's options as setup sets them.
func Reference() string {
	var b strings.Builder
	for _, t := range Tables() {
		title := "At the top"
		if t.Header != "" {
			title = "`" + t.Header + "`"
		}
		fmt.Fprintf(&b, "\n### %s\n\n", title)
		if t.Text != "" {
			b.WriteString(t.Text)
			if t.Required {
				b.WriteString(" At least one is required.")
			}
			b.WriteString("\n")
		}
		t.write(&b)
	}
	return b.String() + "\n"
}

// write writes the rows.
func (t Table) write(b *strings.Builder) {
	if len(t.Keys) > 0 {
		if t.Text != "" {
			b.WriteString("\n")
		}
		b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	}
	for _, k := range t.Keys {
		def := k.Otherwise
		if k.Default != "" {
			def = "`" + k.Default + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.Name, k.Type, def, k.Text)
	}
	if len(t.Options) > 0 {
		b.WriteString("\n| option | default |\n|---|---|\n")
	}
	for _, o := range t.Options {
		when := ""
		if o.Mode != "" {
			when = fmt.Sprintf(" with fencing mode `%s`", o.Mode)
		}
		fmt.Fprintf(b, "| `%s` | `%s`%s |\n", o.Name, o.Value, when)
	}
}
