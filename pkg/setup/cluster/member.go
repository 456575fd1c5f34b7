package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// members asks Pacemaker on this node. One that does not answer, because it has
// just started or not yet, has no members.
func (s *Stage) members(ctx context.Context) pacemaker.Status {
	st, err := pacemaker.Mon(ctx, s.m, "setup.cluster-members")
	if err != nil {
		return pacemaker.Status{}
	}
	return st
}

// names are the nodes of the configuration.
func (s *Stage) names() []string {
	var names []string
	for _, n := range s.c.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// missing says what is missing for all of names to work together, "" for
// nothing.
func (s *Stage) missing(m pacemaker.Status, names []string) string {
	var out []string
	for _, n := range names {
		switch {
		case m.Online(n):
		case n == s.self:
			out = append(out, n+" is not online yet")
		default:
			out = append(out, n+": run drbdnfs setup apply there")
		}
	}
	if len(out) == 0 && m.DC == "" {
		return "Pacemaker elects its coordinator"
	}
	return strings.Join(out, "; ")
}

// bootItem has the node join its cluster when it boots.
func (s *Stage) bootItem(f *facts) setup.Item {
	const object = "corosync and Pacemaker at boot"
	// "pcs cluster setup" disables both before it forms a cluster.
	if f.formed() && f.units[corosyncUnit].enabled && f.units[pacemakerUnit].enabled {
		return keep(object, "enabled")
	}
	return setup.Item{
		Object: object, Action: setup.Make, Detail: "enabled",
		Why: "a node that boots joins the cluster",
		Do: func(ctx context.Context, _ setup.Progress) error {
			u, err := s.units(ctx)
			if err != nil || u[corosyncUnit].enabled && u[pacemakerUnit].enabled {
				return err
			}
			return s.systemctl(ctx, "setup.cluster-enable", "enable", corosyncUnit, pacemakerUnit)
		},
	}
}

// runItem starts what does not run. What runs is never restarted.
func (s *Stage) runItem(f *facts) setup.Item {
	const object = "corosync and Pacemaker"
	if f.formed() && f.running() {
		return keep(object, "running")
	}
	return setup.Item{
		Object: object, Action: setup.Make, Detail: "started",
		Do: func(ctx context.Context, _ setup.Progress) error {
			u, err := s.units(ctx)
			if err != nil || u[corosyncUnit].active && u[pacemakerUnit].active {
				return err
			}
			return s.systemctl(ctx, "setup.cluster-start", "start", corosyncUnit, pacemakerUnit)
		},
	}
}

// memberItem waits until Pacemaker works with this node, and on the first node
// until it works with all that are about to join. A node that has been lost does
// not hold up the others' setup: that is a warning.
func (s *Stage) memberItem(f *facts) setup.Item {
	wait := []string{s.self}
	if s.first() && (!f.formed() || f.reachable) {
		wait = s.names()
	}
	it := setup.Item{
		Object: "membership of " + strings.Join(wait, ", "), Action: setup.Await, Detail: "online, with a coordinator", Key: "node",
		Do: s.awaitMembers(wait, f.pcs),
	}
	if !f.formed() || !f.running() {
		return it
	}
	if lacks := s.missing(f.members, wait); lacks != "" {
		it.Detail = lacks
		return it
	}
	it.Action, it.Do = setup.Keep, nil
	it.Detail = "online, coordinator " + f.members.DC
	if !s.first() {
		return it
	}
	it.Object = "membership of " + strings.Join(s.names(), ", ")
	if lost := slices.DeleteFunc(s.names(), f.members.Online); len(lost) > 0 {
		it.Action, it.Detail = setup.Warn, "not online: "+strings.Join(lost, ", ")
		it.Why = "nothing can fail over to a node that is not online; boot it, or run drbdnfs setup apply there"
	}
	return it
}

// syncAfter is how long the first node waits for the others before it sends
// them corosync.conf again: a "pcs cluster setup" that was cut off may have
// reached only some.
const syncAfter = 2 * time.Minute

func (s *Stage) awaitMembers(names []string, pcs bool) func(context.Context, setup.Progress) error {
	return func(ctx context.Context, p setup.Progress) error {
		resend := time.Now().Add(syncAfter)
		synced := !pcs || len(names) < 2
		lacks := ""
		err := setup.Poll(ctx, func() (bool, error) {
			if lacks = s.missing(s.members(ctx), names); lacks == "" {
				return true, nil
			}
			p.Waiting(lacks)
			if !synced && time.Now().After(resend) {
				synced = true
				_, err := s.pcs(ctx, "setup.pcs-sync", nil, "cluster", "sync", "corosync")
				if err != nil {
					s.log.Warn("corosync.conf was not sent again", "err", err)
				}
			}
			return false, nil
		})
		if err != nil && lacks != "" {
			return fmt.Errorf("wait for the cluster's nodes: %s: %w", lacks, err)
		}
		return err
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
