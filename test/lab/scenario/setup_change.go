package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// edit changes the configuration file on all nodes with one sed script.
func (t *T) edit(ctx context.Context, script string) error {
	return t.Cluster.Both(ctx, "sed -i '"+script+"' "+configFile+" && drbdnfs config check")
}

// configFile is the configuration on every node.
const configFile = "/etc/drbdnfs/drbdnfs.toml"

// editForNow is edit, and after the scenario the file is as it was, and the group
// too.
func (t *T) editForNow(ctx context.Context, script string) error {
	t.Cleanup(func(ctx context.Context) {
		err := t.Cluster.Both(ctx, "cp -p /root/lab-before.toml "+configFile)
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
	if err := t.Cluster.Both(ctx, "cp -p "+configFile+" /root/lab-before.toml"); err != nil {
		return err
	}
	return t.edit(ctx, script)
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
	if err := t.editForNow(ctx, change); err != nil {
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
	if err := t.editForNow(ctx, `$a [pacemaker]\nstickiness = 333`); err != nil {
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
