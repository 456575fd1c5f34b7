package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/xrash/smetrics"
)

// decoder fills a Config from what TOML holds, and goes on where a key is
// unknown or has a wrong type, to find them all.
type decoder struct{ *problems }

func (d decoder) table(dst reflect.Value, t map[string]any, path string) {
	fields := map[string]reflect.Value{}
	for i := range dst.NumField() {
		if name := dst.Type().Field(i).Tag.Get("toml"); name != "" {
			fields[name] = dst.Field(i)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if f, ok := fields[name]; ok {
			d.value(f, t[name], join(path, name))
			continue
		}
		remedy := "take it out"
		if near := nearest(name, slices.Sorted(maps.Keys(fields))); near != "" {
			remedy = "did you mean " + near + "?"
			if _, ok := t[near]; !ok {
				d.said(join(path, near))
			}
		}
		d.addKey(join(path, name), "no such key", remedy)
	}
}

func (d decoder) value(dst reflect.Value, v any, path string) {
	ok := false
	switch p := dst.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		d.text(p, v, path)
		return
	case *string:
		*p, ok = v.(string)
	case *bool:
		*p, ok = v.(bool)
	case *int:
		var n int64
		n, ok = v.(int64)
		*p = int(n)
	case *map[string]string:
		var t map[string]any
		if t, ok = v.(map[string]any); ok {
			*p = d.scalars(t, path)
		}
	default:
		d.nested(dst, v, path)
		return
	}
	if !ok {
		d.wrongType(dst, v, path)
	}
}

// nested fills what has values in it: a table, or a list.
func (d decoder) nested(dst reflect.Value, v any, path string) {
	switch v := v.(type) {
	case map[string]any:
		if dst.Kind() == reflect.Struct {
			d.table(dst, v, path)
			return
		}
	case []any:
		if dst.Kind() != reflect.Slice {
			break
		}
		if len(v) > 0 {
			dst.Set(reflect.MakeSlice(dst.Type(), len(v), len(v)))
		}
		for i, e := range v {
			d.value(dst.Index(i), e, index(path, i))
		}
		return
	}
	d.wrongType(dst, v, path)
}

func (d decoder) text(dst encoding.TextUnmarshaler, v any, path string) {
	s, ok := v.(string)
	if !ok {
		d.wrongType(reflect.ValueOf(dst).Elem(), v, path)
		return
	}
	if err := dst.UnmarshalText([]byte(s)); err != nil {
		text, remedy := err.Error(), ""
		if w := (*wrong)(nil); errors.As(err, &w) {
			text, remedy = w.text, w.remedy
		}
		d.add(path, text, remedy)
	}
}

// scalars are the tables whose keys belong to others: DRBD's options and the
// parameters of a fence agent. Both spell booleans yes and no.
func (d decoder) scalars(t map[string]any, path string) map[string]string {
	if len(t) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		switch v := t[name].(type) {
		case string:
			m[name] = v
		case int64:
			m[name] = strconv.FormatInt(v, 10)
		case bool:
			m[name] = map[bool]string{true: "yes", false: "no"}[v]
		default:
			d.add(join(path, name), typeOf(v)+" instead of a text, a number, or true or false", "write it in double quotes")
		}
	}
	return m
}

func (d decoder) wrongType(dst reflect.Value, v any, path string) {
	want, remedy := wanted(dst.Type(), path)
	d.add(path, fmt.Sprintf("%s instead of %s", typeOf(v), want), remedy)
}

// wanted names a type of the file, and how it is written.
func wanted(t reflect.Type, path string) (name, remedy string) {
	switch t {
	case reflect.TypeFor[Duration]():
		return "a time", `write it with its unit in double quotes, as "30s"`
	case reflect.TypeFor[Size]():
		return "a size", `write it with its unit in double quotes, as "500G" or "6T"`
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false", "write true or false, without quotes"
	case reflect.Int:
		return "a whole number", "write digits alone, without quotes"
	case reflect.Struct, reflect.Map:
		return "a table", "write its keys below [" + header(path) + "]"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "tables", "write each below a line [[" + header(path) + "]]"
		}
		return "a list of texts", `write it in brackets, as ["a", "b"]`
	}
	return "a text", "write it in double quotes"
}

// typeOf names the type of what the file has.
func typeOf(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case bool:
		return "true or false"
	case int64:
		return "a whole number"
	case float64:
		return "a number with a fraction"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time of day"
}

// nearest returns the name that is most like name, or "" when none is near.
func nearest(name string, names []string) string {
	best, score := "", 0.85
	for _, n := range names {
		if name == "" {
			break
		}
		if s := smetrics.JaroWinkler(name, n, 0.7, 4); s > score {
			best, score = n, s
		}
	}
	return best
}

// header is the name of the table at path as it is written in brackets.
func header(path string) string { return strings.ReplaceAll(wildcard(path), "[]", "") }
