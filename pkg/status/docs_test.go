package status_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/status"
)

const docs = "../../docs/status.md"

// Ensure that docs/status.md has the screens, keys, findings and sources as the
// code has them.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, part := range []struct{ name, want string }{
		{"screens", docScreens(t)}, {"findings", docFindings()}, {"keys", docKeys(t)}, {"sources", docSources()},
	} {
		begin, end := "<!-- "+part.name+": made by go test ./pkg/status -run TestDocs -update -->\n", "<!-- end of "+part.name+" -->"
		head, rest, ok := strings.Cut(text, begin)
		got, tail, both := strings.Cut(rest, end)
		if !ok || !both {
			t.Fatalf("%s has no marks %q", docs, begin)
		}
		if diff := cmp.Diff(part.want, got); diff != "" && !*update {
			t.Errorf("%s, run with -update: (-want +got)\n%s", part.name, diff)
		}
		text = head + begin + part.want + end + tail
	}
	if *update {
		if err := os.WriteFile(docs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func docScreens(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"resync", "split-brain", "down"} {
		b.WriteString("\n```text\n" + status.Render(status.Judge(screens()[name]), status.Screen{Width: 100}) + "```\n")
	}
	return b.String() + "\n"
}

func docFindings() string {
	var b strings.Builder
	b.WriteString("\n| word | severity | cause | what to do |\n|---|---|---|---|\n")
	for _, w := range status.Words() {
		remedy := w.Remedy
		if remedy == "" {
			remedy = "nothing: it ends by itself"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", w.Word, w.Severity, w.Cause, remedy)
	}
	return b.String() + "\n"
}

func docSources() string {
	var b strings.Builder
	b.WriteString("\n| source | what is asked |\n|---|---|\n")
	for _, s := range status.Sources() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", s.Word, s.Text)
	}
	return b.String() + "\n"
}

// docKeys are the keys of the picture with the comments of its fields.
func docKeys(t *testing.T) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "picture.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{} // by TYPE.FIELD
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				comments[spec.Name.Name+"."+f.Names[0].Name] = strings.TrimSpace(f.Comment.Text())
			}
		}
		return false
	})
	var b strings.Builder
	b.WriteString("\n| key | type | meaning |\n|---|---|---|\n")
	keys(&b, "", reflect.TypeFor[status.Picture](), comments)
	return b.String() + "\n"
}

func keys(b *strings.Builder, prefix string, typ reflect.Type, comments map[string]string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		word, inner := jsonType(f.Type)
		meaning := comments[typ.Name()+"."+f.Name]
		if strings.Contains(options, "omit") {
			meaning = strings.TrimSpace(meaning + " (left out when empty)")
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, key, word, strings.ReplaceAll(meaning, "|", `\|`))
		if inner != nil {
			if word == "list of objects" {
				key += "[]"
			}
			keys(b, prefix+key+".", inner, comments)
		}
	}
}

// jsonType names a type for a reader of JSON, and returns the structure in it.
func jsonType(typ reflect.Type) (string, reflect.Type) {
	switch {
	case typ.String() == "time.Time":
		return "time", nil
	case typ.String() == "drbd.Tri":
		return "yes, no, unknown", nil
	}
	switch typ.Kind() {
	case reflect.Pointer:
		word, inner := jsonType(typ.Elem())
		return word + " or null", inner
	case reflect.Slice, reflect.Array:
		word, inner := jsonType(typ.Elem())
		if inner != nil {
			return "list of objects", inner
		}
		return "list of " + word + "s", nil
	case reflect.Struct:
		return "object", typ
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "number", nil
	case reflect.Bool:
		return "bool", nil
	}
	return "string", nil
}

// Ensure that every key of the picture is explained.
func TestKeysExplained(t *testing.T) {
	for line := range strings.Lines(docKeys(t)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") {
			continue
		}
		// What is an object is explained by its keys, and these speak for themselves.
		switch key := strings.Trim(cells[1], " `"); {
		case cells[2] == " object ", cells[2] == " list of objects ", strings.HasSuffix(key, ".why"), strings.HasSuffix(key, ".since"):
		case strings.TrimSpace(cells[3]) == "" && !obvious[key[strings.LastIndex(key, ".")+1:]]:
			t.Errorf("%s has no meaning", key)
		}
	}
}

var obvious = map[string]bool{
	"node": true, "name": true, "path": true, "resource": true, "nodes": true, "role": true, "disk": true, "promoted": true,
	"mounted": true, "phase": true, "policy": true, "refusal": true,
}
