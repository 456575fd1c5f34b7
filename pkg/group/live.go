package group

import (
	"context"
	"fmt"
	"net/netip"
	"path"
	"time"

	"github.com/spacei/drbdnfs/pkg/nfs"
)

// Reload applies exports and the number of threads to the running group: new
// and changed exports first, then those of before that are no longer wanted
// are withdrawn, so that a directory is never without its entry.
func (g *Group) Reload(ctx context.Context, before []nfs.Export) error {
	if err := nfs.ApplyExports(ctx, g.sys, g.cfg.Exports, before); err != nil {
		return err
	}
	n, err := g.server.Threads()
	if err != nil {
		return err
	}
	if n > 0 && n != g.cfg.Server.Threads && g.threadsOurs() {
		if err := g.server.SetThreads(g.cfg.Server.Threads); err != nil {
			return err
		}
	}
	return g.SaveParams()
}

// SaveParams writes the parameters to the record.
func (g *Group) SaveParams() error { return g.note("", "") }

// Answers asks the server at addr, in every version that is offered, and
// mountd.
func (g *Group) Answers(ctx context.Context, addr netip.Addr) error {
	return g.server.Answers(ctx, addr)
}

// TestWrite writes a small file to the volume and waits until it is on both
// nodes' disks, as a client's write with fsync does. The wait cannot be
// interrupted while DRBD holds back I/O, so that is looked at before; ctx ends
// the wait, not the write.
func (g *Group) TestWrite(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		stamp := []byte(time.Now().UTC().Format(time.RFC3339Nano) + "\n")
		done <- g.sys.WriteFileAtomic("volume.write", path.Join(g.cfg.StateDir, "drbdnfs-write-test"), stamp, 0o600)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CheckState refuses a /var/lib/nfs that start would refuse, without changing
// it.
func (g *Group) CheckState() error {
	place, err := g.state.Place()
	if err != nil {
		return err
	}
	if place == nfs.PlaceForeign {
		target, _ := g.sys.Readlink(nfs.Dir)
		return fmt.Errorf("%s leads to %q: %w; put the directory of nfs-utils back there", nfs.Dir, target, nfs.ErrForeignState)
	}
	return nil
}
