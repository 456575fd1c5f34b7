package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
)

var update = flag.Bool("update", false, "rewrite the expectations of scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"drbdnfs": func() {
			os.Exit(run(context.Background(), console{in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.Args))
		},
	})
}

// Ensure that the command prints and ends as the scripts say.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), UpdateScripts: *update, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			name, err := os.Hostname()
			env.Setenv("NODE", name)
			hosttest.SettleExecutables()
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code},
	})
}

// code runs "code N ARG...": drbdnfs has to end with exit status N.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N ARG...")
	}
	got := "0"
	if err := ts.Exec("drbdnfs", args[1:]...); err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("drbdnfs %s ended with %s, want %s\n%s", strings.Join(args[1:], " "), got, args[0], ts.ReadFile("stderr"))
	}
}

// parse reads the example with the decisions made, for one storage manager.
func parse(t *testing.T, manager string) *config.Config {
	t.Helper()
	text := strings.NewReplacer(`mode = ""`, "mode = \"none\"\naccept_split_brain = true", `manager = "linstor"`, `manager = "`+manager+`"`).
		Replace(config.Example())
	c, err := config.Parse("drbdnfs.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Ensure that the stages come in the order of the documentation, and that one of
// the two storage managers is asked.
func TestStages(t *testing.T) {
	for _, tt := range []struct {
		manager string
		want    []string
	}{
		{"linstor", []string{"host", "linstor", "filesystem", "cluster", "cib", "sync"}},
		{"drbdadm", []string{"host", "drbdadm", "filesystem", "cluster", "cib", "sync"}},
		{"none", []string{"host", "filesystem", "cluster", "cib", "sync"}},
	} {
		t.Run(tt.manager, func(t *testing.T) {
			stages := newStages(host.New(nil), parse(t, tt.manager), "drbdtest1", false, nil)
			if diff := cmp.Diff(tt.want, names(stages)); diff != "" {
				t.Errorf("stages (-want +got):\n%s", diff)
			}
			picked, err := pick(stages, []string{"cib", "host"})
			if got := names(picked); err != nil || !slices.Equal(got, []string{"host", "cib"}) {
				t.Errorf("picked %v, %v; want host and cib in their order", got, err)
			}
			if _, err := pick(stages, []string{"cibs"}); err == nil || !strings.Contains(err.Error(), "--stage cibs: this configuration has host, "+tt.want[1]) {
				t.Errorf("an unknown stage: error %v", err)
			}
			before, sync := split(stages)
			if len(before) != len(tt.want)-1 || !slices.Equal(names(sync), []string{setup.Sync}) {
				t.Errorf("split into %v and %v", names(before), names(sync))
			}
		})
	}
}

func names(stages []setup.Stage) []string {
	var out []string
	for _, s := range stages {
		out = append(out, s.Name())
	}
	return out
}
