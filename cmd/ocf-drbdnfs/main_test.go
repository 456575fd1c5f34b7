package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

var update = flag.Bool("update", false, "rewrite what the scripts in testdata expect")

func TestMain(m *testing.M) {
	commands := map[string]func(){"ocf-drbdnfs": func() { os.Exit(agentMain()) }}
	for _, name := range programs {
		commands[name] = func() { os.Exit(tool(name)) }
	}
	testscript.Main(m, commands)
}

// parameters are those of the resource in all scripts, which may change them.
var parameters = []string{
	"OCF_ROOT=/usr/lib/ocf",
	"OCF_RESOURCE_INSTANCE=nfs",
	"OCF_RESKEY_drbd_resource=res0",
	"OCF_RESKEY_directory=/home/nfs",
	"OCF_RESKEY_exports=/home/nfs/user-data 192.168.2.0/24(rw,sync,no_root_squash) 192.168.3.7(rw,sync,no_root_squash);/home/nfs/more-data *(ro)",
	"OCF_RESKEY_vips=192.168.2.63/24@ens3",
	"OCF_RESKEY_nfs_versions=3 4.1 4.2",
	"OCF_RESKEY_CRM_meta_timeout=30000",
	"OCF_RESKEY_CRM_meta_on_node=node1",
	"OCF_RESKEY_CRM_meta_clone_max=2",
	"OCF_RESKEY_CRM_meta_clone_node_max=1",
	"OCF_RESKEY_CRM_meta_promoted_max=1",
	"OCF_RESKEY_CRM_meta_promoted_node_max=1",
	"OCF_RESKEY_CRM_meta_globally_unique=false",
}

// Ensure that the agent executes exactly what the scripts say, in this order,
// and ends with the codes and reasons that they say; and that there is nothing
// that the agent can execute and no script has seen.
func TestScripts(t *testing.T) {
	ran := t.TempDir()
	t.Run("script", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir:                 filepath.Join("testdata", "script"),
			UpdateScripts:       *update,
			RequireExplicitExec: true,
			RequireUniqueNames:  true,
			Setup: func(env *testscript.Env) error {
				env.Vars = append(append(env.Vars, noRaceSleep), parameters...)
				for _, kv := range parameters {
					env.Vars = append(env.Vars, "BEFORE_"+kv)
				}
				env.Setenv(envDRBD, "9")
				ops := filepath.Join(env.WorkDir, "ops")
				to := filepath.Join(ran, filepath.Base(env.WorkDir))
				env.Defer(func() { _ = os.Rename(ops, to) })
				hosttest.SettleExecutables()
				return nil
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code},
		})
	})
	if !t.Failed() && !*update {
		checkCovered(t, ran)
	}
}

// code runs "code N ACTION": ocf-drbdnfs has to end with exit code N, or by the
// signal N. What it executed is in the file argv afterwards, one command a line.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N ACTION [ARG...]")
	}
	ts.Check(os.WriteFile(ts.MkAbs("argv"), nil, 0o600))
	got := "0"
	if err := ts.Exec("ocf-drbdnfs", args[1:]...); err != nil {
		got = strings.TrimPrefix(strings.TrimPrefix(err.Error(), "exit status "), "signal: ")
	}
	if got != args[0] {
		ts.Fatalf("%s ended with %s, want %s\n%s%s", strings.Join(args[1:], " "), got, args[0], ts.ReadFile("stderr"), ts.ReadFile("argv"))
	}
}

// notTheAgents are the operations in packages of the agent that it never uses,
// and who does.
var notTheAgents = map[string]string{
	"drbd.device":         "programs that need the device of a resource that is down",
	"drbd.backing-device": "setup",
	"drbd.check-file":     "setup",
	"drbd.create-md":      "setup",
	"drbd.dump-md":        "setup",
	"drbd.get-gi":         "setup",
	"drbd.primary-force":  "setup",

	"splitbrain.connect":         "the daemon",
	"splitbrain.connect-discard": "the daemon",
	"splitbrain.disconnect":      "the daemon",
	"splitbrain.get-gi":          "the daemon",
}

// checkCovered compares the operations in the source with those that ran.
func checkCovered(t *testing.T, ran string) {
	t.Helper()
	seen := map[string]bool{}
	logs, err := filepath.Glob(filepath.Join(ran, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range logs {
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for op := range strings.FieldsSeq(string(data)) {
			seen[op] = true
		}
	}
	for _, op := range operations(t) {
		if _, other := notTheAgents[op]; seen[op] == other {
			t.Errorf("%s: executed by a script: %v, used by others alone: %v", op, seen[op], other)
		}
	}
}
