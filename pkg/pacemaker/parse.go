package pacemaker

import (
	"encoding/xml"
	"fmt"
	"html"
	"strings"
	"time"
)

// document is crm_mon's XML, as far as it is used. Pacemaker 2.1.5 and 2.1.7
// print the same of it (xml/api/crm_mon-2.25.rng and -2.29.rng).
type document struct {
	XMLName xml.Name `xml:"pacemaker-result"`
	Summary *struct {
		DC struct {
			Present boolean `xml:"present,attr"`
			Name    string  `xml:"name,attr"`
			Quorum  boolean `xml:"with_quorum,attr"`
		} `xml:"current_dc"`
		Options struct {
			Maintenance boolean `xml:"maintenance-mode,attr"`
		} `xml:"cluster_options"`
	} `xml:"summary"`
	Nodes []struct {
		Name        string  `xml:"name,attr"`
		Online      boolean `xml:"online,attr"`
		Pending     boolean `xml:"pending,attr"`
		Unclean     boolean `xml:"unclean,attr"`
		Standby     boolean `xml:"standby,attr"`
		Maintenance boolean `xml:"maintenance,attr"`
	} `xml:"nodes>node"`
	Resources struct {
		Clones []struct {
			ID       string  `xml:"id,attr"`
			Managed  string  `xml:"managed,attr"`
			Disabled boolean `xml:"disabled,attr"`
			members
		} `xml:"clone"`
		members
	} `xml:"resources"`
	Attributes []struct {
		Node string `xml:"name,attr"`
		List []struct {
			Name  string `xml:"name,attr"`
			Value string `xml:"value,attr"`
		} `xml:"attribute"`
	} `xml:"node_attributes>node"`
	Failures []failure `xml:"failures>failure"`
	Bans     []struct {
		ID       string  `xml:"id,attr"`
		Resource string  `xml:"resource,attr"`
		Node     string  `xml:"node,attr"`
		Promoted boolean `xml:"promoted-only,attr"`
		Master   boolean `xml:"master_only,attr"` // the only one before 2.1
	} `xml:"bans>ban"`
	Errors []string `xml:"status>errors>error"`
}

// members are primitives, by themselves or in groups.
type members struct {
	Primitives []primitive `xml:"resource"`
	Grouped    []primitive `xml:"group>resource"`
}

type primitive struct {
	ID      string  `xml:"id,attr"`
	Role    string  `xml:"role,attr"`
	Pending string  `xml:"pending,attr"`
	Managed string  `xml:"managed,attr"`
	Failed  boolean `xml:"failed,attr"`
	Nodes   []struct {
		Name string `xml:"name,attr"`
	} `xml:"node"`
}

type failure struct {
	Key    string `xml:"op_key,attr"`
	Node   string `xml:"node,attr"`
	Task   string `xml:"task,attr"`
	Result string `xml:"exitstatus,attr"`
	Reason string `xml:"exitreason,attr"`
	When   string `xml:"last-rc-change,attr"`
}

// boolean is "true" or anything else. A word that is new must not make the rest
// unreadable.
type boolean bool

// UnmarshalXMLAttr implements [xml.UnmarshalerAttr].
func (b *boolean) UnmarshalXMLAttr(attr xml.Attr) error {
	*b = attr.Value == "true"
	return nil
}

// Parse reads what "crm_mon --one-shot --output-as=xml" prints.
//
// A crm_mon that could not reach the CIB ends well and prints no summary: that
// is [ErrNoAnswer], for it must not be taken for a cluster in which nothing
// runs. Unknown elements, attributes and words are skipped.
func Parse(data []byte) (Status, error) {
	var d document
	if err := xml.Unmarshal(data, &d); err != nil {
		return Status{}, err
	}
	if d.Summary == nil {
		if why := strings.Join(d.Errors, "; "); why != "" {
			return Status{}, fmt.Errorf("%w: %s", ErrNoAnswer, why)
		}
		return Status{}, ErrNoAnswer
	}
	st := Status{
		HasDC:       bool(d.Summary.DC.Present),
		Maintenance: bool(d.Summary.Options.Maintenance),
		Alone:       d.Resources.instances(),
	}
	if st.HasDC {
		st.DC, st.Quorum = d.Summary.DC.Name, bool(d.Summary.DC.Quorum)
	}
	for _, c := range d.Resources.Clones {
		st.Clones = append(st.Clones, Clone{c.ID, c.Managed == "false", bool(c.Disabled), c.instances()})
	}
	for _, f := range d.Failures {
		st.FailedActions = append(st.FailedActions, f.failure())
	}
	for _, b := range d.Bans {
		st.Bans = append(st.Bans, Ban{b.ID, b.Resource, b.Node, bool(b.Promoted || b.Master)})
	}
	st.Nodes = d.nodes()
	return st, nil
}

func (d *document) nodes() []Node {
	attributes := map[string]map[string]string{}
	for _, a := range d.Attributes {
		for _, v := range a.List {
			if attributes[a.Node] == nil {
				attributes[a.Node] = map[string]string{}
			}
			attributes[a.Node][v.Name] = v.Value
		}
	}
	var out []Node
	for _, n := range d.Nodes {
		out = append(out, Node{
			Name: n.Name, Online: bool(n.Online), Pending: bool(n.Pending), Unclean: bool(n.Unclean),
			Standby: bool(n.Standby), Maintenance: bool(n.Maintenance), Attributes: attributes[n.Name],
		})
	}
	return out
}

func (m members) instances() []Instance {
	var out []Instance
	for _, list := range [][]primitive{m.Primitives, m.Grouped} {
		for _, p := range list {
			i := Instance{
				Resource: baseName(p.ID), Role: p.Role, Pending: p.Pending,
				Unmanaged: p.Managed == "false", Failed: bool(p.Failed),
			}
			for _, n := range p.Nodes {
				i.Nodes = append(i.Nodes, n.Name)
			}
			out = append(out, i)
		}
	}
	return out
}

// baseName cuts the number off that an instance of an anonymous clone may have
// behind its name.
func baseName(id string) string {
	name, _, _ := strings.Cut(id, ":")
	return name
}

func (f failure) failure() Failure {
	resource, task := splitKey(f.Key, f.Task)
	return Failure{
		Resource: resource, Task: task, Node: f.Node, Result: f.Result,
		// crm_mon escapes the reason twice (seen with 2.1.5, and so do 2.0.5 and
		// 2.1.7: lib/pengine/pe_output.c, failed_action_xml).
		Reason: html.UnescapeString(f.Reason),
		When:   parseTime(f.When),
	}
}

// splitKey takes "nfs_start_0" apart. The task is only told by itself where
// the time is; its own name may hold an underscore.
func splitKey(key, task string) (string, string) {
	if task == "" {
		rest, _ := cutLast(key)
		if rest, task = cutLast(rest); task == "to" || task == "from" {
			_, first := cutLast(rest)
			task = first + "_" + task
		}
	}
	if i := strings.LastIndex(key, "_"+task+"_"); i >= 0 {
		key = key[:i]
	}
	return baseName(key), task
}

func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, '_')
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// timeLayouts are how Pacemaker writes a time: in UTC, with an offset, and as
// ctime(3) does.
var timeLayouts = []string{"2006-01-02 15:04:05Z", "2006-01-02 15:04:05 -07:00", time.ANSIC}

// parseTime returns the zero time for what it does not understand.
func parseTime(s string) time.Time {
	for i, layout := range timeLayouts {
		zone := time.UTC
		if i == 2 {
			zone = time.Local
		}
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t
		}
	}
	return time.Time{}
}
