package switchover

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/host"
)

// forecast is what Pacemaker would do, as crm_simulate says.
type forecast struct {
	Promotes []string // nodes on which the group would become promoted
	Demotes  []string // nodes on which it would stop being that
	Disturbs []string // other resources that would stop, move or restart, in words
	Fences   []string
}

// planned is crm_simulate's XML.
type planned struct {
	Actions []change `xml:"actions>rsc_action"`
	Fencing []struct {
		Node string `xml:"node,attr"`
	} `xml:"actions>node_action"`
}

// change is what happens to one instance of a resource. Where its node or its
// role stays, there is one attribute for it.
type change struct {
	Action   string `xml:"action,attr"`
	Resource string `xml:"resource,attr"`
	Role     string `xml:"role,attr"`
	Next     string `xml:"next-role,attr"`
	Node     string `xml:"node,attr"`
	Source   string `xml:"source,attr"`
	Dest     string `xml:"dest,attr"`
	Blocked  string `xml:"blocked,attr"`
}

// places are the node and the node and role after it.
func (a change) places() (from, to, role string) {
	from = cmp.Or(a.Source, a.Node, a.Dest)
	to = cmp.Or(a.Dest, a.Node, a.Source)
	role = cmp.Or(a.Next, a.Role)
	switch {
	case a.Action == "stop", a.Action == "demote":
		role = cmp.Or(a.Next, "Unpromoted")
	case a.Action == "promote" && a.Next == "":
		role = "Promoted"
	}
	return from, to, role
}

// simulate asks the scheduler, on this machine alone, what it would make of a
// CIB.
func (s *Switch) simulate(ctx context.Context, doc *etree.Document) (forecast, error) {
	text, err := doc.WriteToBytes()
	if err != nil {
		return forecast{}, err
	}
	out, err := s.run(ctx, simulateTimeout, host.Cmd{
		Op: "switchover.simulate", Name: "crm_simulate", Args: []string{"--run", "--xml-pipe", "--output-as=xml"}, Stdin: text,
	})
	if err != nil {
		return forecast{}, fmt.Errorf("ask what Pacemaker would do: %w", err)
	}
	var p planned
	if err := xml.Unmarshal(out, &p); err != nil {
		return forecast{}, fmt.Errorf("crm_simulate: %w", err)
	}
	return p.forecast(s.group), nil
}

// quiet actions of other resources end nothing.
var quiet = []string{"start", "promote", "leave", "monitor", "reload"}

func promotedWord(role string) bool { return role == "Promoted" || role == "Master" }

func (p planned) forecast(group string) forecast {
	var f forecast
	for _, a := range p.Actions {
		node, to, next := a.places()
		switch {
		case a.Blocked == "true":
		case instanceOf(a.Resource) != group:
			if !slices.Contains(quiet, a.Action) {
				f.Disturbs = append(f.Disturbs, fmt.Sprintf("%s (%s on %s)", a.Resource, a.Action, node))
			}
		case promotedWord(next) && (!promotedWord(a.Role) || to != node):
			f.Promotes = append(f.Promotes, to)
		case promotedWord(a.Role) && !promotedWord(next):
			f.Demotes = append(f.Demotes, node)
		}
	}
	for _, n := range p.Fencing {
		f.Fences = append(f.Fences, n.Node)
	}
	return f
}

// beyond is what f has and other has not, of other resources.
func (f forecast) beyond(other forecast) []string {
	return slices.DeleteFunc(slices.Clone(f.Disturbs), func(d string) bool { return slices.Contains(other.Disturbs, d) })
}

// withHold is doc with the constraint.
func withHold(doc *etree.Document, h Hold, group, clone, role string) *etree.Document {
	out := withoutHold(doc, group)
	conf := out.FindElement("./cib/configuration")
	constraints := conf.SelectElement("constraints")
	if constraints == nil {
		constraints = conf.CreateElement("constraints")
	}
	constraints.AddChild(h.element(group, clone, role))
	return out
}

// withoutHold is doc without the constraint.
func withoutHold(doc *etree.Document, group string) *etree.Document {
	out := doc.Copy()
	if el := out.FindElement("./cib/configuration/constraints/rsc_location[@id='" + ConstraintID(group) + "']"); el != nil {
		el.Parent().RemoveChild(el)
	}
	return out
}

// withoutFailures is doc without the fail counts of the group on a node.
func withoutFailures(doc *etree.Document, group, node string) *etree.Document {
	out := doc.Copy()
	state := nodeState(out, node)
	if state == nil {
		return out
	}
	for _, v := range state.FindElements("./transient_attributes/instance_attributes/nvpair") {
		if failCount(v, group) {
			v.Parent().RemoveChild(v)
		}
	}
	return out
}

// withStandby is doc with a node in standby.
func withStandby(doc *etree.Document, node string) *etree.Document {
	out := doc.Copy()
	for _, n := range out.FindElements("./cib/configuration/nodes/node") {
		if n.SelectAttrValue("uname", "") != node {
			continue
		}
		set := n.SelectElement("instance_attributes")
		if set == nil {
			set = n.CreateElement("instance_attributes")
			set.CreateAttr("id", "drbdnfs-forecast")
		}
		v := set.CreateElement("nvpair")
		v.CreateAttr("id", "drbdnfs-forecast-standby")
		v.CreateAttr("name", "standby")
		v.CreateAttr("value", "on")
	}
	return out
}

func nodeState(doc *etree.Document, node string) *etree.Element {
	for _, s := range doc.FindElements("./cib/status/node_state") {
		if s.SelectAttrValue("uname", "") == node {
			return s
		}
	}
	return nil
}

// swapped is doc as it is after a move: the group's history and its promotion
// scores have changed sides. What the scheduler makes of that says whether the
// service stays.
func swapped(doc *etree.Document, group, a, b string) *etree.Document {
	out := withoutHold(doc, group)
	x, y := nodeState(out, a), nodeState(out, b)
	if x == nil || y == nil {
		return out
	}
	swapChildren(groupHistory(x, group), groupHistory(y, group))
	v, w := scoreOf(x, group), scoreOf(y, group)
	if v != nil && w != nil {
		was := v.SelectAttrValue("value", "")
		v.CreateAttr("value", w.SelectAttrValue("value", ""))
		w.CreateAttr("value", was)
	}
	return out
}

func groupHistory(state *etree.Element, group string) *etree.Element {
	for _, r := range state.FindElements("./lrm/lrm_resources/lrm_resource") {
		if instanceOf(r.SelectAttrValue("id", "")) == group {
			return r
		}
	}
	return nil
}

func swapChildren(a, b *etree.Element) {
	if a == nil || b == nil {
		return
	}
	x, y := a.ChildElements(), b.ChildElements()
	for _, el := range x {
		b.AddChild(el)
	}
	for _, el := range y {
		a.AddChild(el)
	}
}

func scoreOf(state *etree.Element, group string) *etree.Element {
	for _, v := range state.FindElements("./transient_attributes/instance_attributes/nvpair") {
		if v.SelectAttrValue("name", "") == scoreAttribute(group) {
			return v
		}
	}
	return nil
}

// favours lists the constraints that want the group, or its promoted instance,
// on a node.
func favours(doc *etree.Document, group, clone, node string) []string {
	var out []string
	for _, el := range doc.FindElements("./cib/configuration/constraints/rsc_location") {
		rsc, id := el.SelectAttrValue("rsc", ""), el.SelectAttrValue("id", "")
		if rsc != group && rsc != clone || id == ConstraintID(group) {
			continue
		}
		if el.SelectAttrValue("node", "") == node && wants(el) {
			out = append(out, id)
		}
		for _, rule := range el.SelectElements("rule") {
			for _, x := range rule.SelectElements("expression") {
				eq := x.SelectAttrValue("operation", "") == "eq" && x.SelectAttrValue("value", "") == node
				if eq && wants(rule) && !slices.Contains(out, id) {
					out = append(out, id)
				}
			}
		}
	}
	return out
}

// wants reports whether the score of a constraint or rule is positive.
func wants(el *etree.Element) bool {
	score := el.SelectAttrValue("score", "")
	return score != "" && score != "0" && !strings.HasPrefix(score, "-")
}
