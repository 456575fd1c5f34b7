package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// breakage is one thing that goes wrong on the active node.
type breakage struct {
	name   string
	script string
	// reason are words of which the agent's exit reason must hold at least one.
	reason []string
	// refused says that clients get errors meanwhile, as they must; no load
	// runs then.
	refused bool
}

func breakages() []breakage {
	return []breakage{
		{"mountd killed", "kill -9 $(pidof rpc.mountd)", []string{"mountd"}, false},
		{"nfsdcld killed", "kill -9 $(pidof nfsdcld)", []string{"nfsdcld"}, false},
		{"statd killed", "kill -9 $(pidof rpc.statd)", []string{"statd"}, false},
		{"nfsd threads set to 0", "echo 0 >/proc/fs/nfsd/threads", []string{"nfsd", "thread"}, false},
		{"address deleted", "ip addr del " + rig.VIP + "/24 dev ens3", []string{rig.VIP, "address"}, false},
		{"export removed", "exportfs -u 192.168.2.0/24:" + cluster.Export, []string{cluster.Export, "export"}, true},
	}
}

// seenLimit bounds the time until the monitor (every 10 s) reports a breakage.
const seenLimit = time.Minute

// monitorRecovers is scenario 5.
func monitorRecovers(ctx context.Context, t *T) error {
	if _, err := t.Ready(ctx); err != nil {
		return err
	}
	if err := t.fixedCIB(ctx); err != nil {
		return err
	}
	if _, err := t.Cluster.WaitReady(ctx, readyLimit); err != nil {
		return err
	}
	boots, err := t.bootIDs(ctx)
	if err != nil {
		return err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	for _, b := range breakages() {
		if b.refused && len(loads) > 0 {
			if err := t.StopLoads(ctx, loads); err != nil {
				return err
			}
			loads = nil
		}
		if err := t.breakAndRecover(ctx, b, loads); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	after, err := t.bootIDs(ctx)
	if err != nil {
		return err
	}
	t.Check(boots == after, "a node was restarted meanwhile")
	return t.checkBothMounts(ctx)
}

func (t *T) bootIDs(ctx context.Context) (string, error) {
	var ids []string
	for _, n := range rig.Nodes() {
		id, err := t.Rig.SSH(ctx, n, "cat /proc/sys/kernel/random/boot_id")
		if err != nil {
			return "", err
		}
		ids = append(ids, strings.TrimSpace(id))
	}
	return strings.Join(ids, " "), nil
}

func (t *T) breakAndRecover(ctx context.Context, b breakage, loads []*Load) error {
	active, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return err
	}
	before, err := t.monitorFailure(ctx, active)
	if err != nil {
		return err
	}
	begin := time.Now()
	if _, err := t.Rig.SSH(ctx, active, b.script); err != nil {
		return err
	}
	var seen cluster.Failure
	err = rig.Poll(ctx, "the monitor to report it", seenLimit, time.Second, func(ctx context.Context) error {
		f, err := t.monitorFailure(ctx, active)
		if err != nil {
			return err
		}
		// An older failure that has expired meanwhile leaves a Call of 0.
		if f.Call <= before.Call {
			return fmt.Errorf("%w: last failure %+v", errNot, f)
		}
		seen = f
		return nil
	})
	if err != nil {
		return err
	}
	t.Logf("%s: seen after %.1f s: %q", b.name, time.Since(begin).Seconds(), seen.ExitReason)
	t.Check(containsAny(seen.ExitReason, b.reason), "%s: the reason %q names none of %v", b.name, seen.ExitReason, b.reason)
	now, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return err
	}
	if err := t.WaitWriting(ctx, loads, time.Now(), backLimit); err != nil {
		return err
	}
	t.Logf("%s: whole again %.1f s after the breakage, on %s", b.name, time.Since(begin).Seconds(), now)
	return nil
}

// monitorFailure returns the last failed monitor that Pacemaker knows of a node;
// its Call is 0 when there is none.
func (t *T) monitorFailure(ctx context.Context, node string) (cluster.Failure, error) {
	s, err := t.Cluster.State(ctx, node)
	if err != nil {
		return cluster.Failure{}, err
	}
	var last cluster.Failure
	for _, f := range s.Failures {
		if f.Node == node && strings.Contains(f.Key, "_monitor_") && f.Call > last.Call {
			last = f
		}
	}
	return last, nil
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(strings.ToLower(s), strings.ToLower(w)) {
			return true
		}
	}
	return false
}
