package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd/option"
)

// Reference returns every key in Markdown, one table for each table of the
// file, and DRBD's options as setup sets them.
func Reference() string {
	var b strings.Builder
	const head = "| key | type | default | meaning |\n|---|---|---|---|\n"
	b.WriteString("\n### At the top\n\n" + head)
	writeKeys(&b, "")
	for _, k := range keys {
		if k.kind != tTable && k.kind != tTables {
			continue
		}
		title := "[" + header(k.name) + "]"
		if k.kind == tTables {
			title = "[" + title + "]"
		}
		fmt.Fprintf(&b, "\n### `%s`\n\n%s", title, k.text)
		if k.other == required {
			b.WriteString(" At least one is required.")
		}
		b.WriteString("\n")
		var table strings.Builder
		prefix := k.name + "."
		if k.kind == tTables {
			prefix = k.name + "[]."
		}
		if writeKeys(&table, prefix); table.Len() > 0 {
			b.WriteString("\n" + head + table.String())
		}
		if k.name == "resource.drbd" {
			writeOptions(&b)
		}
	}
	return b.String() + "\n"
}

// writeKeys writes the rows of the keys directly below prefix.
func writeKeys(b *strings.Builder, prefix string) {
	for _, k := range keys {
		name, ok := strings.CutPrefix(k.name, prefix)
		if !ok || strings.ContainsAny(name, ".[") || k.kind == tTable || k.kind == tTables {
			continue
		}
		def := k.other
		if k.def != "" {
			def = "`" + k.def + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, k.kind, def, k.text)
	}
}

// writeOptions writes what DRBD is told where the file says nothing.
func writeOptions(b *strings.Builder) {
	b.WriteString("\n| option | default |\n|---|---|\n")
	writeRows(b, option.Defaults(), "")
	for _, m := range fencingModes {
		writeRows(b, m.drbd, fmt.Sprintf(" with fencing mode `%s`", m.word))
	}
}

func writeRows(b *strings.Builder, options map[string]string, when string) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		fmt.Fprintf(b, "| `%s` | `%s`%s |\n", name, options[name], when)
	}
}
