package scenario

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/pkg/journal"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// splitResolve is the scenario split-brain-resolve.
func splitResolve(ctx context.Context, t *T) error {
	active, passive, err := t.splitReady(ctx)
	if err != nil {
		return err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	if err := t.orderFromActive(ctx, active, passive, loads); err != nil {
		return fmt.Errorf("an order on the active node: %w", err)
	}
	if err := t.orderTyped(ctx, active, passive, loads); err != nil {
		return fmt.Errorf("an order typed on the passive node: %w", err)
	}
	if err := t.orderAlone(ctx, active, passive); err != nil {
		return fmt.Errorf("an order with the other daemon down: %w", err)
	}
	if err := t.StopLoads(ctx, loads); err != nil {
		return err
	}
	return t.ordersDiffer(ctx, active, passive)
}

// parted makes a split brain and waits until both nodes hold it. It returns when
// the link came back.
func (t *T) parted(ctx context.Context, active, passive, tag string) (time.Time, error) {
	if err := t.noteDiscards(ctx); err != nil {
		return time.Time{}, err
	}
	if err := t.diverge(ctx, active, passive, tag); err != nil {
		return time.Time{}, err
	}
	begin, err := t.mend(ctx, passive)
	if err != nil {
		return begin, err
	}
	for _, node := range rig.Nodes() {
		if err := t.phase(ctx, node, "held", time.Minute); err != nil {
			return begin, err
		}
	}
	return begin, nil
}

// shown waits until show has both sides on a node: the other's evidence comes
// by Pacemaker.
func (t *T) shown(ctx context.Context, node string) error {
	return rig.Poll(ctx, node+" to show both sides", time.Minute, 2*time.Second, func(ctx context.Context) error {
		s, err := t.drbdnfs(ctx, node, "split-brain show res0")
		if err != nil {
			return err
		}
		for _, want := range []string{"held (manual)", "discarding " + rig.Node1, "discarding " + rig.Node2} {
			if s.code != 0 || !strings.Contains(s.out, want) {
				return fmt.Errorf("%w: no %q, code %d:\n%s", errNot, want, s.code, s.out)
			}
		}
		return nil
	})
}

// resolvedByOrder checks what is there after an order to discard the data of the
// passive node.
func (t *T) resolvedByOrder(ctx context.Context, active, passive, tag string, loads []*Load, begin time.Time) error {
	if err := t.whole(ctx); err != nil {
		return err
	}
	if _, err := t.worstGap(ctx, loads, begin); err != nil {
		return err
	}
	t.discards[passive]++
	if err := t.untouched(ctx); err != nil {
		return err
	}
	t.survived(ctx, tag)
	if now, err := t.Cluster.Active(ctx); err != nil || now != active {
		return fmt.Errorf("the service is on %s, was on %s: %w", now, active, err)
	}
	if err := t.lostFile(ctx, passive, tag); err != nil {
		return err
	}
	return t.removeSnapshots(ctx, passive)
}

// orderFromActive has the data of the passive node discarded, as a script would.
func (t *T) orderFromActive(ctx context.Context, active, passive string, loads []*Load) error {
	begin, err := t.parted(ctx, active, passive, "order")
	if err != nil {
		return err
	}
	for _, node := range rig.Nodes() {
		if err := t.shown(ctx, node); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		args string
		code int
		want string
	}{
		{"--discard " + passive + " --dry-run", 0, "nothing was changed (--dry-run)"},
		{"--discard " + passive, 2, "--yes-discard " + passive}, // nobody to ask
		{"--discard " + active + " --yes-discard " + active, 1, "is in use"},
		{"--discard " + passive + " --yes-discard " + active, 2, "name two nodes"},
	} {
		if _, err := t.does(ctx, active, "split-brain resolve res0 "+step.args, step.code, step.want); err != nil {
			return err
		}
	}
	if err := t.untouched(ctx); err != nil {
		return err
	}
	s, err := t.does(ctx, active, "split-brain resolve res0 --discard "+passive+" --yes-discard "+passive, 0, "resolved: ", "in a snapshot on "+passive)
	if err != nil {
		return err
	}
	t.Logf("%s", s.out)
	return t.resolvedByOrder(ctx, active, passive, "order", loads, begin)
}

// orderTyped has the data of the passive node discarded by a person there, at a
// terminal.
func (t *T) orderTyped(ctx context.Context, active, passive string, loads []*Load) error {
	begin, err := t.parted(ctx, active, passive, "typed")
	if err != nil {
		return err
	}
	if err := t.shown(ctx, passive); err != nil {
		return err
	}
	// script(1) gives the command a terminal.
	typed := func(name string) (string, int) {
		out, err := t.Rig.SSH(ctx, passive, fmt.Sprintf("(sleep 4; echo %s; sleep 1) | script -qefc 'drbdnfs split-brain resolve res0 --discard %s' /dev/null", name, passive))
		return out, rig.ExitCode(err)
	}
	out, code := typed(active)
	t.Check(code == 1 && strings.Contains(out, "nothing was changed"), "the wrong name: %d\n%s", code, out)
	if err := t.untouched(ctx); err != nil {
		return err
	}
	out, code = typed(passive)
	t.Check(code == 0 && strings.Contains(out, "resolved: "), "the right name: %d\n%s", code, out)
	t.Logf("%s", out)
	return t.resolvedByOrder(ctx, active, passive, "typed", loads, begin)
}

// orderAlone gives an order where the other node's daemon says nothing: nothing
// is done, and the commands that are printed instead resolve the split brain.
func (t *T) orderAlone(ctx context.Context, active, passive string) error {
	if _, err := t.parted(ctx, active, passive, "alone"); err != nil {
		return err
	}
	t.Cleanup(func(ctx context.Context) { _, _ = t.Rig.SSH(ctx, active, "systemctl start drbdnfsd") })
	if err := on(false, "systemctl stop drbdnfsd; attrd_updater --name drbdnfs-evidence-res0-drbdtest1-drbdtest2 --delete --private")(ctx, t, active, passive); err != nil {
		return err
	}
	order := "split-brain resolve res0 --discard " + passive + " --yes-discard " + passive
	s, err := t.does(ctx, passive, order, 1, "nothing is known of "+active)
	if err != nil {
		return err
	}
	here, err := t.does(ctx, active, order, 1, "systemctl start drbdnfsd")
	if err != nil {
		return err
	}
	if err := t.untouched(ctx); err != nil {
		return err
	}
	// Where nothing is known of the other node, both choices are printed.
	_, choice, _ := strings.Cut(s.out, "discarding "+passive)
	commands := byHandLine.FindAllStringSubmatch(choice, -1)
	t.Check(len(commands) == 2 && len(byHandLine.FindAllString(here.out, -1)) == 2, "commands for two nodes are to be printed:\n%s\n%s", s.out, here.out)
	for _, c := range commands {
		t.Logf("%s: %s", c[1], c[2])
		if _, err := t.Rig.SSH(ctx, c[1], c[2]); err != nil {
			return err
		}
	}
	if _, err := t.Rig.SSH(ctx, active, "systemctl start drbdnfsd"); err != nil {
		return err
	}
	if err := t.whole(ctx); err != nil {
		return err
	}
	t.survived(ctx, "alone")
	return t.untouched(ctx)
}

// byHandLine is what is printed where the daemons cannot do it.
var byHandLine = regexp.MustCompile(`by hand, on (\w+): (.+)`)

// ordersDiffer has two people order the opposite at once, while neither node is
// in use: at most one node discards, and where neither does, one further order
// resolves it.
func (t *T) ordersDiffer(ctx context.Context, active, passive string) error {
	if _, err := t.parted(ctx, active, passive, "differ"); err != nil {
		return err
	}
	if err := t.targetRole(ctx, active, "Unpromoted"); err != nil {
		return err
	}
	for _, node := range rig.Nodes() {
		if err := t.shown(ctx, node); err != nil {
			return err
		}
	}
	both := map[string]*said{rig.Node1: {}, rig.Node2: {}}
	var g errgroup.Group
	for node, s := range both {
		g.Go(func() (err error) {
			*s, err = t.drbdnfs(ctx, node, fmt.Sprintf("split-brain resolve res0 --discard %[1]s --yes-discard %[1]s", node))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	obeyed := 0
	for node, s := range both {
		t.Logf("%s, told to discard its own data: %d after %.1f s\n%s", node, s.code, s.took.Seconds(), s.out)
		if s.code == 0 {
			obeyed++
		}
	}
	t.Check(obeyed <= 1, "both orders are said to be obeyed")
	end, err := t.phaseEnd(ctx, active, passive) // nobody may promote yet
	if err != nil {
		return err
	}
	discards, err := t.newDiscards(ctx)
	if err != nil {
		return err
	}
	t.Logf("%s, %d discards", end, discards)
	t.Check(discards <= 1 && (discards == 1) == (end == "resolved"), "%s with %d discards", end, discards)
	if end == "held" {
		if _, err := t.does(ctx, active, "split-brain resolve res0 --discard "+passive+" --yes-discard "+passive, 0, "resolved: "); err != nil {
			return err
		}
	}
	if err := t.targetRole(ctx, active, ""); err != nil {
		return err
	}
	return t.whole(ctx)
}

// newDiscards counts what both nodes have discarded since noteDiscards.
func (t *T) newDiscards(ctx context.Context) (int, error) {
	n := 0
	for _, node := range rig.Nodes() {
		at, err := t.stamps(ctx, node, "MESSAGE_ID="+journal.SplitBrainDiscarded)
		if err != nil {
			return 0, err
		}
		n += len(at) - t.discards[node]
	}
	return n, nil
}

// targetRole gives the group the highest role that it may have, or with "" any,
// and waits until no node has a higher one.
func (t *T) targetRole(ctx context.Context, node, role string) error {
	if role == "" {
		_, err := t.Rig.SSH(ctx, node, "crm_resource -Q --resource nfs-clone --meta --delete-parameter target-role")
		return err
	}
	if _, err := t.Rig.SSH(ctx, node, "crm_resource -Q --resource nfs-clone --meta --set-parameter target-role --parameter-value "+role); err != nil {
		return err
	}
	t.Cleanup(func(ctx context.Context) { _ = t.targetRole(ctx, node, "") })
	return rig.Poll(ctx, "the group to be "+role, time.Minute, time.Second, func(ctx context.Context) error {
		out, err := t.Rig.SSH(ctx, node, "drbdadm role res0; findmnt -n /dev/drbd1000 || true")
		if err == nil && strings.TrimSpace(out) != "Secondary/Unknown" && strings.TrimSpace(out) != "Secondary" {
			err = fmt.Errorf("%w: %s", errNot, out)
		}
		return err
	})
}
