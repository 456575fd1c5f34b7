package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// killPoint is one boundary at which the agent is killed.
type killPoint struct {
	action, step, edge string
}

func (k killPoint) String() string { return k.action + " " + k.step + " " + k.edge }

// killPoints lists the boundaries: before the first step and after each one. The
// boundary after a step and the one before the next are the same for whoever
// finds the node, so with full unset the latter are left out.
func killPoints(full bool) []killPoint {
	var points []killPoint
	for _, action := range []string{"promote", "demote"} {
		for i, step := range agent.StepNames(action) {
			if i == 0 || full {
				points = append(points, killPoint{action, step, "before"})
			}
			points = append(points, killPoint{action, step, "after"})
		}
	}
	return points
}

// killedAction is scenario 7: most boundaries with the agent run by hand on one
// node, some through Pacemaker.
func killedAction(ctx context.Context, t *T) error {
	node, peer := rig.Node1, rig.Node2
	if err := t.Unmanaged(ctx, peer, node); err != nil {
		return err
	}
	promoted := false
	for i, k := range killPoints(false) {
		begin := time.Now()
		var err error
		if promoted, err = t.killOnce(ctx, node, k, i, promoted); err != nil {
			return fmt.Errorf("killed at %s: %w", k, err)
		}
		t.Logf("killed at %-24s ok (%.1f s)", k.String(), time.Since(begin).Seconds())
	}
	for _, n := range []string{node, peer} {
		if err := t.mustAgent(ctx, n, "stop", 0); err != nil {
			return err
		}
	}
	return t.killedUnderPacemaker(ctx)
}

// mustAgent runs an action and asserts its exit code.
func (t *T) mustAgent(ctx context.Context, node, action string, want int) error {
	code, text, err := t.Agent(ctx, node, action, "")
	if err == nil && code != want {
		err = fmt.Errorf("%s on %s: exit code %d, want %d\n%s", action, node, code, want, text)
	}
	return err
}

// killOnce kills the agent at one boundary and runs a next action: a repeated
// promote on even turns, a stop on odd ones. promoted says in which state the
// node is on entry and on return (started, or promoted too).
func (t *T) killOnce(ctx context.Context, node string, k killPoint, turn int, promoted bool) (bool, error) {
	want := k.action == "demote"
	switch {
	case want && !promoted:
		if err := t.mustAgent(ctx, node, "promote", 0); err != nil {
			return false, err
		}
	case !want && promoted:
		if err := t.mustAgent(ctx, node, "demote", 0); err != nil {
			return false, err
		}
		left, err := t.OnPassive(ctx, node)
		if err != nil || len(left) > 0 {
			return false, fmt.Errorf("after a plain demote %s still has %v (%v)", node, left, err)
		}
	}
	if err := t.killAt(ctx, node, k); err != nil {
		return false, err
	}
	if turn%2 == 0 {
		if err := t.mustAgent(ctx, node, "promote", 0); err != nil {
			return false, fmt.Errorf("next action: %w", err)
		}
		return true, t.mustServe(ctx, node)
	}
	if err := t.mustAgent(ctx, node, "stop", 0); err != nil {
		return false, fmt.Errorf("next action: %w", err)
	}
	if err := t.mustBeClean(ctx, node); err != nil {
		return false, err
	}
	if err := t.mustAgent(ctx, node, "monitor", 7); err != nil {
		return false, fmt.Errorf("after stop: %w", err)
	}
	return false, t.mustAgent(ctx, node, "start", 0)
}

// killAt sets the fault point, runs the action and asserts that it was killed.
func (t *T) killAt(ctx context.Context, node string, k killPoint) error {
	set := fmt.Sprintf("mkdir -p -m 0700 /run/drbdnfs; echo '%s' >/run/drbdnfs/faultpoint", k)
	code, text, err := t.Agent(ctx, node, k.action, set)
	if err != nil {
		return err
	}
	if code != 137 {
		_, _ = t.Rig.SSH(ctx, node, "rm -f /run/drbdnfs/faultpoint")
		return fmt.Errorf("the boundary was not reached: exit code %d\n%s", code, text)
	}
	return nil
}

// mustBeClean asserts that a node holds nothing of the service.
func (t *T) mustBeClean(ctx context.Context, node string) error {
	left, err := t.Leftovers(ctx, node)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%s still has %v", node, left)
	}
	return err
}

// mustServe asserts that a promoted node serves: the agent's own deep monitor, no
// port block, and an answer to the client's own call through the address.
func (t *T) mustServe(ctx context.Context, node string) error {
	code, text, err := t.Agent(ctx, node, "monitor", "export OCF_CHECK_LEVEL=10\n")
	if err == nil && code != 8 {
		err = fmt.Errorf("deep monitor after the repeated promote: exit code %d, want 8\n%s", code, text)
	}
	if err != nil {
		return err
	}
	left, err := t.Leftovers(ctx, node)
	if err != nil {
		return err
	}
	have := strings.Join(left, "; ")
	if strings.Contains(have, "nft table") {
		return fmt.Errorf("the repeated promote left the port block: %s", have)
	}
	_, err = t.Rig.SSH(ctx, rig.Client, `set -e
timeout 30 showmount -e `+rig.VIP+` | grep -q /home/nfs/user-data
timeout 30 rpcinfo -T tcp `+rig.VIP+` 100003 3 >/dev/null`)
	return err
}

// killedUnderPacemaker kills a promote and a demote that Pacemaker runs; the
// cluster must get whole again without anybody's hand.
func (t *T) killedUnderPacemaker(ctx context.Context) error {
	for _, k := range []killPoint{{"promote", "nfsd", "after"}, {"demote", "umount", "before"}} {
		active, err := t.Ready(ctx)
		if err != nil {
			return err
		}
		if err := t.killInMove(ctx, active, k); err != nil {
			return fmt.Errorf("killed at %s under Pacemaker: %w", k, err)
		}
	}
	_, err := t.Cluster.WaitReady(ctx, readyLimit)
	return err
}

// killInMove moves the service away from the active node, kills the action at k
// on its way, takes the standby back and waits until the cluster is whole.
func (t *T) killInMove(ctx context.Context, active string, k killPoint) error {
	where := active
	if k.action == "promote" {
		where = rig.Peer(active)
	}
	begin := time.Now()
	script := fmt.Sprintf("mkdir -p -m 0700 /run/drbdnfs; echo '%s' >/run/drbdnfs/faultpoint", k)
	if _, err := t.Rig.SSH(ctx, where, script); err != nil {
		return err
	}
	t.Cleanup(func(ctx context.Context) {
		_, _ = t.Rig.SSH(ctx, where, "rm -f /run/drbdnfs/faultpoint; crm_standby --delete --node "+active)
	})
	if _, err := t.Rig.SSH(ctx, where, "crm_standby --node "+active+" --update on"); err != nil {
		return err
	}
	err := rig.Poll(ctx, "the agent to be killed", time.Minute, 300*time.Millisecond, func(ctx context.Context) error {
		_, err := t.Rig.SSH(ctx, where, "! [ -e /run/drbdnfs/faultpoint ]")
		return err
	})
	if err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, where, "crm_standby --delete --node "+active); err != nil {
		return err
	}
	now, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return err
	}
	t.Logf("killed at %s under Pacemaker: whole again on %s after %.1f s", k, now, time.Since(begin).Seconds())
	return t.noDouble(ctx)
}
