package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// parse reads one source file, named from the top of the repository.
func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", path), nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// constant is one constant whose value is a text.
type constant struct{ name, value, comment string }

// constants returns those of a type that a file declares, in their order; those
// without a type for "". It fails where there is none.
func constants(t *testing.T, path, typ string) []constant {
	t.Helper()
	var list []constant
	for _, d := range parse(t, path).Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			if c, ok := textConstant(t, s.(*ast.ValueSpec), typ); ok {
				list = append(list, c)
			}
		}
	}
	if len(list) == 0 {
		t.Fatalf("%s has no constants of type %q", path, typ)
	}
	return list
}

func textConstant(t *testing.T, v *ast.ValueSpec, typ string) (constant, bool) {
	t.Helper()
	name := ""
	if id, ok := v.Type.(*ast.Ident); ok {
		name = id.Name
	}
	if name != typ || len(v.Names) != 1 || len(v.Values) != 1 {
		return constant{}, false
	}
	text, ok := literal(t, v.Values[0])
	return constant{v.Names[0].Name, text, strings.TrimSpace(v.Comment.Text())}, ok
}

// literal returns the text that e is.
func literal(t *testing.T, e ast.Expr) (string, bool) {
	t.Helper()
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	return text, true
}

// lasting returns, for each constant in the keys of the map refusals of
// pkg/splitbrain, how long that refusal stands: its first word there.
func lasting(t *testing.T) map[string]string {
	t.Helper()
	words := map[string]string{}
	ast.Inspect(parse(t, "pkg/splitbrain/refusal.go"), func(n ast.Node) bool {
		kv, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		key, isName := kv.Key.(*ast.Ident)
		value, isStruct := kv.Value.(*ast.CompositeLit)
		if isName && isStruct && len(value.Elts) > 0 {
			if word, ok := value.Elts[0].(*ast.Ident); ok {
				words[key.Name] = word.Name
			}
		}
		return true
	})
	return words
}

// alertKeys returns the keys that pkg/daemon logs with an alert, but for the
// message id: those of the list that begins with it, and what is appended to
// that.
func alertKeys(t *testing.T) []string {
	t.Helper()
	var keys []string
	every := func(elts []ast.Expr) {
		for i := 0; i < len(elts); i += 2 {
			if key, ok := literal(t, elts[i]); ok {
				keys = append(keys, key)
			}
		}
	}
	for _, d := range parse(t, "pkg/daemon/expose.go").Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "alert" {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				every(n.Elts)
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "append" {
					every(n.Args[1:])
				}
			}
			return true
		})
	}
	if len(keys) == 0 {
		t.Fatal("no keys found in pkg/daemon/expose.go")
	}
	return keys
}
