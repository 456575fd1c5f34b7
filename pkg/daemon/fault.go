package daemon

import (
	"strings"

	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// FaultPointPath is where a test says at which effect of a resolution the daemon
// is to be killed: "EFFECT before|after". Only root can write there, and root
// could kill it as well.
const FaultPointPath = group.RunDir + "/daemon-faultpoint"

// Effects lists the names of effects that a fault point can have, in the order
// of a resolution, the survivor's last.
func Effects() []string {
	return []string{"save", "marker", "look", "snapshot", "discard", "withdraw", "reconnect"}
}

// nameOf is an effect's name, "" for one without fault points.
func nameOf(e splitbrain.Effect) string {
	switch e.(type) {
	case splitbrain.Persist:
		return "save"
	case splitbrain.SetMarker:
		return "marker"
	case splitbrain.Look:
		return "look"
	case splitbrain.Snapshot:
		return "snapshot"
	case splitbrain.Discard:
		return "discard"
	case splitbrain.DropDiscard:
		return "withdraw"
	case splitbrain.Reconnect:
		return "reconnect"
	}
	return ""
}

// faultPoint ends this process by SIGKILL when a test asked for it here. The
// request is used up.
func (d *Daemon) faultPoint(e splitbrain.Effect, when string) {
	name := nameOf(e)
	data, err := d.o.Host.ReadFile(FaultPointPath)
	if err != nil || name == "" || strings.TrimSpace(string(data)) != name+" "+when {
		return
	}
	if err := d.o.Host.Remove("daemon.faultpoint", FaultPointPath); err != nil {
		d.o.Log.Error("fault point stays", "err", err)
		return
	}
	d.o.Log.Error("killed at fault point", "effect", name, "when", when)
	d.o.Host.KillSelf()
}
