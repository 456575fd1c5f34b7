package scenario

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// setupMark is left on nodes that drbdnfs setup has made.
const setupMark = "/root/lab-setup"

// editExample is what an administrator does to the example: the values of this
// site, by sed instead of an editor.
const editExample = `set -e
file=/etc/drbdnfs/drbdnfs.toml
drbdnfs config example >$file
chmod 600 $file
sed -i -e 's|^device = .*|device = "/dev/vdb"|' -e 's|^manager = .*|manager = "drbdadm"|' -e 's|^size = .*|size = "512M"|' \
	-e 's|^mode = ""|mode = "none"\naccept_split_brain = true|' $file
`

// setupNodes starts from blank disks: machines, package, configuration file. The
// client has its tools. Nothing of drbdnfs has run but "config".
func (t *T) setupNodes(ctx context.Context) error {
	if os.Getenv("LAB_AGENT") != "" {
		return fmt.Errorf("%w: LAB_AGENT copies an agent, setup comes with the package", ErrSkip)
	}
	if err := t.Rig.Prepare(ctx); err != nil {
		return err
	}
	names := append(slices.Clone(t.Cluster.Nodes), rig.Client)
	if err := t.Rig.Blank(ctx, names...); err != nil {
		return err
	}
	t.deployed = false
	if err := t.Rig.Boot(ctx, names...); err != nil {
		return err
	}
	if err := t.Deploy(ctx); err != nil {
		return err
	}
	if err := t.Cluster.InstallDRBD9(ctx); err != nil {
		return err
	}
	return t.configureNodes(ctx)
}

// configureNodes writes the same file and secret to all nodes, as the README has
// it: made on the first, copied to the others.
func (t *T) configureNodes(ctx context.Context) error {
	out, err := t.Rig.SSH(ctx, rig.Node1, editExample+"drbdnfs config check && drbdnfs config secret && tar -C /etc/drbdnfs -c drbdnfs.toml secret | base64 -w0 >/root/lab-etc")
	if err != nil {
		return err
	}
	t.Logf("%s: %s", rig.Node1, strings.Join(strings.Fields(out), " "))
	files, err := t.Rig.SSH(ctx, rig.Node1, "cat /root/lab-etc; rm /root/lab-etc")
	if err != nil {
		return err
	}
	for _, node := range t.Cluster.Nodes[1:] {
		if _, err := t.Rig.SSH(ctx, node, "echo "+files+" | base64 -d | tar -C /etc/drbdnfs -x && drbdnfs config check"); err != nil {
			return err
		}
	}
	return nil
}

// applied is how a run of drbdnfs setup ended.
type applied struct {
	out  string
	code int
	took time.Duration
}

// setup runs "drbdnfs setup ARGS" on a node. Only a run that could not be
// started or watched is an error.
func (t *T) setup(ctx context.Context, node, args string) (applied, error) {
	begin := time.Now()
	out, err := t.Rig.SSH(ctx, node, "drbdnfs setup "+args+" 2>&1")
	a := applied{out: out, code: rig.ExitCode(err), took: time.Since(begin)}
	if err != nil && (a.code < 0 || a.code == 255) {
		return a, err
	}
	return a, nil
}

// applyAll runs setup apply on all nodes at once, as two windows of an
// administrator would, and prints what it says. Each has to end well; the first
// that does not ends the wait for the others, which may wait for it.
func (t *T) applyAll(ctx context.Context) error {
	results := make([]applied, len(t.Cluster.Nodes))
	g, gctx := errgroup.WithContext(ctx)
	for i, node := range t.Cluster.Nodes {
		g.Go(func() error {
			var err error
			if results[i], err = t.setup(gctx, node, "apply --yes"); err != nil {
				return fmt.Errorf("drbdnfs setup apply on %s: %w", node, err)
			}
			if results[i].code != 0 {
				return fmt.Errorf("drbdnfs setup apply on %s ended with %d", node, results[i].code)
			}
			return nil
		})
	}
	err := g.Wait()
	for i, node := range t.Cluster.Nodes {
		for line := range linesOf(results[i].out) {
			t.Logf("%s: %s", node, line)
		}
		t.Logf("%s: drbdnfs setup apply took %.1f s", node, results[i].took.Seconds())
	}
	return err
}

// nothingToDo checks that setup finds everything in place on all nodes.
func (t *T) nothingToDo(ctx context.Context) error {
	for _, node := range t.Cluster.Nodes {
		p, err := t.setup(ctx, node, "plan")
		if err != nil {
			return err
		}
		t.Check(p.code == 0, "drbdnfs setup plan on %s ended with %d, want 0:\n%s", node, p.code, p.out)
	}
	return nil
}

// readySetup brings the lab to a running group that drbdnfs setup has made, from
// blank disks unless an earlier scenario has left one. It returns the active
// node.
func (t *T) readySetup(ctx context.Context) (string, error) {
	if err := t.Rig.Up(ctx); err != nil {
		return "", err
	}
	if t.Cluster.Both(ctx, "[ -e "+setupMark+" ]") == nil {
		if err := t.Deploy(ctx); err != nil {
			return "", err
		}
		if active, err := t.Cluster.WaitReady(ctx, readyLimit); err == nil {
			return active, t.MountClient(ctx)
		}
		t.Logf("the group that setup has made does not get ready: making it anew")
	}
	return t.setupFromBlank(ctx)
}

// setupFromBlank makes the group with drbdnfs setup alone, and mounts it.
func (t *T) setupFromBlank(ctx context.Context) (string, error) {
	if err := t.setupNodes(ctx); err != nil {
		return "", err
	}
	if err := t.applyAll(ctx); err != nil {
		return "", err
	}
	active, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return "", err
	}
	if err := t.Cluster.Both(ctx, "touch "+setupMark+" "+configuredMark+"; sync"); err != nil {
		return "", err
	}
	return active, t.MountClient(ctx)
}

// setupDRBDADM is the scenario setup-drbdadm.
func setupDRBDADM(ctx context.Context, t *T) error {
	active, err := t.setupFromBlank(ctx)
	if err != nil {
		return err
	}
	if err := t.checkGroup(ctx, active); err != nil {
		return err
	}
	t.checkSecrets(ctx)
	return t.nothingToDo(ctx)
}

// checkSecrets asserts that no secret is to be seen in a journal, and that what
// holds one is root's alone.
func (t *T) checkSecrets(ctx context.Context) {
	for _, node := range rig.Nodes() {
		out, err := t.Rig.SSH(ctx, node, `set -e
[ "$(stat -c %a:%u /etc/drbdnfs/secret)" = 600:0 ] || { echo "/etc/drbdnfs/secret is $(stat -c %a:%u /etc/drbdnfs/secret)"; exit 1; }
secret=$(grep -v '^#' /etc/drbdnfs/secret)
! journalctl -q -b --no-pager -o cat | grep -F -- "$secret"`)
		t.Check(err == nil, "secret on %s: %v %s", node, err, out)
	}
}

// configuration is what must not change when nothing is to be done: the CIB's
// version and when each service was started.
func (t *T) configuration(ctx context.Context) (string, error) {
	var all []string
	for _, node := range rig.Nodes() {
		out, err := t.Rig.SSH(ctx, node, `cibadmin --query | grep -o ' \(admin_\)\?epoch="[0-9]*"' | head -n 2
for u in corosync pacemaker drbdnfs-daemons.service; do systemctl show -p ActiveEnterTimestampMonotonic $u; done
md5sum /etc/nfs.conf /etc/hosts /etc/drbd.d/res0.res /etc/corosync/corosync.conf /etc/drbdnfs/* | sort`)
		if err != nil {
			return "", err
		}
		all = append(all, node, strings.TrimSpace(out))
	}
	return strings.Join(all, "\n"), nil
}

// setupAgain is the scenario setup-again.
func setupAgain(ctx context.Context, t *T) error {
	if _, err := t.readySetup(ctx); err != nil {
		return err
	}
	before, err := t.configuration(ctx)
	if err != nil {
		return err
	}
	if err := t.applyAll(ctx); err != nil {
		return err
	}
	after, err := t.configuration(ctx)
	if err != nil {
		return err
	}
	t.checkSecrets(ctx)
	t.Check(before == after, "a second apply has changed something; before:\n%s\nafter:\n%s", before, after)
	return t.nothingToDo(ctx)
}

// setupScenarios are the scenarios of drbdnfs setup.
func setupScenarios() []Scenario {
	return []Scenario{
		{Name: "setup-drbdadm", Summary: "from blank nodes to a mounted client with the package, the file and drbdnfs setup apply", ByName: true, Limit: 15 * time.Minute, Run: setupDRBDADM},
		{Name: "setup-change", Summary: "an export, threads and an address change while clients write on", ByName: true, Limit: 15 * time.Minute, Run: setupChange},
		{Name: "setup-foreign", Summary: "somebody else's resources and concurrent edits survive", ByName: true, Limit: 15 * time.Minute, Run: setupForeign},
		{Name: "setup-interrupted", Summary: "setup apply is killed in every stage and continued", ByName: true, Limit: 30 * time.Minute, Run: setupInterrupted},
		{Name: "setup-stonith", Summary: "the crash scenario with a fence device that resets the machine", ByName: true, Limit: 20 * time.Minute, Run: setupStonith},
		{Name: "setup-three", Summary: "a tie-breaker and DRBD's quorum: the active node is killed, then cut off", ByName: true, Limit: 30 * time.Minute, Run: setupThree},
		{Name: "setup-linstor", Summary: "the group is made, changed and grown through LINSTOR", ByName: true, Limit: 40 * time.Minute, Run: setupLINSTOR},
		{Name: "setup-remove", Summary: "setup remove takes back what it made, and the data stays", ByName: true, Limit: 20 * time.Minute, Run: setupRemove},
		{Name: "setup-pcs", Summary: "the time of applying the CIB, against the procedure's pcs commands", ByName: true, Limit: 20 * time.Minute, Run: setupPCS},
	}
}
