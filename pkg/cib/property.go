package cib

import (
	"cmp"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
)

// properties sets what the fencing decision needs, and what else was decided
// where nobody has decided otherwise.
func (e *editor) properties() {
	mode := e.c.Fencing.Mode
	policy := "stop"
	if mode == config.FencingNone {
		policy = "ignore"
	}
	key := "fencing.mode"
	if e.c.Pacemaker.NoQuorumPolicy != "" {
		key = "pacemaker.no_quorum_policy"
	}
	enabled := "false"
	if e.stonith() {
		enabled = "true"
	}
	e.property(pair{name: "stonith-enabled", value: enabled, same: sameBool, key: "fencing.mode"}, "true")
	e.property(pair{name: "no-quorum-policy", value: cmp.Or(e.c.Pacemaker.NoQuorumPolicy, policy), key: key}, "stop")
	if !e.stonith() {
		return
	}
	if d := e.c.Fencing.Timeout.D(); d > 0 {
		e.property(pair{
			name: "stonith-timeout", value: seconds(d), same: sameTime, key: "fencing.timeout",
			theirs: "pcs property set stonith-timeout=" + seconds(d),
		}, "60s")
	}
	if d := e.priorityDelay(); d > 0 {
		e.property(pair{
			name: "priority-fencing-delay", value: seconds(d), same: sameTime, key: "fencing.priority_delay",
			theirs: "pcs property set priority-fencing-delay=" + seconds(d),
		}, "0")
	}
}

// property sets one property of the cluster. It is written down even where the
// default is the same: a reader of the CIB should see the decision.
func (e *editor) property(p pair, dflt string) {
	const tag = "cluster_property_set"
	crm := e.section("crm_config")
	if findPair(crm, tag, p) != nil {
		n := len(e.changes)
		e.nvset(crm, tag, "", "property "+p.name, []pair{p})
		for i := range e.changes[n:] {
			e.changes[n+i].Detail = strings.TrimPrefix(e.changes[n+i].Detail, p.name+" ")
		}
		return
	}
	e.asOne(Change{Kind: Make, Object: "property " + p.name, Detail: p.value + " (default " + dflt + ")", Key: p.key}, func() {
		e.nvset(crm, tag, "cib-bootstrap-options", "", []pair{p})
	})
}

// alertID is the id of the one alert that is ours.
const alertID = common + "alert"

// alert makes the alert, or takes it out.
func (e *editor) alert() error {
	a := e.c.Pacemaker.Alert
	for _, el := range e.existing("alerts") {
		if id(el) != alertID || el.Tag != "alert" {
			continue
		}
		if a.Path == "" {
			remove(el)
			e.note(Change{Kind: Drop, Object: "alert " + el.SelectAttrValue("path", ""), Detail: "no longer in the configuration"})
			return nil
		}
		if from := el.SelectAttrValue("path", "none"); attr(el, "path", a.Path) {
			e.note(Change{Kind: Edit, Object: "alert " + a.Path, Detail: "path " + from + " → " + a.Path, Key: "pacemaker.alert.path"})
		}
		e.editAlert(el, a)
		return nil
	}
	if a.Path == "" {
		return nil
	}
	if err := e.claim(alertID, "rename it"); err != nil {
		return err
	}
	el := appendNew(e.section("alerts"), "alert", "id", alertID, "path", a.Path)
	e.asOne(Change{Kind: Make, Object: "alert " + a.Path, Detail: "runs on every node for each event", Key: "pacemaker.alert.path"}, func() {
		e.editAlert(el, a)
	})
	return nil
}
