package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// readyLimit bounds the wait for a healthy cluster after an earlier scenario: a
// node may still have to boot and to resync.
const readyLimit = 4 * time.Minute

// Ready brings the lab to the state in which every scenario begins: machines up,
// this checkout's agent installed, our CIB, one node Promoted, DRBD UpToDate on
// both, the client's mounts in place. It returns the active node. A cluster that
// does not get there is rebuilt once from blank disks.
func (t *T) Ready(ctx context.Context) (string, error) {
	active, err := t.readyOnce(ctx)
	if err == nil {
		return active, t.MountClient(ctx)
	}
	if ctx.Err() != nil {
		return "", err
	}
	t.Logf("the cluster does not get ready (%v): rebuilding it", err)
	t.Logf("its state is in %s", t.Collect(ctx, t.Name+"-not-ready"))
	active, err = t.Rebuild(ctx)
	if err != nil {
		return "", err
	}
	return active, t.MountClient(ctx)
}

// readyOnce repairs what commands repair and waits.
func (t *T) readyOnce(ctx context.Context) (string, error) {
	if err := t.Rig.Prepare(ctx); err != nil {
		return "", err
	}
	if !t.Rig.HasDisks(t.Cluster.Nodes...) {
		return t.Rebuild(ctx)
	}
	if err := t.Rig.Up(ctx); err != nil {
		return "", err
	}
	if !t.configured(ctx) {
		return t.Rebuild(ctx)
	}
	if err := t.Deploy(ctx); err != nil {
		return "", err
	}
	if active, ok := t.healthy(ctx); ok {
		return active, nil
	}
	if err := t.Cluster.Both(ctx, "rm -f /run/drbdnfs/faultpoint; systemctl start corosync pacemaker"); err != nil {
		return "", err
	}
	if err := t.waitPacemaker(ctx); err != nil {
		return "", err
	}
	if err := t.fixedCIB(ctx); err != nil {
		return "", err
	}
	node, err := t.Cluster.AnyOnline(ctx)
	if err != nil {
		return "", err
	}
	if _, err := t.Rig.SSH(ctx, node, "crm_resource --cleanup >/dev/null 2>&1 || true"); err != nil {
		return "", err
	}
	return t.Cluster.WaitReady(ctx, readyLimit)
}

// fixedCIB replaces what setup has put into the CIB by the lab's own file, which
// has no migration-threshold and forgets failures within a minute: a scenario
// that breaks the group time and again does not push it off its nodes.
func (t *T) fixedCIB(ctx context.Context) error {
	if err := t.Cluster.Both(ctx, "rm -f "+setupMark); err != nil {
		return err
	}
	return t.Cluster.ApplyCIB(ctx, cluster.OursCIB)
}

// healthy reports whether there is nothing to repair, failures of the past
// included.
func (t *T) healthy(ctx context.Context) (string, bool) {
	active, err := t.Cluster.WaitReady(ctx, 5*time.Second)
	if err != nil {
		return "", false
	}
	s, err := t.Cluster.State(ctx, active)
	return active, err == nil && len(s.Failures) == 0
}

func (t *T) waitPacemaker(ctx context.Context) error {
	return rig.Poll(ctx, "pacemaker to answer", 3*time.Minute, time.Second, func(ctx context.Context) error {
		_, err := t.Cluster.AnyOnline(ctx)
		return err
	})
}

// configuredMark is left on nodes that have been set up on their present disks.
const configuredMark = "/root/lab-configured"

// configured reports whether both nodes have been set up on their present disks.
func (e *Env) configured(ctx context.Context) bool {
	return e.Cluster.Both(ctx, "[ -e "+configuredMark+" ]") == nil
}

// Deploy copies this checkout's agent and client tool to the machines, once in a
// run of the lab tool.
func (e *Env) Deploy(ctx context.Context) error {
	if e.deployed {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.putLoad(ctx) })
	g.Go(func() error { return e.Cluster.InstallAgent(ctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	e.deployed = true
	return nil
}

// binDir is where scripts/lab has built the lab's programs.
func binDir() string {
	if dir := os.Getenv("LAB_BIN"); dir != "" {
		return dir
	}
	exe, err := os.Executable()
	if err != nil {
		return "."
	}
	return filepath.Dir(exe)
}

// Rebuild starts from blank disks: boot, DRBD, cluster, agent, CIB. It returns
// the active node.
func (e *Env) Rebuild(ctx context.Context) (string, error) {
	if err := e.rebuildBare(ctx, e.Deploy); err != nil {
		return "", err
	}
	if err := e.Cluster.ApplyCIB(ctx, cluster.OursCIB); err != nil {
		return "", err
	}
	active := ""
	err := e.Rig.Log.Step("the service's first start", 30*time.Second, func() error {
		var err error
		active, err = e.Cluster.WaitReady(ctx, readyLimit)
		return err
	})
	return active, err
}

// rebuildBare starts from blank disks and ends with a connected DRBD resource and
// a cluster without resources. It runs deploy beside.
func (e *Env) rebuildBare(ctx context.Context, deploy func(context.Context) error) error {
	if err := e.Rig.Prepare(ctx); err != nil {
		return err
	}
	names := []string{rig.Node1, rig.Node2, rig.Client}
	if err := e.Rig.Blank(ctx, names...); err != nil {
		return err
	}
	e.deployed = false
	if err := e.Rig.Boot(ctx, names...); err != nil {
		return err
	}
	// At once, for the three touch nothing in common and Pacemaker waits most of
	// its time.
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return deploy(gctx) })
	g.Go(func() error { return e.Cluster.SetupDRBD(gctx) })
	g.Go(func() error { return e.Cluster.SetupCluster(gctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	return e.Cluster.Both(ctx, "touch "+configuredMark+"; sync")
}

// putLoad copies the client's tool to the client.
func (e *Env) putLoad(ctx context.Context) error {
	return e.Rig.Put(ctx, rig.Client, filepath.Join(binDir(), "nfsload"), "/root/nfsload", "0755")
}

// bringUp is scenario 1: the way of the README, with drbdnfs setup, where the
// package is there.
func bringUp(ctx context.Context, t *T) error {
	from := t.setupFromBlank
	if os.Getenv("LAB_AGENT") != "" {
		from = t.rebuildMounted
	}
	active, err := from(ctx)
	if err != nil {
		return err
	}
	if err := t.checkGroup(ctx, active); err != nil {
		return err
	}
	if err := t.checkDaemon(ctx, rig.Peer(active)); err != nil {
		return err
	}
	return t.checkPassive(ctx, rig.Peer(active))
}

// rebuildMounted is Rebuild with the client's mounts.
func (t *T) rebuildMounted(ctx context.Context) (string, error) {
	active, err := t.Rebuild(ctx)
	if err != nil {
		return "", err
	}
	return active, t.MountClient(ctx)
}

// checkGroup asserts that the group that was just made serves both protocols and
// that Pacemaker has nothing to say against its configuration.
func (t *T) checkGroup(ctx context.Context, active string) error {
	t.Logf("promoted on %s", active)
	if _, err := t.Rig.SSH(ctx, active, "crm_verify --live-check -V 2>&1"); err != nil {
		t.Check(false, "crm_verify: %v", err)
	}
	return t.checkBothMounts(ctx)
}

// checkDaemon asserts that the package's daemon sees DRBD with the few rights
// that its unit leaves it. A copied agent comes without the daemon.
func (t *T) checkDaemon(ctx context.Context, node string) error {
	out, err := t.Rig.SSH(ctx, node, `[ -e /usr/lib/systemd/system/drbdnfsd.service ] || { echo "not installed"; exit 0; }
was=$(systemctl is-active drbdnfsd || true)
systemctl start drbdnfsd
for try in $(seq 50); do
	systemctl show -p StatusText --value drbdnfsd | grep -q "following 1 resource" && break
	sleep 0.2
done
systemctl is-active drbdnfsd
systemctl show -p StatusText --value drbdnfsd
[ "$was" = active ] || systemctl stop drbdnfsd`)
	if err != nil {
		return fmt.Errorf("drbdnfsd: %w", err)
	}
	t.Logf("drbdnfsd on %s: %s", node, strings.Join(strings.Fields(out), " "))
	t.Check(slices.Contains([]string{"active\nfollowing 1 resource", "not installed"}, strings.TrimSpace(out)), "drbdnfsd does not follow DRBD:\n%s", out)
	return nil
}

// checkBothMounts writes through one protocol, reads through the other, and takes
// a lock on each.
func (t *T) checkBothMounts(ctx context.Context) error {
	script := fmt.Sprintf(`set -e
echo "written through v3 $$" >%[1]s/hello-v3; sync %[1]s/hello-v3
echo "written through v4 $$" >%[2]s/hello-v4; sync %[2]s/hello-v4
cmp %[1]s/hello-v3 %[2]s/hello-v3
cmp %[1]s/hello-v4 %[2]s/hello-v4
for dir in %[1]s %[2]s; do
	touch $dir/lockfile
	timeout 120 flock --exclusive $dir/lockfile echo "locked in $dir"
done
grep -E ' %[1]s | %[2]s ' /proc/mounts
rm -f %[1]s/hello-v3 %[2]s/hello-v4 %[1]s/lockfile
`, mountV3, mountV4)
	out, err := t.Rig.SSH(ctx, rig.Client, script)
	for line := range linesOf(out) {
		t.Logf("client: %s", line)
	}
	if err != nil {
		return fmt.Errorf("read, write and lock: %w", err)
	}
	return nil
}

// checkPassive asserts that the passive node holds nothing of the service.
func (t *T) checkPassive(ctx context.Context, node string) error {
	left, err := t.OnPassive(ctx, node)
	if err != nil {
		return err
	}
	t.Check(len(left) == 0, "the passive node %s has %v", node, left)
	return nil
}

// errNot is a check that has not come true yet.
var errNot = errors.New("not yet")
