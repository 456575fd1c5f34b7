package status

import (
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// PictureVersion is Picture.Version. It grows when a key is renamed, removed or
// changes its meaning; a new key does not change it.
const PictureVersion = 1

// Level is how the cluster is, in one word.
type Level string

// The levels, and the exit statuses of drbdnfs status.
const (
	Healthy  Level = "healthy"  // 0: clients are served, and a copy is ready to take over
	Degraded Level = "degraded" // 1: clients are served, or seem to be, and something is wrong or could not be seen
	Down     Level = "down"     // 2: no node serves clients
)

// ExitCode is the exit status that stands for l.
func (l Level) ExitCode() int {
	switch l {
	case Healthy:
		return 0
	case Degraded:
		return 1
	}
	return 2
}

// Picture is the whole cluster as one node sees it at one moment, in the form
// that --json and the status page give out. A time that is not known is left
// out; a list without entries is []; a fact that could not be seen is null or
// "unknown", never a guess, and Unknown then says why. Text that comes from
// others (reasons, names) holds no control characters.
type Picture struct {
	Version  int       `json:"version"`  // of these keys
	Cluster  string    `json:"cluster"`  // name, of the configuration file or else of corosync
	Time     time.Time `json:"time"`     // when it was looked, by this node's clock
	From     string    `json:"from"`     // node that looked
	Level    Level     `json:"level"`    // healthy, degraded or down
	Headline string    `json:"headline"` // one line: what is the matter
	TookMS   int64     `json:"took_ms"`  // how long the look took

	Service     Service      `json:"service"`
	VIPs        []VIP        `json:"vips"`
	Exports     []Export     `json:"exports"`
	Clients     *int         `json:"clients"` // machines connected to the active node; null: not known on this node
	Nodes       []Node       `json:"nodes"`
	Quorum      Quorum       `json:"quorum"`
	Fencing     Fencing      `json:"fencing"`
	SplitBrains []SplitBrain `json:"split_brains"` // one for each pair of nodes
	Failovers   []Failover   `json:"failovers"`    // the latest first
	Snapshots   []string     `json:"snapshots"`    // VG/LV that this node keeps of discarded data
	Findings    []Finding    `json:"findings"`     // the worst first
	Unknown     []Unknown    `json:"unknown"`      // what could not be asked
}

// Service is who serves clients.
type Service struct {
	Group    string    `json:"group"`              // id of Pacemaker's resource
	Resource string    `json:"resource"`           // DRBD resource
	Mount    string    `json:"mount"`              // where the volume is mounted
	Active   string    `json:"active"`             // node that is promoted; empty: none, or not known
	Busy     string    `json:"busy,omitempty"`     // Pacemaker's word for what is under way: Promoting, Demoting, Stopping
	Since    time.Time `json:"since,omitzero"`     // when it was promoted
	Previous string    `json:"previous,omitempty"` // node that was active before
	How      string    `json:"how,omitempty"`      // how the service came there: reason of the last failover
	StallMS  int64     `json:"stall_ms,omitempty"` // how long clients were not served then; 0: not known
}

// VIP is one service address.
type VIP struct {
	Address   string   `json:"address"`         // without prefix length
	Prefix    int      `json:"prefix"`          // length
	Interface string   `json:"interface"`       // as configured; empty: the one in the same network
	Present   drbd.Tri `json:"present"`         // on this node: yes, no or unknown
	Answers   drbd.Tri `json:"answers"`         // NFS answers a NULL call through it: yes, no or unknown
	TookMS    float64  `json:"took_ms"`         // time to that answer; 0 without one
	Error     string   `json:"error,omitempty"` // why there was none
}

// Export is one directory that is offered.
type Export struct {
	Path     string   `json:"path"`
	Clients  []string `json:"clients"`  // hosts and networks
	Exported drbd.Tri `json:"exported"` // by the kernel of this node; unknown on a node that is not active
}

// Cluster states of a node, Node.Cluster.
const (
	NodeOnline      = "online"
	NodeStandby     = "standby"     // online, and may run nothing
	NodeMaintenance = "maintenance" // it, or the whole cluster: nothing is started or stopped
	NodePending     = "pending"     // it is joining
	NodeOffline     = "offline"
	NodeUnclean     = "unclean" // must be fenced before anything goes on
	NodeUnknown     = "unknown" // Pacemaker could not be asked
)

// Node is one node of the cluster.
type Node struct {
	Name       string               `json:"name"`
	Cluster    string               `json:"cluster"`             // online, standby, maintenance, pending, offline, unclean or unknown
	Active     bool                 `json:"active"`              // the group is promoted there
	Group      string               `json:"group"`               // Pacemaker's role of the group there: Promoted, Unpromoted, Stopped; empty: not known
	Diskless   bool                 `json:"diskless"`            // a tie-breaker
	Role       drbd.Role            `json:"role"`                // DRBD's; Unknown where it cannot be seen
	Disk       drbd.DiskState       `json:"disk"`                // the worst of its volumes; DUnknown where it cannot be seen
	Connection drbd.ConnectionState `json:"connection"`          // this node to it; its own line: the worst to any peer. Empty: not known
	Sync       *Sync                `json:"sync"`                // a resync that runs onto that node; null for none
	Daemon     drbd.Tri             `json:"daemon"`              // drbdnfsd runs there; unknown where it cannot be seen
	Note       string               `json:"note,omitempty"`      // why its facts are missing or second-hand
	Seen       string               `json:"seen"`                // who saw DRBD there: itself, peer, nobody
	Suspended  string               `json:"suspended,omitempty"` // DRBD's reasons to hold I/O back; empty for none
}

// How DRBD's part of a node was seen, Node.Seen.
const (
	SeenItself = "itself" // by DRBD on the node that looked
	SeenPeer   = "peer"   // by DRBD's view of its peer
	SeenNobody = "nobody"
)

// Sync is a resync.
type Sync struct {
	Percent        float64 `json:"percent"`            // done, 0 to 100
	MiBPerSecond   float64 `json:"mib_per_second"`     // of the last seconds; 0: not known
	ETASeconds     int64   `json:"eta_seconds"`        // until it is over; 0: not known
	OutOfSyncBytes int64   `json:"out_of_sync_bytes"`  // still to be copied
	Paused         bool    `json:"paused"`             // it makes no progress
	Source         string  `json:"source,omitempty"`   // node whose data is copied
	Restored       string  `json:"restored,omitempty"` // "about 4 min": eta_seconds for people; empty: not known
}

// Quorum is who has a majority.
type Quorum struct {
	Corosync drbd.Tri `json:"corosync"` // this node's partition has quorum
	Nodes    int      `json:"nodes"`    // that are members
	Expected int      `json:"expected"` // nodes of the cluster
	DRBD     drbd.Tri `json:"drbd"`     // this node's volumes have it; unknown on DRBD 8.4; yes also where it is off
}

// Fencing is how a split of the cluster is kept from splitting the data.
type Fencing struct {
	Mode    string   `json:"mode"`    // stonith, drbd-quorum, resource-and-stonith, none; empty: not known
	STONITH drbd.Tri `json:"stonith"` // Pacemaker's stonith-enabled
	Devices []string `json:"devices"` // in Pacemaker's configuration
	Note    string   `json:"note"`    // how it stands, for people
}

// SplitBrain is what the nodes know of one between two of them.
type SplitBrain struct {
	Resource string      `json:"resource"`
	Nodes    [2]string   `json:"nodes"`
	Phase    string      `json:"phase"`              // found, decided, snapshotting, discarding, reconnecting, held
	Refusal  string      `json:"refusal,omitempty"`  // one word, while held: see the table in docs/split-brain.md
	Why      string      `json:"why,omitempty"`      // a sentence for it
	Remedy   string      `json:"remedy,omitempty"`   // likewise, what to do
	Victim   string      `json:"victim,omitempty"`   // node that discards its changes, once decided
	Command  string      `json:"command"`            // recommended
	Sides    []SplitSide `json:"sides"`              // of the nodes that say something
	FoundAt  time.Time   `json:"found_at,omitzero"`  // DRBD's earliest word
	Incident string      `json:"incident,omitempty"` // the same word on both nodes
}

// SplitSide is what one node says of a split brain.
type SplitSide struct {
	Node         string         `json:"node"`
	At           time.Time      `json:"at,omitzero"` // by its clock
	Role         drbd.Role      `json:"role"`
	Disk         drbd.DiskState `json:"disk"`
	Promoted     drbd.Tri       `json:"promoted"`
	Mounted      drbd.Tri       `json:"mounted"`
	Phase        string         `json:"phase"`
	Refusal      string         `json:"refusal,omitempty"`
	Policy       string         `json:"policy"`
	ChangedBytes int64          `json:"changed_bytes"`          // since the two were in sync; negative: not known
	LastPromoted time.Time      `json:"last_promoted,omitzero"` // when
	Words        []string       `json:"words"`                  // how DRBD said it there: helper, kernel, handler
}

// Failover is one change of the active node, or one that began.
type Failover struct {
	Time    time.Time `json:"time"`             // when the new node was promoted
	From    string    `json:"from,omitempty"`   // node that was active before; empty: not known
	To      string    `json:"to"`               // node
	StallMS int64     `json:"stall_ms"`         // from the end of service on From to the end of the promotion; 0: not known
	Promote int64     `json:"promote_ms"`       // how long the promotion itself took; 0: not known
	Reason  string    `json:"reason"`           // node lost, moved, failed, restarted in place, not known
	Detail  string    `json:"detail,omitempty"` // for failed: what failed
}

// Severity is how much a finding matters.
type Severity string

// The severities, the worst first.
const (
	Critical Severity = "critical" // clients are not served, or data is at risk now
	Warning  Severity = "warning"  // redundancy is missing, or the next failure will not be survived
	Notice   Severity = "notice"   // to know; does not make the cluster degraded
)

// Finding is one thing that is wrong.
type Finding struct {
	Word     string    `json:"word"`           // stable, for programs: see docs/status.md
	Severity Severity  `json:"severity"`       // critical, warning or notice
	Node     string    `json:"node,omitempty"` // that it is about
	What     string    `json:"what"`           // what is wrong
	Why      string    `json:"why,omitempty"`  // cause, as far as it is known
	Remedy   string    `json:"remedy"`         // command to type, or what to do; empty: it ends by itself
	Since    time.Time `json:"since,omitzero"`
}

// Unknown is one source that could not be asked.
type Unknown struct {
	Source string `json:"source"` // stable word: see docs/status.md
	Why    string `json:"why"`
}
