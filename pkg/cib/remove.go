package cib

import (
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/config"
)

// Remove returns a copy of current without the group, and what was taken out:
// its clone, the constraints that concern it alone, the fence devices and levels
// that Merge made, and the alert. Properties stay, and so does a fence device
// that somebody else made. A foreign object that names the group is an error:
// what becomes of it is for a person to decide.
func Remove(current *etree.Document, c *config.Config) (*etree.Document, []Change, error) {
	e, err := newEditor(current, c)
	if err != nil {
		return nil, nil, err
	}
	if err := e.findGroup(); err != nil {
		return nil, nil, err
	}
	e.dropConstraints()
	e.dropOwn("fencing-topology", func(el *etree.Element) bool { return strings.HasPrefix(id(el), common+"level-") })
	e.dropOwn("resources", func(el *etree.Element) bool { return el.Tag == "primitive" && isOwnDevice(el) })
	e.dropOwn("resources", func(el *etree.Element) bool { return el == e.clone })
	e.dropOwn("alerts", func(el *etree.Element) bool { return id(el) == alertID })
	for _, gone := range e.removed(current) {
		if users := e.references(gone); len(users) > 0 {
			return nil, nil, fmt.Errorf("%s names %s, which would be removed: remove that first: pcs constraint delete %s",
				strings.Join(users, ", "), gone, users[0])
		}
	}
	return e.doc, e.changes, nil
}

// dropConstraints takes out ours, and those that pcs and DRBD's handlers put on
// the group.
func (e *editor) dropConstraints() {
	e.dropOwn("constraints", func(el *etree.Element) bool {
		if e.ownLocation(el) {
			return true
		}
		temporary := strings.HasPrefix(id(el), "cli-") || strings.HasPrefix(id(el), "drbd-fence-")
		rsc := el.SelectAttrValue("rsc", "")
		return temporary && e.clone != nil && (rsc == id(e.clone) || rsc == id(e.primitive))
	})
}

// dropOwn takes elements of a section out.
func (e *editor) dropOwn(section string, own func(el *etree.Element) bool) {
	for _, el := range e.existing(section) {
		if !own(el) {
			continue
		}
		object := strings.TrimPrefix(el.Tag, "rsc_") + " " + id(el)
		ch := Change{Kind: Drop, Object: object, Detail: "made by drbdnfs"}
		if el == e.clone {
			ch.Interrupts = "clients lose the service: it stops on every node"
		}
		remove(el)
		e.note(ch)
	}
}

// removed lists the ids of resources that current has and the copy has not.
func (e *editor) removed(current *etree.Document) []string {
	left := resources(e.conf)
	return slices.DeleteFunc(resources(current.Root().SelectElement("configuration")), func(id string) bool {
		return slices.Contains(left, id)
	})
}

// resources lists the ids of primitives and clones.
func resources(conf *etree.Element) []string {
	var out []string
	for _, el := range conf.FindElements("resources//*[@id]") {
		if slices.Contains([]string{"clone", "master", "primitive"}, el.Tag) && id(el) != "" {
			out = append(out, id(el))
		}
	}
	return out
}

// references lists the objects that name a resource: constraints, resource
// sets, tags, access rules and fencing levels.
func (e *editor) references(resource string) []string {
	names := []string{"rsc", "with-rsc", "first", "then", "reference"}
	var out []string
	add := func(el *etree.Element) {
		for el.Parent() != nil && el.Parent().Parent() != e.conf {
			el = el.Parent()
		}
		if !slices.Contains(out, id(el)) {
			out = append(out, id(el))
		}
	}
	for _, el := range e.conf.FindElements(".//*") {
		for _, n := range names {
			if el.SelectAttrValue(n, "") == resource {
				add(el)
			}
		}
		refers := (el.Tag == "resource_ref" || el.Tag == "obj_ref") && id(el) == resource
		if refers || el.Tag == "fencing-level" && slices.Contains(fields(el.SelectAttrValue("devices", "")), resource) {
			add(el)
		}
	}
	return out
}
