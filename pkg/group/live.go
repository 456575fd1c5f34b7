package group

import (
	"context"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/peers"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// Reload applies exports, the number of threads and service addresses to the
// running group: new and changed exports first, then those of before that are
// no longer wanted are withdrawn, so that a directory is never without its
// entry. Addresses of before that are no longer wanted, or are wanted on another
// interface, go first, because an address is in one place only.
func (g *Group) Reload(ctx context.Context, before Config) error {
	if err := nfs.ApplyExports(ctx, g.sys, g.cfg.Exports, before.Exports); err != nil {
		return err
	}
	n, err := g.server.Threads()
	if err != nil {
		return err
	}
	if n > 0 && g.threadsOurs() {
		if n != g.cfg.Server.Threads {
			if err := g.server.SetThreads(g.cfg.Server.Threads); err != nil {
				return err
			}
		}
		if err := g.reloadAddresses(ctx, before.VIPs); err != nil {
			return err
		}
	}
	return g.SaveParams()
}

// reloadAddresses removes what is no longer wanted of before, with the
// connections to it, and adds what is missing.
func (g *Group) reloadAddresses(ctx context.Context, before []vip.VIP) error {
	gone := slices.DeleteFunc(slices.Clone(before), func(v vip.VIP) bool { return slices.Contains(g.cfg.VIPs, v) })
	if len(gone) > 0 {
		old, err := vip.New(vip.Options{Host: g.sys, Log: g.log, VIPs: gone})
		if err != nil {
			return err
		}
		if err := old.Stop(ctx); err != nil {
			return err
		}
		cut, err := peers.New(peers.Options{Host: g.sys, Addrs: vip.Addrs(gone), Ports: blockedPorts(g.cfg.Server).TCP()})
		if err != nil {
			return err
		}
		if err := g.endConnections(ctx, cut); err != nil {
			return err
		}
	}
	return g.addAddresses(ctx)
}

// addAddresses adds the addresses that are missing, but none to a group that
// could not serve it: the next monitor finds both, and the recovery adds it.
func (g *Group) addAddresses(ctx context.Context) error {
	states, err := g.vips.Status(ctx)
	if err != nil || !slices.ContainsFunc(states, func(s vip.State) bool { return !s.InPlace }) {
		return err
	}
	f, err := g.Inspect(ctx)
	if err != nil {
		return err
	}
	f.Addresses = nil
	if broken := f.Broken(); len(broken) > 0 {
		g.log.Warn("addresses are not added to a group that does not serve", "broken", broken)
		return nil
	}
	return g.vips.Start(ctx)
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
