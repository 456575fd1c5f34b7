package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// What a script tells the agent's process about its machine.
const (
	envNode    = "NODE"    // fresh, unpromoted, promoted, bare; empty: this machine
	envDRBD    = "DRBD"    // 9 or 8.4
	envMissing = "MISSING" // programs that are not installed
	envTools   = "STATE"   // the resource as DRBD's tools see it, where that is another state
	envBroken  = "BROKEN"  // operations that fail, other than programs
	envDead    = "DEAD"    // programs that have been killed
	envFiles   = "FILES"   // directory with files to put on the machine, in place of its own
	envState   = "WORK"    // where the tools keep state and log
)

// noRaceSleep spares each process of a test under the race detector the second
// for which it waits at its end.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

// programs are the tools that really are executed; everything else on the
// machine is package hosttest's.
var programs = []string{"drbdsetup", "drbdadm", "exportfs", "modprobe", "crm_attribute"}

// machine is a machine in memory that executes real programs. A program that
// succeeds has its effect on the machine.
type machine struct {
	*hosttest.Host
	real    *host.Host
	missing []string
	dir     string
}

// LookPath finds what is executed on the script's PATH.
func (m machine) LookPath(name string) (string, error) {
	switch {
	case slices.Contains(m.missing, name):
		return "", fmt.Errorf("%s: %w", name, host.ErrNotInstalled)
	case slices.Contains(programs, name):
		return m.real.LookPath(name)
	}
	return m.Host.LookPath(name)
}

// Run executes c, and then does on the machine what c did.
func (m machine) Run(ctx context.Context, c host.Cmd) (host.Result, error) {
	if slices.Contains(m.missing, c.Name) {
		return host.Result{}, fmt.Errorf("%s: %w", c.Name, host.ErrNotInstalled)
	}
	m.appendLine("ops", c.Op)
	told := c
	told.Env = append(slices.Clone(c.Env), envState+"="+m.dir, envDRBD+"="+os.Getenv(envDRBD), noRaceSleep)
	res, err := m.real.Run(ctx, told)
	if err != nil {
		return res, err
	}
	if _, err := m.Host.Run(ctx, c); err != nil {
		m.appendLine("argv", "the machine does not follow: "+err.Error())
	}
	return res, nil
}

// appendLine logs to a file of the script.
func (m machine) appendLine(file, line string) {
	f, err := os.OpenFile(filepath.Join(m.dir, file), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.WriteString(line + "\n")
	}
	if err != nil {
		panic(err)
	}
	f.Close()
}

// outside stands in for the test that hosttest reports to: in a process of a
// script there is none.
type outside struct{ testing.TB }

func (outside) Helper()        {}
func (outside) Cleanup(func()) {}

// Fatalf ends the process.
func (outside) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// agentMain is the command ocf-drbdnfs of the scripts: the real one, or the
// real agent on a machine in the state that the script asks for. It returns the
// exit code.
func agentMain() int {
	if os.Getenv(envNode) == "" {
		return int(run(context.Background(), os.Args[1:]))
	}
	m := machine{
		Host:    hosttest.New(outside{}),
		real:    host.New(nil).WithPath(os.Getenv("PATH")),
		missing: strings.Fields(os.Getenv(envMissing)),
		dir:     os.Getenv(envState),
	}
	m.DRBD.Kernel84 = os.Getenv(envDRBD) == "8.4"
	m.prepare(os.Getenv(envNode))
	for op := range strings.FieldsSeq(os.Getenv(envBroken)) {
		m.Fail(op, errors.New("broken by the script"))
	}
	for program := range strings.FieldsSeq(os.Getenv(envDead)) {
		m.Kill9(program)
	}
	m.addFiles(os.Getenv(envFiles))
	started := len(m.Started)
	code := m.action(os.Args[1:])
	for _, argv := range m.Started[started:] {
		m.appendLine("argv", "unit: "+strings.ReplaceAll(quote(argv), m.program(), "ocf-drbdnfs"))
	}
	for _, v := range m.Violations() {
		m.appendLine("argv", "violation: "+v)
	}
	return int(code)
}

// addFiles puts what is below dir on the machine.
func (m machine) addFiles(dir string) {
	if dir == "" {
		return
	}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		m.SetFile(strings.TrimPrefix(p, dir), string(data))
		return err
	})
	if err != nil {
		panic(err)
	}
}

// KillSelf ends the process as Pacemaker does on a timeout.
func (m machine) KillSelf() { m.real.KillSelf() }

// program is what the agent calls itself.
func (m machine) program() string { return "/usr/lib/ocf/resource.d/spacei/drbdnfs" }

func (m machine) action(args []string) ocf.Code {
	log, err := os.OpenFile(filepath.Join(m.dir, "log"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	defer log.Close()
	level := new(slog.LevelVar)
	a := agent.New(agent.Options{
		System: m, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})), Level: level,
		Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Program: m.program(),
	})
	return dispatch(a, args)
}

// dispatch is what run does with its arguments.
func dispatch(a *agent.Agent, args []string) ocf.Code {
	if len(args) > 1 && agent.IsBackground(args[0]) {
		if err := a.Background(context.Background(), args[0], args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return ocf.ErrGeneric
		}
		return ocf.Success
	}
	return a.Run(context.Background(), args[0])
}

// prepare brings the machine into a state, with its own programs, so that
// nothing of it is in the log, and tells the tools.
func (m machine) prepare(node string) {
	state := "down"
	switch node {
	case "bare":
		m.Bare()
	case "fresh":
	case "unpromoted":
		m.bring("start")
		state = "Secondary"
	case "promoted":
		m.bring("start", "promote")
		state = "Primary"
	default:
		panic("unknown " + envNode + " " + node)
	}
	if s := os.Getenv(envTools); s != "" {
		state = s
	}
	if err := os.WriteFile(filepath.Join(m.dir, "state"), []byte(state), 0o600); err != nil {
		panic(err)
	}
}

func (m machine) bring(actions ...string) {
	var environ []string
	for _, kv := range os.Environ() {
		if old, ok := strings.CutPrefix(kv, "BEFORE_"); ok { // parameters of the last start
			environ = append(environ, old)
		}
	}
	for _, name := range actions {
		a := agent.New(agent.Options{
			System: m.Host, Environ: environ, Stdout: os.Stderr, Stderr: os.Stderr, Program: m.program(),
		})
		if code := a.Run(context.Background(), name); code != ocf.Success {
			panic(fmt.Sprintf("prepare: %s: %v", name, code))
		}
	}
}
