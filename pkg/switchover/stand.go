package switchover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
)

// setStandby changes a node's attribute in the CIB. Both crm_attribute 2.1.5 and
// 2.1.7 have these options; crm_standby runs the same.
func (r *run) setStandby(ctx context.Context, node string, on bool) error {
	args := []string{"--type", "nodes", "--node", node, "--name", "standby"}
	if on {
		args = append(args, "--update", "on")
	} else {
		args = append(args, "--delete")
	}
	if _, err := r.run(ctx, cibTimeout, host.Cmd{Op: "switchover.standby", Name: "crm_attribute", Args: args}); err != nil {
		return fmt.Errorf("standby of %s: %w", node, err)
	}
	return nil
}

// standby puts the node into standby and waits until the group has stopped
// there. Where ctx ends before, the standby stays: it was asked for.
func (r *run) standby(ctx context.Context) (Result, error) {
	node := r.plan.Node
	if err := r.setStandby(ctx, node, true); err != nil {
		return Result{}, err
	}
	r.say(node, "%s is in standby", node)
	err := r.until(ctx, func(st pacemaker.Status) string {
		if slices.Contains(st.Running(r.group), node) {
			return r.group + " still runs on " + node
		}
		return ""
	})
	if err != nil {
		res := ended(err)
		res.Reason += "; the standby stays: drbdnfs unstandby " + node
		return res, nil
	}
	r.say(node, "%s has stopped on %s", r.group, node)
	return Result{Outcome: Done}, nil
}

// unstandby takes the standby back and waits until the group runs there.
func (r *run) unstandby(ctx context.Context) (Result, error) {
	node := r.plan.Node
	if err := r.setStandby(ctx, node, false); err != nil {
		return Result{}, err
	}
	r.say(node, "%s is no longer in standby", node)
	data := slices.ContainsFunc(r.cfg.Diskful(), func(n config.Node) bool { return n.Name == node })
	err := r.until(ctx, func(st pacemaker.Status) string {
		n, _ := st.Node(node)
		switch {
		case n.Standby:
			return node + " is still in standby: if that was set until the next boot: crm_standby --lifetime reboot --delete --node " + node
		case data && n.Online && st.Off(r.group) == "" && !slices.Contains(st.Running(r.group), node):
			return r.group + " does not run on " + node + " yet"
		case r.plan.From == "" && data && n.Online && st.Off(r.group) == "" && !st.Settled(r.group):
			return r.group + " is promoted nowhere yet"
		}
		return ""
	})
	if err != nil {
		return ended(err), nil
	}
	if data {
		r.say(node, "%s runs on %s; DRBD catches up by itself: drbdnfs status", r.group, node)
	}
	return Result{Outcome: Done}, nil
}

// until waits until nothing is missing. A new failure of the group is told.
func (r *run) until(ctx context.Context, missing func(pacemaker.Status) string) error {
	w := &watch{group: r.group}
	first, since, said := true, time.Now(), ""
	for {
		st, err := pacemaker.Mon(ctx, r.machine, "switchover.crm_mon")
		what := "Pacemaker has not answered"
		if err == nil {
			for _, f := range w.news(st) {
				if !first {
					r.event(Event{Kind: KindProblem, Node: f.Node, Text: f.String()})
				}
			}
			first = false
			if what = missing(st); what == "" && st.Pending(r.group) == "" {
				return nil
			}
		}
		if time.Since(since) > 10*time.Second && what != said && what != "" {
			said, since = what, time.Now()
			r.say("", "waiting: %s", what)
		}
		if !sleep(ctx, lookEvery) {
			return errors.Join(errors.New(what), context.Cause(ctx))
		}
	}
}
