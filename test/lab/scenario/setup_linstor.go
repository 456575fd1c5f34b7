package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// linstorConfig leaves the volume to LINSTOR, as the example does.
const linstorConfig = `s|^manager = .*|manager = "linstor"|`

// setupLINSTOR is the scenario setup-linstor: the group is made through a real
// controller and its satellites, looked at again, changed, grown, and its active
// node killed.
func setupLINSTOR(ctx context.Context, t *T) error {
	tree := os.Getenv("LAB_LINSTOR")
	if tree == "" || t.Cluster.DRBD9 == "" {
		return fmt.Errorf("%w: it needs LAB_LINSTOR, an installation tree of LINSTOR, and LAB_DRBD9, for LINSTOR does not know DRBD 8.4", ErrSkip)
	}
	// Not a group that the scenarios of DRBD 8.4 can go on with.
	t.Cleanup(func(ctx context.Context) { _ = t.Cluster.Both(ctx, "rm -f "+configuredMark+" "+setupMark) })
	if err := t.setupNodes(ctx); err != nil {
		return err
	}
	if err := t.installLINSTOR(ctx, tree); err != nil {
		return err
	}
	if err := t.edit(ctx, linstorConfig); err != nil {
		return err
	}
	if err := t.applyAll(ctx); err != nil {
		return err
	}
	active, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return err
	}
	if err := t.MountClient(ctx); err != nil {
		return err
	}
	if err := t.checkGroup(ctx, active); err != nil {
		return err
	}
	if err := t.nothingToDo(ctx); err != nil {
		return err
	}
	if err := t.linstorOption(ctx); err != nil {
		return err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	if err := t.growByCommand(ctx, active); err != nil {
		return err
	}
	if _, err := t.crashRound(ctx, active, loads); err != nil {
		return err
	}
	if err := t.StopLoads(ctx, loads); err != nil {
		return err
	}
	return t.nothingToDo(ctx)
}

// installLINSTOR copies the installation tree over the nodes' root, as LINSTOR's
// packages would. Nothing of it is started: that is setup's.
func (t *T) installLINSTOR(ctx context.Context, tree string) error {
	return t.Rig.Log.Step("copying LINSTOR", time.Minute, func() error {
		g, gctx := errgroup.WithContext(ctx)
		for _, node := range t.Cluster.Nodes {
			g.Go(func() error {
				if err := t.Rig.PutTree(gctx, node, tree, "/"); err != nil {
					return fmt.Errorf("LAB_LINSTOR: %w", err)
				}
				_, err := t.Rig.SSH(gctx, node, "systemctl daemon-reload && systemctl cat linstor-satellite linstor-controller >/dev/null")
				return err
			})
		}
		return g.Wait()
	})
}

// linstorOption changes an option of DRBD behind setup's back: plan names it,
// apply puts it right, and nothing else changes.
func (t *T) linstorOption(ctx context.Context) error {
	before, err := t.linstorProps(ctx)
	if err != nil {
		return err
	}
	if _, err := t.linstorREST(ctx, "PUT", `{"override_props": {"DrbdOptions/Net/max-buffers": "8000"}}`); err != nil {
		return err
	}
	p, err := t.setup(ctx, rig.Node1, "plan")
	if err != nil {
		return err
	}
	t.Check(p.code == 2 && strings.Contains(p.out, "max-buffers"), "plan with another max-buffers ended with %d:\n%s", p.code, p.out)
	if p, err = t.setup(ctx, rig.Node1, "apply --yes"); err != nil {
		return err
	}
	t.Check(p.code == 0, "apply ended with %d:\n%s", p.code, p.out)
	after, err := t.linstorProps(ctx)
	if err != nil {
		return err
	}
	t.Check(before == after, "the options of the resource definition before:\n%s\nafter:\n%s", before, after)
	return nil
}

// linstorProps returns the properties of the resource definition, one line each.
func (t *T) linstorProps(ctx context.Context) (string, error) {
	out, err := t.linstorREST(ctx, "GET", "")
	if err != nil {
		return "", err
	}
	var definition struct{ Props map[string]string }
	if err := json.Unmarshal([]byte(out), &definition); err != nil {
		return "", fmt.Errorf("the resource definition: %w\n%s", err, out)
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(definition.Props)) {
		fmt.Fprintf(&b, "%s=%s\n", key, definition.Props[key])
	}
	return b.String(), nil
}

// linstorREST asks the controller about the resource definition, on its own node,
// by another way than setup's: with what Python brings.
func (t *T) linstorREST(ctx context.Context, method, body string) (string, error) {
	const program = `import sys, urllib.request as u
r = u.Request("http://127.0.0.1:3370/v1/resource-definitions/res0", method=sys.argv[1],
              data=sys.argv[2].encode() or None, headers={"Content-Type": "application/json"})
print(u.urlopen(r, timeout=60).read().decode())`
	return t.Rig.SSH(ctx, rig.Node1, "python3 -c '"+program+"' "+method+" '"+body+"'")
}
