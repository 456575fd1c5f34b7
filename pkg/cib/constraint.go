package cib

import (
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// preference is what the preferred node is worth. However small, the group goes
// back to that node by itself once its data is good again: both nodes have an
// instance, so that stickiness does not hold the promoted role (crm_simulate
// 2.1.5).
const preference = "50"

// VictimAttribute is the node attribute with which drbdnfsd says that what a node
// wrote in a split brain of a resource is to be discarded.
func VictimAttribute(resource string) string { return "drbdnfs-victim-" + resource }

// location is a wanted constraint: on where a resource is promoted, or that it
// never runs on a node.
type location struct {
	id, rsc  string
	node     string // where it never runs
	promoted *rule  // instead of node
	discover bool   // whether the node is still asked what runs there
	key      string
	detail   string
}

// rule gives a score for being promoted to the nodes with an attribute.
type rule struct{ attribute, value, score string }

// group constraints and those of the fence devices.
func (e *editor) locations() error {
	var want []location
	g := e.c.Pacemaker.Group
	for _, n := range e.c.Nodes {
		if n.Diskless {
			want = append(want, location{id: g + "-diskless-" + name(n.Name), rsc: id(e.clone), node: n.Name, key: "node", detail: never(id(e.clone), n.Name)})
		}
	}
	if p := e.c.Pacemaker.Preferred; p != "" {
		want = append(want, location{
			id: g + "-preferred", rsc: id(e.clone), promoted: &rule{"#uname", p, preference}, key: "pacemaker.preferred",
			detail: id(e.clone) + " is Promoted on " + p + " when all else is equal",
		})
	}
	want = append(want, location{
		id: g + "-no-victim", rsc: id(e.clone), promoted: &rule{VictimAttribute(e.c.Resource.Name), "1", "-INFINITY"}, key: "split_brain.policy",
		detail: id(e.clone) + " is never Promoted where drbdnfsd discards data",
	})
	if e.stonith() {
		for i, d := range e.c.Fencing.Devices {
			if len(d.Targets) == 1 {
				dev := e.devs[i]
				want = append(want, location{
					id: dev + "-not-on-" + name(d.Targets[0]), rsc: dev, node: d.Targets[0], discover: true, key: "fencing.device", detail: never(dev, d.Targets[0]),
				})
			}
		}
	}
	for _, w := range want {
		if err := e.locate(w); err != nil {
			return err
		}
	}
	e.dropLocations(want)
	return nil
}

// ownLocation reports whether a constraint is one that locations makes.
func (e *editor) ownLocation(el *etree.Element) bool {
	g := e.c.Pacemaker.Group
	return el.Tag == "rsc_location" && (strings.HasPrefix(id(el), g+"-diskless-") || id(el) == g+"-preferred" || id(el) == g+"-no-victim" ||
		strings.HasPrefix(id(el), common) && strings.Contains(id(el), "-not-on-"))
}

func (e *editor) dropLocations(want []location) {
	for _, el := range e.existing("constraints") {
		wanted := slices.ContainsFunc(want, func(w location) bool { return w.id == id(el) })
		if !wanted && e.ownLocation(el) {
			remove(el)
			e.note(Change{Kind: Drop, Object: "location " + id(el), Detail: "no longer in the configuration"})
		}
	}
}

// locate makes one constraint, unless one with any id does the same.
func (e *editor) locate(w location) error {
	there := e.existing("constraints")
	if slices.ContainsFunc(there, w.matches) {
		return nil
	}
	for _, el := range there {
		if id(el) != w.id || el.Tag != "rsc_location" {
			continue
		}
		for _, token := range slices.Clone(el.Child) {
			el.RemoveChild(token)
		}
		el.Attr = el.Attr[:0]
		el.CreateAttr("id", w.id)
		e.fill(el, w)
		e.note(Change{Kind: Edit, Object: "location " + w.id, Detail: w.detail, Key: w.key})
		return nil
	}
	if err := e.claim(w.id, "rename it"); err != nil {
		return err
	}
	e.fill(appendNew(e.section("constraints"), "rsc_location", "id", w.id), w)
	e.note(Change{Kind: Make, Object: "location " + w.id, Detail: w.detail, Key: w.key})
	return nil
}

func never(rsc, node string) string { return rsc + " never runs on " + node }

// fill gives a constraint its content.
func (e *editor) fill(el *etree.Element, w location) {
	el.CreateAttr("rsc", w.rsc)
	if w.promoted == nil {
		el.CreateAttr("node", w.node)
		el.CreateAttr("score", "-INFINITY")
		if !w.discover {
			el.CreateAttr("resource-discovery", "never")
		}
		return
	}
	rule := appendNew(el, "rule", "id", e.ruleID(el, w.id+"-rule"), "role", e.word("Promoted"), "score", w.promoted.score)
	appendNew(rule, "expression", "id", e.ruleID(el, w.id+"-expression"), "attribute", w.promoted.attribute, "operation", "eq", "value", w.promoted.value)
}

// ruleID is want unless an element outside of el has it.
func (e *editor) ruleID(el *etree.Element, want string) string {
	for _, other := range e.conf.FindElements(".//*[@id]") {
		if id(other) == want && other.Parent() != el {
			return e.unused(want)
		}
	}
	e.ids[want] = true
	return want
}

// matches reports whether a constraint does what w asks for.
func (w location) matches(el *etree.Element) bool {
	if el.Tag != "rsc_location" || el.SelectAttrValue("rsc", "") != w.rsc {
		return false
	}
	if w.promoted == nil {
		discovery := el.SelectAttrValue("resource-discovery", "always")
		return el.SelectAttrValue("node", "") == w.node && el.SelectAttrValue("score", "") == "-INFINITY" &&
			(discovery == "never") != w.discover && len(el.ChildElements()) == 0
	}
	rules := el.SelectElements("rule")
	if len(rules) != 1 {
		return false
	}
	expressions := rules[0].ChildElements()
	if modernRole(rules[0].SelectAttrValue("role", "")) != "Promoted" || rules[0].SelectAttrValue("score", "") != w.promoted.score || len(expressions) != 1 {
		return false
	}
	x := expressions[0]
	return x.SelectAttrValue("attribute", "") == w.promoted.attribute && x.SelectAttrValue("operation", "") == "eq" &&
		x.SelectAttrValue("value", "") == w.promoted.value
}
