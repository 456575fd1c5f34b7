package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/status"
)

const (
	flagWatch  = "watch"
	flagRedraw = "interval"
)

const statusDescription = `Shows the whole cluster as this node sees it: who serves, since when and why there, the addresses, DRBD and its resync,
quorum, fencing, split brain, the latest failovers, and each thing that is wrong with its cause and what to type. It
answers within two seconds, whatever hangs, and says what it could not see. Only root sees all.

Exit status: 0 healthy, 1 degraded, 2 down: no node serves clients. Wrong usage is 2 as well, without a screen. With
--watch it is that of the last look.

--json prints the picture as one JSON object, with --watch one a line; docs/status.md has its keys, which stay.`

// shortestWatch is how often a look may be begun: each runs some programs.
const shortestWatch = time.Second

// looker is what "status" needs of [*status.Looker].
type looker interface {
	Look(ctx context.Context) status.Picture
}

var _ looker = (*status.Looker)(nil)

// statusCommand is "drbdnfs status".
func statusCommand(c console) *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show the cluster on one screen: what is wrong, and what to type", Description: statusDescription,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: flagJSON, Usage: "print the picture as JSON"},
			&cli.BoolFlag{Name: flagWatch, Aliases: []string{"w"}, Usage: "look again and again, until interrupted"},
			&cli.DurationFlag{Name: flagRedraw, Value: 2 * time.Second, Usage: "with --watch, look every `TIME`"},
		},
		Action: func(cc *cli.Context) error {
			if err := noArguments(cc); err != nil {
				return err
			}
			if every := cc.Duration(flagRedraw); every < shortestWatch {
				return usageError("--interval %v: at least %v", every, shortestWatch)
			}
			// Its log would break the screen: what a program said is in the picture.
			var h *host.Host
			if h = host.New(nil); debugging(cc) {
				h, _ = newHost(c, cc)
			}
			l, err := status.New(status.Options{Host: h, ConfigFile: configFile(cc)})
			if err != nil {
				return err
			}
			return showStatus(cc.Context, c, cc, l)
		},
	}
}

// showStatus looks once, or until ctx ends, and ends with the exit status of the
// last level.
func showStatus(ctx context.Context, c console, cc *cli.Context, l looker) error {
	watch := cc.Bool(flagWatch)
	for {
		p := l.Look(ctx)
		if watch && ctx.Err() != nil {
			return nil // cut off in the middle: it is no picture
		}
		if err := printStatus(c, cc, p); err != nil {
			return err
		}
		if watch && pause(ctx, cc.Duration(flagRedraw)) {
			continue
		}
		if code := p.Level.ExitCode(); code != 0 {
			return cli.Exit("", code)
		}
		return nil
	}
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// clearScreen goes home and clears a terminal.
const clearScreen = "\x1b[H\x1b[2J"

func printStatus(c console, cc *cli.Context, p status.Picture) error {
	if cc.Bool(flagJSON) {
		enc := json.NewEncoder(c.out)
		if !cc.Bool(flagWatch) {
			enc.SetIndent("", "  ")
		}
		return enc.Encode(p)
	}
	screen := status.Render(p, status.Screen{Color: terminal(c.out) && os.Getenv("NO_COLOR") == "", Width: width(c.out)})
	switch {
	case cc.Bool(flagWatch) && terminal(c.out):
		screen = clearScreen + screen
	case cc.Bool(flagWatch):
		screen = p.Time.Format(time.DateTime) + "\n" + screen + "\n"
	}
	_, err := fmt.Fprint(c.out, screen)
	return err
}

// width is that of the terminal; what is none is as wide as a screen gets.
func width(out any) int {
	const none = 120
	f, ok := out.(*os.File)
	if !ok {
		return none
	}
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return none
	}
	return w
}
