package cib

import (
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// preference is what the preferred node is worth: less than the stickiness, so
// that the group does not move back by itself.
const preference = "50"

// location is a wanted constraint.
type location struct {
	id, rsc, node string
	preferred     bool // the node is preferred, instead of forbidden
	discover      bool // whether the node is still asked what runs there
	key           string
}

// group constraints and those of the fence devices.
func (e *editor) locations() error {
	var want []location
	g := e.c.Pacemaker.Group
	for _, n := range e.c.Nodes {
		if n.Diskless {
			want = append(want, location{id: g + "-diskless-" + name(n.Name), rsc: id(e.clone), node: n.Name, key: "node"})
		}
	}
	if p := e.c.Pacemaker.Preferred; p != "" {
		want = append(want, location{id: g + "-preferred", rsc: id(e.clone), node: p, preferred: true, key: "pacemaker.preferred"})
	}
	if e.stonith() {
		for i, d := range e.c.Fencing.Devices {
			if len(d.Targets) == 1 {
				dev := e.devs[i]
				want = append(want, location{id: dev + "-not-on-" + name(d.Targets[0]), rsc: dev, node: d.Targets[0], discover: true, key: "fencing.device"})
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
	return el.Tag == "rsc_location" && (strings.HasPrefix(id(el), g+"-diskless-") || id(el) == g+"-preferred" ||
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
		e.note(Change{Kind: Edit, Object: "location " + w.id, Detail: w.detail(), Key: w.key})
		return nil
	}
	if err := e.claim(w.id, "rename it"); err != nil {
		return err
	}
	e.fill(appendNew(e.section("constraints"), "rsc_location", "id", w.id), w)
	e.note(Change{Kind: Make, Object: "location " + w.id, Detail: w.detail(), Key: w.key})
	return nil
}

func (w location) detail() string {
	if w.preferred {
		return w.rsc + " is Promoted on " + w.node + " when all else is equal"
	}
	return w.rsc + " never runs on " + w.node
}

// fill gives a constraint its content.
func (e *editor) fill(el *etree.Element, w location) {
	el.CreateAttr("rsc", w.rsc)
	if !w.preferred {
		el.CreateAttr("node", w.node)
		el.CreateAttr("score", "-INFINITY")
		if !w.discover {
			el.CreateAttr("resource-discovery", "never")
		}
		return
	}
	rule := appendNew(el, "rule", "id", e.ruleID(el, w.id+"-rule"), "role", e.word("Promoted"), "score", preference)
	appendNew(rule, "expression", "id", e.ruleID(el, w.id+"-expression"), "attribute", "#uname", "operation", "eq", "value", w.node)
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
	if !w.preferred {
		discovery := el.SelectAttrValue("resource-discovery", "always")
		return el.SelectAttrValue("node", "") == w.node && el.SelectAttrValue("score", "") == "-INFINITY" &&
			(discovery == "never") != w.discover && len(el.ChildElements()) == 0
	}
	rules := el.SelectElements("rule")
	if len(rules) != 1 {
		return false
	}
	rule := rules[0]
	expressions := rule.ChildElements()
	if modernRole(rule.SelectAttrValue("role", "")) != "Promoted" || rule.SelectAttrValue("score", "") != preference || len(expressions) != 1 {
		return false
	}
	x := expressions[0]
	return x.SelectAttrValue("attribute", "") == "#uname" && x.SelectAttrValue("operation", "") == "eq" && x.SelectAttrValue("value", "") == w.node
}
