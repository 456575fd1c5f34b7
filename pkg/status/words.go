package status

import (
	"fmt"
	"slices"
)

// Word is one kind of finding. The words are stable; they are what programs go
// by.
type Word struct {
	Word     string
	Severity Severity // at worst
	Cause    string   // for people, without names
	Remedy   string   // likewise; NODE and the like stand for names
}

// Words of findings, the causes before their consequences and the worst first:
// of findings of one severity the first is the headline.
const (
	wordSplitHeld      = "split-brain-held"
	wordSplitFound     = "split-brain-found"
	wordSplitResolving = "split-brain-resolving"
	wordTwoActive      = "two-active"
	wordSuspended      = "io-suspended"
	wordDRBDQuorum     = "drbd-quorum-lost"
	wordUnclean        = "node-unclean"
	wordStopFailed     = "stop-failed"
	wordNoService      = "no-service"
	wordSilent         = "address-silent"
	wordNotMounted     = "not-mounted"
	wordReadOnly       = "mounted-read-only"
	wordForeignMount   = "foreign-mount"
	wordStateLink      = "state-link"
	wordNFSDaemon      = "nfs-daemon"
	wordThreads        = "no-threads"
	wordForeignNFSD    = "foreign-nfsd"
	wordNotExported    = "not-exported"
	wordVolumeHangs    = "volume-hangs"
	wordNoAddress      = "address-missing"
	wordPortsBlocked   = "ports-blocked"
	wordMaintenance    = "cluster-maintenance"
	wordDisabled       = "resource-disabled"
	wordUnmanaged      = "resource-unmanaged"
	wordStopped        = "pacemaker-stopped"
	wordNoAnswer       = "pacemaker-silent"
	wordNoDC           = "no-coordinator"
	wordQuorum         = "quorum-lost"
	wordOffline        = "node-offline"
	wordPending        = "node-joining"
	wordNodeMaint      = "node-maintenance"
	wordStandby        = "node-standby"
	wordThreshold      = "too-many-failures"
	wordFailed         = "action-failed"
	wordVictim         = "victim"
	wordBan            = "leftover-constraint"
	wordFenceRule      = "drbd-fence-rule"
	wordResync         = "resync"
	wordResyncPaused   = "resync-paused"
	wordNoModule       = "drbd-not-loaded"
	wordDRBDDown       = "drbd-down"
	wordDRBDSilent     = "drbd-silent"
	wordDisk           = "disk"
	wordStandAlone     = "stand-alone"
	wordDisconnected   = "disconnected"
	wordSTONITHOff     = "stonith-off"
	wordDaemonStopped  = "daemon-stopped"
	wordLINSTOR        = "linstor-stopped"
	wordBroken         = "config-broken"
	wordMissing        = "config-missing"
	wordNoPlan         = "not-set-up"
	wordRecovered      = "recovered"
	wordFenceNone      = "fencing-none"
	wordSnapshot       = "snapshot-kept"
	wordNotSeen        = "not-seen"
)

// Words are all of them, in the order in which they are shown.
func Words() []Word {
	return []Word{
		{wordSplitHeld, Critical, "both nodes have written without each other, and nothing is discarded without a person, for the reason that is shown", "`drbdnfs split-brain show`, then as [split-brain.md](split-brain.md#reasons) has it for the reason"},
		{wordSplitFound, Critical, "both nodes have written without each other; it is not decided yet whose data is kept", "`drbdnfs split-brain show`"},
		{wordSplitResolving, Critical, "a split brain is being resolved as the policy says", "wait; `journalctl -t drbdnfsd -f` shows how far it is"},
		{wordTwoActive, Critical, "the group is promoted on more than one node", "`pcs node standby NODE` for the one whose data is not to be kept, then `drbdnfs split-brain show`"},
		{wordSuspended, Critical, "DRBD holds back I/O: no quorum, no good data, or a fencing that has not ended", "bring the other nodes back; if it does not end, reboot NODE"},
		{wordDRBDQuorum, Critical, "DRBD of this node sees no majority of the nodes, so that nothing can be written here", "bring the other nodes, or the link to them, back"},
		{wordUnclean, Critical, "a node was lost in an unknown state, and Pacemaker waits until it is fenced", "see to it that NODE is off, then `pcs stonith confirm NODE`"},
		{wordStopFailed, Critical, "the group could not be stopped on a node, so it is started nowhere else without fencing", "end what the reason names, then `pcs resource cleanup GROUP`; if that does not help, reboot NODE"},
		{wordNoService, Critical, "no node is promoted, for the reason that is shown", "what the reason asks for; `pcs status` says what Pacemaker is doing"},
		{wordSilent, Critical, "a node is promoted, but NFS does not answer at a service address", "`drbdnfs status` on the active node; `journalctl -t drbdnfs -n 30` there"},
		{wordNotMounted, Critical, "the volume is not mounted on the active node", "Pacemaker repairs it at its next monitor; otherwise `pcs resource cleanup GROUP`"},
		{wordReadOnly, Critical, "the volume is mounted read-only on the active node: as a rule the file system shut down after an I/O error", "`journalctl -k -n 50` for the cause, then `drbdnfs move`"},
		{wordForeignMount, Critical, "another file system is mounted on the directory", "`umount DIRECTORY`"},
		{wordStateLink, Critical, "`/var/lib/nfs` does not lead to the volume", "`pcs resource cleanup GROUP`; `journalctl -t drbdnfs -n 30`"},
		{wordNFSDaemon, Critical, "rpc.mountd, rpc.statd or nfsdcld does not run on the active node", "Pacemaker repairs it at its next monitor; otherwise `journalctl -u drbdnfs-daemons`"},
		{wordThreads, Critical, "the NFS server has no threads on the active node", "Pacemaker repairs it at its next monitor; otherwise `journalctl -t drbdnfs -n 30`"},
		{wordForeignNFSD, Critical, "the NFS server was started by somebody else", "`systemctl disable --now nfs-server`, then `pcs resource cleanup GROUP`"},
		{wordNotExported, Critical, "a directory is not exported on the active node", "Pacemaker repairs it at its next monitor; otherwise `pcs resource cleanup GROUP`"},
		{wordVolumeHangs, Critical, "files on the volume cannot be read", "`journalctl -k -n 50`; if DRBD does not go on, reboot NODE"},
		{wordNoAddress, Critical, "a service address is missing on the active node", "Pacemaker repairs it at its next monitor; otherwise `pcs resource cleanup GROUP`"},
		{wordPortsBlocked, Critical, "the ports of the service are still blocked on the active node, which is only so while it takes over", "wait for the end of the take-over; otherwise `pcs resource cleanup GROUP`"},
		{wordMaintenance, Warning, "the cluster is in maintenance mode: nothing is started, stopped or repaired", "`pcs property set maintenance-mode=false`"},
		{wordDisabled, Warning, "somebody has disabled the group (target-role)", "`pcs resource enable CLONE`"},
		{wordUnmanaged, Warning, "somebody has told Pacemaker to leave the group alone", "`pcs resource manage CLONE`"},
		{wordStopped, Warning, "Pacemaker does not run on this node", "`pcs cluster start`"},
		{wordNoAnswer, Warning, "Pacemaker runs on this node, or should, and does not answer", "`systemctl status pacemaker`; another look in a minute; on the other node if it lasts"},
		{wordNoDC, Warning, "the cluster has not elected a coordinator: it has just begun, or the nodes do not hear each other", "wait a minute, then `corosync-quorumtool` and `corosync-cfgtool -s` on each node"},
		{wordQuorum, Warning, "this part of the cluster has no quorum", "bring the other nodes, or the link to them, back: `corosync-quorumtool`"},
		{wordOffline, Warning, "a node has left the cluster: it is off, cut off, or Pacemaker is stopped there", "start NODE; if it runs, `pcs cluster start` there"},
		{wordPending, Warning, "a node is joining the cluster", ""},
		{wordNodeMaint, Warning, "a node is in maintenance: nothing is started, stopped or repaired there", "`pcs node unmaintenance NODE`"},
		{wordStandby, Warning, "a node is in standby, so that it cannot take over", "`drbdnfs unstandby NODE`"},
		{wordThreshold, Warning, "the group has failed too often on a node, and Pacemaker tries no more there", "put the cause right, then `pcs resource cleanup GROUP`"},
		{wordFailed, Warning, "an action failed on a node, and the group does not run there", "by the reason, see [agent.md](agent.md#reasons-and-what-to-do); then `pcs resource cleanup GROUP`"},
		{wordVictim, Warning, "what this node wrote is to be discarded, so it does not take over", "`drbdnfs split-brain show`; wait until the resync is over"},
		{wordBan, Warning, "a constraint of a move or a ban by hand is left, and keeps the group away from a node, or at one", "`pcs resource clear CLONE`"},
		{wordFenceRule, Warning, "DRBD's handler keeps the group away from a node whose data is not good; a rule that stays when all is UpToDate is left over", "`pcs constraint remove ID`, when all disks are UpToDate"},
		{wordResync, Warning, "a node is catching up; until then there is no second copy of the data", ""},
		{wordResyncPaused, Warning, "a resync is paused", "`drbdadm resume-sync RESOURCE` on both nodes"},
		{wordNoModule, Warning, "DRBD's kernel module is not loaded on this node", "`modprobe drbd`, then `pcs resource cleanup GROUP`"},
		{wordDRBDDown, Warning, "the DRBD resource is down on this node", "`pcs resource cleanup GROUP`; `drbdadm adjust RESOURCE` shows an error of the configuration"},
		{wordDRBDSilent, Warning, "DRBD's tools do not answer on this node", "`journalctl -k -n 50`; a drbdsetup that hangs in the kernel ends with a reboot only"},
		{wordDisk, Warning, "a node has no good copy of the data: its disk was lost, detached, or is out of date", "`journalctl -k -n 50` there for I/O errors; replace the disk, then `drbdadm attach RESOURCE`"},
		{wordStandAlone, Warning, "DRBD does not connect by itself: an administrator has disconnected it, or the nodes refused each other", "`journalctl -k -g drbd` for the reason, then `drbdadm connect RESOURCE` on both nodes"},
		{wordDisconnected, Warning, "DRBD has no connection to a node", "look at NODE and at the link to it"},
		{wordSTONITHOff, Warning, "the configuration asks for fencing, and Pacemaker has it off or has no device", "`drbdnfs setup apply`"},
		{wordDaemonStopped, Warning, "drbdnfsd does not run on this node: a split brain would not be found or resolved", "`systemctl start drbdnfsd`"},
		{wordLINSTOR, Warning, "LINSTOR does not run on this node. The service goes on without it; volumes cannot be changed", "`systemctl start linstor-satellite`, or `linstor-controller`"},
		{wordBroken, Warning, "the configuration file of this node cannot be used", "put it right; `drbdnfs config check` tells whether it is"},
		{wordMissing, Warning, "this node has no configuration file; what is shown is Pacemaker's", "copy it from another node"},
		{wordNoPlan, Warning, "neither a configuration file nor the cluster says what is to be served", "`drbdnfs setup plan`; as root, if this was not"},
		{wordRecovered, Notice, "an action failed on a node, and Pacemaker has repaired it", "`pcs resource cleanup GROUP` forgets it"},
		{wordFenceNone, Notice, "the cluster has no fencing, as the configuration has it: a cut link can split the data", "[configuration.md](configuration.md) has the ways of fencing"},
		{wordSnapshot, Notice, "this node keeps snapshots of data that was discarded in a split brain; they slow writes down", "`drbdnfs split-brain snapshots`"},
		{wordNotSeen, Notice, "something could not be seen", "as root, if this was not; otherwise what the reason says"},
	}
}

// place is where a word stands in [Words].
func place(word string) int {
	i := slices.IndexFunc(Words(), func(w Word) bool { return w.Word == word })
	if i < 0 {
		panic(fmt.Sprintf("status: no word %q", word))
	}
	return i
}
