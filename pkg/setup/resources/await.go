package resources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// Bounds of waiting.
const (
	// patience is enough for a start, a promotion and a second try of both.
	patience = 10 * time.Minute
	// giveUp is how long every node must have failed, with nothing under way, until
	// that is the result: Pacemaker tries again for a while.
	giveUp = 10 * time.Second
)

// await returns when the group is Promoted on one node and nothing is under way.
func (s *Stage) await(ctx context.Context, p setup.Progress) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var hopeless time.Time // since when every node has failed
	settled := false       // a restart takes a moment to begin: the first look may be too early
	missing := "crm_mon has not answered"
	for {
		st, err := s.status(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !notRunning(err) && !errors.Is(err, pacemaker.ErrNoAnswer):
			return err
		case err == nil && st.Settled(s.group()):
			if settled {
				return nil
			}
			settled, missing = true, "group "+s.group()+" is Promoted, and is watched for a moment"
		case err == nil:
			settled = false
			if off := st.Off(s.group()); off != "" {
				return fmt.Errorf("group %s: %s: %s", s.group(), off, s.switchOn())
			}
			missing = s.missing(st)
			hopeless = s.hopeless(st, hopeless)
			if !hopeless.IsZero() && time.Since(hopeless) >= giveUp {
				return fmt.Errorf("the group %s has failed on every node: %s: remove the cause, then: pcs resource cleanup %s",
					s.group(), reasons(st.Failures(s.group())), s.group())
			}
		}
		p.Waiting(missing)
		if err := sleep(ctx, setup.PollInterval); err != nil {
			return fmt.Errorf("%s: %w", missing, err)
		}
	}
}

// hopeless returns since when nothing is left to wait for, zero when there is.
func (s *Stage) hopeless(st pacemaker.Status, since time.Time) time.Time {
	failures := st.Failures(s.group())
	for _, n := range s.c.Diskful() {
		if !slices.ContainsFunc(failures, func(f pacemaker.Failure) bool { return f.Node == n.Name }) {
			return time.Time{}
		}
	}
	if st.Pending(s.group()) != "" || len(st.Promoted(s.group())) > 0 {
		return time.Time{}
	}
	if since.IsZero() {
		return time.Now()
	}
	return since
}

// missing says what keeps the group from serving.
func (s *Stage) missing(st pacemaker.Status) string {
	var out []string
	switch {
	case !st.HasDC:
		out = append(out, "the cluster has no coordinator (DC) yet")
	case !st.Quorum:
		out = append(out, "the cluster has no quorum")
	}
	for _, n := range s.c.Diskful() {
		out = append(out, n.Name+": "+s.roleOn(st, n.Name))
	}
	if failures := st.Failures(s.group()); len(failures) > 0 {
		out = append(out, reasons(failures))
	}
	return "group " + s.group() + " is not Promoted yet: " + strings.Join(out, ", ")
}

// roleOn says what a node does with the group.
func (s *Stage) roleOn(st pacemaker.Status, node string) string {
	n, ok := st.Node(node)
	switch {
	case !ok:
		return "not in the cluster"
	case !n.Online:
		return "offline"
	case n.Pending:
		return "joining"
	case n.Standby:
		return "standby"
	}
	for _, i := range st.Instances(s.group()) {
		if slices.Contains(i.Nodes, node) {
			return strings.TrimSpace(i.Role + " " + i.Pending)
		}
	}
	return "stopped"
}

func reasons(failures []pacemaker.Failure) string {
	out := make([]string, 0, len(failures))
	for _, f := range failures {
		out = append(out, f.String())
	}
	return strings.Join(out, "; ")
}

// awaitStopped returns when no instance of the group runs any more, after it was
// taken out of the CIB.
func (s *Stage) awaitStopped(ctx context.Context, p setup.Progress) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		st, err := s.status(ctx)
		if err != nil {
			return err
		}
		running := st.Running(s.group())
		if len(running) == 0 {
			return nil
		}
		what := "group " + s.group() + " still runs on " + strings.Join(running, ", ")
		if failures := st.Failures(s.group()); len(failures) > 0 {
			what += ": " + reasons(failures)
		}
		p.Waiting(what)
		if err := sleep(ctx, setup.PollInterval); err != nil {
			return errors.Join(errors.New(what), err)
		}
	}
}
