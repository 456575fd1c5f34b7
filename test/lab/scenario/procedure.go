package scenario

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// figures is one column of the comparison.
type figures struct {
	crash, move Stalls
	monitor     time.Duration
}

// procedure is scenario 10: the hand-made configuration with the four agents it
// uses, and ours, on the same machines under the same load.
func procedure(ctx context.Context, t *T) error {
	t.Cleanup(func(ctx context.Context) {
		// Whatever happened, no half of the hand-made configuration stays: the
		// next scenario finds unconfigured nodes and rebuilds them.
		if t.Cluster.Resource != cluster.Resource {
			t.Cluster.Resource, t.Cluster.With = cluster.Resource, nil
			_ = t.Cluster.Both(ctx, "rm -f /root/lab-configured")
		}
	})
	if err := t.bareCluster(ctx); err != nil {
		return err
	}
	t.Logf("setting up the hand-made configuration")
	active, err := t.Cluster.UseProcedure(ctx)
	if err != nil {
		return err
	}
	hand, err := t.measure(ctx, active, procedureMonitors)
	if err != nil {
		return fmt.Errorf("hand-made configuration: %w", err)
	}
	if err := t.Cluster.LeaveProcedure(ctx); err != nil {
		return err
	}
	t.Logf("setting up ours")
	if active, err = t.Ready(ctx); err != nil {
		return err
	}
	ours, err := t.measure(ctx, active, oursMonitor())
	if err != nil {
		return fmt.Errorf("ours: %w", err)
	}
	t.table(hand, ours)
	for _, proto := range []string{"v3", "v4.2"} {
		t.Check(ours.crash[proto]*4 <= hand.crash[proto], "crash stall on %s: %.1f s is more than a quarter of %.1f s", proto, ours.crash[proto].Seconds(), hand.crash[proto].Seconds())
		t.Check(ours.move[proto]*4 <= hand.move[proto], "move stall on %s: %.1f s is more than a quarter of %.1f s", proto, ours.move[proto].Seconds(), hand.move[proto].Seconds())
	}
	t.Check(ours.monitor*20 <= hand.monitor, "monitor: %s is more than 1/20 of %s", ours.monitor, hand.monitor)
	return nil
}

// bareCluster makes sure that both nodes have DRBD and Pacemaker set up, without
// asking for the agent.
func (t *T) bareCluster(ctx context.Context) error {
	if err := t.Rig.Up(ctx); err != nil {
		return err
	}
	if err := t.Rig.Put(ctx, rig.Client, binDir()+"/nfsload", "/root/nfsload", "0755"); err != nil {
		return err
	}
	if t.configured(ctx) {
		if err := t.UnmountClient(ctx); err != nil {
			return err
		}
		return t.waitPacemaker(ctx)
	}
	if err := t.Rig.Blank(ctx, rig.Nodes()...); err != nil {
		return err
	}
	if err := t.Rig.Boot(ctx, rig.Nodes()...); err != nil {
		return err
	}
	if err := t.Cluster.SetupDRBD(ctx); err != nil {
		return err
	}
	if err := t.Cluster.SetupCluster(ctx); err != nil {
		return err
	}
	return t.Cluster.Both(ctx, "touch /root/lab-configured; sync")
}

// measure runs one crash, one move and the monitors on the present configuration.
func (t *T) measure(ctx context.Context, active, monitors string) (figures, error) {
	var f figures
	if err := t.MountClient(ctx); err != nil {
		return f, err
	}
	var err error
	if f.monitor, err = t.monitorTime(ctx, active, monitors); err != nil {
		return f, err
	}
	t.Logf("one monitor round: %s", f.monitor.Round(time.Millisecond))
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return f, err
	}
	if f.crash, err = t.crashRound(ctx, active, loads); err != nil {
		return f, err
	}
	active = rig.Peer(active)
	if f.move, err = t.moveRound(ctx, active, loads); err != nil {
		return f, err
	}
	if _, err := t.Rig.SSH(ctx, rig.Peer(active), "crm_standby --delete --node "+active); err != nil {
		return f, err
	}
	if _, err := t.Cluster.WaitReady(ctx, readyLimit); err != nil {
		return f, err
	}
	s, err := t.Cluster.State(ctx, active)
	if err != nil {
		return f, err
	}
	for _, failure := range s.Failures {
		t.Logf("failed meanwhile, and tried again: %s on %s: %s", failure.Key, failure.Node, failure.ExitReason)
	}
	if err := t.StopLoads(ctx, loads); err != nil {
		return f, err
	}
	return f, t.UnmountClient(ctx)
}

// procedureMonitors runs the monitor of each agent of the hand-made
// configuration once, the way Pacemaker does.
const procedureMonitors = `export OCF_ROOT=/usr/lib/ocf OCF_RA_VERSION_MAJOR=1 OCF_RA_VERSION_MINOR=1
export OCF_RESKEY_CRM_meta_timeout=60000 OCF_RESKEY_CRM_meta_interval=10000
d=/usr/lib/ocf/resource.d
once() {
	OCF_RESOURCE_INSTANCE=res_drbd OCF_RESKEY_CRM_meta_clone=0 OCF_RESKEY_CRM_meta_clone_max=2 OCF_RESKEY_CRM_meta_clone_node_max=1 OCF_RESKEY_CRM_meta_master_max=1 OCF_RESKEY_CRM_meta_master_node_max=1 OCF_RESKEY_CRM_meta_promoted_max=1 OCF_RESKEY_CRM_meta_promoted_node_max=1 OCF_RESKEY_CRM_meta_notify=true \
		OCF_RESKEY_drbd_resource=res0 OCF_RESKEY_drbdconf=/etc/drbd.conf $d/linbit/drbd monitor
	drbd=$?
	OCF_RESOURCE_INSTANCE=mount_nfs OCF_RESKEY_device=/dev/drbd1000 OCF_RESKEY_directory=/home/nfs OCF_RESKEY_fstype=xfs $d/heartbeat/Filesystem monitor
	fs=$?
	OCF_RESOURCE_INSTANCE=res_nfs OCF_RESKEY_nfs_shared_infodir=/home/nfs/var/lib/nfs $d/heartbeat/nfsserver monitor
	nfs=$?
	OCF_RESOURCE_INSTANCE=VIP OCF_RESKEY_ip=192.168.2.63 OCF_RESKEY_nic=ens3 OCF_RESKEY_cidr_netmask=24 $d/heartbeat/IPaddr2 monitor
	codes="$drbd $fs $nfs $?"
}
want="8 0 0 0"
`

// oursMonitor runs our agent's monitor once, the way Pacemaker does.
func oursMonitor() string {
	return cluster.AgentEnv() + fmt.Sprintf(`
export OCF_RESKEY_CRM_meta_timeout=60000 OCF_RESKEY_CRM_meta_interval=10000
once() { %s monitor; codes=$?; }
want=8
`, cluster.AgentBin)
}

// monitorTime measures the mean of five monitor rounds on a node, in the guest.
func (t *T) monitorTime(ctx context.Context, node, script string) (time.Duration, error) {
	const rounds = 5
	out, err := t.Rig.SSH(ctx, node, script+fmt.Sprintf(`
once >/dev/null 2>&1
[ "$codes" = "$want" ] || { echo "monitor said $codes, want $want"; once; exit 1; }
begin=$(date +%%s%%N)
for i in $(seq %d); do once >/dev/null 2>&1; done
echo $(($(date +%%s%%N) - begin))`, rounds))
	if err != nil {
		return 0, err
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	return time.Duration(ns / rounds), err
}

// table prints the comparison.
func (t *T) table(hand, ours figures) {
	fmt.Fprintln(t.Out)
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(what string, h, o time.Duration) {
		fmt.Fprintf(w, "%s\t%.2f s\t%.2f s\t1/%.1f\t\n", what, h.Seconds(), o.Seconds(), h.Seconds()/max(o.Seconds(), 1e-9))
	}
	fmt.Fprintln(w, "\tprocedure\tdrbdnfs\tratio\t")
	for _, proto := range []string{"v3", "v4.2"} {
		row("crash, NFS "+proto, hand.crash[proto], ours.crash[proto])
		row("move, NFS "+proto, hand.move[proto], ours.move[proto])
	}
	row("one monitor round", hand.monitor, ours.monitor)
	_ = w.Flush()
	fmt.Fprintln(t.Out)
}
