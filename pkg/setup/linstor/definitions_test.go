package linstor_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	linstor "github.com/LINBIT/golinstor"
)

func (c *controller) getGroup(r *http.Request, _ object) reply {
	if g := c.groups[r.PathValue("group")]; g != nil {
		return reply{http.StatusOK, g}
	}
	return missing(linstor.FailNotFoundRscGrp, "Resource group")
}

func (c *controller) createGroup(_ *http.Request, in object) reply {
	name, _ := in["name"].(string)
	if c.groups[name] != nil {
		return failure(linstor.FailExistsRscGrp, "Resource group already exists.")
	}
	c.groups[name] = in
	return created("resource group")
}

// numeric are the options that LINSTOR takes as numbers only, without a suffix.
var (
	numeric = regexp.MustCompile(`/(c-max-rate|c-min-rate|resync-rate|c-fill-target|al-extents|max-buffers|max-epoch-size|sndbuf-size)$`)
	digits  = regexp.MustCompile(`^[0-9]+$`)
)

func (c *controller) createDefinition(_ *http.Request, in object) reply {
	rd := in["resource_definition"].(object)
	name, _ := rd["name"].(string)
	group, _ := rd["resource_group_name"].(string)
	switch {
	case c.rds[name] != nil:
		return failure(linstor.FailExistsRscDfn, "Resource definition already exists.")
	case c.groups[group] == nil:
		return missing(linstor.FailNotFoundRscGrp, "Resource group")
	}
	port, _ := in["drbd_port"].(float64)
	c.rds[name] = &definition{name: name, group: group, port: int(port), props: texts(rd["props"])}
	return created("resource definition")
}

func (c *controller) getDefinition(r *http.Request, _ object) reply {
	rd := c.rds[r.PathValue("rd")]
	if rd == nil {
		return missing(linstor.FailNotFoundRscDfn, "Resource definition")
	}
	return reply{http.StatusOK, object{
		"name": rd.name, "resource_group_name": rd.group, "props": rd.props, "flags": rd.flags, "uuid": "a-uuid",
		"layer_data": []object{
			{"type": "DRBD", "data": object{"port": rd.port, "secret": "made-by-linstor", "peer_slots": 7}},
			{"type": "STORAGE"},
		},
	}}
}

// modifyDefinition sets properties as a whole or not at all. LINSTOR notes who
// chose the quorum, and removes its own tie-breaker when it is told to.
func (c *controller) modifyDefinition(r *http.Request, in object) reply {
	rd := c.rds[r.PathValue("rd")]
	if rd == nil {
		return missing(linstor.FailNotFoundRscDfn, "Resource definition")
	}
	props := texts(in["override_props"])
	for k, v := range props {
		if numeric.MatchString(k) && !digits.MatchString(v) {
			return failure(linstor.FailInvldProp, "Invalid property value", object{
				"cause": "The value '" + v + "' is not valid for the key '" + k + "'", "details": "This value has to match (0 - 4194304).",
			})
		}
	}
	maps.Copy(rd.props, props)
	if _, ok := props["DrbdOptions/Resource/quorum"]; ok {
		rd.props["Internal/Drbd/QuorumSetBy"] = "user"
	}
	if props["DrbdOptions/auto-add-quorum-tiebreaker"] == "False" {
		rd.resources = slices.DeleteFunc(rd.resources, func(r *resource) bool { return slices.Contains(r.flags, "TIE_BREAKER") })
	}
	return modified("Resource definition")
}

func (c *controller) getVolume(r *http.Request, _ object) reply {
	rd := c.rds[r.PathValue("rd")]
	if rd == nil || rd.sizeKiB == 0 || r.PathValue("nr") != "0" {
		return missing(linstor.FailNotFoundVlmDfn, "Volume definition")
	}
	return reply{http.StatusOK, object{
		"volume_number": 0, "size_kib": rd.sizeKiB, "uuid": "a-uuid",
		"layer_data": []object{{"type": "DRBD", "data": object{"volume_number": 0, "minor_number": 1000}}, {"type": "STORAGE"}},
	}}
}

func (c *controller) createVolume(r *http.Request, in object) reply {
	rd := c.rds[r.PathValue("rd")]
	switch {
	case rd == nil:
		return missing(linstor.FailNotFoundRscDfn, "Resource definition")
	case rd.sizeKiB != 0:
		return failure(linstor.FailExistsVlmDfn, "Volume definition already exists.")
	}
	rd.sizeKiB = int64(in["volume_definition"].(object)["size_kib"].(float64))
	return created("volume definition")
}

func (d *definition) on(node string) *resource {
	for _, r := range d.resources {
		if strings.EqualFold(r.node, node) {
			return r
		}
	}
	return nil
}

func (c *controller) getResource(r *http.Request, _ object) reply {
	rd := c.rds[r.PathValue("rd")]
	if rd == nil || rd.on(r.PathValue("node")) == nil {
		return missing(linstor.FailNotFoundRsc, "Resource")
	}
	return reply{http.StatusOK, c.resourceJSON(rd, rd.on(r.PathValue("node")))}
}

func (c *controller) createResource(r *http.Request, in object) reply {
	rd, n := c.rds[r.PathValue("rd")], c.node(r.PathValue("node"))
	asked := in["resource"].(object)
	name, _ := asked["node_name"].(string)
	made := &resource{node: name, pool: texts(asked["props"])["StorPoolName"]}
	for _, f := range asList(asked["flags"]) {
		made.flags = append(made.flags, f.(string))
	}
	switch {
	case rd == nil || n == nil || n.name != name || asked["name"] != rd.name:
		return missing(linstor.FailNotFoundNode, "Node or resource definition")
	case rd.on(name) != nil:
		return failure(linstor.FailExistsRsc, "A resource already exists on the node.")
	case rd.sizeKiB == 0:
		return failure(linstor.FailNotFoundVlmDfn, "No volume definition.")
	case len(made.flags) == 0 && n.pools[made.pool] == nil:
		return failure(linstor.FailNotFoundDfltStorPool, "The storage pool '"+made.pool+"' does not exist.")
	}
	if len(made.flags) == 0 {
		c.free[name] -= rd.sizeKiB
	}
	rd.resources = append(rd.resources, made)
	if rd.props["Internal/Drbd/QuorumSetBy"] != "user" {
		rd.props["DrbdOptions/Resource/quorum"], rd.props["Internal/Drbd/QuorumSetBy"] = "majority", "linstor"
	}
	return created("resource")
}

func asList(v any) []any { l, _ := v.([]any); return l }

func (c *controller) resourceJSON(rd *definition, r *resource) object {
	o := object{"name": rd.name, "node_name": r.node, "flags": r.flags, "props": object{}, "uuid": "a-uuid"}
	v := object{"volume_number": 0, "storage_pool_name": r.pool, "provider_kind": "LVM", "state": object{"disk_state": r.state}}
	if len(r.flags) > 0 && !slices.Contains(r.flags, "INACTIVE") {
		v["storage_pool_name"], v["provider_kind"] = "DfltDisklessStorPool", "DISKLESS"
	} else {
		o["props"] = object{"StorPoolName": r.pool}
	}
	if r.state != "" {
		v["device_path"] = "/dev/drbd1000"
	}
	if r.report != "" {
		v["reports"] = rc(linstor.FailUnknownError, r.report)
	}
	o["volumes"] = []object{v}
	return o
}

// listResources shows a resource without a state until the satellite has
// deployed it. The first one with data becomes UpToDate.
func (c *controller) listResources(r *http.Request, _ object) reply {
	list := []object{}
	for _, name := range slices.Sorted(maps.Keys(c.rds)) {
		rd := c.rds[name]
		if only := r.URL.Query()["resources"]; len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		for i, res := range rd.resources {
			if res.looks >= 0 && c.node(res.node).status == "ONLINE" {
				if res.looks++; res.looks > c.deployIn && res.state == "" {
					res.state = map[bool]string{true: "UpToDate", false: "Inconsistent"}[i == 0]
					if len(res.flags) > 0 {
						res.state = "Diskless"
					}
				}
			}
			list = append(list, c.resourceJSON(rd, res))
		}
	}
	return reply{http.StatusOK, list}
}
