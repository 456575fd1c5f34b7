package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/journal"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// splitManual is the scenario split-brain-manual.
func splitManual(ctx context.Context, t *T) error {
	active, passive, err := t.splitReady(ctx)
	if err != nil {
		return err
	}
	if err := t.noteDiscards(ctx); err != nil {
		return err
	}
	if err := t.diverge(ctx, active, passive, "manual"); err != nil {
		return err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	begin, err := t.mend(ctx, passive)
	if err != nil {
		return err
	}
	for _, node := range rig.Nodes() {
		if err := t.phase(ctx, node, "held", time.Minute); err != nil {
			return err
		}
	}
	if err := t.foundWithin(ctx, 2*time.Second); err != nil {
		return err
	}
	if err := t.Cluster.Both(ctx, "systemctl restart drbdnfsd; [ -s /var/lib/drbdnfs/split-brain/*.json ]"); err != nil {
		return err
	}
	for _, node := range rig.Nodes() {
		if err := t.phase(ctx, node, "held", 30*time.Second); err != nil {
			return fmt.Errorf("after a restart of the daemon: %w", err)
		}
	}
	if err := observe(ctx, 10*time.Second); err != nil {
		return err
	}
	if err := t.untouched(ctx); err != nil {
		return err
	}
	if err := t.byHand(ctx, passive, active); err != nil {
		return err
	}
	if err := t.whole(ctx); err != nil {
		return err
	}
	if _, err := t.worstGap(ctx, loads, begin); err != nil {
		return err
	}
	t.survived(ctx, "manual")
	return t.StopLoads(ctx, loads)
}

// worstGap checks that the clients of the survivor went on.
func (t *T) worstGap(ctx context.Context, loads []*Load, since time.Time) (time.Duration, error) {
	worst := time.Duration(0)
	for _, l := range loads {
		r, err := t.Report(ctx, l, since)
		if err != nil {
			return 0, err
		}
		worst = max(worst, r.MaxGap)
	}
	t.Logf("longest gap between two writes of the clients: %.2f s", worst.Seconds())
	t.Check(worst < 5*time.Second, "the clients stood still for %.1f s", worst.Seconds())
	return worst, nil
}

// noteDiscards remembers how often each node has discarded so far.
func (t *T) noteDiscards(ctx context.Context) error {
	t.discards = map[string]int{}
	for _, node := range rig.Nodes() {
		at, err := t.stamps(ctx, node, "MESSAGE_ID="+journal.SplitBrainDiscarded)
		if err != nil {
			return err
		}
		t.discards[node] = len(at)
	}
	return nil
}

// splitAuto is the scenario split-brain-auto.
func splitAuto(ctx context.Context, t *T) error {
	active, passive, err := t.splitReady(ctx)
	if err != nil {
		return err
	}
	if err := t.startReceiver(ctx); err != nil {
		return err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	if err := t.autoRound(ctx, active, passive, "discard-secondary", `resolutions = 16\n`+alertsConfig, loads); err != nil {
		return fmt.Errorf("policy discard-secondary: %w", err)
	}
	if err := t.toldOf(ctx, passive); err != nil {
		return err
	}
	for _, p := range []struct{ policy, more string }{
		{"discard-least-changes", ""},
		{"discard-younger-primary", ""},
		{"keep-node", fmt.Sprintf(`keep = "%s"\n`, active)},
	} {
		if err := t.autoRound(ctx, active, passive, p.policy, p.more+`resolutions = 16\n`, loads); err != nil {
			return fmt.Errorf("policy %s: %w", p.policy, err)
		}
	}
	return t.StopLoads(ctx, loads)
}

// autoRound lets the daemons resolve one split brain by a policy.
func (t *T) autoRound(ctx context.Context, active, passive, policy, more string, loads []*Load) error {
	t.Logf("policy %s", policy)
	if err := t.setPolicy(ctx, policy, more); err != nil {
		return err
	}
	if err := t.noteDiscards(ctx); err != nil {
		return err
	}
	if err := t.diverge(ctx, active, passive, policy); err != nil {
		return err
	}
	begin, err := t.mend(ctx, passive)
	if err != nil {
		return err
	}
	t.discards[passive]++
	err = rig.Poll(ctx, "the victim to discard", 2*time.Minute, time.Second, func(ctx context.Context) error {
		at, err := t.stamps(ctx, passive, "MESSAGE_ID="+journal.SplitBrainDiscarded)
		if err == nil && len(at) < t.discards[passive] {
			err = errNot
		}
		return err
	})
	if err != nil {
		return errors.Join(err, t.showRefusals(ctx))
	}
	if err := t.whole(ctx); err != nil {
		return err
	}
	t.Logf("resolved %.1f s after the link came back", time.Since(begin).Seconds())
	if _, err := t.worstGap(ctx, loads, begin); err != nil {
		return err
	}
	if err := t.untouched(ctx); err != nil {
		return err
	}
	t.survived(ctx, policy)
	if err := t.lostFile(ctx, passive, policy); err != nil {
		return err
	}
	return t.removeSnapshots(ctx, passive)
}

// showRefusals says why the daemons did nothing.
func (t *T) showRefusals(ctx context.Context) error {
	var all []string
	for _, node := range rig.Nodes() {
		out, _ := t.Rig.SSH(ctx, node, "journalctl -q -b -t drbdnfsd -n 12 --no-pager -o cat; systemctl show -p StatusText drbdnfsd")
		all = append(all, node+":\n"+out)
	}
	return errors.New(strings.Join(all, "\n"))
}

// standalone is the scenario standalone-not-split.
func standalone(ctx context.Context, t *T) error {
	active, passive, err := t.splitReady(ctx)
	if err != nil {
		return err
	}
	if err := t.setPolicy(ctx, "discard-secondary", ""); err != nil {
		return err
	}
	if err := t.noteDiscards(ctx); err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, passive, "drbdadm disconnect res0"); err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, rig.Client, "echo more >"+mountV3+"/while-disconnected; sync"); err != nil {
		return err
	}
	if err := observe(ctx, 30*time.Second); err != nil {
		return err
	}
	for _, node := range []string{active, passive} {
		if err := t.phase(ctx, node, "none", 15*time.Second); err != nil {
			return err
		}
	}
	out, err := t.Rig.SSH(ctx, passive, "drbdadm cstate res0")
	if err != nil {
		return err
	}
	t.Check(strings.TrimSpace(out) == "StandAlone", "the connection is %s, the administrator's disconnect was undone", strings.TrimSpace(out))
	if err := t.untouched(ctx); err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, passive, "drbdadm connect res0"); err != nil {
		return err
	}
	return t.whole(ctx)
}

// splitScenarios are the scenarios of the daemon that have to be named.
func splitScenarios() []Scenario {
	return []Scenario{
		{Name: "split-brain-auto", Summary: "each policy resolves a split brain; the discarded data is in a snapshot", ByName: true, Limit: 40 * time.Minute, Run: splitAuto},
		{Name: "split-brain-refuse", Summary: "what must not be resolved is held, with the reason", ByName: true, Limit: 40 * time.Minute, Run: splitRefuse},
		{Name: "split-brain-resolve", Summary: "a person's order resolves, from either node, against another, and with a daemon down", ByName: true, Limit: 30 * time.Minute, Run: splitResolve},
		{Name: "daemon-killed", Summary: "the daemon is killed at each effect of a resolution: continued or held, never twice", ByName: true, Limit: 60 * time.Minute, Run: daemonKilled},
		{Name: "stream-lost", Summary: "drbdsetup killed, DRBD's module unloaded and loaded", ByName: true, Limit: 15 * time.Minute, Run: streamLost},
		{Name: "metrics-live", Summary: "a real Prometheus scrapes both nodes and fires the alert", ByName: true, Limit: 20 * time.Minute, Run: metricsLive},
		{Name: "standalone-not-split", Summary: "an administrator's disconnect is not touched", ByName: true, Limit: 15 * time.Minute, Run: standalone},
	}
}
