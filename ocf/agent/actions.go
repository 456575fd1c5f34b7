package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host"
)

// start ends with the group Unpromoted: DRBD up and Secondary, nothing else.
func (a *Agent) start(ctx context.Context) error {
	g, cfg, err := a.open(false)
	if err != nil {
		return err
	}
	if err := a.checkCloneMeta(); err != nil {
		return err
	}
	if err := a.checkAlone(); err != nil {
		return err
	}
	facts, err := g.Inspect(ctx)
	if err != nil {
		return err
	}
	if promoted, _ := judge(facts, cfg); promoted {
		return nil // adopted: it serves already
	}
	if err := a.checkPrograms(cfg); err != nil {
		return err
	}
	if err := g.Start(ctx); err != nil {
		return classify(err)
	}
	a.forgetScore() // the attribute may have gone with the cluster's last life
	a.updateScore(ctx, g)
	return nil
}

// classify gives errors that mean more than "failed" their codes.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, host.ErrNotInstalled), group.IsMissing(err):
		return ocf.Errorf(ocf.ErrInstalled, "%w", err)
	}
	return err
}

// stop takes the group down from any state. It succeeds only when nothing is
// left; where nothing can be there it succeeds without parameters.
func (a *Agent) stop(ctx context.Context) error {
	g, _, err := a.open(true)
	if err != nil {
		// Not configured, and no record of ever having been started since the
		// last boot: nothing of ours can run.
		a.log.Warn("nothing to stop", "err", err)
		return nil
	}
	if err := g.Stop(ctx); err != nil {
		return err
	}
	a.deleteScore(ctx)
	return nil
}

// promote ends with clients being served.
func (a *Agent) promote(ctx context.Context) error {
	g, cfg, err := a.open(false)
	if err != nil {
		return err
	}
	facts, err := g.Inspect(ctx)
	if err != nil {
		return err
	}
	if facts.DRBD == nil {
		return ocf.Errorf(ocf.NotRunning, "DRBD resource %s is not up", cfg.Group.Resource)
	}
	if why := facts.Eligible(); why != "" {
		return errors.New(why)
	}
	if err := checkSuspended(facts); err != nil {
		return err
	}
	if len(facts.Broken()) == 0 {
		return nil
	}
	if !facts.Recorded && len(facts.Pieces()) == 0 {
		if err := g.Prepare(ctx); err != nil {
			return classify(err)
		}
	}
	return classify(g.Up(ctx))
}

// checkSuspended refuses to go on where writing to the volume would hang in the
// kernel, out of reach of every signal.
func checkSuspended(f group.Facts) error {
	if f.DRBD == nil || f.DRBD.Suspended.None() {
		return nil
	}
	return fmt.Errorf("DRBD I/O is suspended (%s)", f.DRBD.Suspended)
}

// demote ends with the group Unpromoted. Neither it nor promote touches the
// promotion score: the next monitor does, and clients do not wait for it.
func (a *Agent) demote(ctx context.Context) error {
	g, _, err := a.open(true)
	if err != nil {
		return err
	}
	if err := g.Down(ctx); err != nil {
		return err
	}
	if !g.DRBDUp() {
		return answer(ocf.NotRunning, "DRBD is down")
	}
	return nil
}

// notify refreshes the promotion score: a change of the peers can change it.
// It always succeeds, Pacemaker ignores its result.
func (a *Agent) notify(ctx context.Context) error {
	if a.env.Meta["notify_type"] != "post" {
		return nil
	}
	g, _, err := a.open(true)
	if err != nil {
		return nil
	}
	a.updateScore(ctx, g)
	return nil
}

// reload applies reloadable parameters to a running group: exports are added,
// then those of the last start that are gone are withdrawn; the number of
// threads is set; service addresses come and go. The log level and
// report_degraded count from the next action on by themselves.
func (a *Agent) reload(ctx context.Context) error {
	old, err := group.LoadRecord(a.sys, a.env.Instance)
	if err != nil {
		a.log.Warn("exports and addresses that are no longer configured stay until the next demote", "err", err)
	}
	g, cfg, err := a.open(false)
	if err != nil {
		return err
	}
	facts, err := g.Inspect(ctx)
	if err != nil {
		return err
	}
	if len(facts.Pieces()) == 0 {
		return g.SaveParams()
	}
	if err := checkSuspended(facts); err != nil {
		return err
	}
	var drop group.Config
	if before, err := ParseParams(a.env.Instance, old.Params); err == nil {
		drop = before.Group
	}
	if err := g.Reload(ctx, drop); err != nil {
		return err
	}
	a.log.Info("parameters reloaded", "exports", len(cfg.Group.Exports), "threads", cfg.Group.Server.Threads, "addresses", len(cfg.Group.VIPs))
	return nil
}

// checkCloneMeta refuses a resource that is no promotable clone with one
// promoted instance. Without any meta attribute of a node the caller is no
// cluster (ocf-tester), and there is nothing to check.
func (a *Agent) checkCloneMeta() error {
	m := a.env.Meta
	if m["on_node"] == "" && !a.env.IsClone() {
		return nil
	}
	if !a.env.Promotable() {
		return ocf.Errorf(ocf.ErrConfigured, "make it a promotable clone: pcs resource promotable %s", a.env.Instance)
	}
	limits := []struct{ key, alt, want string }{
		{"promoted_max", "master_max", "1"},
		{"promoted_node_max", "master_node_max", "1"},
		{"clone_node_max", "", "1"},
		{"globally_unique", "", "false"},
	}
	for _, l := range limits {
		got := m[l.key]
		if got == "" && l.alt != "" {
			got = m[l.alt]
		}
		if got != "" && got != l.want {
			return ocf.Errorf(ocf.ErrConfigured, "set clone meta attribute %s=%s, it is %s",
				strings.ReplaceAll(l.key, "_", "-"), l.want, got)
		}
	}
	return nil
}

// checkAlone refuses a second group on this node: there is one NFS server.
func (a *Agent) checkAlone() error {
	names, err := a.sys.ReadDir(group.RunDir)
	if err != nil {
		return fmt.Errorf("look for other groups: %w", err)
	}
	for _, n := range names {
		other, ok := strings.CutSuffix(n, ".json")
		if !ok || other == a.env.Instance {
			continue
		}
		return ocf.Errorf(ocf.ErrArgs, "one group per node: %s is started here already; ban one of them", other)
	}
	return nil
}

// checkPrograms makes sure before anything is changed that what a promotion
// will need is there.
func (a *Agent) checkPrograms(cfg Config) error {
	var missing []string
	for _, p := range programs(cfg) {
		if _, err := a.sys.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		return ocf.Errorf(ocf.ErrInstalled, "install what provides %s", strings.Join(missing, ", "))
	}
	return nil
}
