package switchover

import (
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
)

// Action is what is asked for.
type Action string

// The actions.
const (
	Move      Action = "move"      // the service to a node
	Failback  Action = "failback"  // the service to where it belongs
	Standby   Action = "standby"   // a node runs nothing
	Unstandby Action = "unstandby" // a node may run resources again
)

// Request is what a person asks for.
type Request struct {
	Action Action
	// Node is the target, or the node that goes into standby or back; "" is the
	// only node that can be meant, and with Standby and Unstandby this node.
	Node string
	// Force overrides the refusals that say so.
	Force bool
	// DryRun leaves alone what a killed run has left.
	DryRun bool
	// Timeout is how long Run may take until it takes back what it asked for.
	// Zero is five minutes.
	Timeout time.Duration
}

// Facts are what was seen before a decision.
type Facts struct {
	Self      string
	Group     string   // the primitive
	Resource  string   // of DRBD
	Nodes     []string // that hold data, in the order of the configuration
	Diskless  []string
	Preferred string // of the configuration, "" for none
	Cluster   pacemaker.Status
	// DRBD is this node's view; nil where it is not known, then Blind says why.
	DRBD  *drbd.Resource
	Blind string
	// SplitBrains has what the health daemons say of pairs of nodes; calm ones
	// are not in it.
	SplitBrains []SplitBrain
	History     map[string]Operation // the last action of the group on each node
	FailCounts  map[string]int       // of the group, by node
	Hold        *Hold                // the constraint of a run, nil for none
	LockHeld    bool                 // no other run is under way on this node
	Now         time.Time
}

// SplitBrain is one pair of nodes that the daemons have found to be split.
type SplitBrain struct {
	Nodes [2]string
	Phase string
}

// Operation is one action of the agent, from Pacemaker's history.
type Operation struct {
	Task string // promote, demote, start
	OK   bool
	When time.Time     // to the second
	Took time.Duration // as Pacemaker measured it
}

// Hold is the temporary constraint of a run.
type Hold struct {
	Target string
	By     string // the node it was made on
	Until  time.Time
}

// Code names a reason to refuse, for programs.
type Code string

// The reasons to refuse.
const (
	NotAMember    Code = "not-a-member"
	NoData        Code = "no-data"
	NoCoordinator Code = "no-coordinator"
	NoQuorum      Code = "no-quorum"
	Off           Code = "off"
	NotThere      Code = "not-configured"
	Nowhere       Code = "nowhere-promoted"
	Busy          Code = "busy"
	NodeAway      Code = "node-away"
	Stopped       Code = "stopped"
	Victim        Code = "split-brain-victim"
	Split         Code = "split-brain"
	NotUpToDate   Code = "not-up-to-date"
	NotConnected  Code = "not-connected"
	Syncing       Code = "resync"
	Ambiguous     Code = "ambiguous"
	Unknown       Code = "unknown"
	Failed        Code = "failed-before"
	WontPromote   Code = "will-not-promote"
	GoesBack      Code = "goes-back"
	Disturbs      Code = "disturbs"
	Fences        Code = "fences"
	Held          Code = "held"
	LastNode      Code = "last-node"
	LastCopy      Code = "last-copy"
)

// Refusal is one reason not to do it.
type Refusal struct {
	Code   Code
	Text   string // what is the matter
	Remedy string // what to do, "" where only waiting helps
	Force  bool   // the request's Force overrides it
}

// Plan is what would be done.
type Plan struct {
	Action   Action
	Group    string
	From     string // where the service is promoted, "" for nowhere
	To       string // where it is to be; From where it stays
	Node     string // that goes into standby or back
	Refusals []Refusal
	Notes    []string
	// Nothing is set when it is as asked for already; it says so.
	Nothing string
	// Expect is about how long clients will wait, from the agent's last actions;
	// zero is not known.
	Expect time.Duration
	// Cleanup lists the nodes whose failed actions are forgotten first.
	Cleanup []string

	timeout time.Duration
	force   bool
	hold    *Hold // to be removed first
}

// Moves reports whether the service changes its node.
func (p Plan) Moves() bool { return p.From != "" && p.To != "" && p.From != p.To }

// Refused reports whether something stands against the plan that the request
// does not override.
func (p Plan) Refused() bool {
	for _, r := range p.Refusals {
		if !r.Force || !p.force {
			return true
		}
	}
	return false
}

// refuse adds a reason.
func (p *Plan) refuse(code Code, force bool, text, remedy string) {
	p.Refusals = append(p.Refusals, Refusal{Code: code, Text: text, Remedy: remedy, Force: force})
}

// fatal reports whether a refusal cannot be overridden at all.
func (p Plan) fatal() bool {
	for _, r := range p.Refusals {
		if !r.Force {
			return true
		}
	}
	return false
}

// Outcome is how a run ended.
type Outcome string

// The outcomes.
const (
	Done        Outcome = "done"        // as asked for
	TurnedBack  Outcome = "turned-back" // the target failed, and the service was brought back
	Interrupted Outcome = "interrupted"
	TimedOut    Outcome = "timed-out"
)

// Result is how a run ended, and where the service is.
type Result struct {
	Outcome Outcome
	Active  string // where the service is promoted and was seen to answer; "" for nowhere
	Reason  string // why it is not Done
	Stalls  []Stall
	Took    time.Duration
}
