package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// interruptions are where setup-interrupted kills setup apply: when the stage
// has begun, so many seconds later.
var interruptions = []struct {
	stage string
	after time.Duration
}{
	{"host", 0},
	{"host", time.Second},
	{"drbdadm", 0},
	{"drbdadm", 700 * time.Millisecond},
	{"drbdadm", 2 * time.Second},
	{"filesystem", 0},
	{"filesystem", 2 * time.Second},
	{"cluster", 0},
	{"cluster", 15 * time.Second},
	{"cib", 0},
	{"cib", 1500 * time.Millisecond},
	{"sync", 0},
}

// setupInterrupted is the scenario setup-interrupted.
func setupInterrupted(ctx context.Context, t *T) error {
	if err := t.setupNodes(ctx); err != nil {
		return err
	}
	const background = "systemd-run -q --unit=lab-apply --property=StandardOutput=file:/run/lab-apply drbdnfs setup apply --yes"
	if _, err := t.Rig.SSH(ctx, rig.Node2, background); err != nil {
		return err
	}
	for _, i := range interruptions {
		if err := t.interrupt(ctx, i.stage, i.after); err != nil {
			return err
		}
	}
	if err := t.waitBackground(ctx); err != nil {
		return err
	}
	if err := t.applyAll(ctx); err != nil {
		return err
	}
	if _, err := t.Cluster.WaitReady(ctx, readyLimit); err != nil {
		return err
	}
	if err := t.MountClient(ctx); err != nil {
		return err
	}
	if err := t.checkBothMounts(ctx); err != nil {
		return err
	}
	return t.nothingToDo(ctx)
}

// waitBackground runs what is left on the first node and waits until the second
// node's apply has ended by itself.
func (t *T) waitBackground(ctx context.Context) error {
	a, err := t.setup(ctx, rig.Node1, "apply --yes")
	if err != nil {
		return err
	}
	t.Check(a.code == 0, "the run after all interruptions ended with %d:\n%s", a.code, a.out)
	return rig.Poll(ctx, "apply on "+rig.Node2+" to end", 5*time.Minute, time.Second, func(ctx context.Context) error {
		_, err := t.Rig.SSH(ctx, rig.Node2, "! systemctl is-active -q lab-apply || { tail -n 1 /run/lab-apply; exit 1; }")
		return err
	})
}

// interrupt runs setup apply on the first node and kills it, with SIGKILL, so
// long after it has begun a stage. A run that ends before that is no error.
func (t *T) interrupt(ctx context.Context, stage string, after time.Duration) error {
	out, err := t.Rig.SSH(ctx, rig.Node1, fmt.Sprintf(`drbdnfs setup apply --yes >/run/lab-apply 2>&1 &
pid=$!
for try in $(seq 3000); do
	grep -q '^%s$' /run/lab-apply && break
	kill -0 $pid 2>/dev/null || break
	sleep 0.1
done
sleep %.1f
kill -KILL $pid 2>/dev/null && echo "killed" || echo "had ended"
wait $pid 2>/dev/null
tail -n 1 /run/lab-apply`, stage, after.Seconds()))
	if err != nil {
		return err
	}
	t.Logf("stage %s, %.1f s: %s", stage, after.Seconds(), strings.Join(strings.Fields(out), " "))
	return nil
}
