package status_test

import (
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/mount"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/status"
)

// fault is something that goes wrong, and the line by which it is seen.
type fault struct {
	name    string
	passive bool // seen from the node that does not serve
	make    func(f *status.Facts)
	level   status.Level
	word    string
	line    string // "WHAT | WHY | REMEDY" of the finding holds it
}

const (
	healthyLevel = status.Healthy
	degraded     = status.Degraded
	down         = status.Down
)

// faults are at least those that the lab's scenarios inject.
var faults = []fault{
	{name: "the active node is killed, nobody serves yet", passive: true, level: down, word: "no-service", make: func(f *status.Facts) {
		peerDead(f)
		f.Replies[0].Error = "no answer within 1 s"
		f.Cluster.Clones[0].Instances[1].Pending = "Promoting"
	}, line: "no node serves clients | Pacemaker is at it: Promoting | wait"},
	{name: "the active node is unclean", passive: true, level: down, word: "node-unclean", make: func(f *status.Facts) {
		peerDead(f)
		f.Cluster.Nodes[0].Unclean = true
		f.Replies[0].Error = "no answer within 1 s"
	}, line: "drbdtest1 was lost and must be fenced | until then nothing is taken over from it | see to it that it is off, then pcs stonith confirm drbdtest1"},
	{
		name: "the peer is powered off", level: degraded, word: "node-offline", make: peerDead,
		line: "drbdtest2 is not in the cluster | it is off, cut off, or Pacemaker is stopped there | start it; if it runs, on drbdtest2: pcs cluster start",
	},
	{
		name: "the peer is joining", level: degraded, word: "node-joining", make: func(f *status.Facts) { f.Cluster.Nodes[1].Pending = true },
		line: "drbdtest2 is joining the cluster",
	},
	{name: "resync on DRBD 9", level: degraded, word: "resync", make: func(f *status.Facts) {
		syncing(f.Resource, drbd.ReplSyncSource, drbd.DiskInconsistent)
	}, line: "drbdtest2 is resyncing, redundancy is back in about 4 min | 63.1 % done; until then there is no second copy of the data"},
	{name: "resync on DRBD 8.4", level: degraded, word: "resync", make: func(f *status.Facts) {
		syncing(f.Resource, drbd.ReplSyncSource, drbd.DiskInconsistent)
		f.Resource.Kernel84, f.Kernel84, f.Resource.Connections[1].Name = true, true, drbd.Name84
		d := f.Resource.Connections[1].PeerDevices[0]
		d.DonePercent, d.MiBPerSecond, d.ETA = 0, 0, 0
		f.Progress = map[int]status.Progress{1000: {Percent: 12.5, MiBPerSecond: 210, ETA: 241 * time.Second}}
	}, line: "drbdtest2 is resyncing, redundancy is back in about 4 min | 12.5 % done"},
	{name: "resync seen by its target", passive: true, level: degraded, word: "resync", make: func(f *status.Facts) {
		syncing(f.Resource, drbd.ReplSyncTarget, drbd.DiskUpToDate)
		f.Resource.Devices[0].Disk = drbd.DiskInconsistent
	}, line: "drbdtest2 is resyncing, redundancy is back in about 4 min"},
	{name: "resync paused", level: degraded, word: "resync-paused", make: func(f *status.Facts) {
		syncing(f.Resource, drbd.ReplPausedSyncS, drbd.DiskInconsistent)
	}, line: "the resync of drbdtest2 is paused at 63.1 % |  | drbdadm resume-sync res0 on both nodes"},

	{
		name: "mountd killed", level: degraded, word: "nfs-daemon", make: func(f *status.Facts) { f.Group.DaemonsMissing = []string{"rpc.mountd"} },
		line: "rpc.mountd does not run on drbdtest1 |  | Pacemaker repairs it within seconds",
	},
	{
		name: "nfsdcld killed", level: degraded, word: "nfs-daemon", make: func(f *status.Facts) { f.Group.DaemonsMissing = []string{"nfsdcld"} },
		line: "nfsdcld does not run on drbdtest1",
	},
	{name: "statd killed, nobody repairs it", level: degraded, word: "nfs-daemon", make: func(f *status.Facts) {
		f.Group.DaemonsMissing = []string{"rpc.statd"}
		f.Cluster.Maintenance = true
	}, line: "rpc.statd does not run on drbdtest1 |  | Pacemaker repairs nothing now"},
	{name: "threads 0", level: down, word: "no-threads", make: func(f *status.Facts) {
		f.Group.Threads = 0
		f.Replies[0].Error = "connection refused"
	}, line: "no nfsd thread runs on drbdtest1"},
	{name: "address deleted", level: down, word: "address-missing", make: func(f *status.Facts) {
		f.Group.Addresses[0].Present, f.Addresses = false, nil
		f.Replies[0].Error = "no answer within 1 s"
	}, line: "the address 192.168.2.63 is missing on drbdtest1"},
	{name: "address silent, seen from the passive node", passive: true, level: down, word: "address-silent", make: func(f *status.Facts) {
		f.Replies[0].Error = "no answer within 1 s"
	}, line: "NFS does not answer at 192.168.2.63 | no answer within 1 s | drbdnfs status on drbdtest1: if it answers there, look at the network of drbdtest2"},
	{name: "export removed", level: degraded, word: "not-exported", make: func(f *status.Facts) {
		f.Group.ExportsMissing = []nfs.Export{{Path: "/home/nfs/user-data", Client: "192.168.2.0/24"}}
	}, line: "/home/nfs/user-data is not exported to 192.168.2.0/24 on drbdtest1"},
	{name: "a piece killed, and repaired", level: healthyLevel, word: "recovered", make: func(f *status.Facts) {
		fail(f, "drbdtest1", "monitor", "rpc.mountd is not running", true)
	}, line: "monitor failed on drbdtest1 | rpc.mountd is not running | pcs resource cleanup nfs forgets it"},
	{
		name: "mount gone", level: degraded, word: "not-mounted", make: func(f *status.Facts) { f.Group.Mount = mount.NotMounted },
		line: "the volume is not mounted on /home/nfs on drbdtest1",
	},
	{
		name: "mounted read-only", level: degraded, word: "mounted-read-only", make: func(f *status.Facts) { f.Group.Mount = mount.ReadOnly },
		line: "the volume is mounted read-only on drbdtest1 |  | journalctl -k -n 50",
	},
	{
		name: "foreign mount", level: degraded, word: "foreign-mount", make: func(f *status.Facts) { f.Group.Mount = mount.Foreign },
		line: "another file system is mounted on /home/nfs on drbdtest1 |  | umount /home/nfs",
	},
	{
		name: "link switched back", level: degraded, word: "state-link", make: func(f *status.Facts) { f.Group.Place = nfs.PlaceLocal },
		line: "/var/lib/nfs does not lead to the volume on drbdtest1",
	},
	{
		name: "foreign NFS server", level: degraded, word: "foreign-nfsd", make: func(f *status.Facts) { f.Group.ThreadsOurs = false },
		line: "nfsd was started by somebody else on drbdtest1 |  | systemctl disable --now nfs-server",
	},
	{
		name: "volume hangs", level: degraded, word: "volume-hangs", make: func(f *status.Facts) { f.Group.ExportsUnknown = "not readable" },
		line: "the volume hangs on drbdtest1",
	},
	{name: "ports left blocked", level: down, word: "ports-blocked", make: func(f *status.Facts) {
		f.Group.Blocked = true
		f.Replies[0].Error = "no answer within 1 s"
	}, line: "the ports of the service are blocked on drbdtest1"},

	{name: "stop failed, the mount is busy", passive: true, level: down, word: "stop-failed", make: func(f *status.Facts) {
		fail(f, "drbdtest1", "stop", "held by tail[4711] (/home/nfs/user-data/busy-file)", true)
		nobody(f)
	}, line: "the group could not be stopped on drbdtest1 | held by tail[4711] (/home/nfs/user-data/busy-file) | end the process that is named, on drbdtest1; pcs resource cleanup nfs"},
	{name: "an action was killed", level: degraded, word: "action-failed", make: func(f *status.Facts) {
		fail(f, "drbdtest2", "start", "Resource agent did not complete within 4m", false)
	}, line: "start failed on drbdtest2 | Resource agent did not complete within 4m | journalctl -t drbdnfs -n 30 on drbdtest2: the step without \"step done\" hung; pcs resource cleanup nfs"},
	{name: "promote killed, promoted again", level: healthyLevel, word: "recovered", make: func(f *status.Facts) {
		fail(f, "drbdtest1", "promote", "", true)
	}, line: "promote failed on drbdtest1 | error | pcs resource cleanup nfs forgets it"},
	{name: "failed start, threshold reached", level: degraded, word: "too-many-failures", make: func(f *status.Facts) {
		fail(f, "drbdtest2", "start", "set pipefs-directory=/run/rpc_pipefs in [general] of /etc/nfs.conf", false)
		f.CIB.FailCounts = map[string]map[string]int{"drbdtest2": {"nfs": 1000000}}
	}, line: "the group has failed too often on drbdtest2, it is not tried there any more | start failed on drbdtest2: set pipefs-directory=/run/rpc_pipefs in [general] of /etc/nfs.conf | set pipefs-directory=/run/rpc_pipefs in [general] of /etc/nfs.conf on drbdtest2"},
	{name: "migration threshold reached by monitors", level: degraded, word: "too-many-failures", make: func(f *status.Facts) {
		fail(f, "drbdtest2", "monitor", "Simulated failure", false)
		f.CIB.FailCounts = map[string]map[string]int{"drbdtest2": {"nfs": 3}}
	}, line: "it is not tried there any more | monitor failed on drbdtest2: Simulated failure | journalctl -t drbdnfsd -n 30 on drbdtest2"},

	{
		name: "split brain found", level: degraded, word: "split-brain-found", make: func(f *status.Facts) { split(f, splitbrain.PhaseFound, "") },
		line: "split brain between drbdtest1 and drbdtest2 | both have written without each other; it is not decided yet whose data is kept | drbdnfs split-brain show",
	},
	{name: "split brain seen by this node's record alone", level: degraded, word: "split-brain-held", make: func(f *status.Facts) {
		f.Records = []splitbrain.Record{{Resource: "res0", Peer: "drbdtest2", Phase: splitbrain.PhaseHeld, Refusal: splitbrain.RefusalPeerMissing, FoundAt: at("14:07:45")}}
	}, line: "the peer has said nothing since the connection was lost, so its data cannot be compared | drbdnfs split-brain show; start drbdnfsd on the peer"},
	{
		name: "split brain decided", level: degraded, word: "split-brain-resolving", make: func(f *status.Facts) { split(f, splitbrain.PhaseDecided, "") },
		line: "split brain between drbdtest1 and drbdtest2 is being resolved | decided | journalctl -t drbdnfsd -f",
	},
	{name: "split brain, the victim makes its snapshot", level: degraded, word: "split-brain-resolving", make: func(f *status.Facts) {
		split(f, splitbrain.PhaseSnapshotting, "")
		f.Evidence[1].Victim = "drbdtest2"
	}, line: "is being resolved | snapshotting: drbdtest2 discards what it wrote"},
	{name: "split brain, being discarded", passive: true, level: degraded, word: "split-brain-resolving", make: func(f *status.Facts) {
		split(f, splitbrain.PhaseDiscarding, "")
		f.Evidence[1].Victim, f.Victim = "drbdtest2", drbd.Yes
	}, line: "is being resolved | discarding: drbdtest2 discards what it wrote"},
	{name: "an administrator disconnects", level: degraded, word: "stand-alone", make: func(f *status.Facts) {
		f.Resource.Connections[1].State = drbd.ConnStandAlone
	}, line: "DRBD does not connect to drbdtest2 (StandAlone) | an administrator has disconnected it, or the nodes refused each other; no split brain is known | journalctl -k -g drbd -n 20 for the reason, then on both nodes: drbdadm connect res0"},
	{name: "the replication link is cut", level: degraded, word: "disconnected", make: func(f *status.Facts) {
		f.Resource.Connections[1].State = drbd.ConnConnecting
	}, line: "DRBD has no connection to drbdtest2 (Connecting)"},

	{
		name: "daemon stopped", level: degraded, word: "daemon-stopped", make: func(f *status.Facts) { f.Daemon = drbd.No },
		line: "drbdnfsd does not run on drbdtest1 | a split brain would be neither found nor resolved here | systemctl start drbdnfsd",
	},
	{name: "module unloaded", passive: true, level: degraded, word: "drbd-not-loaded", make: func(f *status.Facts) {
		f.DRBD, f.Resource = status.DRBDNoModule, nil
	}, line: "DRBD's module is not loaded on drbdtest2 |  | modprobe drbd; pcs resource cleanup nfs"},
	{name: "resource down", passive: true, level: degraded, word: "drbd-down", make: func(f *status.Facts) {
		f.DRBD, f.Resource = status.DRBDDown, nil
	}, line: "DRBD res0 is down on drbdtest2 |  | pcs resource cleanup nfs"},
	{name: "drbdsetup hangs", level: degraded, word: "drbd-silent", make: func(f *status.Facts) {
		f.DRBD, f.Resource, f.Group = status.DRBDUnseen, nil, nil
		f.Unknown = []status.Unknown{{Source: "drbd", Why: "no answer within 1.7s"}, {Source: "group", Why: "no answer within 1.7s"}}
	}, line: "DRBD on drbdtest1 does not answer | no answer within 1.7s"},
	{
		name: "disk lost here", level: degraded, word: "disk", make: func(f *status.Facts) { f.Resource.Devices[0].Disk = drbd.DiskDiskless },
		line: "drbdtest1 has lost its disk (Diskless) | DRBD detaches a disk after an I/O error, or somebody has detached it | journalctl -k -n 50 on drbdtest1; replace the disk, then drbdadm attach res0",
	},
	{name: "disk lost there", level: degraded, word: "disk", make: func(f *status.Facts) {
		f.Resource.Connections[1].PeerDevices[0].PeerDisk = drbd.DiskFailed
	}, line: "drbdtest2 has lost its disk (Failed)"},
	{name: "data outdated", passive: true, level: degraded, word: "disk", make: func(f *status.Facts) {
		f.Resource.Devices[0].Disk = drbd.DiskOutdated
	}, line: "the data of drbdtest2 is Outdated | the other node has newer data, and no resync runs | connect the nodes: drbdadm connect res0"},
	{name: "DRBD lost quorum", level: down, word: "drbd-quorum-lost", make: func(f *status.Facts) {
		f.Resource.Devices[0].Quorum, f.Resource.Suspended = drbd.No, drbd.SuspendedQuorum
		f.Replies[0].Error = "no answer within 1 s"
	}, line: "DRBD on drbdtest1 has lost quorum | nothing can be written there"},
	{
		name: "I/O suspended", level: degraded, word: "io-suspended", make: func(f *status.Facts) { f.Resource.Suspended = drbd.SuspendedFencing },
		line: "DRBD holds back I/O on drbdtest1 | reason: fencing",
	},
	{
		name: "I/O suspended by hand", level: degraded, word: "io-suspended", make: func(f *status.Facts) { f.Resource.Suspended = drbd.SuspendedUser },
		line: "somebody has suspended it | drbdadm resume-io res0",
	},

	{
		name: "node in standby", level: degraded, word: "node-standby", make: func(f *status.Facts) { f.Cluster.Nodes[1].Standby = true },
		line: "drbdtest2 is in standby | it cannot take over | drbdnfs unstandby drbdtest2",
	},
	{
		name: "node in maintenance", level: degraded, word: "node-maintenance", make: func(f *status.Facts) { f.Cluster.Nodes[1].Maintenance = true },
		line: "drbdtest2 is in maintenance | nothing is started, stopped or repaired there | pcs node unmaintenance drbdtest2",
	},
	{
		name: "cluster in maintenance", level: degraded, word: "cluster-maintenance", make: func(f *status.Facts) { f.Cluster.Maintenance = true },
		line: "the cluster is in maintenance mode | nothing is started, stopped or repaired | pcs property set maintenance-mode=false",
	},
	{
		name: "unmanaged", level: degraded, word: "resource-unmanaged", make: func(f *status.Facts) { f.Cluster.Clones[0].Unmanaged = true },
		line: "the group is unmanaged | somebody has told Pacemaker to leave it alone | pcs resource manage nfs-clone",
	},
	{
		name: "disabled, still up", level: degraded, word: "resource-disabled", make: func(f *status.Facts) { f.Cluster.Clones[0].Disabled = true },
		line: "the group is disabled | somebody has set its target-role | pcs resource enable nfs-clone",
	},
	{name: "disabled", level: down, word: "no-service", make: func(f *status.Facts) {
		f.Cluster.Clones[0].Disabled = true
		nobody(f)
	}, line: "no node serves clients | disabled by somebody (target-role) | pcs resource enable nfs-clone"},
	{name: "a ban is left", level: degraded, word: "leftover-constraint", make: func(f *status.Facts) {
		f.CIB.Constraints = []status.Constraint{{ID: "cli-ban-nfs-clone-on-drbdtest2", Resource: "nfs-clone", Node: "drbdtest2"}}
	}, line: "the constraint cli-ban-nfs-clone-on-drbdtest2 is left | somebody moved or banned the group by hand | pcs resource clear nfs-clone"},
	{name: "a ban is left, seen without the CIB", level: degraded, word: "leftover-constraint", make: func(f *status.Facts) {
		f.CIB = nil
		f.Cluster.Bans = []pacemaker.Ban{{ID: "cli-ban-nfs-clone-on-drbdtest2", Resource: "nfs-clone", Node: "drbdtest2"}}
	}, line: "cli-ban-nfs-clone-on-drbdtest2"},
	{name: "DRBD's rule while the peer is away", level: degraded, word: "drbd-fence-rule", make: func(f *status.Facts) {
		f.CIB.Constraints = []status.Constraint{{ID: "drbd-fence-by-handler-res0-nfs-clone", Resource: "nfs-clone"}}
		peerDead(f)
	}, line: "the other node's data is not good; the rule goes when it is"},
	{name: "DRBD's rule is left over", level: degraded, word: "drbd-fence-rule", make: func(f *status.Facts) {
		f.CIB.Constraints = []status.Constraint{{ID: "drbd-fence-by-handler-res0-nfs-clone", Resource: "nfs-clone"}}
	}, line: "all disks are UpToDate: it is left over | pcs constraint remove drbd-fence-by-handler-res0-nfs-clone"},
	{
		name: "stonith off", level: degraded, word: "stonith-off", make: func(f *status.Facts) { f.CIB.Properties["stonith-enabled"] = "false" },
		line: "STONITH is off | stonith-enabled=false, the configuration has stonith | drbdnfs setup apply",
	},
	{
		name: "no fence device", level: degraded, word: "stonith-off", make: func(f *status.Facts) { f.CIB.Fences = nil },
		line: "there is no fence device",
	},
	{
		name: "fencing none", level: healthyLevel, word: "fencing-none", make: func(f *status.Facts) { f.Plan.Fencing = "none" },
		line: "there is no fencing | accepted in the configuration: a cut link can split the data",
	},

	{name: "Pacemaker stopped here, the other node serves", passive: true, level: degraded, word: "pacemaker-stopped", make: func(f *status.Facts) {
		f.Cluster, f.CIB, f.ClusterStopped, f.DRBD, f.Resource = nil, nil, true, status.DRBDDown, nil
	}, line: "Pacemaker does not run on drbdtest2 |  | pcs cluster start"},
	{name: "Pacemaker hangs", level: degraded, word: "pacemaker-silent", make: func(f *status.Facts) {
		f.Cluster, f.CIB = nil, nil
		f.Unknown = []status.Unknown{{Source: "crm_mon", Why: "no answer within 1.7s"}}
	}, line: "Pacemaker on drbdtest1 does not answer | no answer within 1.7s"},
	{name: "no coordinator", level: down, word: "no-coordinator", make: func(f *status.Facts) {
		f.Cluster = &pacemaker.Status{}
		f.Replies[0].Error = "no answer within 1 s"
	}, line: "the cluster has no coordinator"},
	{name: "corosync lost quorum", level: degraded, word: "quorum-lost", make: func(f *status.Facts) {
		f.Cluster.Quorum = false
		f.Cluster.Nodes[1].Online = false
	}, line: "this part of the cluster has no quorum | 1 of 2 nodes are members"},
	{
		name: "promoted twice", level: degraded, word: "two-active", make: func(f *status.Facts) { f.Cluster.Clones[0].Instances[1].Role = "Promoted" },
		line: "the group is promoted on drbdtest1 and drbdtest2",
	},

	{name: "nobody: standby and dead", passive: true, level: down, word: "no-service", make: func(f *status.Facts) {
		peerDead(f)
		nobody(f)
		f.Cluster.Nodes[1].Standby = true
	}, line: "no node serves clients | drbdtest1: offline; drbdtest2: in standby | drbdnfs unstandby drbdtest2"},
	{name: "nobody: no good data", passive: true, level: down, word: "no-service", make: func(f *status.Facts) {
		peerDead(f)
		nobody(f)
		f.Resource.Devices[0].Disk = drbd.DiskOutdated
	}, line: "drbdtest1: offline; drbdtest2: its data is Outdated | bring the node with good data back"},
	{name: "nobody: promote refused", passive: true, level: down, word: "no-service", make: func(f *status.Facts) {
		peerDead(f)
		nobody(f)
		fail(f, "drbdtest2", "promote", "State change failed: (-2) Need access to UpToDate data", false)
	}, line: "drbdtest2: promote on drbdtest2 failed: State change failed: (-2) Need access to UpToDate data | bring the other node back: its data is the good one"},
	{name: "nobody: banned", passive: true, level: down, word: "no-service", make: func(f *status.Facts) {
		peerDead(f)
		nobody(f)
		f.CIB.Constraints = []status.Constraint{{ID: "cli-ban-nfs-clone-on-drbdtest2", Resource: "nfs-clone", Node: "drbdtest2"}}
	}, line: "drbdtest2: kept away by the constraint cli-ban-nfs-clone-on-drbdtest2 | pcs resource clear nfs-clone"},
	{name: "nobody: the victim", passive: true, level: down, word: "no-service", make: func(f *status.Facts) {
		peerDead(f)
		nobody(f)
		f.Victim = drbd.Yes
	}, line: "drbdtest2: the victim of a split brain | drbdnfs split-brain show"},
	{name: "nobody: no quorum", passive: true, level: down, word: "no-service", make: func(f *status.Facts) {
		peerDead(f)
		nobody(f)
		f.Cluster.Quorum = false
	}, line: "drbdtest2: no quorum | corosync-quorumtool"},
	{name: "nobody: the resource is not there", level: down, word: "no-service", make: func(f *status.Facts) {
		nobody(f)
		f.Cluster.Clones = nil
	}, line: "the cluster has no resource nfs | drbdnfs setup apply"},
	{
		name: "nobody: no score", passive: true, level: down, word: "no-service", make: nobody,
		line: "drbdtest1: no promotion score; drbdtest2: no promotion score | journalctl -t drbdnfs -n 30 on drbdtest1",
	},

	{name: "configuration broken", level: degraded, word: "config-broken", make: func(f *status.Facts) {
		f.Config, f.ConfigError = status.ConfigBroken, "drbdnfs.toml:3: unknown key \"nods\""
	}, line: "/etc/drbdnfs/drbdnfs.toml on drbdtest1 cannot be used | drbdnfs.toml:3: unknown key \"nods\" | put it right: drbdnfs config check"},
	{
		name: "configuration missing", level: degraded, word: "config-missing", make: func(f *status.Facts) { f.Config = status.ConfigMissing },
		line: "drbdtest1 has no /etc/drbdnfs/drbdnfs.toml | what is shown is Pacemaker's | copy it from another node",
	},
	{name: "nothing is set up", level: degraded, word: "not-set-up", make: func(f *status.Facts) {
		*f = status.Facts{Self: "drbdtest1", Now: at("15:00:00"), Config: status.ConfigMissing, ClusterStopped: true}
	}, line: "it is not known what is to be served"},
	{
		name: "victim marker left", level: degraded, word: "victim", make: func(f *status.Facts) { f.Victim = drbd.Yes },
		line: "drbdtest1 is marked as the victim of a split brain and does not take over",
	},
	{name: "snapshot kept", level: healthyLevel, word: "snapshot-kept", make: func(f *status.Facts) {
		f.Snapshots = []string{"drbdpool/res0_00000_sb_20261123T140745"}
	}, line: "drbdtest1 keeps 1 snapshot of discarded data | drbdpool/res0_00000_sb_20261123T140745 | drbdnfs split-brain snapshots"},
	{
		name: "LINSTOR's satellite stopped", level: degraded, word: "linstor-stopped", make: func(f *status.Facts) { f.Satellite = drbd.No },
		line: "LINSTOR's satellite does not run on drbdtest1 | the service goes on without it | systemctl start linstor-satellite",
	},
	{
		name: "LINSTOR's controller stopped", level: degraded, word: "linstor-stopped", make: func(f *status.Facts) { f.Controller = drbd.No },
		line: "LINSTOR's controller does not run on drbdtest1",
	},
	{name: "seen as a plain user", level: healthyLevel, word: "not-seen", make: func(f *status.Facts) {
		f.Group, f.Victim = nil, drbd.Unknown
		f.Unknown = []status.Unknown{{Source: "group", Why: "permission denied"}, {Source: "records", Why: "permission denied"}}
	}, line: "not seen: group, records"},
}

// syncing makes a resync run with this node.
func syncing(r *drbd.Resource, repl drbd.ReplicationState, peer drbd.DiskState) {
	d := r.Connections[1].PeerDevices[0]
	d.Replication, d.PeerDisk = repl, peer
	d.DonePercent, d.MiBPerSecond, d.ETA, d.OutOfSyncBytes = 63.1, 210, 241*time.Second, 50<<30
}

// Ensure that each failure is visible with its cause and what to do, and that
// every kind of finding comes of one.
func TestFaults(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy()
			if tt.passive {
				f = passive()
			}
			tt.make(&f)
			p := status.Judge(f)
			if p.Level != tt.level {
				t.Errorf("level %s, want %s: %s", p.Level, tt.level, p.Headline)
			}
			seen[tt.word] = true
			var lines []string
			for _, x := range p.Findings {
				line := x.What + " | " + x.Why + " | " + x.Remedy
				if x.Word == tt.word && strings.Contains(line, tt.line) {
					return
				}
				lines = append(lines, x.Word+": "+line)
			}
			t.Errorf("no finding %s with %q in\n%s", tt.word, tt.line, strings.Join(lines, "\n"))
		})
	}
	for _, w := range status.Words() {
		if !seen[w.Word] {
			t.Errorf("no fault shows %s", w.Word)
		}
	}
}

// Ensure that every refusal of the policies is shown with its cause and remedy.
func TestRefusals(t *testing.T) {
	for _, r := range []splitbrain.Refusal{
		splitbrain.RefusalManual, splitbrain.RefusalPolicyBroken, splitbrain.RefusalPolicy, splitbrain.RefusalPolicyDiffer,
		splitbrain.RefusalPeerMissing, splitbrain.RefusalMismatch, splitbrain.RefusalNoWord, splitbrain.RefusalNotProven,
		splitbrain.RefusalUnrelated, splitbrain.RefusalFullSync, splitbrain.RefusalVolumes, splitbrain.RefusalMixed,
		splitbrain.RefusalMoreNodes, splitbrain.RefusalDisk, splitbrain.RefusalVictimInUse, splitbrain.RefusalBothPrimary,
		splitbrain.RefusalNoPrimary, splitbrain.RefusalEqual, splitbrain.RefusalNoChanges, splitbrain.RefusalNoTimes,
		splitbrain.RefusalCoolDown, splitbrain.RefusalCommitted, splitbrain.RefusalBegun, splitbrain.RefusalTried,
		splitbrain.RefusalMarker, splitbrain.RefusalLook, splitbrain.RefusalSnapshot, splitbrain.RefusalDiscard,
		splitbrain.RefusalHandshake, splitbrain.RefusalInterrupted, splitbrain.RefusalState, splitbrain.RefusalLost,
	} {
		t.Run(string(r), func(t *testing.T) {
			f := healthy()
			split(&f, splitbrain.PhaseHeld, r)
			p := status.Judge(f)
			why, _ := r.Explain()
			x := p.Findings[0]
			if x.Word != "split-brain-held" || x.Why != why || !strings.HasPrefix(x.Remedy, "drbdnfs split-brain show; ") {
				t.Errorf("%+v, want the reason %q", x, why)
			}
			if len(p.SplitBrains) != 1 || p.SplitBrains[0].Refusal != string(r) || len(p.SplitBrains[0].Sides) != 2 {
				t.Errorf("%+v", p.SplitBrains)
			}
		})
	}
}

// Ensure that a healthy cluster is healthy from both nodes, with nothing to do.
func TestHealthy(t *testing.T) {
	for name, f := range map[string]status.Facts{"active": healthy(), "passive": passive()} {
		p := status.Judge(f)
		if p.Level != status.Healthy || len(p.Findings) != 0 || p.Headline != "drbdtest1 serves, drbdtest2 can take over" {
			t.Errorf("%s: %s %q %+v", name, p.Level, p.Headline, p.Findings)
		}
	}
}

// Ensure that exit statuses are those of the documentation.
func TestExitCode(t *testing.T) {
	for level, want := range map[status.Level]int{status.Healthy: 0, status.Degraded: 1, status.Down: 2, "": 2} {
		if got := level.ExitCode(); got != want {
			t.Errorf("%q: %d, want %d", level, got, want)
		}
	}
}

// Ensure that text of others cannot move the cursor of whoever reads it.
func TestForeignText(t *testing.T) {
	f := healthy()
	fail(&f, "drbdtest1", "monitor", "bad\x1b[2J\nnews "+strings.Repeat("x", 1000), true)
	for _, x := range status.Judge(f).Findings {
		if strings.ContainsAny(x.Why, "\x1b\n") || len(x.Why) > 310 {
			t.Errorf("%q", x.Why)
		}
	}
}
