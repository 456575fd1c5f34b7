package cluster

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// State is what crm_mon says about the cluster.
type State struct {
	DC        string
	Nodes     []NodeState
	Instances []Instance
	Failures  []Failure
}

// NodeState is a node as Pacemaker sees it.
type NodeState struct {
	Name    string `xml:"name,attr"`
	Online  bool   `xml:"online,attr"`
	Standby bool   `xml:"standby,attr"`
	Unclean bool   `xml:"unclean,attr"`
	Pending bool   `xml:"pending,attr"`
}

// Instance is one running or failed copy of a resource.
type Instance struct {
	ID      string
	Role    string // Promoted, Unpromoted, Started, Stopped
	Node    string
	Failed  bool
	Blocked bool
	Pending string
}

// Failure is one line of crm_mon's failed actions.
type Failure struct {
	Task       string `xml:"task,attr"`
	Node       string `xml:"node,attr"`
	ExitStatus string `xml:"exitstatus,attr"`
	ExitReason string `xml:"exitreason,attr"`
	ExitCode   int    `xml:"exitcode,attr"`
	Key        string `xml:"op_key,attr"`
	// Call counts the operations of a node's executor; a later failure of the
	// same operation has a higher one.
	Call int `xml:"call,attr"`
}

type crmMon struct {
	Summary struct {
		DC struct {
			Name string `xml:"name,attr"`
		} `xml:"current_dc"`
	} `xml:"summary"`
	Nodes    []NodeState   `xml:"nodes>node"`
	Plain    []monResource `xml:"resources>resource"`
	Clones   []monResource `xml:"resources>clone>resource"`
	Groups   []monResource `xml:"resources>group>resource"`
	Failures []Failure     `xml:"failures>failure"`
}

type monResource struct {
	ID      string `xml:"id,attr"`
	Role    string `xml:"role,attr"`
	Failed  bool   `xml:"failed,attr"`
	Blocked bool   `xml:"blocked,attr"`
	Pending string `xml:"pending,attr"`
	Nodes   []struct {
		Name string `xml:"name,attr"`
	} `xml:"node"`
}

// parseCrmMon reads the output of crm_mon --output-as=xml.
func parseCrmMon(text string) (State, error) {
	var m crmMon
	if err := xml.Unmarshal([]byte(text), &m); err != nil {
		return State{}, fmt.Errorf("crm_mon: %w", err)
	}
	s := State{DC: m.Summary.DC.Name, Nodes: m.Nodes, Failures: m.Failures}
	for _, r := range slices.Concat(m.Plain, m.Clones, m.Groups) {
		i := Instance{ID: strings.Split(r.ID, ":")[0], Role: modernRole(r.Role), Failed: r.Failed, Blocked: r.Blocked, Pending: r.Pending}
		for _, n := range r.Nodes {
			i.Node = n.Name
			s.Instances = append(s.Instances, i)
		}
	}
	return s, nil
}

// modernRole gives the role's present name: Pacemaker before 2.2 still prints
// the old ones.
func modernRole(role string) string {
	switch role {
	case "Master":
		return "Promoted"
	case "Slave":
		return "Unpromoted"
	}
	return role
}

// Online reports whether a node is a full member.
func (s State) Online(node string) bool {
	for _, n := range s.Nodes {
		if n.Name == node {
			return n.Online && !n.Pending && !n.Unclean
		}
	}
	return false
}

// Role returns the role of a resource's instance on a node, "" when none runs.
func (s State) Role(id, node string) string {
	for _, i := range s.Instances {
		if i.ID == id && i.Node == node {
			return i.Role
		}
	}
	return ""
}

// Promoted lists the nodes on which a resource is promoted.
func (s State) Promoted(id string) []string {
	var nodes []string
	for _, i := range s.Instances {
		if i.ID == id && i.Role == "Promoted" && !slices.Contains(nodes, i.Node) {
			nodes = append(nodes, i.Node)
		}
	}
	return nodes
}

// State asks a node's crm_mon.
func (c *Cluster) State(ctx context.Context, node string) (State, error) {
	out, err := c.Rig.SSH(ctx, node, "crm_mon --one-shot --output-as=xml")
	if err != nil {
		return State{}, err
	}
	return parseCrmMon(out)
}

// Active returns the node on which the resource is promoted according to the
// first node that answers, or an error when it is none or two.
func (c *Cluster) Active(ctx context.Context) (string, error) {
	node, err := c.AnyOnline(ctx)
	if err != nil {
		return "", err
	}
	s, err := c.State(ctx, node)
	if err != nil {
		return "", err
	}
	p := s.Promoted(c.Resource)
	if len(p) != 1 {
		return "", fmt.Errorf("promoted on %v, want one node (instances %v)", p, s.Instances)
	}
	return p[0], nil
}

// WaitReady waits until both nodes are online, one is Promoted and the other
// Unpromoted without failures, DRBD is UpToDate on both sides and the service
// address answers NFS. It returns the active node.
func (c *Cluster) WaitReady(ctx context.Context, limit time.Duration) (string, error) {
	active := ""
	err := rig.Poll(ctx, "the cluster to be whole", limit, 2*time.Second, func(ctx context.Context) error {
		node, err := c.AnyOnline(ctx)
		if err != nil {
			return err
		}
		s, err := c.State(ctx, node)
		if err != nil {
			return err
		}
		if active, err = whole(s, c.Resource, c.With); err != nil {
			return err
		}
		return c.drbdHealthy(ctx, active)
	})
	return active, err
}

// whole checks a state for the healthy picture and returns the active node.
func whole(s State, resource string, with []string) (string, error) {
	p := s.Promoted(resource)
	if len(p) != 1 {
		return "", fmt.Errorf("promoted on %v; instances %+v; failures %+v", p, s.Instances, s.Failures)
	}
	for _, n := range rig.Nodes() {
		if !s.Online(n) {
			return "", fmt.Errorf("%s is not online: %+v", n, s.Nodes)
		}
		if n != p[0] && s.Role(resource, n) != "Unpromoted" {
			return "", fmt.Errorf("%s is %q, want Unpromoted; failures %+v", n, s.Role(resource, n), s.Failures)
		}
	}
	for _, id := range with {
		if s.Role(id, p[0]) != "Started" {
			return "", fmt.Errorf("%s is %q on %s, want Started; failures %+v", id, s.Role(id, p[0]), p[0], s.Failures)
		}
	}
	for _, i := range s.Instances {
		if i.Failed || i.Blocked || i.Pending != "" {
			return "", fmt.Errorf("instance %+v", i)
		}
	}
	return p[0], nil
}

// drbdHealthy checks that both sides are UpToDate and connected.
func (c *Cluster) drbdHealthy(ctx context.Context, node string) error {
	out, err := c.Rig.SSH(ctx, node, "drbdadm cstate res0; drbdadm dstate res0")
	if err != nil {
		return err
	}
	// With DRBD 9 and a tie-breaker there are two connections and a third disk.
	words := strings.Fields(strings.ReplaceAll(out, "/Diskless", ""))
	for i, w := range words {
		want := "Connected"
		if i == len(words)-1 {
			want = "UpToDate/UpToDate"
		}
		if w != want || len(words) < 2 {
			return fmt.Errorf("DRBD is %s", strings.Join(strings.Fields(out), " "))
		}
	}
	return nil
}
