package config

import (
	"reflect"
	"testing"
)

// kindOf is the type of a field as the table of keys calls it.
func kindOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return tTime
	case reflect.TypeFor[Size]():
		return tSize
	}
	return map[reflect.Kind]string{
		reflect.String: tText, reflect.Bool: tBool, reflect.Int: tNumber, reflect.Slice: tTexts, reflect.Struct: tTable, reflect.Map: tTable,
	}[t.Kind()]
}

// fieldKinds returns the type of each key that the structs have.
func fieldKinds(t reflect.Type, prefix string, kinds map[string]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("toml")
		if tag == "" {
			continue
		}
		name := prefix + tag
		switch {
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			kinds[name] = tTables
			fieldKinds(f.Type.Elem(), name+"[].", kinds)
		case f.Type.Kind() == reflect.Struct:
			kinds[name] = tTable
			fieldKinds(f.Type, name+".", kinds)
		default:
			kinds[name] = kindOf(f.Type)
		}
	}
}

// Ensure that the table of keys and the structs have the same keys, of the same
// types, each with one sentence and with one way to say its default.
func TestKeys(t *testing.T) {
	kinds := map[string]string{}
	fieldKinds(reflect.TypeFor[Config](), "", kinds)
	for _, k := range keys {
		if kind, ok := kinds[k.name]; !ok || kind != k.kind {
			t.Errorf("%s: %q in the table, %q in the structs", k.name, k.kind, kind)
		}
		delete(kinds, k.name)
		isTable := k.kind == tTable
		if !isTable && (k.def == "") == (k.other == "") {
			t.Errorf("%s: default %q and %q: there must be one", k.name, k.def, k.other)
		}
		if k.text == "" || k.text[len(k.text)-1] != '.' {
			t.Errorf("%s: %q is no sentence", k.name, k.text)
		}
	}
	for name := range kinds {
		t.Errorf("%s is not in the table", name)
	}
}
