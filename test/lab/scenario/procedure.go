package scenario

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spacei/drbdnfs/test/lab/cluster"
	"github.com/spacei/drbdnfs/test/lab/rig"
)

// procedureRounds is how often each half usually crashes and moves. When a
// client notices that the service is back depends on where its TCP's back-off
// stands, which is why one round of the hand-made configuration says little.
const procedureRounds = 3

// handProtocol is what the procedure's clients mount with. Its stall is what ours
// are held against, on either protocol; how long the hand-made configuration's
// v4.2 clients wait is printed too.
const handProtocol = "v3"

// figures is one column of the comparison: what each round took.
type figures struct {
	crash, move map[string][]time.Duration // by protocol
	monitor     time.Duration
}

// procedure is scenario 10: the hand-made configuration with the four agents it
// uses, and ours, on the same machines under the same load. Each begins from
// blank disks. The nodes have one processor, as in the lab in which the
// procedure was first measured: see docs/lab.md.
func procedure(ctx context.Context, t *T) error {
	cpus := t.Rig.NodeCPUs
	t.Cleanup(func(ctx context.Context) {
		// Whatever happened, nothing of this stays: the next scenario finds
		// unconfigured nodes and rebuilds them.
		t.Cluster.Resource, t.Cluster.With = cluster.Resource, nil
		t.Rig.NodeCPUs = cpus
		_ = t.Cluster.Both(ctx, "rm -f /root/lab-configured; sync")
	})
	if cpus == 0 {
		t.Rig.NodeCPUs = 1
	}
	t.Logf("the hand-made configuration")
	if err := t.rebuildBare(ctx, t.putLoad); err != nil {
		return err
	}
	if _, err := t.Cluster.UseProcedure(ctx); err != nil {
		return err
	}
	hand, err := t.measure(ctx, procedureMonitors)
	if err != nil {
		return fmt.Errorf("hand-made configuration: %w", err)
	}
	t.Logf("ours")
	t.Cluster.Resource, t.Cluster.With = cluster.Resource, nil
	if _, err = t.Rebuild(ctx); err != nil {
		return err
	}
	ours, err := t.measure(ctx, oursMonitor())
	if err != nil {
		return fmt.Errorf("ours: %w", err)
	}
	t.table(hand, ours)
	for _, proto := range protocols {
		t.atMost(4, "crash stall on "+proto, mean(ours.crash[proto]), mean(hand.crash[handProtocol]))
		t.atMost(4, "move stall on "+proto, mean(ours.move[proto]), mean(hand.move[handProtocol]))
	}
	t.atMost(20, "monitor round", ours.monitor, hand.monitor)
	return nil
}

// atMost checks that ours is at most one n-th of the hand-made configuration's.
func (t *T) atMost(n time.Duration, what string, ours, hand time.Duration) {
	t.Check(ours*n <= hand, "%s: %.2f s is more than 1/%d of %.2f s", what, ours.Seconds(), n, hand.Seconds())
}

// measure runs the monitors, crashes and moves on the present configuration.
func (t *T) measure(ctx context.Context, monitors string) (figures, error) {
	f := figures{crash: map[string][]time.Duration{}, move: map[string][]time.Duration{}}
	if err := t.MountClient(ctx); err != nil {
		return f, err
	}
	active, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return f, err
	}
	if f.monitor, err = t.monitorTime(ctx, active, monitors); err != nil {
		return f, err
	}
	t.Logf("one monitor round: %s", f.monitor.Round(time.Millisecond))
	loads, err := t.StartLoads(ctx)
	if err != nil {
		return f, err
	}
	for range cmp.Or(t.Rounds, procedureRounds) {
		if err := t.measureRound(ctx, loads, f); err != nil {
			return f, err
		}
	}
	if err := t.StopLoads(ctx, loads); err != nil {
		return f, err
	}
	return f, t.UnmountClient(ctx)
}

// measureRound runs one crash and one move, and adds the stalls to f.
func (t *T) measureRound(ctx context.Context, loads []*Load, f figures) error {
	active, err := t.Cluster.WaitReady(ctx, readyLimit)
	if err != nil {
		return err
	}
	stalls, err := t.crashRound(ctx, active, loads)
	if err != nil {
		return err
	}
	for proto, d := range stalls {
		f.crash[proto] = append(f.crash[proto], d)
	}
	active = rig.Peer(active)
	if stalls, err = t.moveRound(ctx, active, loads); err != nil {
		return err
	}
	for proto, d := range stalls {
		f.move[proto] = append(f.move[proto], d)
	}
	if _, err := t.Rig.SSH(ctx, rig.Peer(active), "crm_standby --delete --node "+active); err != nil {
		return err
	}
	s, err := t.Cluster.State(ctx, rig.Peer(active))
	if err != nil {
		return err
	}
	for _, failure := range s.Failures {
		t.Logf("failed meanwhile, and tried again: %s on %s: %s", failure.Key, failure.Node, failure.ExitReason)
	}
	return nil
}

// mean is the arithmetic mean, 0 of none.
func mean(list []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range list {
		sum += d
	}
	return sum / time.Duration(max(1, len(list)))
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

// monitorRounds is how many monitors are timed together.
const monitorRounds = 5

// monitorTime measures the mean of a few monitor rounds on a node, in the guest.
func (t *T) monitorTime(ctx context.Context, node, script string) (time.Duration, error) {
	out, err := t.Rig.SSH(ctx, node, script+fmt.Sprintf(`
once >/dev/null 2>&1
[ "$codes" = "$want" ] || { echo "monitor said $codes, want $want"; once; exit 1; }
begin=$(date +%%s%%N)
for i in $(seq %d); do once >/dev/null 2>&1; done
echo $(($(date +%%s%%N) - begin))`, monitorRounds))
	if err != nil {
		return 0, err
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	return time.Duration(ns / monitorRounds), err
}

// table prints the comparison: means of the rounds, and between which figures
// they lie.
func (t *T) table(hand, ours figures) {
	fmt.Fprintln(t.Out)
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tprocedure\t\tdrbdnfs\t\tratio\t")
	row := func(what string, h, o []time.Duration) {
		fmt.Fprintf(w, "%s\t%.2f s\t%s\t%.2f s\t%s\t1/%.1f\t\n", what, mean(h).Seconds(), span(h),
			mean(o).Seconds(), span(o), mean(h).Seconds()/max(mean(o).Seconds(), 1e-9))
	}
	for _, proto := range protocols {
		row("crash, NFS "+proto, hand.crash[proto], ours.crash[proto])
	}
	for _, proto := range protocols {
		row("move, NFS "+proto, hand.move[proto], ours.move[proto])
	}
	row("one monitor round", []time.Duration{hand.monitor}, []time.Duration{ours.monitor})
	_ = w.Flush()
	fmt.Fprintln(t.Out)
}

// span is the least and the greatest of several durations, "" of one.
func span(list []time.Duration) string {
	if len(list) < 2 {
		return ""
	}
	return fmt.Sprintf("(%.1f to %.1f)", slices.Min(list).Seconds(), slices.Max(list).Seconds())
}
