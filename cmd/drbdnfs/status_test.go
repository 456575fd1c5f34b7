package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/status"
)

// pictures are looks in memory: the levels in their order, the last one again
// and again.
type pictures struct {
	levels []status.Level
	looks  int
	looked func(n int)
}

func (p *pictures) Look(context.Context) status.Picture {
	level := p.levels[min(p.looks, len(p.levels)-1)]
	p.looks++
	if p.looked != nil {
		p.looked(p.looks)
	}
	return status.Picture{Version: status.PictureVersion, Level: level, Headline: "look"}
}

// runStatus runs the command on l and returns what it prints, and its exit
// status.
func runStatus(ctx context.Context, l looker, args ...string) (string, int) {
	var out, errs bytes.Buffer
	c := console{out: &out, err: &errs}
	cmd := statusCommand(c)
	cmd.Action = func(cc *cli.Context) error { return showStatus(cc.Context, c, cc, l) }
	app := newApp(c)
	app.Commands = []*cli.Command{cmd}
	err := app.RunContext(ctx, append([]string{"drbdnfs", "status"}, args...))
	code := 0
	var exit cli.ExitCoder
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	return out.String(), code
}

// Ensure that the exit status is that of the level, with text and with JSON.
func TestStatusExit(t *testing.T) {
	for level, want := range map[status.Level]int{status.Healthy: 0, status.Degraded: 1, status.Down: 2} {
		out, code := runStatus(t.Context(), &pictures{levels: []status.Level{level}})
		if code != want || !strings.Contains(out, strings.ToUpper(string(level))+"  look") || strings.Contains(out, "\x1b") {
			t.Errorf("%s: exit status %d, want %d\n%s", level, code, want, out)
		}
		out, code = runStatus(t.Context(), &pictures{levels: []status.Level{level}}, "--json")
		var p status.Picture
		if err := json.Unmarshal([]byte(out), &p); err != nil || p.Level != level || code != want {
			t.Errorf("%s: exit status %d, %v\n%s", level, code, err, out)
		}
	}
}

// Ensure that --watch looks again until it is interrupted, without another line
// for the look that was cut off, and ends with the last level.
func TestStatusWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := &pictures{levels: []status.Level{status.Healthy, status.Down, status.Degraded}}
		l.looked = func(n int) {
			if n == 3 {
				time.AfterFunc(time.Second, cancel)
			}
		}
		begin := time.Now()
		out, code := runStatus(ctx, l, "--watch", "--json", "--interval", "5s")
		if took := time.Since(begin); took != 11*time.Second {
			t.Errorf("it took %v", took)
		}
		if lines := strings.Count(out, "\n"); lines != 3 || code != 1 {
			t.Errorf("%d lines, exit status %d\n%s", lines, code, out)
		}
	})
}
