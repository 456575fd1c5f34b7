package cib

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/config"
)

// stonith reports whether nodes are fenced.
func (e *editor) stonith() bool {
	return e.c.Fencing.Mode == config.FencingSTONITH || e.c.Fencing.Mode == config.FencingDRBD
}

// priorityDelay is the head start of the node that serves, 0 for none. Two nodes
// that fence each other would otherwise both be gone.
func (e *editor) priorityDelay() time.Duration {
	const twoNodes = 15 * time.Second
	d := e.c.Fencing.PriorityDelay.D()
	switch {
	case !e.stonith():
		return 0
	case d == 0 && len(e.c.Nodes) == 2:
		return twoNodes
	}
	return d
}

// devices makes and edits the fence devices.
func (e *editor) devices() error {
	if !e.stonith() {
		return nil
	}
	for _, d := range e.c.Fencing.Devices {
		el, err := e.device(d)
		if err != nil {
			return err
		}
		e.devs = append(e.devs, id(el))
	}
	return nil
}

// device makes the resource of one fence device, or edits the one that has the
// device's name.
func (e *editor) device(d config.FenceDevice) (*etree.Element, error) {
	want := common + name(d.Name)
	for _, p := range e.conf.FindElements("resources//primitive") {
		if id(p) != want && id(p) != d.Name || isGroup(p, e.c) {
			continue
		}
		if agentOf(p) != "stonith:"+d.Agent {
			return nil, fmt.Errorf("the resource %q in the CIB is %s, not the fence device stonith:%s: rename the device in fencing.device, or remove it: pcs stonith delete %s",
				id(p), agentOf(p), d.Agent, id(p))
		}
		e.editDevice(p, d)
		return p, nil
	}
	if err := e.claim(want, "rename the device in fencing.device"); err != nil {
		return nil, err
	}
	el := appendNew(e.section("resources"), "primitive", "id", want, "class", "stonith", "type", d.Agent)
	made := Change{
		Kind: Make, Object: "fence device " + want, Key: "fencing.device",
		Detail: "stonith:" + d.Agent + " for " + strings.Join(d.Targets, ", "),
	}
	e.asOne(made, func() { e.editDevice(el, d) })
	return el, nil
}

func isGroup(p *etree.Element, c *config.Config) bool {
	return id(p) == c.Pacemaker.Group && isAgent(p)
}

func (e *editor) editDevice(el *etree.Element, d config.FenceDevice) {
	var want []pair
	targets := true
	for _, k := range slices.Sorted(maps.Keys(d.Parameters)) {
		want = append(want, pair{name: k, value: d.Parameters[k], hidden: true, key: "fencing.device"})
		targets = targets && k != "pcmk_host_map" && k != "pcmk_host_list"
	}
	if targets && len(d.Targets) > 0 {
		want = append(want, pair{name: "pcmk_host_list", value: strings.Join(d.Targets, " "), same: sameList, key: "fencing.device"})
	}
	object := "fence device " + id(el)
	e.nvset(el, "instance_attributes", id(el)+"-instance_attributes", object, want)
	if len(el.FindElements("operations/op[@name='monitor']")) > 0 {
		return
	}
	appendNew(child(el, "operations"), "op", "id", e.unused(id(el)+"-monitor"), "name", "monitor", "interval", "60s", "timeout", "60s")
	e.note(Change{Kind: Make, Object: "operation monitor of " + id(el), Detail: "every 60s"})
}

// dropDevices takes out the devices that are no longer in the configuration,
// after the constraints and levels that name them.
func (e *editor) dropDevices() {
	for _, el := range e.existing("resources") {
		if el.Tag != "primitive" || !isOwnDevice(el) || slices.Contains(e.devs, id(el)) {
			continue
		}
		if users := e.references(id(el)); len(users) > 0 {
			e.note(Change{
				Kind: Drift, Object: "fence device " + id(el),
				Detail: "no longer in the configuration, but " + strings.Join(users, ", ") + " names it",
			})
			continue
		}
		remove(el)
		e.note(Change{Kind: Drop, Object: "fence device " + id(el), Detail: "no longer in the configuration"})
	}
}

func isOwnDevice(el *etree.Element) bool {
	return el.SelectAttrValue("class", "") == "stonith" && strings.HasPrefix(id(el), common)
}

// level is one wanted level of the fencing topology.
type level struct {
	target, index, devices string
}

func (e *editor) wantedLevels() []level {
	if !e.stonith() || !slices.ContainsFunc(e.c.Fencing.Devices, func(d config.FenceDevice) bool { return d.Level > 1 }) {
		return nil
	}
	var out []level
	for _, n := range e.c.Nodes {
		devs := map[int][]string{}
		for i, d := range e.c.Fencing.Devices {
			if slices.Contains(d.Targets, n.Name) {
				index := max(d.Level, 1)
				devs[index] = append(devs[index], e.devs[i])
			}
		}
		for _, index := range slices.Sorted(maps.Keys(devs)) {
			out = append(out, level{n.Name, strconv.Itoa(index), strings.Join(devs[index], ",")})
		}
	}
	return out
}

// levels makes the fencing topology, when a device has a level of its own.
func (e *editor) levels() {
	var kept []*etree.Element
	for _, w := range e.wantedLevels() {
		el, object := e.findLevel(w), fmt.Sprintf("fencing level %s of %s", w.index, w.target)
		switch {
		case el == nil:
			el = appendNew(e.section("fencing-topology"), "fencing-level", "id", e.unused(common+"level-"+name(w.target)+"-"+w.index),
				"target", w.target, "index", w.index, "devices", w.devices)
			e.note(Change{Kind: Make, Object: object, Detail: w.devices, Key: "fencing.device"})
		case !slices.Equal(fields(el.SelectAttrValue("devices", "")), fields(w.devices)):
			e.note(Change{Kind: Edit, Object: object, Detail: el.SelectAttrValue("devices", "none") + " → " + w.devices, Key: "fencing.device"})
			el.CreateAttr("devices", w.devices)
		}
		kept = append(kept, el)
	}
	for _, el := range e.existing("fencing-topology") {
		if strings.HasPrefix(id(el), common+"level-") && !slices.Contains(kept, el) {
			e.note(Change{Kind: Drop, Object: "fencing level " + id(el), Detail: "no longer in the configuration"})
			remove(el)
		}
	}
}

func (e *editor) findLevel(w level) *etree.Element {
	for _, el := range e.existing("fencing-topology") {
		if el.SelectAttrValue("target", "") == w.target && el.SelectAttrValue("index", "") == w.index {
			return el
		}
	}
	return nil
}
