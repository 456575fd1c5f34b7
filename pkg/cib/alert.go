package cib

import (
	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/config"
)

// editAlert sets the timeout and our recipient; others stay.
func (e *editor) editAlert(el *etree.Element, a config.Alert) {
	object := "alert " + a.Path
	if d := a.Timeout.D(); d > 0 {
		e.nvset(el, "meta_attributes", alertID+"-meta_attributes", object, []pair{
			{name: "timeout", value: seconds(d), dflt: "30s", same: sameTime, key: "pacemaker.alert.timeout"},
		})
	}
	const recipient = alertID + "-recipient"
	for _, r := range el.SelectElements("recipient") {
		switch have := r.SelectAttrValue("value", ""); {
		case id(r) != recipient && have != a.Recipient:
			continue
		case a.Recipient == "":
			remove(r)
			e.note(Change{Kind: Edit, Object: object, Detail: "recipient " + have + " → none", Key: "pacemaker.alert.recipient"})
		case have != a.Recipient:
			r.CreateAttr("value", a.Recipient)
			e.note(Change{Kind: Edit, Object: object, Detail: "recipient " + have + " → " + a.Recipient, Key: "pacemaker.alert.recipient"})
		}
		return
	}
	if a.Recipient != "" {
		appendNew(el, "recipient", "id", e.unused(recipient), "value", a.Recipient)
		e.note(Change{Kind: Edit, Object: object, Detail: "recipient none → " + a.Recipient, Key: "pacemaker.alert.recipient"})
	}
}
