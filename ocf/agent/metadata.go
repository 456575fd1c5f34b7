package agent

import (
	"strconv"
	"time"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/version"
)

// Name is the agent's type: ocf:spacei:drbdnfs.
const Name = "drbdnfs"

// defaultThreads is the procedure's number of nfsd threads.
const defaultThreads = 128

// parameters are all parameters, in the order in which meta-data lists them.
var parameters = []ocf.Parameter{
	{
		Name: "drbd_resource", Type: "string", Required: true, Unique: true,
		Short: "DRBD resource",
		Long: `Name of the DRBD resource that holds the file system. DRBD's fencing handlers
(crm-fence-peer) find the clone by this parameter's name and value.`,
	},
	{
		Name: "device", Type: "string",
		Short: "Block device",
		Long:  "Block device of the file system. The default is the first volume of drbd_resource.",
	},
	{
		Name: "directory", Type: "string", Required: true, Unique: true,
		Short: "Mount point",
		Long:  "Directory on which the file system is mounted. It is made when it is missing.",
	},
	{
		Name: "fstype", Type: "string", Default: "xfs",
		Short: "File system type",
		Long:  "Type of the file system, as for mount. It is never repaired automatically.",
	},
	{
		Name: "mount_options", Type: "string",
		Short: "Mount options",
		Long:  "Options for mount, separated by commas.",
	},
	{
		Name: "nfs_state_dir", Type: "string",
		Short: "NFS state on the volume",
		Long: `Directory on the volume for the NFS state (locks, NFSv4 clients), to which
/var/lib/nfs leads while the node is Promoted. The default is var/lib/nfs below directory. It is made from
the node's own state at the first promotion. No export may contain it.`,
	},
	{
		Name: "exports", Type: "string", Required: true, Reloadable: true,
		Short: "Exported directories",
		Long: `What is exported to whom, in the syntax of exports(5), entries separated by line ends or semicolons:
/home/nfs/user-data 192.168.2.0/24(rw,sync,no_root_squash) 192.168.3.7(ro). Where fsid= is not given it is derived from
drbd_resource and the path, the same on every node. /etc/exports is neither read nor changed.`,
	},
	{
		Name: "nfs_versions", Type: "string", Default: "3 4.1 4.2",
		Short: "NFS versions",
		Long: `NFS versions to offer, of 3, 4.0, 4.1 and 4.2. NFSv4.0 is off by default: its clients cannot say that
they have reclaimed everything, so that the grace period always lasts to its end.`,
	},
	{
		Name: "nfs_threads", Type: "integer", Default: strconv.Itoa(defaultThreads), Reloadable: true,
		Short: "Number of nfsd threads",
		Long:  "Number of threads of the kernel's NFS server.",
	},
	{
		Name: "ports", Type: "string", Default: nfs.DefaultPorts,
		Short: "Ports of the NFSv3 helpers",
		Long: `Fixed ports of mountd, statd, statd-outgoing, lockd-tcp and lockd-udp, so that a firewall can let them
through. NFS itself is on port 2049.`,
	},
	{
		Name: "lease_time", Type: "string", Default: "30s",
		Short: "NFSv4 lease time",
		Long:  "How long an NFSv4 client may be silent before its locks can be given to others; at least 10s.",
	},
	{
		Name: "grace_time", Type: "string", Default: "30s",
		Short: "Grace period",
		Long: `How long clients may reclaim locks after a failover while new locks wait; at least lease_time. It ends
earlier when all clients have reclaimed.`,
	},
	{
		Name: "server_scope", Type: "string",
		Short: "NFSv4.1 server scope",
		Long: `Name under which the server presents itself to NFSv4.1 clients, the same on every node; with another one
clients would not reclaim. The default is drbd_resource.`,
	},
	{
		Name: "vips", Type: "string", Required: true, Reloadable: true,
		Short: "Service addresses",
		Long: `Virtual IPv4 and IPv6 addresses with prefix length and interface: 192.168.2.63/24@ens3, several separated
by spaces or commas. Without an interface, the one in the same network is taken.`,
	},
	{
		Name: "drbd_down", Type: "string", Default: "auto",
		Short: "Take DRBD down on stop",
		Long:  "Whether stop takes the DRBD resource down: yes, no, or auto (yes, unless LINSTOR manages it).",
	},
	{
		Name: "report_degraded", Type: "boolean", Default: "false", Reloadable: true,
		Short: "Report missing redundancy",
		Long: `Whether monitor reports a node that serves or follows without full redundancy (peer missing, resync) as
degraded (190, 191). Pacemaker shows that as a failed operation but does not act on it.`,
	},
	{
		Name: "log_level", Type: "string", Default: "info", Reloadable: true,
		Short: "Log level",
		Long:  "What is logged to the journal under the identifier drbdnfs: debug, info, warn or error.",
	},
}

// defaults are the values of parameters that the CIB does not set.
var defaults = func() map[string]string {
	m := map[string]string{}
	for _, p := range parameters {
		m[p.Name] = p.Default
	}
	return m
}()

// Timeouts that are enough on slow machines: start waits for LINSTOR and the peer,
// promote for a fence-peer handler and the replay of a full XFS log, demote
// and stop for processes to end and data to be written.
var actions = []ocf.ActionSpec{
	{Name: "start", Timeout: 240 * time.Second},
	{Name: "stop", Timeout: 120 * time.Second},
	{Name: "promote", Timeout: 90 * time.Second},
	{Name: "demote", Timeout: 120 * time.Second},
	{Name: "notify", Timeout: 20 * time.Second},
	{Name: "monitor", Timeout: 30 * time.Second, Interval: 10 * time.Second, Role: "Promoted"},
	{Name: "monitor", Timeout: 30 * time.Second, Interval: 20 * time.Second, Role: "Unpromoted"},
	{Name: "monitor", Timeout: 40 * time.Second, Interval: 61 * time.Second, Role: "Promoted", Depth: 10},
	{Name: "monitor", Timeout: 40 * time.Second, Interval: 127 * time.Second, Role: "Promoted", Depth: 20},
	{Name: "reload-agent", Timeout: 30 * time.Second},
	{Name: "meta-data", Timeout: 5 * time.Second},
	{Name: "validate-all", Timeout: 20 * time.Second},
}

// Metadata describes the agent.
func Metadata() ocf.Metadata {
	return ocf.Metadata{
		Name:    Name,
		Version: version.Number(),
		Short:   "Highly available NFS server on DRBD",
		Long: `Runs an NFS server on a DRBD volume as one promotable clone. Unpromoted: DRBD is up and Secondary, nothing
else. Promoted: DRBD is Primary, the file system is mounted, the NFS state is on it, the kernel's NFS server runs, the
directories are exported and the service addresses answer.

One group per node: there is one NFS server in the kernel. Fencing, or DRBD quorum with a third node, is needed to keep
a cut link from splitting the data.`,
		Parameters: parameters,
		Actions:    actions,
	}
}
