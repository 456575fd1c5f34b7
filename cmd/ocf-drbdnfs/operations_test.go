package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// operations lists the labels of all programs that the agent's packages can
// execute, as they stand in the source: in host.Cmd literals, and in the
// arguments of the functions that pass a label on to one.
func operations(t *testing.T) []string {
	t.Helper()
	files := agentSource(t)
	found := map[string]bool{}
	passing := map[string]int{} // functions that take a label, and at which place
	for changed := true; changed; {
		changed = false
		for _, f := range files {
			for _, decl := range f.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				ast.Inspect(fn.Body, func(n ast.Node) bool {
					label := labelOf(n, passing)
					if lit, ok := label.(*ast.BasicLit); ok {
						text, err := strconv.Unquote(lit.Value)
						if err != nil {
							t.Error(err)
						}
						found[text] = true
					}
					if id, ok := label.(*ast.Ident); ok {
						at := parameter(fn, id.Name)
						if _, known := passing[fn.Name.Name]; at < 0 {
							t.Errorf("%s: cannot follow the label %s", fn.Name.Name, id.Name)
						} else if !known {
							passing[fn.Name.Name], changed = at, true
						}
					}
					return true
				})
			}
		}
	}
	var out []string
	for op := range found {
		out = append(out, op)
	}
	slices.Sort(out)
	return out
}

// labelOf returns the expression that is the label in a host.Cmd literal or in
// a call of a function that passes it on, nil for everything else.
func labelOf(n ast.Node, passing map[string]int) ast.Expr {
	switch n := n.(type) {
	case *ast.CompositeLit:
		sel, ok := n.Type.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != "Cmd" {
			return nil
		}
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Op" {
				return kv.Value
			}
		}
	case *ast.CallExpr:
		sel, ok := n.Fun.(*ast.SelectorExpr)
		if !ok {
			return nil
		}
		if at, ok := passing[sel.Sel.Name]; ok && at < len(n.Args) {
			return n.Args[at]
		}
	}
	return nil
}

// parameter is the place of a parameter among those of fn, -1 when it is none.
func parameter(fn *ast.FuncDecl, name string) int {
	at := 0
	for _, field := range fn.Type.Params.List {
		for _, id := range field.Names {
			if id.Name == name {
				return at
			}
			at++
		}
	}
	return -1
}

// agentSource parses the module's packages that the agent links, without
// pkg/host, which executes what it is told.
func agentSource(t *testing.T) []*ast.File {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
		`{{if .Module}}{{if .Module.Main}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`, ".")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var files []*ast.File
	fset := token.NewFileSet()
	for path := range strings.FieldsSeq(string(out)) {
		if strings.HasSuffix(filepath.Dir(path), "/pkg/host") {
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}
