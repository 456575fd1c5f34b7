package docs

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

// stages returns the names of the steps that a function of pkg/group lists, those
// of one stage in one line.
func stages(t *testing.T, file, function string) []string {
	t.Helper()
	var lines []string
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		f, ok := n.(*ast.FuncDecl)
		if !ok {
			return true
		}
		if f.Name.Name != function {
			return false
		}
		list := f.Body.List[0].(*ast.ReturnStmt).Results[0].(*ast.CompositeLit)
		for _, stage := range list.Elts {
			var names []string
			for _, step := range stage.(*ast.CompositeLit).Elts {
				name, _ := literal(t, step.(*ast.CompositeLit).Elts[0])
				names = append(names, name)
			}
			lines = append(lines, strings.Join(names, " · "))
		}
		return false
	})
	if len(lines) == 0 {
		t.Fatalf("%s has no steps in %s", file, function)
	}
	return lines
}

// Ensure that docs/concepts.md has the steps of promote and demote in the order
// in which they are done.
func TestSteps(t *testing.T) {
	up, down := stages(t, "pkg/group/up.go", "upStages"), stages(t, "pkg/group/down.go", "downStages")
	var b strings.Builder
	b.WriteString("```text\n")
	line := func(left, right string) {
		b.WriteString(strings.TrimRight(fmt.Sprintf("   %-36s%s", left, right), " ") + "\n")
	}
	line("promote", "demote")
	for i := range max(len(up), len(down)) {
		cells := [2]string{}
		for j, list := range [][]string{up, down} {
			switch {
			case i >= len(list):
			case i == len(list)-1:
				cells[j] = " └▶ " + list[i]
			default:
				cells[j] = " │  " + list[i]
			}
		}
		line(cells[0], cells[1])
	}
	b.WriteString("```\n")
	made(t, "../../docs/concepts.md", "steps", b.String())
}
