// Command lab runs the project's lab; scripts/lab builds and executes it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spacei/drbdnfs/test/lab/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}
