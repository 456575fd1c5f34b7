package cib

import (
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// pair is one wanted nvpair.
type pair struct {
	name  string
	value string // "" wants no such nvpair
	// dflt is what Pacemaker or the agent takes without the nvpair; "" for nothing
	// or unknown.
	dflt string
	// old is an earlier name of the option that means the same.
	old  string
	same func(a, b string) bool // nil compares the texts
	// theirs is a value that stays when somebody has chosen another one.
	theirs string
	// hidden keeps the values out of what is reported.
	hidden     bool
	interrupts string
	key        string
}

// equal reports whether two values mean the same.
func (p pair) equal(a, b string) bool {
	if a == b || p.same == nil {
		return a == b
	}
	return p.same(a, b)
}

// detail says what becomes of a value.
func (p pair) detail(from, to string) string {
	if p.hidden {
		return p.name + " (not shown)"
	}
	if p.name == "exports" {
		return exportsDetail(from, to)
	}
	if from == "" {
		from = "none"
	}
	if to == "" {
		to = "none"
	}
	return p.name + " " + from + " → " + to
}

// nvset makes the name-value pairs of owner, in blocks with tag, what want has.
// What it does not name stays. A new block gets blockID.
func (e *editor) nvset(owner *etree.Element, tag, blockID, object string, want []pair) {
	for _, p := range want {
		nv := findPair(owner, tag, p)
		switch {
		case nv == nil && p.value == "", nv == nil && p.dflt != "" && p.equal(p.value, p.dflt):
		case nv == nil:
			e.addPair(owner, tag, blockID, p)
			e.note(Change{Edit, object, p.detail(p.dflt, p.value), p.interrupts, p.key})
		default:
			e.setPair(nv, object, p)
		}
	}
}

func (e *editor) addPair(owner *etree.Element, tag, blockID string, p pair) {
	block := editable(owner, tag)
	if block == nil {
		block = newBlock(owner, tag, e.unused(blockID))
	}
	appendNew(block, "nvpair", "id", e.unused(id(block)+"-"+name(p.name)), "name", p.name, "value", p.value)
}

func (e *editor) setPair(nv *etree.Element, object string, p pair) {
	have := nv.SelectAttrValue("value", "")
	if p.value != "" && p.equal(have, p.value) {
		return
	}
	ch := Change{Edit, object, p.detail(have, p.value), p.interrupts, p.key}
	switch {
	case p.theirs != "":
		ch.Kind, ch.Detail, ch.Interrupts = Drift, p.name+" is "+have+", the configuration has "+p.value+": "+p.theirs, ""
	case p.value == "":
		remove(nv)
	default:
		nv.CreateAttr("value", p.value)
	}
	e.note(ch)
}

// findPair returns the nvpair that decides, by the option's name of today or
// before. Only blocks without a rule are looked at.
func findPair(owner *etree.Element, tag string, p pair) *etree.Element {
	for _, block := range owner.SelectElements(tag) {
		if block.SelectElement("rule") != nil {
			continue
		}
		for _, nv := range block.SelectElements("nvpair") {
			if n := nv.SelectAttrValue("name", ""); n != "" && (n == p.name || n == p.old) {
				return nv
			}
		}
	}
	return nil
}

// valueOf returns what an option is set to, and whether it is.
func valueOf(owner *etree.Element, tag, option string) (string, bool) {
	nv := findPair(owner, tag, pair{name: option})
	if nv == nil {
		return "", false
	}
	return nv.SelectAttrValue("value", ""), true
}

// editable returns the first block that holds values for always.
func editable(owner *etree.Element, tag string) *etree.Element {
	for _, block := range owner.SelectElements(tag) {
		if block.SelectElement("rule") == nil && block.SelectAttr("id-ref") == nil && id(block) != "" {
			return block
		}
	}
	return nil
}

// newBlock puts a block before what it belongs to, as Pacemaker's own documents
// have it.
func newBlock(owner *etree.Element, tag, blockID string) *etree.Element {
	block := etree.NewElement(tag)
	block.CreateAttr("id", blockID)
	for _, el := range owner.ChildElements() {
		if slices.Contains([]string{"primitive", "recipient", "operations"}, el.Tag) {
			owner.InsertChildAt(el.Index(), block)
			return block
		}
	}
	owner.AddChild(block)
	return block
}

// attr sets an attribute and reports whether it was different.
func attr(el *etree.Element, key, value string) bool {
	if el.SelectAttrValue(key, "\x00") == value {
		return false
	}
	el.CreateAttr(key, value)
	return true
}

// fields splits at spaces and commas.
func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(", \t\n\r", r) })
}
