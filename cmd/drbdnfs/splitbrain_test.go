package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/notice"
)

// Ensure that a lift reaches whoever listens.
func TestLift(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "daemon.sock")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan notice.Notice, 1)
	go func() {
		_ = notice.Listen(ctx, socket, func(n notice.Notice, _ error) { got <- n })
	}()
	var out strings.Builder
	c := console{in: strings.NewReader(""), out: &out, err: &out}
	app := &cli.App{Action: func(cc *cli.Context) error { return liftHold(c, cc, socket) }, Writer: &out}
	for {
		err := app.RunContext(ctx, []string{"lift", "res0"})
		if err == nil {
			break
		}
		if ctx.Err() != nil || !strings.Contains(err.Error(), "systemctl start drbdnfsd") {
			t.Fatal(err) // nobody listens yet is the only excuse
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := <-got; n.Lift == nil || n.Lift.Resource != "res0" || n.Node == "" {
		t.Errorf("%+v", n)
	}
	if !strings.Contains(out.String(), "journalctl -t drbdnfsd RESOURCE=res0") {
		t.Errorf("said %q", out.String())
	}
}
