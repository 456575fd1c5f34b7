package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// busyLimit bounds the stop of a node with users in the mount.
const busyLimit = 90 * time.Second

// stopBusy is scenario 6: a process with an open file and a shell whose working
// directory is in the mount keep it busy; a bystander elsewhere does not.
func stopBusy(ctx context.Context, t *T) error {
	active, err := t.Ready(ctx)
	if err != nil {
		return err
	}
	out, err := t.Rig.SSH(ctx, active, fmt.Sprintf(`set -e
systemctl reset-failed 'lab-busy-*' 2>/dev/null || true
touch %[1]s/busy-file /var/tmp/lab-busy-not
systemd-run -q --unit=lab-busy-file tail -f %[1]s/busy-file
systemd-run -q --unit=lab-busy-cwd --working-directory=%[1]s bash -c 'sleep 3600; true'
systemd-run -q --unit=lab-busy-not tail -f /var/tmp/lab-busy-not
for u in file cwd not; do systemctl show -P MainPID lab-busy-$u; done
`, cluster.Export))
	if err != nil {
		return err
	}
	t.Cleanup(func(ctx context.Context) {
		_, _ = t.Rig.SSH(ctx, active, "systemctl stop 'lab-busy-*'; systemctl reset-failed 'lab-busy-*' 2>/dev/null; true")
		_, _ = t.Rig.SSH(ctx, rig.Peer(active), "crm_standby --delete --node "+active)
	})
	pids := strings.Fields(out)
	if len(pids) != 3 {
		return fmt.Errorf("pids of the three processes: %q", out)
	}
	t.Logf("open file: pid %s; working directory: pid %s; bystander: pid %s", pids[0], pids[1], pids[2])
	begin := time.Now()
	if _, err := t.Rig.SSH(ctx, rig.Peer(active), "crm_standby --node "+active+" --update on"); err != nil {
		return err
	}
	if err := t.waitStopped(ctx, active); err != nil {
		return err
	}
	took := time.Since(begin)
	t.Logf("%s stopped in %.1f s", active, took.Seconds())
	left, err := t.Leftovers(ctx, active)
	if err != nil {
		return err
	}
	t.Check(len(left) == 0, "the stopped node still has %v", left)
	state, err := t.Rig.SSH(ctx, active, "for u in file cwd not; do systemctl is-active lab-busy-$u; done; true")
	if err != nil {
		return err
	}
	got := strings.Fields(state)
	t.Check(len(got) == 3 && got[0] != "active" && got[1] != "active", "the users of the mount are %v, want them ended", got)
	t.Check(len(got) == 3 && got[2] == "active", "the bystander is %v, want it alive", got)
	return t.checkNamed(ctx, active, begin, pids)
}

// waitStopped waits until our resource runs no more on a node.
func (t *T) waitStopped(ctx context.Context, node string) error {
	return rig.Poll(ctx, "the service to stop on "+node, busyLimit, 300*time.Millisecond, func(ctx context.Context) error {
		s, err := t.Cluster.State(ctx, rig.Peer(node))
		if err != nil {
			return err
		}
		for _, f := range s.Failures {
			if f.Node == node && (f.Task == "stop" || f.Task == "demote") {
				return fmt.Errorf("%s failed: %s", f.Task, f.ExitReason)
			}
		}
		if role := s.Role(cluster.Resource, node); role != "" && role != "Stopped" {
			return fmt.Errorf("%w: %s", errNot, role)
		}
		return nil
	})
}

// checkNamed asserts that the agent's log names both users and not the bystander.
func (t *T) checkNamed(ctx context.Context, node string, since time.Time, pids []string) error {
	entries, err := t.Cluster.Journal(ctx, node, since)
	if err != nil {
		return err
	}
	var log strings.Builder
	for _, e := range entries {
		if e.Ident == "drbdnfs" || strings.Contains(e.Message, "drbdnfs") {
			log.WriteString(e.Message + "\n")
		}
	}
	for i, want := range []bool{true, true, false} {
		t.Check(strings.Contains(log.String(), pids[i]) == want, "the agent's log names pid %s: want %v", pids[i], want)
	}
	return nil
}
