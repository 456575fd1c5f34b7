package resources

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// attempts is how often a patch is made when the CIB changes under it.
const attempts = 5

// pause is the longest time between two attempts.
const pause = 500 * time.Millisecond

// do returns the function that brings an edit into the cluster, and then waits.
func (s *Stage) do(e edit, then func(context.Context, setup.Progress) error) func(context.Context, setup.Progress) error {
	return func(ctx context.Context, p setup.Progress) error {
		if err := s.apply(ctx, p, e); err != nil || then == nil {
			return err
		}
		return then(ctx, p)
	}
}

// apply brings an edit into the cluster. It is done when a query shows it.
// Without quorum Pacemaker takes no change; that is waited for.
func (s *Stage) apply(ctx context.Context, p setup.Progress, e edit) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	checked := "" // the generation for which the change is known to be harmless
	for n := 0; n < attempts; {
		done, err := s.attempt(ctx, e, &checked)
		wait := pause/4 + rand.N(pause*3/4)
		switch {
		case exited(err, exitNoQuorum):
			p.Waiting("the cluster has no quorum: start the other nodes")
			wait = setup.PollInterval
		case done || err != nil && !exited(err, exitOld):
			return err
		default:
			n++
			p.Waiting("somebody else changed the CIB: once more")
			s.log.Info("the cib has changed meanwhile", "attempt", n)
		}
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("change the CIB: %w", err)
		}
	}
	return fmt.Errorf("the CIB was changed by somebody else %d times in a row: run it again", attempts)
}

// attempt queries, checks and patches once. It reports whether the cluster has
// the edit.
func (s *Stage) attempt(ctx context.Context, e edit, checked *string) (done bool, err error) {
	before, after, changes, err := s.edited(ctx, e)
	if err != nil || !effective(changes) {
		return err == nil, err
	}
	if generation(before) != *checked {
		if err := s.check(ctx, before, after); err != nil {
			return false, err
		}
		*checked = generation(before)
		// The check took a while, and the status section changes all the time.
		if before, after, changes, err = s.edited(ctx, e); err != nil || generation(before) != *checked {
			return false, err
		}
	}
	if err := s.send(ctx, before, after); err != nil {
		return false, err
	}
	s.log.Info("changed the cib", "changes", len(changes))
	_, _, rest, err := s.edited(ctx, e)
	if err == nil && effective(rest) {
		err = fmt.Errorf("the CIB does not have the change: %s", rest[0].Object)
	}
	return true, err
}

// edited queries the CIB and edits a copy.
func (s *Stage) edited(ctx context.Context, e edit) (before, after *etree.Document, changes []cib.Change, err error) {
	if before, err = s.query(ctx); err != nil {
		return nil, nil, nil, err
	}
	after, changes, err = e(before, s.c)
	return before, after, changes, err
}

func (s *Stage) send(ctx context.Context, before, after *etree.Document) error {
	if err := nextVersion(after); err != nil {
		return err
	}
	from, to, err := texts(before, after)
	if err != nil {
		return err
	}
	diff, err := s.diff(ctx, from, to)
	if err != nil {
		return err
	}
	return s.patch(ctx, diff)
}

// check refuses what would break the configuration or disturb others.
func (s *Stage) check(ctx context.Context, before, after *etree.Document) error {
	items, err := s.refusals(ctx, before, after)
	if err != nil || len(items) == 0 {
		return err
	}
	return fmt.Errorf("%s: %s", items[0].Object, items[0].Detail)
}

// refusals are the items for what would break the configuration or disturb
// others.
func (s *Stage) refusals(ctx context.Context, before, after *etree.Document) ([]setup.Item, error) {
	from, to, err := texts(before, after)
	if err != nil {
		return nil, err
	}
	var wrong []string
	if after.FindElement("cib/configuration/resources/*") != nil { // nothing can be wrong with nothing
		if wrong, err = s.verify(ctx, from, to); err != nil {
			return nil, err
		}
	}
	if len(wrong) > 0 {
		return []setup.Item{{
			Object: "CIB", Action: setup.Refuse, Detail: "crm_verify refuses the new configuration: " + strings.Join(wrong, "; "),
			Why: "change what it names, in the CIB or in the configuration file",
		}}, nil
	}
	disturbed, err := s.disturbed(ctx, from, to)
	if err != nil || len(disturbed) == 0 {
		return nil, err
	}
	return []setup.Item{{
		Object: "other resources", Action: setup.Refuse, Detail: "the change would disturb " + strings.Join(disturbed, ", "),
		Why: "stop them first (pcs resource disable NAME), or take away what makes them depend on the change",
	}}, nil
}

func texts(before, after *etree.Document) (from, to []byte, err error) {
	if from, err = before.WriteToBytes(); err != nil {
		return nil, nil, err
	}
	to, err = after.WriteToBytes()
	return from, to, err
}

// sleep waits for d, or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
