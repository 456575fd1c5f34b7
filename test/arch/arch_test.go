package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/spacei/drbdnfs"

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	GoFiles    []string
	Imports    []string // without those of tests
	Standard   bool
}

// list returns the packages that go list prints for args.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	fields := "-json=ImportPath,Name,Dir,GoFiles,Imports,Standard"
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", fields}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// in reports whether path is one of the trees below the module, or in it.
func in(path string, trees ...string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return path == module+"/"+tree || strings.HasPrefix(path, module+"/"+tree+"/")
	})
}

// Ensure that the agent does not link what would make it big or slow to start.
func TestAgentLinksLittle(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/ocf-drbdnfs") {
		for _, heavy := range []string{
			"github.com/prometheus/", "github.com/LINBIT/golinstor", "github.com/urfave/cli",
			"net/http", "github.com/pelletier/", "github.com/beevik/etree",
		} {
			if p.ImportPath == strings.TrimSuffix(heavy, "/") || strings.HasPrefix(p.ImportPath, heavy) {
				t.Errorf("cmd/ocf-drbdnfs links %s", p.ImportPath)
			}
		}
	}
}

// outside are the packages that reach the world outside. Only pkg/host may
// import them; the tests, the fake world and the lab are not shipped.
var outside = []string{
	"os/exec", "plugin",
	"github.com/vishvananda/netlink", "github.com/google/nftables", "github.com/mdlayher/",
	"github.com/coreos/go-systemd/v22/dbus", "github.com/godbus/dbus",
}

// Ensure that only pkg/host executes, and talks netlink, nftables and D-Bus.
func TestOnlyHostReachesOutside(t *testing.T) {
	for _, p := range list(t, "./...") {
		if in(p.ImportPath, "pkg/host", "test") {
			continue
		}
		for _, imp := range p.Imports {
			for _, o := range outside {
				if imp == o || strings.HasPrefix(imp, strings.TrimSuffix(o, "/")+"/") {
					t.Errorf("%s imports %s, which is pkg/host's", p.ImportPath, imp)
				}
			}
		}
	}
}

// calls are functions of packages that are otherwise harmless.
var calls = map[string][]string{
	"unix":    {"Mount", "Unmount", "MountSetattr", "MoveMount", "Fsmount", "OpenTree", "PivotRoot", "Exec", "Unshare", "Setns", "Socket"},
	"syscall": {"Mount", "Unmount", "PivotRoot", "Exec", "ForkExec", "StartProcess", "Unshare", "Socket"},
	"os":      {"StartProcess"},
}

// Ensure that only pkg/host mounts, changes namespaces and starts processes by
// system calls.
func TestOnlyHostMounts(t *testing.T) {
	for _, p := range list(t, "./...") {
		if in(p.ImportPath, "pkg/host", "test") {
			continue
		}
		for _, name := range p.GoFiles {
			for _, found := range forbiddenCalls(t, filepath.Join(p.Dir, name)) {
				t.Errorf("%s: %s, which is pkg/host's", p.ImportPath, found)
			}
		}
	}
}

func forbiddenCalls(t *testing.T, path string) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && slices.Contains(calls[id.Name], sel.Sel.Name) {
				found = append(found, fmt.Sprintf("%s uses %s.%s", fset.Position(n.Pos()), id.Name, sel.Sel.Name))
			}
		}
		return true
	})
	return found
}

// Ensure that imports point one way: cmd to ocf to pkg, and nothing that is
// shipped to the tests; and that DRBD's model needs nothing but the language.
func TestImportsPointOneWay(t *testing.T) {
	for _, p := range list(t, "./...") {
		for _, imp := range p.Imports {
			switch {
			case in(imp, "cmd"):
				t.Errorf("%s imports a command: %s", p.ImportPath, imp)
			case in(p.ImportPath, "pkg") && in(imp, "ocf"):
				t.Errorf("%s imports %s: pkg does not know the protocol it serves", p.ImportPath, imp)
			case !in(p.ImportPath, "test") && in(imp, "test"):
				t.Errorf("%s imports %s, which is not shipped", p.ImportPath, imp)
			case !in(p.ImportPath, "test", "pkg/host/hosttest") && in(imp, "pkg/host/hosttest"):
				t.Errorf("%s imports the fake world", p.ImportPath)
			case p.ImportPath == module+"/pkg/drbd" && strings.Contains(imp, "."):
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

// Ensure that each package is named for what it is.
func TestPackageNames(t *testing.T) {
	for _, p := range list(t, "./...") {
		if slices.Contains([]string{"util", "utils", "common", "types", "helpers", "misc"}, p.Name) {
			t.Errorf("%s: the name says nothing", p.ImportPath)
		}
	}
}
