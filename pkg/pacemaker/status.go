package pacemaker

import (
	"fmt"
	"slices"
	"time"
)

// Status is the cluster as crm_mon saw it at one moment.
type Status struct {
	HasDC       bool   // a coordinator (DC) is elected; without one nothing else is up to date
	DC          string // its node
	Quorum      bool   // the coordinator's partition has quorum; false while there is no coordinator
	Maintenance bool   // the whole cluster is in maintenance mode
	Nodes       []Node
	Clones      []Clone
	Alone       []Instance // of no clone, as is what is left of a clone that was removed
	Bans        []Ban
	// FailedActions are those that were not cleaned up.
	FailedActions []Failure
}

// Node is one node of the cluster.
type Node struct {
	Name        string
	Online      bool
	Pending     bool // it is joining
	Unclean     bool // it must be fenced, or was never seen since the cluster has started
	Standby     bool // it may run nothing
	Maintenance bool
	Attributes  map[string]string // as far as they are in the CIB; private ones are not
}

// Clone is a resource that runs on several nodes.
type Clone struct {
	ID        string
	Unmanaged bool
	Disabled  bool // target-role
	Instances []Instance
}

// Instance is one copy of a resource.
type Instance struct {
	Resource  string // the id of the primitive, without an instance's number
	Role      string // in Pacemaker's words: Promoted, Unpromoted, Started, Stopped, Starting; before 2.1 Master and Slave
	Pending   string // what is being done to it: Starting, Promoting; Monitoring is its first monitor
	Unmanaged bool
	Failed    bool     // the last action failed, and was not yet recovered from
	Nodes     []string // where it is active: one, unless something is wrong
}

// Promoted reports whether the instance is promoted. One that is being promoted
// is not.
func (i Instance) Promoted() bool { return i.Role == "Promoted" || i.Role == "Master" }

// Failure is a failed action.
type Failure struct {
	Resource string // the id of the primitive, without an instance's number
	Task     string // start, monitor, promote; asyncmon after [Client.Fail]
	Node     string
	Result   string    // in Pacemaker's words: "error", "not running"
	Reason   string    // in the agent's words, may be empty
	When     time.Time // zero where it is not told; to the second
}

// String is "start on drbdtest2 failed: no such device".
func (f Failure) String() string {
	why := f.Reason
	if why == "" {
		why = f.Result
	}
	return fmt.Sprintf("%s on %s failed: %s", f.Task, f.Node, why)
}

// Ban is a constraint that keeps a resource away from a node. Those of
// "crm_resource --ban" begin with cli-ban-.
type Ban struct {
	ID           string
	Resource     string // a primitive or a clone
	Node         string
	PromotedOnly bool // it may run there, and is not promoted there
}

// Node returns a node by its name.
func (st Status) Node(name string) (Node, bool) {
	if i := slices.IndexFunc(st.Nodes, func(n Node) bool { return n.Name == name }); i >= 0 {
		return st.Nodes[i], true
	}
	return Node{}, false
}

// Online reports whether a node is a full member: online, and has joined.
func (st Status) Online(name string) bool {
	n, _ := st.Node(name)
	return n.Online && !n.Pending
}

// Instances are the copies of a primitive, including those that do not run.
func (st Status) Instances(resource string) []Instance {
	var out []Instance
	for _, c := range st.Clones {
		out = append(out, c.of(resource)...)
	}
	return append(out, of(st.Alone, resource)...)
}

func (c Clone) of(resource string) []Instance { return of(c.Instances, resource) }

func of(list []Instance, resource string) []Instance {
	var out []Instance
	for _, i := range list {
		if i.Resource == resource {
			out = append(out, i)
		}
	}
	return out
}

// Promoted lists the nodes on which a primitive is promoted.
func (st Status) Promoted(resource string) []string {
	var out []string
	for _, i := range st.Instances(resource) {
		for _, n := range i.Nodes {
			if i.Promoted() && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// Running lists the nodes on which a primitive runs in any role.
func (st Status) Running(resource string) []string {
	var out []string
	for _, i := range st.Instances(resource) {
		out = append(out, i.Nodes...)
	}
	return out
}

// monitoring is what crm_mon says of an instance whose monitor has not yet run.
const monitoring = "Monitoring"

// Pending says what is being done to a primitive, "" for nothing.
func (st Status) Pending(resource string) string {
	for _, i := range st.Instances(resource) {
		if i.Pending != "" && i.Pending != monitoring {
			return i.Pending
		}
	}
	return ""
}

// Settled reports whether a primitive is promoted on one node and nothing is
// under way.
func (st Status) Settled(resource string) bool {
	return len(st.Promoted(resource)) == 1 && st.Pending(resource) == ""
}

// Off says why Pacemaker will not promote, or recover, a primitive for now; ""
// when nothing keeps it from that.
func (st Status) Off(resource string) string {
	if st.Maintenance {
		return "the cluster is in maintenance mode: nothing is started or stopped"
	}
	for _, c := range st.Clones {
		mine := len(c.of(resource)) > 0
		switch {
		case mine && c.Disabled:
			return "disabled by somebody (target-role)"
		case mine && c.Unmanaged:
			return "unmanaged: it is neither started nor stopped"
		}
	}
	return ""
}

// Failures are the failed actions of a primitive.
func (st Status) Failures(resource string) []Failure {
	var out []Failure
	for _, f := range st.FailedActions {
		if f.Resource == resource {
			out = append(out, f)
		}
	}
	return out
}
