package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Show returns the file with every default filled in. It is TOML that Parse
// reads to the same Config, but for passwords and the like among the parameters
// of fence devices and DRBD's options: "(hidden)" stands for each.
func (c *Config) Show() string {
	var b strings.Builder
	showTable(&b, reflect.ValueOf(*c), "", "")
	return strings.TrimPrefix(b.String(), "\n")
}

// showTable writes the keys of a table, then the tables in it: TOML would take
// a key behind a header for one of that header's.
func showTable(b *strings.Builder, v reflect.Value, path, head string) {
	var values, tables strings.Builder
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("toml")
		if name == "" {
			continue
		}
		f, at := v.Field(i), join(path, name)
		switch f.Interface().(type) {
		case string, []string, bool, int, encoding.TextMarshaler:
			switch {
			case !shown(f, at):
			case secretKey(at) && !f.IsZero():
				fmt.Fprintf(&values, "%s = %s\n", name, quote(hidden))
			default:
				fmt.Fprintf(&values, "%s = %s\n", name, literal(f))
			}
		case map[string]string:
			showMap(&tables, f.Interface().(map[string]string), at)
		default:
			showNested(&tables, f, at)
		}
	}
	if values.Len() > 0 || strings.HasPrefix(head, "[[") {
		b.WriteString("\n" + head)
	}
	b.WriteString(values.String() + tables.String())
}

func showNested(b *strings.Builder, v reflect.Value, path string) {
	if v.Kind() == reflect.Struct {
		showTable(b, v, path, "["+header(path)+"]\n")
		return
	}
	for i := range v.Len() {
		showTable(b, v.Index(i), index(path, i), "[["+header(path)+"]]\n")
	}
}

func showMap(b *strings.Builder, m map[string]string, path string) {
	if len(m) == 0 {
		return
	}
	fmt.Fprintf(b, "\n[%s]\n", header(path))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		value := m[name]
		if isSecret(name) {
			value = hidden
		}
		fmt.Fprintf(b, "%s = %s\n", join("", name), quote(value))
	}
}

// shown reports whether a value says more than that its key is not there.
func shown(v reflect.Value, path string) bool {
	k, _ := lookup(wildcard(path))
	empty := v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0
	return !empty || k.def != ""
}

// literal writes a value as TOML.
func literal(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case fmt.Stringer: // Duration, Size
		return quote(x.String())
	case string:
		return quote(x)
	case []string:
		texts := make([]string, 0, len(x))
		for _, s := range x {
			texts = append(texts, quote(s))
		}
		return "[" + strings.Join(texts, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}

// quote writes s as a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
