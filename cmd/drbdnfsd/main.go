// Command drbdnfsd is the health daemon of a storage node: it follows DRBD,
// finds split brains, resolves those that the configuration wants resolved, and
// offers metrics. It runs until SIGTERM or SIGINT, and reads its configuration
// again on SIGHUP and when the file changes.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"
	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/daemon"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/journal"
	"github.com/spacei/drbdnfs/pkg/version"
)

// gcPercent keeps the daemon small beside the storage that it watches: it
// allocates in bursts, and processor time for them is there. GOGC wins over it.
const gcPercent = 30

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
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
		Usage:           "follow DRBD on this node, resolve split brains as configured, offer metrics",
		Version:         version.String(),
		Writer:          stdout,
		UsageText:       "drbdnfsd [--file FILE]",
		HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "configuration `FILE`; it need not exist", Value: config.DefaultFile},
		},
		Commands: []*cli.Command{manCommand()},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return cli.Exit("drbdnfsd takes no arguments", 2)
			}
			return run(c.Context, c.String("file"), h, log)
		},
	}
}

func run(ctx context.Context, file string, h *host.Host, log *slog.Logger) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	reload := make(chan struct{})
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			select {
			case reload <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	d, err := daemon.New(daemon.Options{
		Host: h, Log: log, ConfigFile: file, Reload: reload, Notify: notifier(log), Watchdog: watchdog(),
		Version: version.Number(), Revision: version.Commit(),
	})
	if err != nil {
		return err
	}
	log.Info("drbdnfsd begins", "version", version.String())
	err = d.Run(ctx)
	log.Info("drbdnfsd ends")
	return err
}

// notifier tells systemd, where it started this process.
func notifier(log *slog.Logger) func(string) {
	return func(state string) {
		if _, err := sddaemon.SdNotify(false, state); err != nil {
			log.Debug("systemd is not told", "err", err)
		}
	}
}

// watchdog is how often systemd wants to hear of the loop: half of what it asks
// for, 0 for never.
func watchdog() time.Duration {
	every, err := sddaemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return every / 2
}
