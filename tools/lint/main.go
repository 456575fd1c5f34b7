// Command lint is staticcheck with the analyzers of go vet and go fix and this
// project's other type-aware checks linked in, so that one program loads and
// type-checks the tree once: that is most of what a check costs.
//
// What it reports is chosen in staticcheck.conf at the top of the repository;
// style, documentation and size limits are revive's, in revive.toml.
package main

import (
	"os"
	"slices"

	"github.com/polyfloyd/go-errorlint/errorlint"
	"go-simpler.org/sloglint"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/suite/fix"
	"golang.org/x/tools/go/analysis/suite/vet"
	"honnef.co/go/tools/analysis/lint"
	"honnef.co/go/tools/lintcmd"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"
	"honnef.co/go/tools/unused"
)

func main() {
	cmd := lintcmd.NewCommand("lint")
	cmd.SetVersion("drbdnfs", "drbdnfs")
	cmd.AddAnalyzers(simple.Analyzers...)
	cmd.AddAnalyzers(staticcheck.Analyzers...)
	cmd.AddAnalyzers(stylecheck.Analyzers...)
	cmd.AddAnalyzers(unused.Analyzer)
	cmd.AddAnalyzers(
		plain("wrapped errors", errorlint.NewAnalyzer()),
		plain("structured logging", sloglint.New(&sloglint.Options{
			NoGlobalLogger:   "all",
			StaticMessage:    true,
			MessageStyle:     "lowercased",
			NoMixedArguments: true,
			KeyNamingCase:    "snake",
		})),
	)
	seen := map[*analysis.Analyzer]bool{} // some are in both suites
	for _, a := range slices.Concat(vet.Suite, fix.Suite) {
		if !seen[a] {
			seen[a] = true
			cmd.AddAnalyzers(plain(a.Name, a))
		}
	}
	cmd.ParseFlags(os.Args[1:])
	cmd.Run()
}

// plain gives an ordinary analyzer what staticcheck's driver does not: the
// description that it wants of its own, a Module, which sloglint reads, and a
// ReadFile.
func plain(title string, a *analysis.Analyzer) *lint.Analyzer {
	run := a.Run
	a.Run = func(pass *analysis.Pass) (any, error) {
		if pass.Module == nil {
			pass.Module = &analysis.Module{}
		}
		if pass.ReadFile == nil {
			pass.ReadFile = os.ReadFile
		}
		return run(pass)
	}
	return &lint.Analyzer{Doc: &lint.RawDocumentation{Title: title}, Analyzer: a}
}
