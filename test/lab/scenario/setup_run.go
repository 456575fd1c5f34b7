package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	names := []string{rig.Node1, rig.Node2, rig.Client}
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

// configureNodes writes the same file and secret to both nodes, as the README
// has it: made on the first, copied to the second.
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
	_, err = t.Rig.SSH(ctx, rig.Node2, "echo "+files+" | base64 -d | tar -C /etc/drbdnfs -x && drbdnfs config check")
	return err
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

// applyAll runs setup apply on both storage nodes at once, as two windows of an
// administrator would, and prints what it says. Each has to end well.
func (t *T) applyAll(ctx context.Context) error {
	var results [2]applied
	g, gctx := errgroup.WithContext(ctx)
	for i, node := range rig.Nodes() {
		g.Go(func() error {
			var err error
			results[i], err = t.setup(gctx, node, "apply --yes")
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var errs []error
	for i, node := range rig.Nodes() {
		for line := range linesOf(results[i].out) {
			t.Logf("%s: %s", node, line)
		}
		if results[i].code != 0 {
			errs = append(errs, fmt.Errorf("drbdnfs setup apply on %s ended with %d", node, results[i].code))
			continue
		}
		t.Logf("%s: drbdnfs setup apply took %.1f s", node, results[i].took.Seconds())
	}
	return errors.Join(errs...)
}

// nothingToDo checks that setup finds everything in place on both nodes.
func (t *T) nothingToDo(ctx context.Context) error {
	for _, node := range rig.Nodes() {
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
	if err := t.Cluster.Both(ctx, "touch "+setupMark+"; sync"); err != nil {
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
	t.Logf("promoted on %s", active)
	if err := t.checkBothMounts(ctx); err != nil {
		return err
	}
	if _, err := t.Rig.SSH(ctx, active, "crm_verify --live-check -V 2>&1"); err != nil {
		t.Check(false, "crm_verify: %v", err)
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
	t.Check(before == after, "a second apply has changed something; before:\n%s\nafter:\n%s", before, after)
	return t.nothingToDo(ctx)
}

// editBoth edits the configuration file on both nodes with one sed script. After
// the scenario the file is as it was, and the group too.
func (t *T) editBoth(ctx context.Context, script string) error {
	const file = "/etc/drbdnfs/drbdnfs.toml"
	t.Cleanup(func(ctx context.Context) {
		err := t.Cluster.Both(ctx, "cp -p /root/lab-before.toml "+file)
		for _, node := range rig.Nodes() {
			if err == nil {
				_, err = t.Rig.SSH(ctx, node, "drbdnfs setup apply --yes >/dev/null")
			}
		}
		if err != nil {
			t.Logf("the configuration before it: %v", err)
			_ = t.Cluster.Both(ctx, "rm -f "+setupMark)
		}
	})
	return t.Cluster.Both(ctx, "cp -p "+file+" /root/lab-before.toml && sed -i '"+script+"' "+file+" && drbdnfs config check")
}

// secondVIP is the service address that setup-change adds.
const secondVIP = "192.168.2.65"

// liveLimit is the longest gap between two writes that a change without
// interruption may cause in an emulated machine: setup runs beside the service.
const liveLimit = 4 * time.Second

// setupChange is the scenario setup-change.
func setupChange(ctx context.Context, t *T) error {
	active, err := t.readySetup(ctx)
	if err != nil {
		return err
	}
	daemons := "systemctl show -p ActiveEnterTimestampMonotonic drbdnfs-daemons.service"
	before, err := t.Rig.SSH(ctx, active, daemons)
	if err != nil {
		return err
	}
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return err
	}
	change := `$a [nfs]\nthreads = 64\n[[export]]\npath = "/home/nfs/more-data"\nclients = ["192.168.2.0/24"]\nmode = "0777"\n[[vip]]\naddress = "` + secondVIP + `/24"\ninterface = "ens3"`
	if err := t.editBoth(ctx, change); err != nil {
		return err
	}
	begin := time.Now()
	a, err := t.setup(ctx, active, "apply --yes")
	if err != nil {
		return err
	}
	for line := range linesOf(a.out) {
		t.Logf("%s: %s", active, line)
	}
	t.Check(a.code == 0, "apply on %s ended with %d", active, a.code)
	if err := t.checkChanged(ctx, active); err != nil {
		return err
	}
	if err := t.WaitWriting(ctx, loads, time.Now(), time.Minute); err != nil {
		return err
	}
	stalls, err := t.Timeline(ctx, active, begin, "apply", loads)
	if err != nil {
		return err
	}
	for proto, d := range stalls {
		t.Logf("the %s client wrote on, its longest gap was %.1f s", proto, d.Seconds())
		t.Check(d < liveLimit, "the %s client stood still for %.1f s", proto, d.Seconds())
	}
	after, err := t.Rig.SSH(ctx, active, daemons)
	t.Check(err == nil && before == after, "the service was restarted: %s then %s (%v)", before, after, err)
	if err := t.StopLoads(ctx, loads); err != nil {
		return err
	}
	if _, err := t.setup(ctx, rig.Peer(active), "apply --yes"); err != nil {
		return err
	}
	return t.nothingToDo(ctx)
}

// checkChanged asserts what setup-change has asked for, on the node and from the
// client.
func (t *T) checkChanged(ctx context.Context, active string) error {
	err := rig.Poll(ctx, "the changes to be live", time.Minute, time.Second, func(ctx context.Context) error {
		out, err := t.Rig.SSH(ctx, active, "cat /proc/fs/nfsd/threads; ip -o address show dev ens3; exportfs -v")
		if err != nil {
			return err
		}
		for _, want := range []string{"64\n", secondVIP + "/24", "/home/nfs/more-data"} {
			if !strings.Contains(out, want) {
				return fmt.Errorf("%w: no %q in\n%s", errNot, want, out)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = t.Rig.SSH(ctx, rig.Client, fmt.Sprintf(`set -e
mkdir -p /mnt/more
mount -t nfs -o vers=4.2 %s:/home/nfs/more-data /mnt/more
echo hello >/mnt/more/file; sync /mnt/more/file; rm /mnt/more/file
umount /mnt/more`, secondVIP))
	if err != nil {
		return fmt.Errorf("the new export at the new address: %w", err)
	}
	return nil
}

// foreignCIB are objects of somebody else's.
const foreignCIB = `set -e
cibadmin --create --scope resources --xml-text '<primitive id="foreign" class="ocf" provider="pacemaker" type="Dummy"><operations><op id="foreign-mon" name="monitor" interval="33s"/></operations></primitive>'
cibadmin --create --scope constraints --xml-text '<rsc_location id="cli-prefer-foreign" rsc="foreign" node="drbdtest2" score="100"/>'
cibadmin --create --scope constraints --xml-text '<rsc_location id="drbd-fence-by-handler-other-x" rsc="foreign" node="drbdtest1" score="-10"/>'
crm_attribute --type crm_config --name cluster-recheck-interval --update 11min
`

// dropForeign takes them away again.
const dropForeign = `cibadmin --delete --xml-text '<rsc_location id="cli-prefer-foreign"/>'
cibadmin --delete --xml-text '<rsc_location id="drbd-fence-by-handler-other-x"/>'
cibadmin --delete --xml-text '<primitive id="foreign"/>'
crm_attribute --type crm_config --name cluster-recheck-interval --delete
crm_attribute --type crm_config --name lab-edit --delete
`

// setupForeign is the scenario setup-foreign.
func setupForeign(ctx context.Context, t *T) error {
	active, err := t.readySetup(ctx)
	if err != nil {
		return err
	}
	t.Cleanup(func(ctx context.Context) { _, _ = t.Rig.SSH(ctx, active, dropForeign) })
	if _, err := t.Rig.SSH(ctx, active, foreignCIB); err != nil {
		return err
	}
	if err := t.editBoth(ctx, `$a [pacemaker]\nstickiness = 333`); err != nil {
		return err
	}
	// Somebody who changes the CIB all the time while setup works on it.
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		_, err := t.Rig.SSH(gctx, rig.Peer(active), `for i in $(seq 40); do
	[ ! -e /run/lab-stop ] || break
	crm_attribute --type crm_config --name lab-edit --update $i; sleep 0.1
done; rm -f /run/lab-stop; echo $i`)
		return err
	})
	a, err := t.setup(ctx, active, "apply --yes")
	_, stop := t.Rig.SSH(ctx, rig.Peer(active), "touch /run/lab-stop")
	if err := errors.Join(err, stop, g.Wait()); err != nil {
		return err
	}
	for line := range linesOf(a.out) {
		t.Logf("%s: %s", active, line)
	}
	t.Check(a.code == 0, "apply beside somebody else's edits ended with %d", a.code)
	cib, err := t.Rig.SSH(ctx, active, "cibadmin --query --scope configuration")
	if err != nil {
		return err
	}
	for _, want := range []string{`id="foreign"`, `id="foreign-mon"`, `id="cli-prefer-foreign"`, `id="drbd-fence-by-handler-other-x"`, `value="11min"`, `name="lab-edit"`, `value="333"`} {
		t.Check(strings.Contains(cib, want), "the CIB has no %s any more:\n%s", want, cib)
	}
	now, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return err
	}
	t.Check(now == active, "the service has moved from %s to %s", active, now)
	return t.nothingToDo(ctx)
}

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
	a, err := t.setup(ctx, rig.Node2, "apply --yes")
	if err != nil {
		return err
	}
	t.Check(a.code == 0, "apply on %s ended with %d:\n%s", rig.Node2, a.code, a.out)
	for _, i := range interruptions {
		if err := t.interrupt(ctx, i.stage, i.after); err != nil {
			return err
		}
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

// setupScenarios are the scenarios of drbdnfs setup.
func setupScenarios() []Scenario {
	return []Scenario{
		{Name: "setup-drbdadm", Summary: "from blank nodes to a mounted client with the package, the file and drbdnfs setup apply", Limit: 15 * time.Minute, Run: setupDRBDADM},
		{Name: "setup-again", Summary: "a second apply changes nothing", Limit: 15 * time.Minute, Run: setupAgain},
		{Name: "setup-change", Summary: "an export, threads and an address change while clients write on", Limit: 15 * time.Minute, Run: setupChange},
		{Name: "setup-foreign", Summary: "somebody else's resources and concurrent edits survive", ByName: true, Limit: 15 * time.Minute, Run: setupForeign},
		{Name: "setup-interrupted", Summary: "setup apply is killed in every stage and continued", ByName: true, Limit: 30 * time.Minute, Run: setupInterrupted},
		{Name: "setup-stonith", Summary: "the crash scenario with a fence device that resets the machine", ByName: true, Limit: 20 * time.Minute, Run: setupStonith},
	}
}
