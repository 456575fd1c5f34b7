package scenario

import (
	"context"
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// Unmanaged takes the resource out of the cluster, so that a scenario can run
// the agent by hand, and starts the agent on the nodes that are named.
func (t *T) Unmanaged(ctx context.Context, start ...string) error {
	if _, err := t.Ready(ctx); err != nil {
		return err
	}
	if err := t.UnmountClient(ctx); err != nil {
		return err
	}
	if err := t.Cluster.ClearResources(ctx); err != nil {
		return err
	}
	for _, node := range rig.Nodes() {
		left, err := t.Leftovers(ctx, node)
		if err != nil {
			return err
		}
		t.Check(len(left) == 0, "after Pacemaker's stop %s still has %v", node, left)
	}
	for _, node := range start {
		if code, out, err := t.Agent(ctx, node, "start", ""); err != nil || code != 0 {
			return fmt.Errorf("start on %s: code %d, %w\n%s", node, code, err, out)
		}
	}
	return nil
}

// Agent runs one action of the agent by hand on a node, with the CIB's
// parameters and more shell lines (exports) in front. It returns the exit code
// and what the agent wrote to stderr.
func (t *T) Agent(ctx context.Context, node, action, more string) (int, string, error) {
	timeout := map[string]string{"start": "240000", "stop": "120000", "promote": "90000", "demote": "120000"}[action]
	if timeout == "" {
		timeout = "60000"
	}
	script := cluster.AgentEnv() + "export OCF_RESKEY_CRM_meta_timeout=" + timeout + "\n" + more +
		fmt.Sprintf("\nbash -c 'exec %s %s' 2>&1 </dev/null; echo \"exit=$?\"\n", cluster.AgentBin, action)
	out, err := t.Rig.SSH(ctx, node, script)
	if err != nil {
		return -1, out, err
	}
	text, code, ok := strings.Cut(out, "exit=")
	if !ok {
		return -1, out, fmt.Errorf("no exit code in %q", out)
	}
	n := 0
	if _, err := fmt.Sscan(code, &n); err != nil {
		return -1, out, err
	}
	return n, strings.TrimSpace(text), nil
}

// ocfTester is scenario 9.
func ocfTester(ctx context.Context, t *T) error {
	// The peer holds its side of DRBD up, as it would in a cluster.
	if err := t.Unmanaged(ctx, rig.Node2); err != nil {
		return err
	}
	args, err := cluster.TesterArgs()
	if err != nil {
		return err
	}
	out, err := t.Rig.SSH(ctx, rig.Node1, "ocf-tester -v -n nfs "+args+" "+cluster.AgentBin+" 2>&1")
	for line := range linesOf(out) {
		if strings.HasPrefix(line, "*") || strings.Contains(line, "passed all tests") || strings.Contains(line, "failed") {
			t.Logf("%s", line)
		}
	}
	if err != nil {
		return fmt.Errorf("ocf-tester: %w", err)
	}
	t.Check(strings.Contains(out, "passed all tests"), "ocf-tester does not say that all tests passed")
	left, err := t.Leftovers(ctx, rig.Node1)
	if err != nil {
		return err
	}
	t.Check(len(left) == 0, "after ocf-tester the node has %v", left)
	if code, text, err := t.Agent(ctx, rig.Node2, "stop", ""); err != nil || code != 0 {
		return fmt.Errorf("stop on the peer: code %d, %w\n%s", code, err, text)
	}
	return nil
}
