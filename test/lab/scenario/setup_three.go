package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// quorumConfig adds a diskless tie-breaker to the scenario's configuration and
// chooses DRBD's quorum.
const quorumConfig = `s|^mode = "none"|mode = "drbd-quorum"|; s/^accept_split_brain.*//
$a [[node]]\nname = "` + rig.Node3 + `"\naddress = "192.168.2.66"\ndiskless = true`

// setupThree is the scenario setup-three: two nodes with data, a tie-breaker,
// DRBD's quorum. The active node is killed, then cut off.
func setupThree(ctx context.Context, t *T) error {
	if t.Cluster.DRBD9 == "" {
		return fmt.Errorf("%w: LAB_DRBD9 is not set, DRBD 8.4 has two nodes and no quorum", ErrSkip)
	}
	t.Cluster.Nodes = append(rig.Nodes(), rig.Node3)
	t.Cleanup(func(context.Context) {
		t.Cluster.Nodes = rig.Nodes()
		_ = t.Rig.Kill(rig.Node3)
	})
	if err := t.setupNodes(ctx); err != nil {
		return err
	}
	if err := t.edit(ctx, quorumConfig); err != nil {
		return err
	}
	if err := t.applyAll(ctx); err != nil {
		return err
	}
	active, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return err
	}
	if err := t.MountClient(ctx); err != nil {
		return err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	if _, err := t.crashRound(ctx, active, loads); err != nil {
		return err
	}
	if err := t.cutRound(ctx, rig.Peer(active), loads); err != nil {
		return err
	}
	if err := t.StopLoads(ctx, loads); err != nil {
		return err
	}
	return t.nothingToDo(ctx)
}

// cutRound pulls the active node's cable under load. The majority serves on, the
// node that was cut off stops; plugged in again it follows.
func (t *T) cutRound(ctx context.Context, active string, loads []*Load) error {
	t.Logf("cutting the active node %s off", active)
	cut := time.Now()
	t.Cleanup(func(ctx context.Context) { _ = t.Rig.SetLink(ctx, active, true) })
	if err := t.Rig.SetLink(ctx, active, false); err != nil {
		return err
	}
	if err := t.WaitWriting(ctx, loads, cut.Add(5*time.Second), backLimit); err != nil {
		return err
	}
	survivor := rig.Peer(active)
	for _, l := range loads {
		r, err := t.Report(ctx, l, cut)
		if err != nil {
			return err
		}
		t.Logf("cut off: the %s client stood still for %.1f s", l.Proto, r.MaxGap.Seconds())
	}
	if err := t.Rig.SetLink(ctx, active, true); err != nil {
		return err
	}
	now, err := t.Cluster.WaitReady(ctx, backLimit)
	if err != nil {
		return fmt.Errorf("the return of the node that was cut off: %w", err)
	}
	t.Check(now == survivor, "the service runs on %s, want it to stay on %s", now, survivor)
	return t.noDouble(ctx)
}
