package switchover

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
)

const defaultTimeout = 5 * time.Minute

// Plan looks and decides. It changes nothing in the cluster, but for a constraint
// that a killed run has left, which it removes unless the request is a dry run.
// It takes up to a minute and a half if everything hangs, and ends with ctx.
//
// Errors are those of [pacemaker.Mon] and of Pacemaker's other programs. A plan
// with refusals is no error.
func (s *Switch) Plan(ctx context.Context, r Request) (Plan, error) {
	if r.Timeout <= 0 {
		r.Timeout = defaultTimeout
	}
	free, err := s.lock(ctx)
	if err != nil {
		return Plan{}, err
	}
	f, doc, err := s.look(ctx)
	if err != nil {
		return Plan{}, err
	}
	f.LockHeld = free
	p := Decide(f, r)
	if !free && f.Hold == nil {
		p.refuse(Held, false, "another drbdnfs moves the service on this node", "wait for its end")
	}
	if err := s.sweep(ctx, &p, f, r); err != nil {
		return p, err
	}
	if p.Nothing != "" || p.fatal() {
		return p, nil
	}
	return p, s.foresee(ctx, &p, f, doc)
}

// sweep removes what a killed run has left.
func (s *Switch) sweep(ctx context.Context, p *Plan, f Facts, r Request) error {
	if p.hold == nil || r.DryRun {
		return nil
	}
	for _, x := range p.Refusals {
		if x.Code == Held && !(x.Force && r.Force) {
			return nil
		}
	}
	return s.release(ctx, f.Hold.By)
}

// foresee lets Pacemaker's own scheduler say what it would do, and refuses what
// nobody has asked for.
func (s *Switch) foresee(ctx context.Context, p *Plan, f Facts, doc *etree.Document) error {
	doc = withoutHold(doc, s.group)
	switch {
	case p.Moves():
		return s.foreseeMove(ctx, p, f, doc)
	case p.Action == Standby:
		now, err := s.simulate(ctx, doc)
		if err != nil {
			return err
		}
		then, err := s.simulate(ctx, withStandby(doc, p.Node))
		if err != nil {
			return err
		}
		if p.From == p.Node && len(then.Promotes) > 0 {
			p.refuse(NotUpToDate, false, "Pacemaker would promote "+strings.Join(then.Promotes, ", ")+" all the same", "look with drbdnfs status")
		}
		s.others(p, now, then, true)
	}
	return nil
}

// foreseeMove refuses a move that Pacemaker would not make, or would take back.
func (s *Switch) foreseeMove(ctx context.Context, p *Plan, f Facts, doc *etree.Document) error {
	now, err := s.simulate(ctx, doc)
	if err != nil {
		return err
	}
	hold := Hold{Target: p.To, By: s.self, Until: f.Now.Add(time.Hour)}
	then, err := s.simulate(ctx, withHold(doc, hold, s.group, s.clone, s.role))
	if err != nil {
		return err
	}
	if !slices.Contains(then.Promotes, p.To) {
		if then, err = s.unwilling(ctx, p, f, doc, hold); err != nil || p.fatal() {
			return err
		}
	}
	s.others(p, now, then, p.Action == Standby)
	if p.Action == Standby {
		return nil
	}
	after, err := s.simulate(ctx, swapped(doc, s.group, p.From, p.To))
	if err != nil {
		return err
	}
	if slices.Contains(after.Demotes, p.To) {
		p.refuse(GoesBack, false, "Pacemaker would bring the service back to "+p.From+" at once"+because(favours(doc, s.group, s.clone, p.From)),
			"to free "+p.From+": drbdnfs standby "+p.From+"; to stay on "+p.To+": change pacemaker.preferred, then drbdnfs setup apply")
	}
	return nil
}

// unwilling says why Pacemaker would not promote the target: because the group
// has failed there too often, which can be forgotten, or for a reason of its own.
func (s *Switch) unwilling(ctx context.Context, p *Plan, f Facts, doc *etree.Document, h Hold) (forecast, error) {
	then, err := s.simulate(ctx, withHold(withoutFailures(doc, s.group, p.To), h, s.group, s.clone, s.role))
	if err != nil {
		return then, err
	}
	if f.FailCounts[p.To] > 0 && slices.Contains(then.Promotes, p.To) {
		p.refuse(Failed, true, fmt.Sprintf("%s has failed too often on %s%s", s.group, p.To, f.failures(p.To)),
			"remove the cause, then: crm_resource --cleanup --resource "+s.group+" --node "+p.To)
		p.Cleanup = append(p.Cleanup, p.To)
		return then, nil
	}
	var bans []string
	for _, b := range f.Cluster.Bans {
		if b.Node == p.To && (b.Resource == s.group || b.Resource == s.clone) {
			bans = append(bans, b.ID)
		}
	}
	remedy := "look at the scores: crm_simulate --live-check --show-scores"
	if len(bans) > 0 {
		remedy = "pcs constraint delete " + strings.Join(bans, " ")
	}
	p.refuse(WontPromote, false, "Pacemaker would not promote "+s.group+" on "+p.To+because(bans), remedy)
	return then, nil
}

// others refuses, or notes, what happens to other resources, and always refuses
// fencing.
func (s *Switch) others(p *Plan, now, then forecast, meant bool) {
	if len(then.Fences) > 0 {
		p.refuse(Fences, false, "Pacemaker would fence "+strings.Join(then.Fences, ", "), "look with drbdnfs status")
	}
	disturbed := then.beyond(now)
	if len(disturbed) == 0 {
		return
	}
	text := "other resources stop, move or restart: " + strings.Join(disturbed, ", ")
	if meant {
		p.Notes = append(p.Notes, text)
		return
	}
	p.refuse(Disturbs, true, text, "")
}

// because names constraints, as the end of a sentence.
func because(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ": because of the constraint " + strings.Join(ids, ", ")
}
