package config

import (
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Types of a key's value.
const (
	tText    = "text"
	tNumber  = "number"
	tBool    = "true or false"
	tTime    = "time"
	tSize    = "size"
	tTexts   = "list of texts"
	tTable   = "table"
	tTables  = "tables"
	required = "required"
)

// key is one key of the file. "[]" in a name is each of several.
type key struct {
	name string
	kind string
	def  string // the default as TOML; "" for none
	// other says in words what holds when the key is not there and def is "".
	other string
	text  string // what it means, in one sentence
}

// keys are all keys that the file may have, in the order in which they are
// shown: the one list from which defaults, reference and example are made.
var keys = []key{
	{"cluster", tText, "", required, "Name of the cluster, at most 15 letters, digits, - and _."},

	{"node", tTables, "", required, "The members of the cluster, 2 to 32, one `[[node]]` each."},
	{"node[].name", tText, "", required, "Name of the node as `uname -n` prints it there."},
	{"node[].address", tText, "", required, "Address of the node for DRBD, corosync and LINSTOR."},
	{"node[].second_address", tText, "", "no second link", "Address on corosync's second link; all nodes have one or none has."},
	{"node[].device", tText, "", "the volume group exists", "Blank partition or disk that becomes a physical volume of the volume group."},
	{"node[].diskless", tBool, "false", "", "Makes the node a tie-breaker that votes and never holds data."},

	{"host", tTable, "", "", "What setup may change on a node besides storage and cluster."},
	{"host.hosts_file", tBool, "true", "", "Writes the nodes' names to `/etc/hosts` where they do not resolve."},
	{"host.firewall", tText, `"firewalld"`, "", "Opens the ports where firewalld runs; `off` leaves firewalls alone."},
	{
		"host.cluster_network", tText, "", "the network of the nodes' addresses",
		"Network to which the cluster's ports are opened.",
	},
	{"host.client_networks", tTexts, "", "all", "Networks to which the NFS ports are opened."},

	{"storage", tTable, "", "", "Where the volume's data is."},
	{
		"storage.manager", tText, `"linstor"`, "",
		"Who makes the volume: `linstor`; `drbdadm` for sites without LINSTOR and for DRBD 8.4; `none` for a resource that is there already and stays as it is.",
	},
	{"storage.controller", tText, "", "the first node", "Node that runs the LINSTOR controller."},
	{"storage.volume_group", tText, `"drbdpool"`, "", "LVM volume group that holds the volume on each node."},
	{"storage.pool", tText, `"pool01"`, "", "LINSTOR's name for the storage pool."},
	{"storage.driver", tText, `"lvm"`, "", "Kind of logical volume: `lvm` (thick) or `lvmthin`."},
	{"storage.thin_pool", tText, "", "none", "Thin pool in the volume group, with driver lvmthin."},

	{"resource", tTable, "", "", "The DRBD resource."},
	{"resource.name", tText, `"res0"`, "", "Name of the resource."},
	{"resource.size", tSize, "", required, "Size of the volume, at least 64M."},
	{"resource.minor", tNumber, "1000", "", "DRBD's minor number with manager drbdadm; LINSTOR chooses its own."},
	{"resource.port", tNumber, "7000", "", "TCP port of the replication."},
	{"resource.source", tText, "", "the first diskful node", "Node from which the first synchronisation copies."},
	{"resource.drbd", tTable, "", "see below", "DRBD's own options by their own names, over the defaults."},

	{"filesystem", tTable, "", "", "The file system on the volume."},
	{"filesystem.type", tText, `"xfs"`, "", "Type of the file system."},
	{"filesystem.mount", tText, `"/home/nfs"`, "", "Directory on which the volume is mounted."},
	{"filesystem.mkfs_options", tTexts, "", "none", "Further arguments of mkfs."},
	{"filesystem.mount_options", tText, "", "none", "Mount options, separated by commas."},

	{"nfs", tTable, "", "", "The NFS server."},
	{"nfs.versions", tTexts, `["3", "4.1", "4.2"]`, "", "Versions to offer, of 3, 4.0, 4.1 and 4.2."},
	{"nfs.threads", tNumber, "128", "", "Threads of the kernel's NFS server, 1 to 4096."},
	{"nfs.lease_time", tTime, `"30s"`, "", "How long an NFSv4 client may be silent before it loses its locks, 10s to 1h."},
	{"nfs.grace_time", tTime, `"30s"`, "", "How long clients may reclaim locks after a failover; not below the lease time."},
	{"nfs.scope", tText, "", "the resource's name", "Name under which the server presents itself to NFSv4.1 clients."},
	{"nfs.state_dir", tText, "", "`var/lib/nfs` below the mount", "Directory on the volume for the NFS state."},
	{"nfs.ports", tTable, "", "", "Fixed ports of the NFSv3 helpers."},
	{"nfs.ports.mountd", tNumber, "32773", "", "Port of rpc.mountd."},
	{"nfs.ports.statd", tNumber, "32771", "", "Port of rpc.statd."},
	{"nfs.ports.statd_outgoing", tNumber, "32772", "", "Port from which rpc.statd sends."},
	{"nfs.ports.lockd_tcp", tNumber, "32774", "", "TCP port of lockd."},
	{"nfs.ports.lockd_udp", tNumber, "32775", "", "UDP port of lockd; it may be the same as lockd_tcp."},

	{"export", tTables, "", required, "The directories offered to clients, one `[[export]]` each."},
	{"export[].path", tText, "", required, "Directory to offer, below the mount."},
	{"export[].clients", tTexts, "", required, "Who may mount it: addresses, networks, host names, @netgroups or *."},
	{"export[].options", tTexts, `["rw", "sync", "no_root_squash", "no_all_squash"]`, "", "Options of exports(5)."},
	{"export[].fsid", tText, "", "derived from resource and path", "Identity of the directory in file handles; never change it."},
	{"export[].owner", tText, `"root:root"`, "", "Owner and group that setup gives a directory that it makes."},
	{"export[].mode", tText, `"0755"`, "", "Mode that setup gives a directory that it makes, octal."},

	{"vip", tTables, "", required, "The service addresses that clients mount, one `[[vip]]` each."},
	{"vip[].address", tText, "", required, "Service address with the prefix length of its network."},
	{"vip[].interface", tText, "", "the one in the same network", "Interface that carries it, on every node."},

	{"corosync", tTable, "", "", "The membership layer."},
	{"corosync.token", tTime, "", "corosync's", "Time without an answer after which a node counts as lost, 1s to 1m."},
	{"corosync.qdevice", tTable, "", "", "A further vote from a machine that runs no cluster."},
	{"corosync.qdevice.host", tText, "", "none", "Name or address of the machine that runs corosync-qnetd."},
	{"corosync.qdevice.algorithm", tText, `"ffsplit"`, "", "How it votes: `ffsplit` or `lms`."},

	{"pacemaker", tTable, "", "", "How the group appears in Pacemaker."},
	{"pacemaker.group", tText, `"nfs"`, "", "Id of the primitive; its clone is called GROUP-clone."},
	{"pacemaker.preferred", tText, "", "none", "Node that serves when all else is equal: the service goes back to it by itself once its data is good again."},
	{"pacemaker.notify", tBool, "false", "", "Turns the clone's notifications on, which cost time in each failover."},
	{"pacemaker.stickiness", tNumber, "200", "", "How much the group prefers to stay where it is."},
	{"pacemaker.migration_threshold", tNumber, "3", "", "Failures on a node after which the group moves; 0 is never."},
	{"pacemaker.failure_timeout", tTime, `"300s"`, "", "Time after which a failure is forgotten; 0s is never."},
	{"pacemaker.monitor_interval", tTime, `"10s"`, "", "Time between two looks at the group, 5s to 1h."},
	{
		"pacemaker.no_quorum_policy", tText, "", "what the fencing mode asks for",
		"What nodes without quorum do: `stop`, `freeze`, `demote`, `suicide`, or `ignore` with mode none.",
	},
	{
		"pacemaker.report_failures", tBool, "false", "",
		"Lets drbdnfsd report a lost disk, lost quorum or suspended I/O to Pacemaker at once instead of at the next monitor.",
	},
	{"pacemaker.alert", tTable, "", "", "A program that Pacemaker runs on events."},
	{"pacemaker.alert.path", tText, "", "none", "Path of the program, on every node."},
	{"pacemaker.alert.recipient", tText, "", "none", "What the program gets as its recipient."},
	{"pacemaker.alert.timeout", tTime, `"10s"`, "", "Time after which Pacemaker ends the program."},

	{"fencing", tTable, "", "", "How a split of the cluster is kept from splitting the data."},
	{"fencing.mode", tText, "", required, "The decision: `stonith`, `drbd-quorum`, `resource-and-stonith` or `none`."},
	{"fencing.accept_split_brain", tBool, "false", "", "Must be true with mode none, and only there."},
	{"fencing.priority_delay", tTime, "", "none", "Head start of the node that serves when two nodes fence each other."},
	{"fencing.timeout", tTime, "", "Pacemaker's", "Pacemaker's stonith-timeout."},
	{"fencing.device", tTables, "", "none", "The fence devices, one `[[fencing.device]]` each."},
	{"fencing.device[].name", tText, "", required, "Id of the device in Pacemaker."},
	{"fencing.device[].agent", tText, "", required, "Fence agent, such as fence_ipmilan."},
	{"fencing.device[].targets", tTexts, "", required, "Nodes that the device can fence."},
	{"fencing.device[].level", tNumber, "1", "", "Level in the fencing topology, 1 to 9; a lower one is tried first."},
	{"fencing.device[].parameters", tTable, "", "none", "The agent's own parameters."},

	{"split_brain", tTable, "", "", "What drbdnfsd does when both nodes have written to the volume without each other."},
	{
		"split_brain.policy", tText, `"manual"`, "",
		"Whose changes are discarded: `manual` (nobody's), `discard-secondary`, `discard-least-changes`, `discard-younger-primary` or `keep-node`.",
	},
	{"split_brain.keep", tText, "", "none", "Node whose data survive, with policy keep-node."},
	{
		"split_brain.snapshot", tText, `"required"`, "",
		"LVM snapshot of the data before they are discarded: `required` (without one nothing is discarded), `if-possible` or `off`.",
	},
	{"split_brain.cool_down", tTime, `"24h"`, "", "Time in which at most `resolutions` split brains are resolved by themselves."},
	{"split_brain.resolutions", tNumber, "2", "", "How many are resolved within that time; a further one waits for a person."},
	{"split_brain.marker_dir", tText, "", "none", "Directory for the files by which ha_cluster_exporter knows of a split brain."},

	{"metrics", tTable, "", "", "The endpoint of drbdnfsd for Prometheus."},
	{
		"metrics.listen", tText, `"127.0.0.1:19942"`, "",
		"Address and port; `node:19942` is the node's own address, `:19942` all addresses, `off` none.",
	},
	{"metrics.tls_cert", tText, "", "HTTP", "File with the certificate; it is read again when it changes."},
	{"metrics.tls_key", tText, "", "none", "File with the certificate's key."},
	{"metrics.client_ca", tText, "", "no certificate asked for", "File with the authority whose certificates clients must have."},
	{"metrics.resources", tText, `"managed"`, "", "DRBD resources with series of their own: `managed` (the one of this file) or `all`."},
	{"metrics.states", tBool, "true", "", "One series for each possible state, as drbd-reactor has it."},

	{"alerts", tTable, "", "", "Whom drbdnfsd tells of a split brain, besides the journal and the metrics."},
	{"alerts.command", tTexts, "", "none", "Program and arguments; it gets the alert as JSON on standard input."},
	{"alerts.webhook", tText, "", "none", "URL that gets the alert as JSON by POST."},
	{"alerts.token_file", tText, "", "none", "File with a bearer token for the webhook."},
	{"alerts.ca_file", tText, "", "the system's", "File with the authority of the webhook's certificate."},
	{"alerts.timeout", tTime, `"10s"`, "", "Time after which one try is given up, 1s to 5m; there are three."},
}

// wildcard turns the path of a key in a file into the name of the key in keys:
// "node[1].name" into "node[].name".
func wildcard(path string) string {
	var b strings.Builder
	for path != "" {
		head, rest, ok := strings.Cut(path, "[")
		b.WriteString(head)
		if !ok {
			break
		}
		_, path, _ = strings.Cut(rest, "]")
		b.WriteString("[]")
	}
	return b.String()
}

// setDefaults adds the keys that doc does not have and that have a default.
func setDefaults(doc map[string]any) error {
	for _, k := range keys {
		if k.def == "" && k.kind != tTable {
			continue
		}
		v := map[string]any{}
		if k.def != "" {
			if err := toml.Unmarshal([]byte("v = "+k.def), &v); err != nil {
				return err
			}
		}
		setDefault(doc, strings.Split(k.name, "."), v["v"])
	}
	return nil
}

// setDefault sets the key at path below t, in each table of a list. Nil stands
// for a table. What has another type than it should is left alone.
func setDefault(t map[string]any, path []string, v any) {
	name, each := strings.CutSuffix(path[0], "[]")
	switch {
	case each:
		list, _ := t[name].([]any)
		for _, e := range list {
			if t, ok := e.(map[string]any); ok {
				setDefault(t, path[1:], v)
			}
		}
	case len(path) > 1:
		if t, ok := t[name].(map[string]any); ok {
			setDefault(t, path[1:], v)
		}
	default:
		if _, ok := t[name]; ok {
			return
		}
		if v == nil {
			v = map[string]any{}
		}
		t[name] = v
	}
}
