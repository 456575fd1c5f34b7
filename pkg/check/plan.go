package check

import (
	"strings"

	"github.com/spacei/drbdnfs/pkg/setup"
)

// stageArea is the area of a stage's items that no check of its own is for.
func stageArea(stage string) Area {
	switch stage {
	case setup.LINSTOR, setup.DRBDADM, setup.Filesystem:
		return Storage
	case setup.Cluster, setup.CIB:
		return Cluster
	case setup.Sync:
		return DRBD
	}
	return Services
}

// named are the items of setup that have a check of their own, by stage and the
// beginning of their object. Those of drop say what another check says better.
var named = []struct{ stage, object, id string }{
	{setup.Host, "clock", "time-sync"},
	{setup.Host, "path to ", "path"},
	{setup.Host, "name ", "names"},
	{setup.Host, "/etc/hosts", "names"},
	{setup.Host, "firewall", "firewall"},
	{setup.Host, "nfs-server.service", "nfs-server"},
	{setup.Host, "/etc/exports", "nfs-server"},
	{setup.Host, "drbdnfsd.service", "daemon"},
	{setup.Host, "/etc/nfs.conf", "state-pipefs"},
	{setup.Host, "rpc_pipefs on ", "state-pipefs"},
	{setup.Cluster, "corosync and Pacemaker", "cluster-units"},
	{setup.Cluster, "membership of ", drop},
	{setup.CIB, "fencing", "fencing-risk"},
	{setup.Sync, "", "redundancy"},
}

const drop = ""

// plan translates what setup would do.
func (j *judge) plan() {
	for _, part := range j.Plan {
		for _, it := range part.Items {
			j.item(part.Stage, it)
		}
	}
}

func (j *judge) item(stage string, it setup.Item) {
	id, own := j.idOf(stage, it)
	if id == "" {
		return
	}
	f := j.here(id, it.Object, line(found(it)))
	if !own {
		f.Area = stageArea(stage)
	}
	advice := it.Action == setup.Warn || it.Action == setup.Refuse
	switch why := line(it.Why); {
	case id == "not-root" || why == "":
	case advice:
		f.Remedy = why
	default:
		f.Why = why
	}
	if !advice && (f.Remedy == perSetup || f.Remedy == "") && it.Do != nil {
		f.Remedy = whatPlan
	}
	if it.Interrupts != "" {
		f.Remedy += " (" + line(it.Interrupts) + ")"
	}
	if it.Key != "" {
		f.Where = j.Config.At(it.Key)
	}
}

// idOf is the check that an item belongs to, "" for none; own is whether that is
// about this kind of object alone.
func (j *judge) idOf(stage string, it setup.Item) (id string, own bool) {
	switch it.Action {
	case setup.Keep:
		if it.Why != "" {
			return "left-alone", false
		}
		return "", false
	case setup.Later:
		return "later", false
	case setup.Other:
		return "elsewhere", false
	case setup.Refuse:
		if stage == setup.Host && it.Object == "user" {
			return "not-root", true
		}
		return "conflict", false
	}
	if stage == setup.CIB && it.Object == "group "+j.Config.Pacemaker.Group {
		return "group", true
	}
	for _, n := range named {
		if n.stage == stage && strings.HasPrefix(it.Object, n.object) {
			return n.id, true
		}
	}
	if it.Action == setup.Warn {
		return "advice", false
	}
	return "drift", false
}

// found says what is there, of an item that says what will be.
func found(it setup.Item) string {
	switch it.Action {
	case setup.Make:
		return "missing; it is to be: " + it.Detail
	case setup.Change:
		return "differs; it is to be: " + it.Detail
	case setup.Drop:
		return "not wanted any more: " + it.Detail
	case setup.Await:
		return "not so yet: " + it.Detail
	}
	return it.Detail
}
