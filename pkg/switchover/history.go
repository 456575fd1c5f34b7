package switchover

import (
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// failCountPrefix is before "GROUP#OPERATION_INTERVAL" in the name of a node
// attribute with a fail count.
const failCountPrefix = "fail-count-"

// infinite is a fail count of INFINITY.
const infinite = 1_000_000

// history returns the group's last action on each node, from the CIB's status.
// Monitors do not count.
func history(doc *etree.Document, group string) map[string]Operation {
	out := map[string]Operation{}
	for _, node := range doc.FindElements("./cib/status/node_state") {
		for _, rsc := range node.FindElements("./lrm/lrm_resources/lrm_resource") {
			if instanceOf(rsc.SelectAttrValue("id", "")) != group {
				continue
			}
			for _, op := range rsc.SelectElements("lrm_rsc_op") {
				name := node.SelectAttrValue("uname", "")
				if o := operation(op); o.Task != "monitor" && o.Task != "notify" && !o.When.Before(out[name].When) {
					out[name] = o
				}
			}
		}
	}
	return out
}

func instanceOf(id string) string {
	name, _, _ := strings.Cut(id, ":")
	return name
}

func operation(op *etree.Element) Operation {
	o := Operation{
		Task: op.SelectAttrValue("operation", ""),
		OK:   op.SelectAttrValue("rc-code", "") == "0" && op.SelectAttrValue("op-status", "0") == "0",
	}
	if n, err := strconv.ParseInt(op.SelectAttrValue("last-rc-change", ""), 10, 64); err == nil {
		o.When = time.Unix(n, 0)
	}
	if n, err := strconv.ParseInt(op.SelectAttrValue("exec-time", ""), 10, 64); err == nil {
		o.Took = time.Duration(n) * time.Millisecond
	}
	return o
}

// failCounts returns how often the group has failed on each node.
func failCounts(doc *etree.Document, group string) map[string]int {
	out := map[string]int{}
	for _, node := range doc.FindElements("./cib/status/node_state") {
		for _, v := range node.FindElements("./transient_attributes/instance_attributes/nvpair") {
			if !failCount(v, group) {
				continue
			}
			n, err := strconv.Atoi(v.SelectAttrValue("value", ""))
			if err != nil {
				n = infinite
			}
			out[node.SelectAttrValue("uname", "")] += n
		}
	}
	return out
}

// failCount reports whether an nvpair is a fail count of the group.
func failCount(v *etree.Element, group string) bool {
	name, ok := strings.CutPrefix(v.SelectAttrValue("name", ""), failCountPrefix)
	resource, _, _ := strings.Cut(name, "#")
	return ok && instanceOf(resource) == group
}
