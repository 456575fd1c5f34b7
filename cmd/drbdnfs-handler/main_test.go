package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/spacei/drbdnfs/pkg/notice"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"drbdnfs-handler": func() {
		os.Exit(run(os.Args[1:], os.Getenv("EVENTS"), os.Getenv("SOCKET")))
	}})
}

// Ensure that the program does what the scripts say with the arguments and the
// environment that DRBD gives it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("EVENTS", filepath.Join(env.WorkDir, "var", "events"))
			env.Setenv("SOCKET", filepath.Join(env.WorkDir, "run", "d.sock"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"listen": listen, "event": event, "quick": quick},
	})
}

// listen FILE is the daemon for the rest of the script: each notice is a line
// of FILE.
func listen(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.Getenv("SOCKET")
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- notice.Listen(ctx, path, func(n notice.Notice, err error) {
			if err == nil {
				err = json.NewEncoder(f).Encode(n)
			}
			if err != nil {
				f.WriteString(err.Error() + "\n")
			}
		})
	}()
	ts.Defer(func() {
		cancel()
		ts.Check(<-done)
		f.Close()
	})
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// event DIR FILE copies the only record of DIR to FILE.
func event(ts *testscript.TestScript, _ bool, args []string) {
	records, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	if len(records) != 1 {
		ts.Fatalf("records: %q", records)
	}
	data, err := os.ReadFile(records[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o600))
}

// quick runs the handler until one call has taken less than 50 ms, the start of
// the program included. On a machine that does much else the first ones may not.
func quick(ts *testscript.TestScript, _ bool, args []string) {
	best := time.Hour
	for range 40 {
		begin := time.Now()
		ts.Check(ts.Exec("drbdnfs-handler", args...))
		if best = min(best, time.Since(begin)); best < 50*time.Millisecond {
			return
		}
	}
	ts.Fatalf("the best of forty calls took %v", best)
}
