// Command ocf-drbdnfs is the OCF resource agent ocf:spacei:drbdnfs. Pacemaker
// runs it with the action as its argument; see package ocf/agent.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/journal"
	"github.com/spacei/drbdnfs/pkg/notice"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	os.Exit(int(run(ctx, os.Args[1:])))
}

func run(ctx context.Context, args []string) ocf.Code {
	_ = os.Chdir("/") // the directory of the caller must not be kept busy
	level := new(slog.LevelVar)
	env := ocf.ParseEnv(os.Environ())
	log := journal.New(journal.Options{
		Identifier: "drbdnfs", Level: level,
		Attrs: []slog.Attr{slog.String("group", env.Instance)},
	})
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	a := agent.New(agent.Options{
		System: host.New(log), Log: log, Level: level, Environ: os.Environ(),
		Stdout: os.Stdout, Stderr: os.Stderr, Program: program,
		Notify: func(n notice.Notice) error { return notice.Send(notice.Path, n) },
	})
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: ocf-drbdnfs ACTION")
		return ocf.ErrUnimplemented
	}
	// What the agent starts in the background names its instance; Pacemaker
	// passes the action alone, and surplus arguments are to be ignored.
	if len(args) > 1 && agent.IsBackground(args[0]) {
		if err := a.Background(ctx, args[0], args[1]); err != nil {
			log.Error("background task", "action", args[0], "err", err)
			return ocf.ErrGeneric
		}
		return ocf.Success
	}
	return a.Run(ctx, args[0])
}
