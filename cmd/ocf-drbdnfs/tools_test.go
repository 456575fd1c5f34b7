package main

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// captures are what drbdsetup prints, by the version of the kernel module and
// the state of the resource.
//
//go:embed testdata/drbd-9 testdata/drbd-8.4
var captures embed.FS

// tool is the main of every scripted program: it logs its arguments, and does
// what the script says in a file called answer/ARGUMENTS (the exit code in the
// first line, then standard error), or else what a machine where all is well
// does. It returns the exit code.
func tool(name string) int {
	t := scripted{dir: os.Getenv(envState), argv: append([]string{name}, os.Args[1:]...)}
	return t.run()
}

type scripted struct {
	dir  string
	argv []string
}

func (t scripted) run() int {
	line := quote(t.argv)
	if v := os.Getenv("OCF_RESOURCE_INSTANCE"); v != "" {
		line = "OCF_RESOURCE_INSTANCE=" + v + " " + line
	}
	machine{dir: t.dir}.appendLine("argv", line)
	if code, ok := t.answer(); ok {
		return code
	}
	switch t.argv[0] + " " + t.argv[1] {
	case "drbdsetup events2":
		t.print(t.state())
	case "drbdsetup primary":
		t.become("Primary")
	case "drbdsetup secondary", "drbdadm up", "drbdadm adjust":
		t.become("Secondary")
	case "drbdsetup down", "drbdadm down":
		t.become("down")
	case "drbdadm sh-dev":
		fmt.Println("/dev/drbd1000")
	}
	return 0
}

// answer prints what the script says for exactly these arguments, with spaces
// written as underscores.
func (t scripted) answer() (code int, ok bool) {
	name := strings.NewReplacer(" ", "_", "/", "_").Replace(strings.Join(t.argv, " "))
	data, err := os.ReadFile(filepath.Join(t.dir, "answer", name))
	if err != nil {
		return 0, false
	}
	first, rest, _ := strings.Cut(string(data), "\n")
	if first == "hang" {
		select {}
	}
	if capture, ok := strings.CutPrefix(first, "print "); ok {
		t.print(capture)
		return 0, true
	}
	fmt.Fprint(os.Stderr, rest)
	code, err = strconv.Atoi(first)
	if err != nil {
		panic(name + ": the first line is no exit code")
	}
	return code, true
}

func (t scripted) state() string {
	data, err := os.ReadFile(filepath.Join(t.dir, "state"))
	if err != nil {
		panic(err)
	}
	return string(data)
}

func (t scripted) become(state string) {
	if err := os.WriteFile(filepath.Join(t.dir, "state"), []byte(state), 0o600); err != nil {
		panic(err)
	}
}

// print prints the capture of a state. A resource that is not there is an empty
// dump.
func (t scripted) print(state string) {
	data, err := captures.ReadFile("testdata/drbd-" + os.Getenv(envDRBD) + "/" + state + ".events2")
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(data)
}

// quote joins arguments so that each can be told from the next.
func quote(argv []string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n\"'") {
			out[i] = strconv.Quote(a)
		}
	}
	return strings.Join(out, " ")
}
