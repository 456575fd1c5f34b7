package cib

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/config"
)

// ErrShared reports that a hand-made resource cannot be taken out of the CIB
// without something else: the error says what, and what to do.
var ErrShared = errors.New("other resources depend on the hand-made ones")

// Handmade are the resources of a CIB that together do by hand what the group
// is to do: stock agents on its DRBD resource, mount, exports and addresses.
type Handmade struct {
	Tops       []string // ids of what to stop and remove as a whole: clones, groups, primitives
	Primitives []string // ids of the primitives in them
}

// Found reports whether there are any.
func (h Handmade) Found() bool { return len(h.Primitives) > 0 }

// FindHandmade returns the hand-made resources of current that serve what c is
// about. A group or a constraint that has foreign resources as well is
// [ErrShared].
func FindHandmade(current *etree.Document, c *config.Config) (Handmade, error) {
	e, err := newEditor(current, c)
	if err != nil {
		return Handmade{}, err
	}
	return e.handmade()
}

// StopHandmade returns a copy of current in which the hand-made resources are to
// be stopped.
func StopHandmade(current *etree.Document, c *config.Config) (*etree.Document, []Change, error) {
	e, err := newEditor(current, c)
	if err != nil {
		return nil, nil, err
	}
	h, err := e.handmade()
	if err != nil {
		return nil, nil, err
	}
	for _, top := range h.Tops {
		el := e.conf.FindElement("resources//*[@id='" + top + "']")
		e.nvset(el, "meta_attributes", top+"-meta_attributes", el.Tag+" "+top, []pair{{name: "target-role", value: "Stopped"}})
	}
	return e.doc, e.changes, nil
}

// ReplaceHandmade is [Merge] of a copy of current without the hand-made
// resources and the constraints that concern them alone.
func ReplaceHandmade(current *etree.Document, c *config.Config) (*etree.Document, []Change, error) {
	e, err := newEditor(current, c)
	if err != nil {
		return nil, nil, err
	}
	h, err := e.handmade()
	if err != nil {
		return nil, nil, err
	}
	gone := slices.Concat(h.Tops, h.Primitives)
	e.dropOwn("constraints", func(el *etree.Element) bool { return concerns(el, gone) })
	e.dropOwn("resources", func(el *etree.Element) bool { return slices.Contains(h.Tops, id(el)) })
	for i := range e.changes {
		e.changes[i].Detail = "made by hand, the group takes its place"
	}
	doc, changes, err := Merge(e.doc, c)
	return doc, slices.Concat(e.changes, changes), err
}

// handmade finds the resources, and makes sure that they can go as a whole.
func (e *editor) handmade() (Handmade, error) {
	var h Handmade
	for _, p := range e.conf.FindElements("resources//primitive") {
		if e.servesByHand(p) {
			h.Primitives = append(h.Primitives, id(p))
		}
	}
	for _, p := range e.conf.FindElements("resources//primitive") {
		if !slices.Contains(h.Primitives, id(p)) {
			continue
		}
		top := p
		for top.Parent().Tag != "resources" {
			top = top.Parent()
		}
		for _, other := range top.FindElements(".//primitive") {
			if !slices.Contains(h.Primitives, id(other)) {
				return Handmade{}, fmt.Errorf("%w: %s holds %s as well: take it out first: pcs resource ungroup %s %s",
					ErrShared, id(top), id(other), id(top), id(other))
			}
		}
		if !slices.Contains(h.Tops, id(top)) {
			h.Tops = append(h.Tops, id(top))
		}
	}
	return h, e.separable(slices.Concat(h.Tops, h.Primitives))
}

// separable refuses what names both a resource that goes and something else.
func (e *editor) separable(gone []string) error {
	for _, resource := range gone {
		for _, user := range e.references(resource) {
			el := e.conf.FindElement(".//*[@id='" + user + "']")
			if el == nil || concerns(el, gone) {
				continue
			}
			return fmt.Errorf("%w: %s names %s and something else: remove it first, and make it anew for the group: pcs constraint delete %s",
				ErrShared, user, resource, user)
		}
	}
	return nil
}

// concerns reports whether el is a constraint on nothing but those resources.
func concerns(el *etree.Element, resources []string) bool {
	if !strings.HasPrefix(el.Tag, "rsc_") {
		return false
	}
	n := 0
	for _, part := range slices.Concat([]*etree.Element{el}, el.FindElements(".//resource_ref")) {
		for _, name := range []string{"rsc", "with-rsc", "first", "then"} {
			if v := part.SelectAttrValue(name, ""); v != "" {
				n++
				if !slices.Contains(resources, v) {
					return false
				}
			}
		}
		if part.Tag == "resource_ref" {
			n++
			if !slices.Contains(resources, id(part)) {
				return false
			}
		}
	}
	return n > 0
}

// servesByHand reports whether a primitive of a stock agent does a part of the
// group's work.
func (e *editor) servesByHand(p *etree.Element) bool {
	value := func(name string) string {
		v, _ := valueOf(p, "instance_attributes", name)
		return v
	}
	standard, kind := p.SelectAttrValue("class", ""), p.SelectAttrValue("type", "")
	if standard != class {
		unit := strings.TrimSuffix(kind, ".service")
		return slices.Contains([]string{"systemd", "service", "lsb"}, standard) &&
			slices.Contains([]string{"nfs-server", "nfs-kernel-server", "nfs", "nfsserver"}, unit)
	}
	mount := e.c.Filesystem.Mount
	switch kind {
	case "drbd":
		return value("drbd_resource") == e.c.Resource.Name
	case "Filesystem":
		return path.Clean(value("directory")) == mount
	case "exportfs":
		dir := path.Clean(value("directory"))
		return dir == mount || strings.HasPrefix(dir, mount+"/")
	case "nfsserver", "nfsnotify":
		return true
	case "IPaddr2", "IPaddr":
		return slices.ContainsFunc(e.c.VIPs, func(v config.VIP) bool { return bare(v.Address) == bare(value("ip")) })
	}
	return false
}
