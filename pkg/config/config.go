package config

import "time"

// Config is the whole configuration file, the same on every node. Parse returns
// it with every default filled in and every value checked.
type Config struct {
	Cluster    string     `toml:"cluster"`
	Nodes      []Node     `toml:"node"`
	Host       Host       `toml:"host"`
	Storage    Storage    `toml:"storage"`
	Resource   Resource   `toml:"resource"`
	Filesystem Filesystem `toml:"filesystem"`
	NFS        NFS        `toml:"nfs"`
	Exports    []Export   `toml:"export"`
	VIPs       []VIP      `toml:"vip"`
	Corosync   Corosync   `toml:"corosync"`
	Pacemaker  Pacemaker  `toml:"pacemaker"`
	Fencing    Fencing    `toml:"fencing"`
	SplitBrain SplitBrain `toml:"split_brain"`
	Metrics    Metrics    `toml:"metrics"`
	Alerts     Alerts     `toml:"alerts"`

	places *places // where the file has each key; nil when no file was read
}

// Node is one member of the cluster.
type Node struct {
	// Name is what "uname -n" prints on the node: DRBD, corosync and LINSTOR
	// know it by this.
	Name string `toml:"name"`
	// Address is the node's address for DRBD, corosync (link 0) and LINSTOR.
	Address string `toml:"address"`
	// SecondAddress is its address on corosync's second link, "" for none.
	SecondAddress string `toml:"second_address"`
	// Device becomes a physical volume of Storage.VolumeGroup; "" where the
	// volume group exists already, and on a diskless node.
	Device string `toml:"device"`
	// Diskless makes the node a tie-breaker: it votes, in corosync and in DRBD's
	// quorum, and never holds data or runs the service.
	Diskless bool `toml:"diskless"`
}

// Host says what setup may change on a node besides storage and cluster.
type Host struct {
	// HostsFile lets setup write names that DNS does not know to /etc/hosts.
	HostsFile bool `toml:"hosts_file"`
	// Firewall is "firewalld" (enable the package's services where firewalld
	// runs) or "off".
	Firewall string `toml:"firewall"`
	// ClusterNetwork is the source that the cluster's ports are opened to. The
	// default is the network of the nodes' addresses, as their interfaces have
	// it.
	ClusterNetwork string `toml:"cluster_network"`
	// ClientNetworks are the sources that the NFS ports are opened to; empty
	// opens them to all.
	ClientNetworks []string `toml:"client_networks"`
}

// Words of Storage.Manager and Storage.Driver.
const (
	ManagerLINSTOR = "linstor"
	ManagerDRBDADM = "drbdadm"
	// ManagerNone leaves volume and DRBD resource to whoever made them.
	ManagerNone   = "none"
	DriverLVM     = "lvm"
	DriverLVMThin = "lvmthin"
)

// Storage is where the volume's data is.
type Storage struct {
	Manager     string `toml:"manager"`
	Controller  string `toml:"controller"` // name of the node that runs the LINSTOR controller
	VolumeGroup string `toml:"volume_group"`
	Pool        string `toml:"pool"`      // LINSTOR's name for the pool
	Driver      string `toml:"driver"`    // lvm or lvmthin
	ThinPool    string `toml:"thin_pool"` // logical volume, with driver lvmthin
}

// Resource is the DRBD resource.
type Resource struct {
	Name  string `toml:"name"`
	Size  Size   `toml:"size"`
	Minor int    `toml:"minor"` // with drbdadm; LINSTOR chooses its own
	Port  int    `toml:"port"`
	// Source is the node whose (blank) volume the first synchronisation takes as
	// the good one; the first diskful node by default.
	Source string `toml:"source"`
	// DRBD are DRBD's options by their own names, as "protocol" or "c-max-rate";
	// the file's values over the defaults. See package option.
	DRBD map[string]string `toml:"drbd"`
}

// Filesystem is the file system on the volume.
type Filesystem struct {
	Type         string   `toml:"type"`
	Mount        string   `toml:"mount"`
	MkfsOptions  []string `toml:"mkfs_options"`
	MountOptions string   `toml:"mount_options"`
}

// NFS are the server's settings.
type NFS struct {
	Versions  []string `toml:"versions"`
	Threads   int      `toml:"threads"`
	LeaseTime Duration `toml:"lease_time"`
	GraceTime Duration `toml:"grace_time"`
	Scope     string   `toml:"scope"`     // "" is the resource's name
	StateDir  string   `toml:"state_dir"` // "" is var/lib/nfs below the mount
	Ports     Ports    `toml:"ports"`
}

// Ports are the fixed ports of the NFSv3 helpers.
type Ports struct {
	Mountd        int `toml:"mountd"`
	Statd         int `toml:"statd"`
	StatdOutgoing int `toml:"statd_outgoing"`
	LockdTCP      int `toml:"lockd_tcp"`
	LockdUDP      int `toml:"lockd_udp"`
}

// Export is one directory offered to some clients.
type Export struct {
	Path    string   `toml:"path"`
	Clients []string `toml:"clients"`
	Options []string `toml:"options"`
	FSID    string   `toml:"fsid"` // "" derives it from resource and path
	// Owner ("user", "user:group", numbers) and Mode ("0755") are set when setup
	// makes the directory, never later.
	Owner string `toml:"owner"`
	Mode  string `toml:"mode"`
}

// VIP is one service address.
type VIP struct {
	Address   string `toml:"address"` // with prefix length
	Interface string `toml:"interface"`
}

// Corosync is the membership layer. Zero durations leave corosync's defaults.
type Corosync struct {
	Token   Duration `toml:"token"`
	QDevice QDevice  `toml:"qdevice"`
}

// QDevice is corosync's vote of a third machine that runs no cluster.
type QDevice struct {
	Host      string `toml:"host"` // "" for none
	Algorithm string `toml:"algorithm"`
}

// Pacemaker is how the group appears in the CIB.
type Pacemaker struct {
	// Group is the primitive's id; the clone is GROUP-clone.
	Group string `toml:"group"`
	// Preferred is the node that serves when all else is equal; "" for none.
	Preferred string `toml:"preferred"`
	// Notify turns the clone's notifications on; they cost time in each
	// failover.
	Notify             bool     `toml:"notify"`
	Stickiness         int      `toml:"stickiness"`
	MigrationThreshold int      `toml:"migration_threshold"`
	FailureTimeout     Duration `toml:"failure_timeout"`
	MonitorInterval    Duration `toml:"monitor_interval"`
	// NoQuorumPolicy is "" for what the fencing mode asks for.
	NoQuorumPolicy string `toml:"no_quorum_policy"`
	// ReportFailures lets drbdnfsd tell Pacemaker at once that a disk, quorum or
	// I/O is lost, instead of waiting for the next monitor.
	ReportFailures bool  `toml:"report_failures"`
	Alert          Alert `toml:"alert"`
}

// Alert is a program that Pacemaker runs on events.
type Alert struct {
	Path      string   `toml:"path"` // "" for none
	Recipient string   `toml:"recipient"`
	Timeout   Duration `toml:"timeout"`
}

// Words of Fencing.Mode.
const (
	FencingSTONITH    = "stonith"
	FencingQuorum     = "drbd-quorum"
	FencingDRBD       = "resource-and-stonith"
	FencingNone       = "none"
	DefaultSecretFile = "/etc/drbdnfs/secret"
	DefaultFile       = "/etc/drbdnfs/drbdnfs.toml"
)

// Fencing is how a split of the cluster is kept from splitting the data. There
// is no default: the administrator decides in words.
type Fencing struct {
	Mode string `toml:"mode"`
	// AcceptSplitBrain must be true with mode none.
	AcceptSplitBrain bool          `toml:"accept_split_brain"`
	Devices          []FenceDevice `toml:"device"`
	// PriorityDelay is the head start of the node that serves when two nodes
	// fence each other.
	PriorityDelay Duration `toml:"priority_delay"`
	// Timeout is Pacemaker's stonith-timeout; zero leaves its default.
	Timeout Duration `toml:"timeout"`
}

// FenceDevice is one STONITH resource.
type FenceDevice struct {
	Name    string   `toml:"name"`
	Agent   string   `toml:"agent"`   // fence_ipmilan, external/..., fence_sbd
	Targets []string `toml:"targets"` // the nodes it can fence
	Level   int      `toml:"level"`   // of the fencing topology, 1 by default
	// Parameters are the agent's own.
	Parameters map[string]string `toml:"parameters"`
}

// Words of SplitBrain.Policy and SplitBrain.Snapshot.
const (
	PolicyManual         = "manual"
	PolicySecondary      = "discard-secondary"
	PolicyLeastChanges   = "discard-least-changes"
	PolicyYoungerPrimary = "discard-younger-primary"
	PolicyKeepNode       = "keep-node"
	SnapshotRequired     = "required"
	SnapshotIfPossible   = "if-possible"
	SnapshotOff          = "off"
)

// SplitBrain is what drbdnfsd does about a split brain.
type SplitBrain struct {
	Policy string `toml:"policy"`
	// Keep is the node whose data survive, with policy keep-node.
	Keep     string `toml:"keep"`
	Snapshot string `toml:"snapshot"`
	// CoolDown is the time in which at most Resolutions are made by themselves.
	CoolDown    Duration `toml:"cool_down"`
	Resolutions int      `toml:"resolutions"`
	// MarkerDir is where files for ha_cluster_exporter are written; "" for none.
	MarkerDir string `toml:"marker_dir"`
}

// Words of Metrics.Listen and Metrics.Resources.
const (
	ListenOff        = "off"
	ListenNode       = "node" // as the host part: this node's own address
	ResourcesManaged = "managed"
	ResourcesAll     = "all"
)

// Metrics is the endpoint that Prometheus scrapes.
type Metrics struct {
	Listen    string `toml:"listen"`
	TLSCert   string `toml:"tls_cert"`  // PEM file; "" for HTTP
	TLSKey    string `toml:"tls_key"`   // PEM file
	ClientCA  string `toml:"client_ca"` // PEM file; "" asks for no certificate
	Resources string `toml:"resources"`
	States    bool   `toml:"states"`
}

// Alerts says whom drbdnfsd tells of a split brain besides journal and metrics.
type Alerts struct {
	Command   []string `toml:"command"`    // program and arguments; empty for none
	Webhook   string   `toml:"webhook"`    // URL; "" for none
	TokenFile string   `toml:"token_file"` // holds the webhook's bearer token
	CAFile    string   `toml:"ca_file"`    // PEM file; "" for the system's
	Timeout   Duration `toml:"timeout"`    // of one try
}

// Duration is a time in the file: "30s", "1m30s", a multiple of a millisecond.
type Duration time.Duration

// Size is a number of bytes in the file: "6T", "500G", "64M", binary units.
type Size int64
