package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// editForMigration is what docs/migration.md has an administrator change in the
// example: the resource stays as it is, and a number as the fsid keeps the file
// handles valid that clients have from the hand-made exports.
const editForMigration = `set -e
file=/etc/drbdnfs/drbdnfs.toml
drbdnfs config example >$file
chmod 600 $file
sed -i -e '/^device = /d' -e 's|^manager = .*|manager = "none"|' -e 's|^size = .*|size = "512M"|' \
	-e 's|^mode = ""|mode = "none"\naccept_split_brain = true|' -e '/^path = /a fsid = "1"' $file
drbdnfs config check
`

// handmadeMove is what a planned move of the hand-made resources takes here, from
// the scenario procedure: the migration is one such interruption, half of it
// their agents' and half of it ours.
const handmadeMove = 115 * time.Second

// oldData writes files whose content must be the same after the migration.
const oldData = `set -e
mkdir -p ` + mountV3 + `/old; cd ` + mountV3 + `/old
for i in $(seq 20); do head -c 262144 /dev/urandom >f$i; done
sync; sha256sum f* | sha256sum`

// migration is the scenario: the group takes the place of the hand-made
// resources while clients write.
func migration(ctx context.Context, t *T) error {
	t.Cleanup(func(ctx context.Context) {
		// Neither setup's nor the fixed cluster: the next scenario builds anew.
		t.Cluster.Resource, t.Cluster.With = cluster.Resource, nil
		_ = t.Cluster.Both(ctx, "rm -f "+configuredMark+" "+setupMark+"; sync")
	})
	active, err := t.handmade(ctx)
	if err != nil {
		return err
	}
	sum, err := t.Rig.SSH(ctx, rig.Client, oldData)
	if err != nil {
		return err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	if active, err = t.migrate(ctx, active, loads); err != nil {
		return err
	}
	now, err := t.Rig.SSH(ctx, rig.Client, "echo 3 >/proc/sys/vm/drop_caches; cd "+mountV3+"/old && sha256sum f* | sha256sum")
	if err != nil {
		return err
	}
	t.Check(now == sum, "the data from before the migration is %s, want %s", strings.TrimSpace(now), strings.TrimSpace(sum))
	// The clients still have the handles of the hand-made exports: on the other
	// node too.
	stalls, err := t.moveRound(ctx, active, loads)
	if err != nil {
		return err
	}
	t.checkMove(stalls)
	if _, err := t.Rig.SSH(ctx, rig.Peer(active), "crm_standby --delete --node "+active); err != nil {
		return err
	}
	if _, err := t.Cluster.WaitReady(ctx, readyLimit); err != nil {
		return err
	}
	return t.StopLoads(ctx, loads)
}

// handmade makes the hand-made configuration with clients, beside which our
// package is installed. It returns the active node.
func (t *T) handmade(ctx context.Context) (string, error) {
	if err := t.rebuildBare(ctx, t.Deploy); err != nil {
		return "", err
	}
	if _, err := t.Cluster.UseProcedure(ctx); err != nil {
		return "", err
	}
	if err := t.MountClient(ctx); err != nil {
		return "", err
	}
	return t.Cluster.WaitReady(ctx, readyLimit)
}

// migrate is what an administrator does: the file on both nodes, a plan, then
// apply. It measures what the clients notice and returns the node that is active
// then: where neither has an advantage Pacemaker chooses.
func (t *T) migrate(ctx context.Context, active string, loads []*Load) (string, error) {
	if err := t.Cluster.Both(ctx, editForMigration); err != nil {
		return "", err
	}
	p, err := t.setup(ctx, active, "plan")
	if err != nil {
		return "", err
	}
	t.Check(p.code == 1 && strings.Contains(p.out, "--replace"), "the plan ended with %d and does not refuse the hand-made resources:\n%s", p.code, p.out)
	begin := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for _, node := range rig.Nodes() {
		g.Go(func() error {
			a, err := t.setup(gctx, node, "apply --yes --replace")
			for line := range linesOf(a.out) {
				t.Logf("%s: %s", node, line)
			}
			if err == nil && a.code != 0 {
				err = fmt.Errorf("drbdnfs setup apply --replace on %s ended with %d", node, a.code)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	t.Cluster.Resource, t.Cluster.With = cluster.Resource, nil
	if err := t.WaitWriting(ctx, loads, time.Now(), backLimit); err != nil {
		return "", err
	}
	node, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return "", err
	}
	stalls, err := t.Timeline(ctx, node, begin, "drbdnfs setup apply --replace", loads)
	if err != nil {
		return "", err
	}
	t.stood("migration", stalls)
	for proto, d := range stalls {
		t.Check(d < handmadeMove, "the migration took the %s client %.1f s, more than a move of the hand-made resources", proto, d.Seconds())
	}
	return node, t.nothingToDo(ctx)
}
