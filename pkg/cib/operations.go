package cib

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/beevik/etree"
)

// operation is one wanted operation of the group.
type operation struct {
	name     string
	id       string // the end of the id of a new one
	role     string // "" for operations that do not recur
	timeout  time.Duration
	interval time.Duration
	depth    int
	// free lets the interval be somebody's choice.
	free   bool
	onFail string
}

// checkLevel is how an operation says its depth.
const checkLevel = "OCF_CHECK_LEVEL"

// operations have the timeouts that the agent advertises. Pacemaker takes two
// monitors with the same interval for one, so each has its own.
func (e *editor) wantedOperations() []operation {
	every := e.c.Pacemaker.MonitorInterval.D()
	stop := operation{name: "stop", id: "stop", timeout: 120 * time.Second}
	if e.stonith() {
		stop.onFail = "fence"
	}
	return []operation{
		{name: "start", id: "start", timeout: 240 * time.Second},
		stop,
		{name: "promote", id: "promote", timeout: 90 * time.Second},
		{name: "demote", id: "demote", timeout: 120 * time.Second},
		{name: "notify", id: "notify", timeout: 20 * time.Second},
		{name: "monitor", id: "monitor-promoted", role: "Promoted", interval: every, timeout: 30 * time.Second},
		{name: "monitor", id: "monitor-unpromoted", role: "Unpromoted", interval: 2 * every, timeout: 30 * time.Second},
		{name: "monitor", id: "monitor-10", role: "Promoted", depth: 10, interval: 61 * time.Second, timeout: 40 * time.Second, free: true},
		{name: "monitor", id: "monitor-20", role: "Promoted", depth: 20, interval: 127 * time.Second, timeout: 40 * time.Second, free: true},
	}
}

func (o operation) String() string {
	switch {
	case o.depth > 0:
		return fmt.Sprintf("monitor (%s, %s=%d)", o.role, checkLevel, o.depth)
	case o.role != "":
		return fmt.Sprintf("%s (%s)", o.name, o.role)
	}
	return o.name
}

func (e *editor) operations() {
	ops := child(e.primitive, "operations")
	var taken []*etree.Element
	for _, want := range e.wantedOperations() {
		op := e.findOperation(ops, want, taken)
		if op == nil {
			op = e.makeOperation(ops, want)
		} else {
			e.editOperation(ops, op, want)
		}
		taken = append(taken, op)
	}
	e.looseEnds(ops)
}

// findOperation returns the operation that does what want does: ours by its id,
// else the one with the same interval, else any.
func (e *editor) findOperation(ops *etree.Element, want operation, taken []*etree.Element) *etree.Element {
	var same, alike *etree.Element
	for _, op := range ops.SelectElements("op") {
		if slices.Contains(taken, op) || !want.matches(op) {
			continue
		}
		every, ok := parseTime(op.SelectAttrValue("interval", "0"))
		switch {
		case id(op) == e.operationID(want):
			return op
		case ok && every == want.interval && same == nil:
			same = op
		case alike == nil:
			alike = op
		}
	}
	if same != nil {
		return same
	}
	return alike
}

func (e *editor) operationID(o operation) string { return id(e.primitive) + "-" + o.id }

// matches reports whether op is the operation o, whatever its interval.
func (o operation) matches(op *etree.Element) bool {
	if op.SelectAttrValue("name", "") != o.name {
		return false
	}
	every, ok := parseTime(op.SelectAttrValue("interval", "0"))
	if o.interval == 0 {
		return ok && every == 0
	}
	role := modernRole(op.SelectAttrValue("role", "Unpromoted"))
	if role == "Started" {
		role = "Unpromoted" // what Pacemaker makes of it in a promotable clone
	}
	return ok && every > 0 && role == o.role && depthOf(op) == o.depth
}

func depthOf(op *etree.Element) int {
	text, _ := valueOf(op, "instance_attributes", checkLevel)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

func (e *editor) makeOperation(ops *etree.Element, want operation) *etree.Element {
	made := Change{Kind: Make, Object: e.operationObject(want), Detail: "timeout " + seconds(want.timeout)}
	every := seconds(e.freeInterval(ops, nil, want))
	if want.interval > 0 {
		made.Detail = "every " + every + ", " + made.Detail
	}
	op := appendNew(ops, "op", "id", e.unused(e.operationID(want)), "name", want.name, "interval", every, "timeout", seconds(want.timeout))
	if want.role != "" {
		op.CreateAttr("role", e.word(want.role))
	}
	if want.onFail != "" {
		op.CreateAttr("on-fail", want.onFail)
	}
	e.asOne(made, func() {
		if want.depth > 0 {
			level := pair{name: checkLevel, value: strconv.Itoa(want.depth)}
			e.nvset(op, "instance_attributes", id(op)+"-instance_attributes", "", []pair{level})
		}
	})
	return op
}

func (e *editor) operationObject(o operation) string {
	return "operation " + o.String() + " of " + id(e.primitive)
}

// freeInterval is want's interval, a second more where another monitor has it.
func (e *editor) freeInterval(ops, self *etree.Element, want operation) time.Duration {
	every := want.interval
	if every == 0 {
		return 0
	}
	for {
		busy := slices.ContainsFunc(ops.SelectElements("op"), func(op *etree.Element) bool {
			d, ok := parseTime(op.SelectAttrValue("interval", "0"))
			return op != self && op.SelectAttrValue("name", "") == want.name && ok && d == every
		})
		if !busy {
			return every
		}
		every += time.Second
	}
}

// editOperation raises the timeout to what the agent needs and sets the
// interval that the configuration asks for.
func (e *editor) editOperation(ops, op *etree.Element, want operation) {
	object := e.operationObject(want)
	text := op.SelectAttrValue("timeout", "")
	have, ok := parseTime(text)
	switch {
	case text != "" && !ok:
		e.note(Change{Kind: Drift, Object: object, Detail: "timeout " + text + " is not understood; the agent needs " + seconds(want.timeout)})
	case have < want.timeout:
		op.CreateAttr("timeout", seconds(want.timeout))
		if text == "" {
			text = "none"
		}
		e.note(Change{Kind: Edit, Object: object, Detail: "timeout " + text + " → " + seconds(want.timeout)})
	}
	if want.interval > 0 && !want.free {
		e.setInterval(ops, op, want)
	}
	e.setOnFail(op, want)
}

func (e *editor) setInterval(ops, op *etree.Element, want operation) {
	text := op.SelectAttrValue("interval", "0")
	have, _ := parseTime(text)
	every := e.freeInterval(ops, op, want)
	if have == every {
		return
	}
	op.CreateAttr("interval", seconds(every))
	e.note(Change{
		Kind: Edit, Object: e.operationObject(want), Key: "pacemaker.monitor_interval",
		Detail: "interval " + text + " → " + seconds(every) + "; its monitor is restarted",
	})
}

func (e *editor) setOnFail(op *etree.Element, want operation) {
	have := op.SelectAttrValue("on-fail", "")
	ch := Change{Kind: Edit, Object: e.operationObject(want), Key: "fencing.mode"}
	switch {
	case have == want.onFail:
		return
	case have == "":
		op.CreateAttr("on-fail", want.onFail)
		ch.Detail = "on-fail none → " + want.onFail
	case have == "fence" && want.name == "stop":
		op.RemoveAttr("on-fail") // nothing fences, and Pacemaker says so
		ch.Detail = "on-fail fence → none"
	case want.onFail != "":
		ch.Kind, ch.Detail = Drift, "on-fail is "+have+": a node that cannot stop should be fenced"
	default:
		return
	}
	e.note(ch)
}

// looseEnds reports what somebody chose for a monitor and should know about.
func (e *editor) looseEnds(ops *etree.Element) {
	for _, op := range ops.SelectElements("op") {
		if op.SelectAttrValue("name", "") == "monitor" && op.SelectAttrValue("on-fail", "") == "demote" {
			e.note(Change{
				Kind: Drift, Object: "operation " + id(op) + " of " + id(e.primitive),
				Detail: "on-fail=demote leaves the group without a monitor after a failure: remove it",
			})
		}
	}
}
