// Command drbdnfsd is the health daemon of a storage node: it follows DRBD and
// logs what changed, to the journal or where there is none to standard error,
// until SIGTERM or SIGINT.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/daemon"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/journal"
	"github.com/spacei/drbdnfs/pkg/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log := journal.New(journal.Options{Identifier: "drbdnfsd"})
	if err := newApp(os.Stdout, host.New(log), log).RunContext(ctx, os.Args); err != nil {
		log.Error("drbdnfsd ends", "err", err)
		os.Exit(1)
	}
}

// newApp is the command on the machine h, printing to stdout and logging to log.
func newApp(stdout io.Writer, h *host.Host, log *slog.Logger) *cli.App {
	return &cli.App{
		Name:            "drbdnfsd",
		Usage:           "follow DRBD on this node and log what changes",
		Version:         version.String(),
		Writer:          stdout,
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return cli.Exit("drbdnfsd takes no arguments", 2)
			}
			d, err := daemon.New(daemon.Options{Host: h, Log: log})
			if err != nil {
				return err
			}
			log.Info("drbdnfsd begins", "version", version.String())
			err = d.Run(c.Context)
			log.Info("drbdnfsd ends")
			return err
		},
	}
}
