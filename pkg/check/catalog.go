package check

import (
	"fmt"
	"slices"
	"strings"
)

// Check is one thing that is looked for.
type Check struct {
	ID       string   `json:"id"`
	Area     Area     `json:"area"` // of a finding; the setup checks' findings are in that of their object
	Severity Severity `json:"severity"`
	Looks    string   `json:"looks_for"`
	Why      string   `json:"why"`
	Remedy   string   `json:"remedy"` // "" where the finding alone can say
}

// Checks are all checks, by area.
func Checks() []Check { return slices.Clone(catalog) }

// lookup returns a check by its id.
func lookup(id string) Check {
	i := slices.IndexFunc(catalog, func(c Check) bool { return c.ID == id })
	return catalog[i] // every id that is used is in a test
}

const (
	whatPlan = "drbdnfs setup plan, then drbdnfs setup apply"
	perSetup = "as setup says"
)

var catalog = []Check{
	{"config-differs", Nodes, Error, "the nodes use different configurations", "after a failover the group would be run by another file", "compare drbdnfs config show on both nodes, copy the right file, drbdnfs setup plan on each"},
	{"config-unusable", Nodes, Error, "a node's configuration file is missing or cannot be used", "its drbdnfsd goes on with old settings and resolves no split brain", "on that node: drbdnfs config check"},
	{"daemon-behind", Nodes, Warning, "drbdnfsd here uses another configuration or version than the installed one", "what it decides follows old settings", "systemctl reload-or-restart drbdnfsd; after an update systemctl restart drbdnfsd"},
	{"node-silent", Nodes, Warning, "a node publishes nothing of itself, so that it cannot be compared", "its configuration and versions may differ unseen", "on that node: systemctl status drbdnfsd pacemaker"},
	{"secret-differs", Nodes, Note, "only some nodes have the cluster's secret", "a node that joins later needs it", "scp -p /etc/drbdnfs/secret NODE:/etc/drbdnfs/"},
	{"version-differs", Nodes, Warning, "the nodes run different versions of drbdnfs", "fine during a rolling update, not for long: defaults may differ", "finish the update on the other node"},
	{"drbd-differs", Nodes, Warning, "the nodes run different versions of DRBD", "fine during a rolling update; the older one decides what both can do", "finish the update: package, then a move and a reboot, node by node"},
	{"clock-skew", Nodes, Warning, "the clocks of two nodes are more than a second apart", "their logs cannot be put in one order, and split brain evidence has wrong times", "chronyc sources on both nodes, then chronyc makestep"},
	{"clock-unknown", Nodes, Note, "a node's clock could not be asked", "it answers no ping with IP's timestamp option: it is down, has an IPv6 address, or a firewall drops options", "date -u on both nodes"},
	{"time-sync", Nodes, Warning, "the clock of this node is not synchronised", "the nodes' logs can be compared only with one time", perSetup},

	{"cluster-down", Cluster, Error, "Pacemaker does not run, or does not answer, on this node", "nothing fails over to this node, and what the cluster knows cannot be seen from it", "systemctl status corosync pacemaker; systemctl start pacemaker"},
	{"no-quorum", Cluster, Error, "this part of the cluster has no quorum", "Pacemaker starts or promotes nothing without it", "bring the other nodes back: corosync-quorumtool -s"},
	{"node-offline", Cluster, Error, "a node of the file is not online", "nothing can fail over to it", "boot it, or on it: systemctl start pacemaker"},
	{"node-unclean", Cluster, Error, "a node is unclean: Pacemaker wants to fence it and cannot", "the service is not started elsewhere before that", "see to the fence device; once the node is surely off: stonith_admin --confirm NODE"},
	{"node-standby", Cluster, Warning, "a node is on standby", "nothing can fail over to it", "drbdnfs unstandby NODE"},
	{"maintenance", Cluster, Warning, "the cluster, or a node, is in maintenance mode", "nothing is recovered there", "pcs property set maintenance-mode=false, or pcs node unmaintenance NODE"},
	{"group", Cluster, Error, "the group is not promoted on exactly one node, or is switched off", "clients are not served, or nobody takes over", ""},
	{"failed-action", Cluster, Warning, "actions that have failed and were not cleaned up", "each says what went wrong; too many move the group away", "journalctl -t drbdnfs on that node; then crm_resource --cleanup --resource RESOURCE --node NODE"},
	{"fail-count", Cluster, Note, "failures that are counted", "migration_threshold of them move the group away", "crm_resource --cleanup --resource RESOURCE --node NODE"},
	{"fail-limit", Cluster, Error, "as many failures as keep the group away from a node", "it cannot fail over to that node", "mend the cause, then crm_resource --cleanup --resource RESOURCE --node NODE"},
	{"victim", Cluster, Warning, "a node is kept from promotion because its changes are to be discarded", "there is one copy of the data less until the split brain is over", "drbdnfs split-brain show"},
	{"constraint-cli", Cluster, Warning, "constraints left by crm_resource or pcs resource move and ban", "they bind the group to a node, or keep it away, for ever", "crm_resource --clear --resource RESOURCE"},
	{"constraint-move", Cluster, Warning, "the constraint of a drbdnfs move that was cut off", "it binds the group to a node", "the next drbdnfs move removes it; or cibadmin --delete --xpath \"//rsc_location[@id='ID']\""},
	{"constraint-fence", Cluster, Warning, "a constraint of DRBD's fence-peer handler", "the other node is not promoted until DRBD is in sync again and the handler removes it", "drbdadm status; if all is UpToDate on both nodes: cibadmin --delete --xpath \"//rsc_location[@id='ID']\""},
	{"wait-for-all", Cluster, Warning, "wait_for_all is switched off in a cluster of two nodes with fencing", "two nodes that boot and cannot reach each other fence each other in turn", "take wait_for_all out of /etc/corosync/corosync.conf on every node, then corosync-cfgtool -R"},
	{"cluster-units", Cluster, Warning, "corosync or Pacemaker does not run or does not start at boot", "a node that boots would not join", whatPlan},

	{"fencing-risk", Fencing, Warning, "a fencing mode that leaves a risk open, such as none", "it was accepted in the file; it stays a risk", perSetup},
	{"fence-untested", Fencing, Warning, "a node that was never fenced since the cluster has started", "fencing that was never tried fails when it is needed", "in a maintenance window, from another node: stonith_admin --reboot NODE"},
	{"fence-failed", Fencing, Error, "the last try to fence a node has failed", "after a crash of that node nobody takes over", "try the fence device by hand with its parameters; then stonith_admin --reboot NODE in a maintenance window"},
	{"fence-off", Fencing, Error, "a fence device that is disabled or runs nowhere", "the node cannot be fenced, and nobody takes over when it crashes", "pcs stonith enable DEVICE, or crm_resource --cleanup --resource DEVICE"},

	{"drbd-utils", DRBD, Warning, "DRBD's utilities do not fit its kernel module", "commands fail or tell less", "update drbd-utils, or the module"},
	{"usermode-helper", DRBD, Error, "the kernel does not call DRBD's handlers", "neither a split brain is announced nor a peer fenced by DRBD", "take usermode_helper=disabled out of /etc/modprobe.d and echo /sbin/drbdadm > /sys/module/drbd/parameters/usermode_helper"},
	{"drbd-protocol", DRBD, Error, "another replication protocol than C", "what clients were told is on disk is lost in a failover", "set protocol to C, then drbdadm adjust RESOURCE"},
	{"drbd-primaries", DRBD, Error, "two primaries are allowed", "both nodes could mount the volume, which destroys its file system", "set allow-two-primaries to no, then drbdadm adjust RESOURCE"},
	{"drbd-after-sb", DRBD, Error, "DRBD itself resolves split brains", "it discards what one node wrote without a snapshot and without a word", "set after-sb-0pri, after-sb-1pri and after-sb-2pri to disconnect; see split_brain.policy"},
	{"drbd-flushes", DRBD, Warning, "DRBD does not flush the disk's cache", "a loss of power loses data, unless the cache has a battery", "set disk-flushes and md-flushes to yes"},
	{"drbd-auto-promote", DRBD, Warning, "DRBD promotes a node when its device is opened", "whoever opens the device on the wrong node takes the volume", "set auto-promote to no"},
	{"drbd-handler", DRBD, Warning, "after a split brain DRBD runs something else than drbdnfs' handler", "drbdnfsd does not hear of a split brain that was found while it did not run", "set split-brain to the default and run drbdnfs setup apply"},
	{"redundancy", DRBD, Warning, "the data are not on every node: a resync runs, or a connection or a disk is missing", "there is one copy less", perSetup},

	{"snapshot-invalid", Storage, Warning, "a snapshot of discarded data that has overflowed, or was not finished", "what it kept is lost", "drbdnfs split-brain snapshots rm NAME"},
	{"snapshot-full", Storage, Warning, "a snapshot of discarded data, or its pool, that is nearly full", "it overflows, and what it kept is lost", "copy out what is needed, then drbdnfs split-brain snapshots rm NAME; or lvextend it"},
	{"snapshot-kept", Storage, Note, "snapshots of discarded data that are kept", "each slows the volume's writes down", "look into it, then drbdnfs split-brain snapshots rm NAME"},
	{"snapshot-room", Storage, Warning, "no room for a snapshot before a split brain is resolved", "with split_brain.snapshot = \"required\" nothing is resolved then", "drbdnfs split-brain snapshots, or vgextend"},
	{"volume-full", Storage, Warning, "the file system is full to more than 90 %, in bytes or inodes", "writes of clients fail when it is full", "drbdnfs grow SIZE"},

	{"state-link", NFS, Error, "/var/lib/nfs leads nowhere, or where it should not", "locks and NFSv4 clients are not found again after a failover, or the group cannot start", "systemctl start drbdnfs-state; ls -l /var/lib/nfs"},
	{"state-fresh", NFS, Note, "/var/lib/nfs is still nfs-utils' directory", "the group has never started on this node; the first start makes it a link", ""},
	{"state-pipefs", NFS, Warning, "rpc_pipefs lies, or is mounted, below /var/lib/nfs", "the directory cannot be switched then", perSetup},
	{"nfs-server", NFS, Warning, "nfs-utils' own server runs or starts at boot, or /etc/exports has entries", "the kernel has one NFS server, and the group runs it", perSetup},
	{"nfs-ports", NFS, Warning, "a helper of NFSv3 listens on another port than the file has", "a firewall that opens the configured ports blocks it", "drbdnfs move, which starts the helpers anew; if it stays: rpcinfo -p"},
	{"nfs-times", NFS, Warning, "the kernel's lease or grace time is another than the file's", "clients have more or less time than was meant", "drbdnfs setup plan; the server takes new times when it starts: drbdnfs move"},

	{"firewall", Network, Warning, "firewalld does not open the group's services, or another firewall may be in force", "clients or the other node cannot get through, perhaps only after a failover", perSetup},
	{"ports-blocked", Network, Error, "the service's ports are blocked although no action is under way", "clients get no answer", "crm_resource --refresh --resource GROUP; if it stays: nft delete table inet drbdnfs"},
	{"corosync-link", Network, Error, "a link of corosync that is not connected", "with one link the node is lost; with two, the next failure loses it", "ping the node's address on that link; corosync-cfgtool -s"},
	{"path", Network, Warning, "packets of full size do not reach another node", "DRBD connects and then hangs", perSetup},
	{"names", Network, Warning, "a node's name does not lead to its address and back", "tools reach the wrong machine", perSetup},

	{"daemon", Services, Warning, "drbdnfsd does not run or does not start at boot", "split brains are neither found nor resolved, and there are no metrics", whatPlan},
	{"unit-failed", Services, Warning, "a service that the group needs has failed", "", "journalctl -u UNIT, then systemctl restart UNIT"},
	{"boot-unit", Services, Error, "drbdnfs-state.service is missing or masked", "after a crash of the node that serves, /var/lib/nfs leads nowhere until the group starts", "systemctl unmask drbdnfs-state, or install the package again"},
	{"metrics-port", Services, Warning, "drbdnfsd does not answer where the file has its metrics", "monitoring is blind", "systemctl status drbdnfsd; journalctl -t drbdnfsd"},
	{"selinux-denied", Security, Warning, "SELinux has denied something to DRBD, NFS or the cluster since the last boot", "an action may fail or hang because of it", "ausearch -m AVC -ts boot | audit2why; restorecon -Rv /var/lib/nfs.local /var/lib/drbdnfs"},
	{"selinux-unseen", Security, Note, "SELinux enforces, and ausearch is missing", "denials cannot be listed", "dnf install audit"},

	{"not-root", Services, Warning, "the check does not run as root", "most of a node can be seen by root alone", "sudo drbdnfs check"},
	{"conflict", Services, Error, "what setup refuses: a person has to decide", "nothing can be set up before", perSetup},
	{"drift", Services, Warning, "what setup would make, change or remove", "the node is not as the file has it", whatPlan},
	{"advice", Services, Warning, "what setup warns of", "", perSetup},
	{"left-alone", Services, Note, "what differs from the file and setup leaves alone", "somebody chose it", ""},
	{"elsewhere", Services, Note, "what another node looks after", "it is seen there alone", "drbdnfs check on that node"},
	{"later", Services, Note, "what cannot be seen before something else is in place", "", "see the other findings"},
	{"unseen", Services, Warning, "what could not be looked at", "nothing is known of it", "try again; if it stays, run the same by hand"},
}

// Reference returns all checks as a table in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString("\n| id | severity | area | looks for | why | remedy |\n|---|---|---|---|---|---|\n")
	for _, c := range catalog {
		cells := []string{"`" + c.ID + "`", string(c.Severity), string(c.Area), c.Looks, c.Why, c.Remedy}
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.String() + "\n"
}
