package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// fenceSocket is the other end of a storage node's second serial port, on which
// its fence agent asks for power actions.
func (r *Rig) fenceSocket(name string) string { return filepath.Join(r.vmDir(name), "fence") }

// Fencer is the power switch of the storage nodes. A guest writes
// "ID ACTION TARGET" to /dev/ttyS1 and reads "ID ok" or "ID" and what is wrong.
type Fencer struct {
	rig *Rig

	mu   sync.Mutex
	done []string
}

// NewFencer returns a power switch that nobody answers for before Run.
func (r *Rig) NewFencer() *Fencer { return &Fencer{rig: r} }

// Actions lists what was done, as "reboot drbdtest1".
func (f *Fencer) Actions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.done)
}

// Run answers the storage nodes until ctx ends, and returns when it answers no
// longer. A node that is off is tried again.
func (f *Fencer) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, node := range Nodes() {
		g.Go(func() error {
			for ctx.Err() == nil {
				_ = f.serve(ctx, node) // the machine has ended, or not begun
				select {
				case <-ctx.Done():
				case <-time.After(200 * time.Millisecond):
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// serve answers one node until its machine ends.
func (f *Fencer) serve(ctx context.Context, node string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", f.rig.fenceSocket(node))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		id, request, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		answer := "ok"
		if err := f.act(ctx, request); err != nil {
			answer = err.Error()
		}
		if _, err := fmt.Fprintln(conn, id, answer); err != nil {
			return err
		}
	}
	return errors.New("the machine has ended")
}

// act does one request: off, on, reboot or status of a storage node.
func (f *Fencer) act(ctx context.Context, request string) error {
	action, target, _ := strings.Cut(request, " ")
	if action == "monitor" {
		return nil
	}
	if !slices.Contains(Nodes(), target) {
		return fmt.Errorf("there is no node %q", target)
	}
	var err error
	switch action {
	case "off":
		err = f.rig.Kill(target)
	case "on":
		if !f.rig.Running(target) {
			err = f.rig.Start(ctx, target)
		}
	case "reboot":
		err = f.rig.Start(ctx, target) // which ends it first
	case "status":
		if !f.rig.Running(target) {
			err = errors.New("off")
		}
		return err
	default:
		return fmt.Errorf("there is no action %q", action)
	}
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.done = append(f.done, action+" "+target)
	}
	return err
}
