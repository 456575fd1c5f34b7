package group

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
)

// Start makes the node ready to be promoted, and nothing more: the kernel's NFS
// server is loaded but not started, /var/lib/nfs leads to the node's own copy,
// DRBD is up and Secondary. What an earlier action has left is taken down
// first. It is idempotent.
func (g *Group) Start(ctx context.Context) error {
	if err := g.note("start", "prepare"); err != nil {
		return err
	}
	facts, err := g.Inspect(ctx)
	if err != nil {
		return err
	}
	if g.unfinished || len(facts.Pieces()) > 0 {
		if err := g.Down(ctx); err != nil {
			return err
		}
	}
	if err := g.prepareNFS(ctx); err != nil {
		return err
	}
	if err := g.note("start", "drbd"); err != nil {
		return err
	}
	if err := g.bringUp(ctx); err != nil {
		return err
	}
	return g.note("", "")
}

// Prepare does the part of Start that a promotion needs, for a promotion on a
// node where no start has run since it booted: DRBD was up already, and the
// cluster took the group for started. It is idempotent, and writes no record:
// until it has succeeded there was no start.
func (g *Group) Prepare(ctx context.Context) error { return g.prepareNFS(ctx) }

// prepareNFS loads what a promotion would otherwise have to load while clients
// wait.
func (g *Group) prepareNFS(ctx context.Context) error {
	if err := g.server.Prepare(ctx); err != nil {
		return err
	}
	if err := g.loadFilesystem(ctx); err != nil {
		return err
	}
	if g.cfg.Server.Versions.V3 {
		if err := g.ensureRPCBind(ctx); err != nil {
			return err
		}
	}
	if err := g.daemons.StartIDMapd(ctx); err != nil {
		return err
	}
	return g.state.ToLocal()
}

// loadFilesystem loads the module of the file system. One that is built into the
// kernel is in the list without having a module.
func (g *Group) loadFilesystem(ctx context.Context) error {
	known, err := g.sys.ReadFile("/proc/filesystems")
	if err != nil {
		return fmt.Errorf("list file systems: %w", err)
	}
	for f := range strings.FieldsSeq(string(known)) {
		if f == g.cfg.FSType {
			return nil
		}
	}
	_, err = g.sys.Run(ctx, host.Cmd{Op: "mount.modprobe", Name: "modprobe", Args: []string{g.cfg.FSType}})
	return err
}

const (
	// settlePoll is how often DRBD is asked whether its disk state is known.
	settlePoll = 200 * time.Millisecond
	// settlePatience is how long start waits for the peer. Without it the node
	// is up all the same; its promotion score says what its data is worth.
	settlePatience = 5 * time.Second
	// linstorPatience is how long a LINSTOR satellite that is just starting may
	// take to bring up what it manages.
	linstorPatience = 10 * time.Second
)

// bringUp brings the DRBD resource up unless it is, and waits a while for the
// peer.
func (g *Group) bringUp(ctx context.Context) error {
	r, err := g.Status(ctx)
	if err != nil {
		return err
	}
	if r == nil {
		if r, err = g.awaitSatellite(ctx); err != nil {
			return err
		}
	}
	switch {
	case r == nil:
		if err := g.drbd.Up(ctx, g.cfg.Resource); err != nil {
			return inDRBDsWords(err)
		}
	case halfUp(r):
		// A disk that failed for good does not come back; the node is of use
		// without it, and its promotion score says of how much.
		if err := g.drbd.Adjust(ctx, g.cfg.Resource); err != nil {
			g.log.Warn("DRBD stays half up", "resource", g.cfg.Resource, "err", err)
		}
	}
	return g.settle(ctx)
}

// halfUp reports whether r looks like the work of a start that was killed: a
// disk that was not attached, or no connection at all. A connection that is
// StandAlone stays so: somebody may have reason to keep it that way.
func halfUp(r *drbd.Resource) bool {
	for _, d := range r.Devices {
		if d.Disk == drbd.DiskDiskless && d.Client != drbd.Yes {
			return true
		}
	}
	return len(r.Devices) == 0 || len(r.Connections) == 0
}

// awaitSatellite gives LINSTOR, where it manages the resource, the time to
// bring it up itself: two that adjust one resource at once disturb each other.
func (g *Group) awaitSatellite(ctx context.Context) (*drbd.Resource, error) {
	managed, err := g.drbd.ManagedByLINSTOR(g.cfg.Resource)
	if err != nil || !managed || len(g.sys.UnitProcesses("linstor-satellite.service")) == 0 {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, linstorPatience)
	defer cancel()
	for {
		r, err := g.Status(ctx)
		if err == nil && r != nil {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil // then drbdadm does it
		case <-time.After(settlePoll):
		}
	}
}

// settle waits until the disk's state is known and the peers are connected, or
// until it has waited long enough.
func (g *Group) settle(ctx context.Context) error {
	deadline := time.Now().Add(settlePatience)
	for {
		r, err := g.mustStatus(ctx)
		if err != nil {
			return err
		}
		if settled(r) {
			return nil
		}
		if time.Now().After(deadline) {
			g.log.Warn("DRBD is up, the peer is not there yet", "resource", g.cfg.Resource, "health", drbd.Health(r))
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settlePoll):
		}
	}
}

func settled(r *drbd.Resource) bool {
	for _, d := range r.Devices {
		if d.Disk.Transitional() || d.Disk == drbd.DiskConsistent {
			return false
		}
	}
	if len(r.Connections) == 0 {
		return false
	}
	for _, c := range r.Connections {
		if c.State == drbd.ConnStandAlone {
			continue // nobody is coming
		}
		for _, pd := range c.PeerDevices {
			if !pd.Live() {
				return false
			}
		}
	}
	return true
}

// Stop takes down what is left of a promotion and then DRBD itself, unless
// the configuration or LINSTOR keeps it up. It needs nothing to be configured
// any more, and ends with a node on which nothing of the group runs.
func (g *Group) Stop(ctx context.Context) error {
	var errs []error
	facts, err := g.Inspect(ctx)
	if err != nil {
		g.log.Error("look before stop", "err", err)
	}
	if err != nil || g.unfinished || len(facts.Pieces()) > 0 {
		errs = append(errs, g.Down(ctx))
	}
	errs = append(errs, g.daemons.StopIDMapd(ctx))
	g.rememberDevice(facts.DRBD)
	if errors.Join(errs...) == nil {
		errs = append(errs, g.takeDown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return g.sys.Remove("record.remove", recordPath(g.cfg.Instance))
}

func (g *Group) takeDown(ctx context.Context) error {
	switch g.cfg.DRBDDown {
	case DownNo:
		return nil
	case DownAuto:
		managed, err := g.drbd.ManagedByLINSTOR(g.cfg.Resource)
		if err == nil && managed {
			return nil
		}
	}
	err := g.drbd.Down(ctx, g.cfg.Resource)
	if errors.Is(err, admin.ErrHeldOpen) {
		return g.heldOpen(err)
	}
	if err != nil {
		return inDRBDsWords(err)
	}
	return nil
}
