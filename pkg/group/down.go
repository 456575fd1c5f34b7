package group

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/peers"
)

// downStages is the demotion, in order: the reverse of upStages, except that
// NFSv3 clients with locks are retired before the server's threads end. When
// lockd shuts down it makes rpc.statd forget them, and they would never be told
// to reclaim.
func (g *Group) downStages() []Stage {
	return []Stage{
		{{"peers", g.savePeersBestEffort}},
		{{"block", g.block.Ensure}},
		{{"announce", g.stopAnnouncing}, {"address", g.vips.Stop}, {"notify", g.stopNotifying}},
		{{"retire", g.retireLockClients}},
		{{"nfsd", g.stopServer}},
		{{"daemons", g.stopDaemons}, {"caches", g.flushCaches}, {"sockets", g.destroySockets}},
		{{"state", g.stateToLocal}},
		{{"umount", g.unmountVolume}},
		{{"secondary", g.becomeSecondary}},
		{{"unblock", g.unblockWithoutAddress}},
		{{"restore", g.restoreUnits}},
	}
}

// StepNames lists the steps of "promote" and "demote" in order.
func (g *Group) StepNames(action string) []string {
	stages := g.upStages()
	if action == "demote" {
		stages = g.downStages()
	}
	var names []string
	for _, st := range stages {
		for _, s := range st {
			names = append(names, s.Name)
		}
	}
	return names
}

// Down demotes the group from whatever state it is in and ends with DRBD
// Secondary or down and nothing of the group left on the node. It is
// idempotent. Every step is tried even when an earlier one failed, and the
// errors are joined, the first failure first.
//
// While DRBD holds back I/O, an unmount would hang where no signal reaches it.
// Down then makes DRBD 9 fail that I/O first, or, where that is not possible
// (8.4, or a fence handler has not answered yet), does nothing and says so:
// only fencing this node helps.
func (g *Group) Down(ctx context.Context) error {
	r, err := g.quickStatus(ctx)
	if err != nil {
		r, err = g.quickStatus(ctx) // a second look: the first may have lost a race for memory or files
	}
	if err != nil {
		g.log.Error("DRBD does not answer, going on with what was seen before", "err", err)
		r = g.seen
	}
	if err := g.unfreeze(ctx, r); err != nil {
		return err
	}
	g.rememberDevice(r)
	g.seen, g.ours = r, g.threadsOurs() // before the evidence is taken down
	return g.runStages(ctx, "demote", g.downStages(), true)
}

// A look at DRBD is bounded by both: what has to be taken down is known without
// it, and a drbdsetup that hangs must not take the time for that.
const (
	statusPatience = 10 * time.Second
	statusShare    = 0.25
)

func (g *Group) quickStatus(ctx context.Context) (*drbd.Resource, error) {
	ctx, cancel := withShare(ctx, statusShare)
	defer cancel()
	ctx, cancel2 := context.WithTimeout(ctx, statusPatience)
	defer cancel2()
	return g.Status(ctx)
}

// DRBDUp reports whether DRBD was up when it was last looked at.
func (g *Group) DRBDUp() bool { return g.seen != nil }

// unfreeze makes sure that nothing below waits for suspended I/O.
func (g *Group) unfreeze(ctx context.Context, r *drbd.Resource) error {
	if r == nil || r.Suspended.None() {
		return nil
	}
	if r.Suspended.Has(drbd.SuspendedQuorum) || r.Suspended.Has(drbd.SuspendedNoData) {
		err := g.drbd.DemoteForce(ctx, r)
		if err == nil {
			g.log.Error("suspended I/O was ended with errors", "resource", g.cfg.Resource, "suspended", string(r.Suspended))
			return nil
		}
		return fmt.Errorf("fence this node: DRBD I/O is suspended (%s): %w", r.Suspended, err)
	}
	return fmt.Errorf("fence this node: DRBD I/O is suspended (%s), an umount would hang", r.Suspended)
}

func (g *Group) rememberDevice(r *drbd.Resource) {
	if d := g.device(r); d != "" {
		g.record.Device = d
	}
}

// savePeersBestEffort saves the connections right before they are cut, and what
// sm-notify has achieved.
func (g *Group) savePeersBestEffort(ctx context.Context) error {
	if err := g.SavePeers(ctx); err != nil {
		g.log.Warn("clients reconnect by their own timers", "err", err)
	}
	if err := g.forgetNotified(); err != nil {
		g.log.Warn("NFSv3 clients are told again after the next failover", "err", err)
	}
	return nil
}

// SavePeers writes the established client connections to the volume, for the
// node that serves next. Without a volume under /var/lib/nfs it does nothing; an
// empty list does not replace one, since the clients of a server that was cut
// off are just those that will need a tickle.
func (g *Group) SavePeers(ctx context.Context) error {
	place, err := g.state.Place()
	if err != nil || place != nfs.PlaceVolume {
		return err
	}
	list, err := g.peers.Collect(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return nil
	}
	return g.sys.WriteFileAtomic("peers.save", g.peersPath(), list.Text(), 0o600)
}

// seenPeersPath holds the connections that were saved last, to see a change
// without reading the volume.
func (g *Group) seenPeersPath() string { return RunDir + "/" + g.cfg.Instance + ".peers" }

// SavePeersOnChange starts the saving of the connections in the background when
// they differ from what was saved last. It writes nothing to the volume itself
// and never waits for it: a monitor must answer while the volume does not.
func (g *Group) SavePeersOnChange(ctx context.Context) error {
	list, err := g.peers.Collect(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	text := list.Text()
	if seen, err := g.sys.ReadFile(g.seenPeersPath()); err == nil && string(seen) == string(text) {
		return nil
	}
	err = g.sys.StartTransient(ctx, "peers.start", host.Unit{
		Name:        peersUnit,
		Description: "drbdnfs: save the client connections of " + g.cfg.Instance,
		Commands:    [][]string{{g.program, "save-peers", g.cfg.Instance}},
		Before:      []string{nfs.PacemakerUnit}, NoWait: true,
	})
	if err != nil {
		return err
	}
	return g.sys.WriteFileAtomic("peers.seen", g.seenPeersPath(), text, 0o600)
}

// stopAnnouncing ends what the agent started in the background.
func (g *Group) stopAnnouncing(context.Context) error {
	err := g.endProcesses(announceUnit, peersUnit)
	return errors.Join(err, g.sys.Remove("peers.seen", g.seenPeersPath()))
}

func (g *Group) stopNotifying(context.Context) error {
	var units []string
	for i := range g.cfg.VIPs {
		units = append(units, fmt.Sprintf(nfs.NotifyUnit, i))
	}
	return g.endProcesses(units...)
}

// endProcesses tells the processes of units to end and does not wait: their
// units end with them, and an unmount waits for what still has a file open.
// Asking systemd would take longer than all of this.
func (g *Group) endProcesses(units ...string) error {
	var errs []error
	for _, u := range units {
		for _, pid := range g.sys.UnitProcesses(u) {
			errs = append(errs, g.sys.Signal("unit.end", pid, syscall.SIGTERM))
		}
	}
	return errors.Join(errs...)
}

// retireLockClients takes the NFSv3 clients off rpc.statd's list, for the next
// server to tell them, and sees to it that rpc.statd is there to answer lockd.
func (g *Group) retireLockClients(ctx context.Context) error {
	place, err := g.state.Place()
	if err == nil && place != nfs.PlaceVolume {
		return nil
	}
	if err == nil {
		err = g.state.RetireLockClients()
	}
	if err != nil {
		g.log.Warn("lockd will wait for rpc.statd, which has to keep its list", "err", err)
		return g.stopStatd(ctx)
	}
	if !g.ours {
		return nil
	}
	// Whether lockd has somebody to let go of, the list does not say: an earlier
	// demotion that was cut off may have put it aside.
	if err := g.daemons.EnsureStatd(ctx); err != nil {
		g.log.Warn("lockd will wait for rpc.statd", "err", err)
	}
	return nil
}

// stopStatd ends rpc.statd before the server's threads, whatever it takes.
func (g *Group) stopStatd(ctx context.Context) error {
	err := g.daemons.StopStatd(ctx)
	if err == nil {
		return nil
	}
	g.log.Warn("stopping all daemons to end rpc.statd", "err", err)
	return g.stopDaemons(ctx)
}

func (g *Group) stopDaemons(ctx context.Context) error {
	if !g.record.Daemons && !g.daemons.Running() {
		return nil
	}
	if err := g.daemons.Stop(ctx); err != nil {
		return err
	}
	return g.noteThere(&g.record.Daemons, false)
}

// threadsOurs reports whether nfsd threads on this node are this program's work:
// by the record or, when it was lost, because /var/lib/nfs leads to the volume
// and our daemons run, which nobody else's server could live with.
func (g *Group) threadsOurs() bool {
	if g.record.NFSD {
		return true
	}
	place, err := g.state.Place()
	return err == nil && place == nfs.PlaceVolume && g.daemons.Running()
}

// stopServer ends the threads, if they are ours.
func (g *Group) stopServer(ctx context.Context) error {
	if !g.ours {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := g.server.Stop(ctx); err != nil {
		return err
	}
	return g.noteThere(&g.record.NFSD, false)
}

// flushCaches empties the kernel's export caches, which hold references to the
// file system. Locks, opens and delegations ended with the threads.
func (g *Group) flushCaches(context.Context) error {
	if n, err := g.server.Threads(); err == nil && n > 0 {
		return nil // somebody else's server: its locks and caches are not ours
	}
	if err := g.server.FlushCaches(time.Now()); err != nil {
		g.log.Warn("flush export caches", "err", err)
	}
	return nil
}

// destroySockets ends connections of clients to the addresses, so that none
// answers when the addresses come back.
func (g *Group) destroySockets(ctx context.Context) error { return g.endConnections(ctx, g.peers) }

// endConnections destroys the connections to p's addresses. A kernel that cannot
// is no error.
func (g *Group) endConnections(ctx context.Context, p *peers.Peers) error {
	n, err := p.Destroy(ctx)
	if errors.Is(err, host.ErrNoSockDestroy) {
		g.log.Warn("old connections stay until they time out", "err", err)
		return nil
	}
	if n > 0 {
		g.log.Info("connections ended", "connections", n)
	}
	return err
}

// restoreUnits starts the node's own units that the promotion had to stop. They
// are not ours: one that does not start is reported and fails nothing.
func (g *Group) restoreUnits(ctx context.Context) error {
	for _, unit := range g.record.Stopped {
		if err := g.sys.StartUnit(ctx, "unit.restore", unit); err != nil {
			g.log.Warn("unit of this node stays stopped", "err", err)
		}
	}
	g.record.Stopped = nil
	return nil
}

// stateToLocal switches /var/lib/nfs back to the node's own copy. A path that
// is not ours is left as it is: it does not keep the volume busy.
func (g *Group) stateToLocal(context.Context) error {
	place, err := g.state.Place()
	if err != nil || (place != nfs.PlaceVolume && place != nfs.PlaceMissing) {
		return err
	}
	return g.state.ToLocal()
}

// unmountVolume unmounts, unless /var/lib/nfs would dangle without the volume.
func (g *Group) unmountVolume(ctx context.Context) error {
	if g.record.Device == "" {
		return nil // never promoted here
	}
	if place, err := g.state.Place(); err != nil || place == nfs.PlaceVolume {
		return errors.Join(fmt.Errorf("%s still leads to the volume", nfs.Dir), err)
	}
	return g.filesystem(g.record.Device).Stop(ctx)
}

// unblockWithoutAddress opens the ports, unless an address is still here: its
// clients would be refused by a server that is gone.
func (g *Group) unblockWithoutAddress(ctx context.Context) error {
	states, err := g.vips.Status(ctx)
	if err != nil {
		return err
	}
	for _, st := range states {
		if st.Present {
			return fmt.Errorf("address %s is still here, its ports stay blocked", st.VIP.Addr())
		}
	}
	return g.block.Remove(ctx)
}

const (
	// secondaryPoll is how often a device that is held open is tried again.
	secondaryPoll = 100 * time.Millisecond
	// secondaryPatience is how long udev, blkid or a scan may hold it.
	secondaryPatience = 10 * time.Second
)

// becomeSecondary makes DRBD Secondary, if it is up at all, and remembers
// which of the two it is.
func (g *Group) becomeSecondary(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, secondaryPatience)
	defer cancel()
	var held error
	for r := g.seen; ; r = nil { // what Down saw spares the first look
		err := g.demote(ctx, r)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, admin.ErrHeldOpen):
			held = g.heldOpen(err)
		case held == nil || ctx.Err() == nil:
			return inDRBDsWords(err)
		}
		select {
		case <-ctx.Done():
			return held
		case <-time.After(secondaryPoll):
		}
	}
}

// heldOpen says where to look for who holds the device; DRBD 9 names the
// program itself.
func (g *Group) heldOpen(err error) error {
	device := g.record.Device
	if device == "" {
		device = g.cfg.Resource
	}
	if strings.Contains(admin.Reason(err), "opened by") {
		return inDRBDsWords(err)
	}
	return fmt.Errorf("look for holders of %s in /sys/block: %w", device, err)
}

// demote makes r Secondary, or what Status finds when r is nil.
func (g *Group) demote(ctx context.Context, r *drbd.Resource) error {
	if r == nil {
		var err error
		r, err = g.Status(ctx)
		g.seen = r
		if err != nil || r == nil {
			return err
		}
	}
	return g.drbd.Demote(ctx, r)
}
