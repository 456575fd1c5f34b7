package status

import (
	"net/netip"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// Failed is a failed action of Pacemaker's.
type Failed = pacemaker.Failure

// ConfigState is how it stands with the configuration file.
type ConfigState string

// The states.
const (
	ConfigUnseen  ConfigState = "" // could not be read
	ConfigGood    ConfigState = "good"
	ConfigMissing ConfigState = "missing"
	ConfigBroken  ConfigState = "broken"
)

// DRBDState is how it stands with DRBD on this node.
type DRBDState string

// The states.
const (
	DRBDUnseen   DRBDState = "" // drbdsetup did not answer, or not well
	DRBDUp       DRBDState = "up"
	DRBDDown     DRBDState = "down"      // the resource is not up
	DRBDNoModule DRBDState = "no module" // it is not loaded
)

// Reply is an answer to a NULL call through a service address.
type Reply struct {
	Addr  netip.Addr
	Took  time.Duration
	Error string // empty: answered
}

// Facts is what was seen. A pointer that is nil, and a Tri that is Unknown, was
// not seen; Unknown says why.
type Facts struct {
	Self string
	Now  time.Time
	Took time.Duration

	Config      ConfigState
	ConfigFile  string
	ConfigError string // of a broken one
	Plan        *Plan

	Cluster        *pacemaker.Status
	ClusterStopped bool // Pacemaker does not run here
	CIB            *CIB

	DRBD      DRBDState
	Kernel84  bool
	Resource  *drbd.Resource   // of the plan, when up
	resources []*drbd.Resource // all that are up, until there is a plan
	Progress  map[int]Progress // DRBD 8.4, by minor

	Group     *group.Facts
	Addresses []host.Address // of this node; nil: not seen
	Replies   []Reply        // in the order of Plan.VIPs
	Clients   *int           // connected to the service addresses here

	Evidence  []splitbrain.Evidence // as the nodes published it
	Records   []splitbrain.Record   // of this node's daemon
	Victim    drbd.Tri              // marked: the agent refuses to promote here
	Journal   []Event
	Daemon    drbd.Tri // drbdnfsd runs here
	Satellite drbd.Tri // LINSTOR's runs here
	// Controller is whether LINSTOR's runs here; only asked on its node.
	Controller drbd.Tri
	Snapshots  []string

	Unknown []Unknown
}

// unknown returns why a source could not be asked; "" when it could.
func (f *Facts) unknown(source string) string {
	for _, u := range f.Unknown {
		if u.Source == source {
			return u.Why
		}
	}
	return ""
}

// maxText bounds foreign text in a picture.
const maxText = 300

// clean makes foreign text one line without control characters.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxText {
		s = string(r[:maxText]) + "..."
	}
	return s
}
