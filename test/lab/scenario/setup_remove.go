package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// setupRemove is the scenario setup-remove.
func setupRemove(ctx context.Context, t *T) error {
	active, err := t.readySetup(ctx)
	if err != nil {
		return err
	}
	t.Cleanup(func(ctx context.Context) { _ = t.Cluster.Both(ctx, "rm -f "+setupMark) })
	if _, err := t.Rig.SSH(ctx, rig.Client, "echo kept >"+mountV3+"/kept; sync "+mountV3+"/kept"); err != nil {
		return err
	}
	if err := t.UnmountClient(ctx); err != nil {
		return err
	}
	a, err := t.setup(ctx, rig.Peer(active), "remove --yes")
	if err != nil {
		return err
	}
	t.Check(a.code == 1 && strings.Contains(a.out, "run drbdnfs setup remove on "+active+" first"),
		"remove on the passive node ended with %d, want a refusal:\n%s", a.code, a.out)
	for _, node := range []string{active, rig.Peer(active)} {
		a, err := t.setup(ctx, node, "remove --yes")
		if err != nil {
			return err
		}
		for line := range linesOf(a.out) {
			t.Logf("%s: %s", node, line)
		}
		t.Check(a.code == 0, "remove on %s ended with %d", node, a.code)
		t.checkRemoved(ctx, node)
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
	out, err := t.Rig.SSH(ctx, rig.Client, "cat "+mountV3+"/kept")
	t.Check(err == nil && strings.TrimSpace(out) == "kept", "the data is not what it was: %q %v", out, err)
	return t.nothingToDo(ctx)
}

// checkRemoved asserts that a node has nothing of setup's but what holds data.
func (t *T) checkRemoved(ctx context.Context, node string) {
	out, err := t.Rig.SSH(ctx, node, `cibadmin --query --scope resources | grep -c drbdnfs
ls /etc/drbd.d/res0.res /etc/modules-load.d/drbdnfs.conf 2>/dev/null
grep -l "drbdnfs begin" /etc/hosts /etc/nfs.conf /etc/lvm/lvmlocal.conf 2>/dev/null
mountpoint -q /home/nfs && echo mounted
lvs --noheadings -o lv_name drbdpool | tr -d " "
true`)
	t.Check(err == nil && strings.TrimSpace(out) == "0\nres0", "%s after remove has %q, want no resource and the volume res0 (%v)", node, out, err)
}

// pcsCommands are the procedure's, on a file of their own, timed in the guest.
const pcsCommands = `set -e
cd /root && rm -f cluster_cfg.cib
pcs cluster cib cluster_cfg.cib
begin=$(date +%s%N)
p="pcs -f cluster_cfg.cib"
$p resource create res_drbd ocf:linbit:drbd drbd_resource=res0 drbdconf=/etc/drbd.conf op monitor interval=10s
$p resource promotable res_drbd promoted-max=1 promoted-node-max=1 clone-max=2 clone-node-max=1 notify=true
$p resource create mount_nfs ocf:heartbeat:Filesystem device=/dev/drbd1000 directory=/home/nfs fstype=xfs
$p resource create res_nfs systemd:nfs-server op monitor interval=10s
$p resource create VIP2 ocf:heartbeat:IPaddr2 ip=192.168.2.63 nic=ens3 cidr_netmask=24 op monitor interval=8s
$p constraint order res_drbd-clone then mount_nfs
$p resource group add group-nfs mount_nfs res_nfs VIP2
$p constraint colocation add Promoted res_drbd-clone with group-nfs INFINITY
$p property set stonith-enabled=false
$p property set no-quorum-policy=ignore
echo $(($(date +%s%N) - begin)) >/root/lab-pcs
rm -f cluster_cfg.cib`

// setupPCS is the scenario setup-pcs: the group leaves the CIB and comes back,
// which has to take at most a twentieth of the procedure's pcs commands. These
// only edit a file; the time of their cib-push is not counted.
func setupPCS(ctx context.Context, t *T) error {
	active, err := t.readySetup(ctx)
	if err != nil {
		return err
	}
	if err := t.UnmountClient(ctx); err != nil {
		return err
	}
	if a, err := t.setup(ctx, active, "remove --stage cib --yes"); err != nil || a.code != 0 {
		return fmt.Errorf("remove the group from the CIB: %w (%d)\n%s", err, a.code, a.out)
	}
	a, err := t.setup(ctx, rig.Node1, "apply --stage cib --yes --json")
	if err != nil {
		return err
	}
	t.Check(a.code == 0, "apply ended with %d:\n%s", a.code, a.out)
	ours, err := editTime(a.out)
	if err != nil {
		return err
	}
	if out, err := t.Rig.SSH(ctx, rig.Node1, pcsCommands+" 2>&1"); err != nil {
		return fmt.Errorf("the procedure's pcs commands: %w\n%s", err, out)
	}
	out, err := t.Rig.SSH(ctx, rig.Node1, "cat /root/lab-pcs; rm /root/lab-pcs")
	if err != nil {
		return err
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return err
	}
	t.Logf("the CIB: pcs commands %.1f s, drbdnfs setup %.1f s, 1/%.0f", time.Duration(ns).Seconds(), ours.Seconds(), float64(ns)/float64(ours))
	t.atMost(20, "applying the CIB", ours, time.Duration(ns))
	return nil
}

// editTime is how long the steps of an apply took that changed something. Waiting
// for the group to be served is not among them.
func editTime(out string) (time.Duration, error) {
	var sum time.Duration
	for line := range linesOf(out) {
		var e struct {
			Event, Action string
			Seconds       float64
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return 0, fmt.Errorf("not JSON: %s: %w", line, err)
		}
		if e.Event == "done" && (e.Action == "make" || e.Action == "change") {
			sum += time.Duration(e.Seconds * float64(time.Second))
		}
	}
	if sum == 0 {
		return 0, fmt.Errorf("apply has changed nothing:\n%s", out)
	}
	return sum, nil
}
