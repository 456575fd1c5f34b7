package scenario

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// backLimit bounds how long clients may wait after a crash or a move. The
// hand-made configuration needs about two minutes for a move.
const backLimit = 5 * time.Minute

// Stalls is how long each protocol's writer stood still.
type Stalls map[string]time.Duration

// String prints the stalls in a fixed order.
func (s Stalls) String() string {
	var parts []string
	for proto, d := range s {
		parts = append(parts, fmt.Sprintf("%s %.1f s", proto, d.Seconds()))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

// crash is scenario 2.
func crash(ctx context.Context, t *T) error {
	active, err := t.Ready(ctx)
	if err != nil {
		return err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	if _, err := t.crashRound(ctx, active, loads); err != nil {
		return err
	}
	return t.StopLoads(ctx, loads)
}

// crashRound kills the active node under the loads, measures their stalls, starts
// the node again and waits until the cluster is whole without anybody's hand.
func (t *T) crashRound(ctx context.Context, active string, loads []*Load) (Stalls, error) {
	survivor := rig.Peer(active)
	t.Logf("killing the active node %s (SIGKILL of its QEMU)", active)
	killed := time.Now()
	if err := t.Rig.Kill(active); err != nil {
		return nil, err
	}
	// Two seconds: what was on its way when the node died may still arrive.
	if err := t.WaitWriting(ctx, loads, killed.Add(2*time.Second), backLimit); err != nil {
		return nil, err
	}
	if len(loads) == 0 {
		if err := t.waitPromoted(ctx, survivor); err != nil {
			return nil, err
		}
	}
	stalls, err := t.Timeline(ctx, survivor, killed, "killed "+active, loads)
	if err != nil {
		return nil, err
	}
	t.stood("crash", stalls)
	t.Logf("starting %s again", active)
	if err := t.Rig.Start(ctx, active); err != nil {
		return nil, err
	}
	begin := time.Now()
	now, err := t.Cluster.WaitReady(ctx, backLimit)
	if err != nil {
		return nil, fmt.Errorf("the killed node's return: %w", err)
	}
	t.Logf("%s is back and UpToDate %.0f s after its power-on", active, time.Since(begin).Seconds())
	t.Check(now == survivor, "the service runs on %s after the return of %s, want it to stay on %s", now, active, survivor)
	return stalls, t.noDouble(ctx)
}

// stood prints how long the clients stood still, where any wrote.
func (t *T) stood(what string, stalls Stalls) {
	if len(stalls) > 0 {
		t.Logf("%s: the clients stood still for: %s", what, stalls)
	}
}

// noDouble checks that no node sees two Promoted instances, and that DRBD is
// Primary on at most one.
func (t *T) noDouble(ctx context.Context) error {
	for node, s := range t.Cluster.AllStates(ctx) {
		p := s.Promoted(t.Cluster.Resource)
		t.Check(len(p) <= 1, "%s sees it promoted on %v", node, p)
	}
	return nil
}

// moveLimit is far above what a move takes in the slowest lab, and below the
// minute that lockd waits when it cannot let go of a client (see the step retire).
const moveLimit = 45 * time.Second

// checkMove asserts that nothing in a move has waited for a timeout.
func (t *T) checkMove(stalls Stalls) {
	for proto, d := range stalls {
		t.Check(d < moveLimit, "a move took the %s client %.1f s: something waited for a timeout", proto, d.Seconds())
	}
}

// move is scenario 3.
func move(ctx context.Context, t *T) error {
	active, err := t.Ready(ctx)
	if err != nil {
		return err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	stalls, err := t.moveRound(ctx, active, loads)
	if err != nil {
		return err
	}
	t.checkMove(stalls)
	// Back at once: what the first move left behind (sockets of the clients,
	// neighbour entries) is still warm.
	done := time.Now()
	peer := rig.Peer(active)
	if _, err := t.Rig.SSH(ctx, peer, "crm_standby --delete --node "+active); err != nil {
		return err
	}
	_ = rig.Poll(ctx, active+" to be a passive node again", 10*time.Second, 300*time.Millisecond, func(ctx context.Context) error {
		_, err := t.Cluster.WaitReady(ctx, 100*time.Millisecond)
		return err
	})
	t.Logf("moving back %.1f s after the first move", time.Since(done).Seconds())
	if stalls, err = t.moveRound(ctx, peer, loads); err != nil {
		return err
	}
	t.checkMove(stalls)
	if _, err := t.Rig.SSH(ctx, active, "crm_standby --delete --node "+peer); err != nil {
		return err
	}
	if _, err := t.Cluster.WaitReady(ctx, readyLimit); err != nil {
		return err
	}
	if err := t.noDouble(ctx); err != nil {
		return err
	}
	return t.StopLoads(ctx, loads)
}

// moveRound puts the active node into standby under the loads and returns when
// the other node is Promoted and the clients write again. The node stays in
// standby.
func (t *T) moveRound(ctx context.Context, active string, loads []*Load) (Stalls, error) {
	target := rig.Peer(active)
	t.Cleanup(func(ctx context.Context) {
		_, _ = t.Rig.SSH(ctx, target, "crm_standby --delete --node "+active)
	})
	t.Logf("standby of the active node %s", active)
	begin := time.Now()
	if _, err := t.Rig.SSH(ctx, target, "crm_standby --node "+active+" --update on"); err != nil {
		return nil, err
	}
	if err := t.waitTakenOver(ctx, target); err != nil {
		return nil, err
	}
	if err := t.WaitWriting(ctx, loads, time.Now(), backLimit); err != nil {
		return nil, err
	}
	if err := t.waitPromoted(ctx, target); err != nil {
		return nil, err
	}
	stalls, err := t.Timeline(ctx, target, begin, "standby of "+active, loads)
	if err != nil {
		return nil, err
	}
	t.stood("move", stalls)
	return stalls, nil
}

// waitTakenOver waits until the client itself sends its packets for the service
// address to the target. Asking Pacemaker meanwhile would cost the target's one
// emulated processor a good part of the time that is measured.
func (t *T) waitTakenOver(ctx context.Context, target string) error {
	m, err := rig.MachineByName(target)
	if err != nil {
		return err
	}
	return rig.Poll(ctx, "the client to find "+rig.VIP+" on "+target, backLimit, 500*time.Millisecond, func(ctx context.Context) error {
		out, err := t.Rig.SSH(ctx, rig.Client, "ping -c 1 -W 1 "+rig.VIP+" >/dev/null; ip neigh show "+rig.VIP)
		if err == nil && !strings.Contains(out, m.MAC) {
			err = fmt.Errorf("%w: %s", errNot, strings.TrimSpace(out))
		}
		return err
	})
}

// waitPromoted waits until Pacemaker calls a node Promoted, without failures.
func (t *T) waitPromoted(ctx context.Context, node string) error {
	return rig.Poll(ctx, node+" to be Promoted", backLimit, time.Second, func(ctx context.Context) error {
		s, err := t.Cluster.State(ctx, node)
		if err != nil {
			return err
		}
		for _, i := range s.Instances {
			if i.Failed || i.Blocked {
				return fmt.Errorf("%+v, failures %+v", i, s.Failures)
			}
		}
		if s.Role(t.Cluster.Resource, node) != "Promoted" {
			return fmt.Errorf("%w: instances %+v, failures %+v", errNot, s.Instances, s.Failures)
		}
		return nil
	})
}

// Timeline prints what happened since the start of a failover, from the journal
// of the node that took over and the client's own list of acknowledgements, and
// returns the stalls.
func (t *T) Timeline(ctx context.Context, node string, start time.Time, what string, loads []*Load) (Stalls, error) {
	entries, err := t.Cluster.Journal(ctx, node, start)
	if err != nil {
		return nil, err
	}
	events := append([]cluster.Event{{At: start, What: what}}, cluster.Timeline(entries)...)
	if peer := rig.Peer(node); t.Rig.Running(peer) {
		entries, err := t.Cluster.Journal(ctx, peer, start)
		if err != nil {
			t.Logf("without the journal of %s, which boots: %v", peer, err)
		}
		for _, e := range cluster.Timeline(entries) {
			e.What += " (" + peer + ")"
			events = append(events, e)
		}
	}
	stalls := Stalls{}
	for _, l := range loads {
		r, err := t.Report(ctx, l, start)
		if err != nil {
			return nil, err
		}
		stalls[l.Proto] = r.MaxGap
		events = append(events,
			cluster.Event{At: r.GapStart, What: "client " + l.Proto + ": last write before the stall"},
			cluster.Event{At: r.GapEnd, What: "client " + l.Proto + ": first write after it"})
	}
	sort.SliceStable(events, func(i, j int) bool { return events[i].At.Before(events[j].At) })
	for _, e := range events {
		t.Logf("%8.2f s  %s", e.At.Sub(start).Seconds(), e.What)
	}
	return stalls, nil
}
