// Command drbdnfs is the administrator's tool: it makes two servers and a
// configuration file into a running group, and says what it would do before.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, console{in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.Args))
}

// run runs one command and returns the exit status: 0 done, 1 an error, which is
// printed, 2 wrong usage, or as the command's help says.
func run(ctx context.Context, c console, args []string) int {
	err := newApp(c).RunContext(ctx, args)
	if err == nil {
		return 0
	}
	if s := err.Error(); s != "" {
		fmt.Fprintln(c.err, "drbdnfs:", s)
	}
	var exit cli.ExitCoder
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 1
}
