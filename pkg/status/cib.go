package status

import (
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CIB is what a picture needs of Pacemaker's CIB.
type CIB struct {
	Properties  map[string]string
	Nodes       []string
	Groups      []GroupResource // resources of our agent
	Constraints []Constraint
	Operations  []Operation
	// FailCounts are by node and resource; infinity is Pacemaker's INFINITY.
	FailCounts map[string]map[string]int
	Fences     []string // fence devices
}

// GroupResource is one resource of our agent.
type GroupResource struct {
	ID         string
	Clone      string
	Parameters map[string]string
	Threshold  int // migration-threshold; 0: none
}

// Constraint is one that names a resource.
type Constraint struct {
	ID       string
	Resource string
	Node     string // may be empty
}

// Operation is the latest of its kind on a node.
type Operation struct {
	Node     string
	Resource string // without an instance's number
	Task     string
	OK       bool
	Reason   string
	Start    time.Time // to the second
	Took     time.Duration
}

// infinity is Pacemaker's INFINITY.
const infinity = 1000000

type cibDocument struct {
	XMLName    xml.Name  `xml:"cib"`
	Properties []cibPair `xml:"configuration>crm_config>cluster_property_set>nvpair"`
	Nodes      []struct {
		Name string `xml:"uname,attr"`
	} `xml:"configuration>nodes>node"`
	Clones     []cibClone     `xml:"configuration>resources>clone"`
	Masters    []cibClone     `xml:"configuration>resources>master"`
	Primitives []cibPrimitive `xml:"configuration>resources>primitive"`
	Rules      struct {
		List []struct {
			ID       string `xml:"id,attr"`
			Resource string `xml:"rsc,attr"`
			Node     string `xml:"node,attr"`
		} `xml:",any"`
	} `xml:"configuration>constraints"`
	States []cibState `xml:"status>node_state"`
}

type cibPair struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type cibClone struct {
	ID         string         `xml:"id,attr"`
	Meta       []cibPair      `xml:"meta_attributes>nvpair"`
	Primitives []cibPrimitive `xml:"primitive"`
}

type cibPrimitive struct {
	ID         string    `xml:"id,attr"`
	Class      string    `xml:"class,attr"`
	Provider   string    `xml:"provider,attr"`
	Type       string    `xml:"type,attr"`
	Parameters []cibPair `xml:"instance_attributes>nvpair"`
	Meta       []cibPair `xml:"meta_attributes>nvpair"`
}

type cibState struct {
	Name      string    `xml:"uname,attr"`
	Attrs     []cibPair `xml:"transient_attributes>instance_attributes>nvpair"`
	Resources []struct {
		ID  string `xml:"id,attr"`
		Ops []struct {
			Task   string `xml:"operation,attr"`
			Code   string `xml:"rc-code,attr"`
			Start  string `xml:"last-rc-change,attr"`
			Took   string `xml:"exec-time,attr"`
			Reason string `xml:"exit-reason,attr"`
		} `xml:"lrm_rsc_op"`
	} `xml:"lrm>lrm_resources>lrm_resource"`
}

// ParseCIB reads what "cibadmin --query" prints. What it does not know is
// skipped.
func ParseCIB(data []byte) (*CIB, error) {
	var d cibDocument
	if err := xml.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("cibadmin: %w", err)
	}
	c := &CIB{Properties: mapOf(d.Properties), FailCounts: map[string]map[string]int{}}
	for _, n := range d.Nodes {
		c.Nodes = append(c.Nodes, n.Name)
	}
	for _, clone := range slices.Concat(d.Clones, d.Masters) {
		for _, p := range clone.Primitives {
			if p.Class == "ocf" && p.Provider == "spacei" && p.Type == "drbdnfs" {
				c.Groups = append(c.Groups, groupResource(clone, p))
			}
		}
	}
	for _, p := range d.Primitives {
		if p.Class == "stonith" {
			c.Fences = append(c.Fences, p.ID)
		}
	}
	for _, r := range d.Rules.List {
		c.Constraints = append(c.Constraints, Constraint(r))
	}
	for _, s := range d.States {
		c.addState(s)
	}
	return c, nil
}

func groupResource(clone cibClone, p cibPrimitive) GroupResource {
	meta := mapOf(clone.Meta)
	maps.Copy(meta, mapOf(p.Meta))
	threshold, _ := strconv.Atoi(meta["migration-threshold"])
	return GroupResource{ID: p.ID, Clone: clone.ID, Parameters: mapOf(p.Parameters), Threshold: threshold}
}

func (c *CIB) addState(s cibState) {
	counts := map[string]int{}
	for _, a := range s.Attrs {
		if rest, ok := strings.CutPrefix(a.Name, "fail-count-"); ok { // fail-count-nfs#start_0
			resource, _, _ := strings.Cut(rest, "#")
			counts[withoutInstance(resource)] += score(a.Value)
		}
	}
	c.FailCounts[s.Name] = counts
	for _, r := range s.Resources {
		for _, o := range r.Ops {
			start, err := strconv.ParseInt(o.Start, 10, 64)
			if err != nil {
				continue
			}
			ms, _ := strconv.ParseInt(o.Took, 10, 64)
			c.Operations = append(c.Operations, Operation{
				Node: s.Name, Resource: withoutInstance(r.ID), Task: o.Task, OK: o.Code == "0", Reason: o.Reason,
				Start: time.Unix(start, 0), Took: time.Duration(ms) * time.Millisecond,
			})
		}
	}
}

func score(s string) int {
	if s == "INFINITY" {
		return infinity
	}
	n, _ := strconv.Atoi(s)
	return n
}

// withoutInstance cuts the number off that an anonymous clone's instance has.
func withoutInstance(id string) string {
	name, _, _ := strings.Cut(id, ":")
	return name
}

func mapOf(pairs []cibPair) map[string]string {
	out := map[string]string{}
	for _, p := range pairs {
		out[p.Name] = p.Value
	}
	return out
}

// group returns the resource with an id.
func (c *CIB) group(id string) (GroupResource, bool) {
	if c == nil {
		return GroupResource{}, false
	}
	i := slices.IndexFunc(c.Groups, func(g GroupResource) bool { return g.ID == id })
	if i < 0 {
		return GroupResource{}, false
	}
	return c.Groups[i], true
}
