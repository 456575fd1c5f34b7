package group

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/peers"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// upStages is the promotion, in order. Steps in one line run at once.
func (g *Group) upStages() []Stage {
	return []Stage{
		{{"block", g.block.Ensure}},
		{{"primary", g.becomePrimary}, {"check", g.vips.Check}},
		{{"mount", g.mountVolume}},
		{{"state", g.stateToVolume}},
		{{"daemons", g.startDaemons}, {"exports", g.applyExports}, {"address", g.vips.Start}},
		{{"nfsd", g.startServer}},
		{{"ready", g.waitReady}},
		{{"unblock", g.block.Remove}},
		{{"announce", g.announce}},
		{{"notify", g.notifyLockClients}},
	}
}

// undoReserve is the part of the remaining time that Up keeps for taking
// everything down again when a step fails.
const undoReserve = 0.4

// Up promotes the group: it brings up whatever is missing, in order, and
// returns when clients are served. It is idempotent. When a step fails,
// everything is taken down again in the remaining time, so that no address
// answers without a server and no node stays Primary for nothing.
func (g *Group) Up(ctx context.Context) error {
	upCtx, cancel := withShare(ctx, 1-undoReserve)
	defer cancel()
	err := g.runStages(upCtx, "promote", g.upStages(), false)
	if err == nil {
		return nil
	}
	if downErr := g.Down(ctx); downErr != nil {
		g.log.Error("undo of a failed promote", "err", downErr)
	}
	return err
}

// withShare limits ctx to a share of the time until its deadline.
func withShare(ctx context.Context, share float64) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	left := time.Duration(float64(time.Until(deadline)) * share)
	return context.WithTimeout(ctx, left)
}

const (
	// primaryPoll is how often a refused promotion is tried again.
	primaryPoll = 200 * time.Millisecond
	// primaryPatience is how long DRBD may refuse: a peer that just died is
	// noticed within ping-timeout, and a fence-peer handler or quorum settles.
	primaryPatience = 15 * time.Second
)

// becomePrimary makes DRBD Primary. What DRBD refuses is tried again for a
// while, except that nobody's data is good: time does not mend that.
func (g *Group) becomePrimary(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, primaryPatience)
	defer cancel()
	var refusal error            // the last one that was DRBD's, not the end of ctx
	for r := g.seen; ; r = nil { // what Inspect saw a moment ago spares a look
		err := g.promote(ctx, r)
		if err == nil {
			return nil
		}
		if refusal == nil || ctx.Err() == nil {
			refusal = inDRBDsWords(err)
		}
		if errors.Is(err, admin.ErrNoUpToDate) {
			return refusal
		}
		g.log.Warn("DRBD does not become Primary yet", "resource", g.cfg.Resource, "err", err)
		select {
		case <-ctx.Done():
			return refusal
		case <-time.After(primaryPoll):
		}
	}
}

// inDRBDsWords puts what DRBD said in front of how its program was called:
// exit reasons are cut at the end.
func inDRBDsWords(err error) error {
	if reason := admin.Reason(err); reason != err.Error() {
		return fmt.Errorf("%s: %w", reason, err)
	}
	return err
}

// promote makes r Primary, or what Status finds when r is nil.
func (g *Group) promote(ctx context.Context, r *drbd.Resource) error {
	if r == nil {
		var err error
		if r, err = g.mustStatus(ctx); err != nil {
			return err
		}
	}
	if err := g.drbd.Promote(ctx, r); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.record.Device = g.device(r)
	return nil
}

func (g *Group) mountVolume(ctx context.Context) error {
	if g.record.Device == "" {
		return fmt.Errorf("set device: DRBD resource %s has no volume", g.cfg.Resource)
	}
	return g.filesystem(g.record.Device).Start(ctx)
}

func (g *Group) stateToVolume(ctx context.Context) error {
	if err := g.state.ToLocal(); err != nil {
		return err
	}
	if err := g.state.Seed(); err != nil {
		return err
	}
	n, err := g.server.Threads()
	if err != nil {
		return err
	}
	if n == 0 && !g.daemons.Running() {
		if err := g.state.RetireLockClients(); err != nil {
			return err
		}
	}
	return g.state.ToVolume(ctx)
}

func (g *Group) startDaemons(ctx context.Context) error {
	if g.cfg.Server.Versions.V3 {
		if err := g.ensureRPCBind(ctx); err != nil {
			return err
		}
	}
	for _, unit := range g.daemons.Foreign() {
		if err := g.noteStopped(unit); err != nil {
			return err
		}
		if err := g.sys.StopUnit(ctx, "nfs.daemons.foreign", unit); err != nil {
			return err
		}
	}
	if err := g.noteThere(&g.record.Daemons, true); err != nil {
		return err
	}
	return g.daemons.Start(ctx)
}

// rpcbindUnit is shared with everything else on the node: it is started when
// it is missing and never stopped.
const rpcbindUnit = "rpcbind.service"

func (g *Group) ensureRPCBind(ctx context.Context) error {
	if len(g.sys.UnitProcesses(rpcbindUnit)) > 0 {
		return nil
	}
	return g.sys.StartUnit(ctx, "nfs.rpcbind", rpcbindUnit)
}

func (g *Group) applyExports(ctx context.Context) error {
	return nfs.ApplyExports(ctx, g.sys, g.cfg.Exports, nil)
}

// ErrForeignServer reports nfsd threads that this program did not start.
var ErrForeignServer = errors.New("another NFS server runs on this node")

// startServer starts the threads, or takes the number of those that run back
// to what is configured. lockd's grace period is ended at once when nobody
// has a lock to reclaim: it would hold up new locks of NFSv4 clients too.
func (g *Group) startServer(ctx context.Context) error {
	n, err := g.server.Threads()
	if err != nil {
		return err
	}
	if n > 0 {
		if !g.threadsOurs() {
			return fmt.Errorf("systemctl disable --now nfs-server: %w", ErrForeignServer)
		}
		return g.server.SetThreads(g.cfg.Server.Threads)
	}
	clients, err := g.state.LockClients()
	if err != nil {
		return fmt.Errorf("list NFSv3 lock holders: %w", err)
	}
	if err := g.noteThere(&g.record.NFSD, true); err != nil {
		return err
	}
	if err := g.server.Start(ctx); err != nil {
		return err
	}
	if g.cfg.Server.Versions.V3 && len(clients) == 0 {
		if err := g.server.EndLockGrace(); err != nil {
			g.log.Warn("new locks wait for the grace period", "err", err)
		}
	}
	return nil
}

const (
	// readyPoll is how often the server is asked whether it answers.
	readyPoll = 20 * time.Millisecond
	// answerTimeout bounds one question.
	answerTimeout = 3 * time.Second
)

// waitReady returns when server and mountd answer on the loopback address.
func (g *Group) waitReady(ctx context.Context) error {
	for {
		callCtx, cancel := context.WithTimeout(ctx, answerTimeout)
		err := g.server.Answers(callCtx, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the NFS server does not answer: %w", err)
		case <-time.After(readyPoll):
		}
	}
}

// Units of the programs that go on after an action.
const (
	announceUnit = "drbdnfs-announce.service"
	peersUnit    = "drbdnfs-peers.service"
)

// announce tells switches, hosts and clients where the service is now, once
// here and a few times more in the background. Nothing of it can fail a
// promotion: clients would find out by themselves, only later.
func (g *Group) announce(ctx context.Context) error {
	if err := g.Tickle(ctx); err != nil {
		g.log.Warn("clients reconnect by their own timers", "err", err)
	}
	err := g.sys.StartTransient(ctx, "announce.start", host.Unit{
		Name:        announceUnit,
		Description: "drbdnfs: announce the service addresses of " + g.cfg.Instance,
		Commands:    [][]string{{g.program, "announce", g.cfg.Instance}},
		Before:      []string{nfs.PacemakerUnit}, NoWait: true,
	})
	if err != nil {
		g.log.Warn("addresses are announced once only", "err", err)
	}
	return nil
}

// Tickle announces the addresses and sends one tickle for each connection that
// the node that served before has saved.
func (g *Group) Tickle(ctx context.Context) error {
	err := g.vips.Announce(ctx)
	data, readErr := g.sys.ReadFile(g.peersPath())
	if readErr != nil {
		return err // no list yet
	}
	list, _ := peers.Parse(data)
	n, tickleErr := g.peers.Tickle(ctx, list)
	g.log.Info("clients tickled", "action", "tickle", "connections", n)
	return errors.Join(err, tickleErr)
}

// Announcements after a take-over: as many rounds and as far apart as metallb
// found useful for switches that learn slowly.
const (
	announceRounds   = 5
	announceInterval = 1100 * time.Millisecond
)

// KeepAnnouncing repeats Tickle for some seconds. It ends early when an address
// is gone or ctx ends. The announcer unit runs it.
func (g *Group) KeepAnnouncing(ctx context.Context) error {
	for range announceRounds {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(announceInterval):
		}
		if err := g.Tickle(ctx); errors.Is(err, vip.ErrNotOurs) {
			return nil
		} else if err != nil {
			g.log.Warn("announce", "err", err)
		}
	}
	return g.forgetNotified()
}

// forgetNotified takes clients that were told off the list, while the volume is
// ours.
func (g *Group) forgetNotified() error {
	place, err := g.state.Place()
	if err != nil || place != nfs.PlaceVolume {
		return err
	}
	return g.state.ForgetNotified()
}

// peersPath is where the connections are saved: beside the NFS state, outside
// of what nfs-utils reads.
func (g *Group) peersPath() string { return path.Join(g.cfg.StateDir, "drbdnfs-peers") }

// notifyLockClients tells NFSv3 clients to reclaim.
func (g *Group) notifyLockClients(ctx context.Context) error {
	if !g.cfg.Server.Versions.V3 {
		return nil
	}
	return g.state.NotifyLockClients(ctx, g.sys, vip.Addrs(g.cfg.VIPs))
}
