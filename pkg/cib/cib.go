package cib

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/config"
)

// Kind says what happens to an object.
type Kind string

// Kinds of changes.
const (
	Make  Kind = "make"   // it is missing
	Edit  Kind = "change" // it is there and differs
	Drop  Kind = "drop"   // it is ours and no longer wanted
	Drift Kind = "drift"  // somebody chose another value, which stays
)

// Change is one difference between a CIB and the configuration.
type Change struct {
	Kind   Kind
	Object string // "primitive nfs", "property stonith-enabled"
	// Detail is what was and what will be: "nfs_threads 128 → 64". It never holds
	// a parameter of a fence device, which may be a secret.
	Detail string
	// Interrupts says what clients notice, "" for nothing.
	Interrupts string
	// Key is the configuration key that asks for it, "" for none.
	Key string
}

// restarts is what clients notice when a parameter changes that the agent
// cannot change while it serves.
const restarts = "clients wait: the resource restarts on every node"

// Words of the agent.
const (
	class    = "ocf"
	provider = "spacei"
	agent    = "drbdnfs"
	common   = "drbdnfs-" // before the ids of what belongs to the whole cluster
)

// ErrInvalid reports a document that is no CIB.
var ErrInvalid = errors.New("not a CIB")

// Parse reads what "cibadmin --query" prints.
func Parse(data []byte) (*etree.Document, error) {
	doc := etree.NewDocument()
	doc.ReadSettings.ValidateInput = true
	if err := doc.ReadFromBytes(bytes.TrimSpace(data)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// Line ends in values would otherwise become spaces on the way back.
	doc.WriteSettings.CanonicalAttrVal, doc.WriteSettings.CanonicalText = true, true
	if _, err := configuration(doc); err != nil {
		return nil, err
	}
	return doc, nil
}

func configuration(doc *etree.Document) (*etree.Element, error) {
	root := doc.Root()
	if root == nil || root.FullTag() != "cib" {
		return nil, fmt.Errorf("%w: its root is not <cib>", ErrInvalid)
	}
	conf := root.SelectElement("configuration")
	if conf == nil {
		return nil, fmt.Errorf("%w: it has no <configuration>", ErrInvalid)
	}
	return conf, nil
}

// Merge returns a copy of current in which the group is as c has it, and what
// was changed for that, in order. Merging the result again changes nothing.
//
// It refuses a CIB in which the group's name, or its DRBD resource, belongs to
// something else: the error says what to do.
func Merge(current *etree.Document, c *config.Config) (*etree.Document, []Change, error) {
	e, err := newEditor(current, c)
	if err != nil {
		return nil, nil, err
	}
	if err := e.findGroup(); err != nil {
		return nil, nil, err
	}
	e.properties()
	if err := e.devices(); err != nil {
		return nil, nil, err
	}
	if err := e.group(); err != nil {
		return nil, nil, err
	}
	if err := e.locations(); err != nil {
		return nil, nil, err
	}
	e.levels()
	e.dropDevices()
	if err := e.alert(); err != nil {
		return nil, nil, err
	}
	return e.doc, e.changes, nil
}

// emptyCIB is what Print starts from.
const emptyCIB = `<cib validate-with="pacemaker-3.9"><configuration><crm_config/><nodes/><resources/><constraints/></configuration></cib>`

// Print returns the configuration section of a CIB that holds the group alone,
// for reading, or for a cluster without resources:
//
//	cibadmin --replace --scope configuration --xml-file FILE
//
// It includes the parameters of fence devices, which may be secrets. Where two
// names of c make the same id, it is a comment that says so.
func Print(c *config.Config) string {
	text, err := section(c)
	if err != nil {
		return "<!-- " + strings.ReplaceAll(err.Error(), "--", "- -") + " -->\n"
	}
	return text
}

func section(c *config.Config) (string, error) {
	doc, err := Parse([]byte(emptyCIB))
	if err != nil {
		return "", err
	}
	doc, _, err = Merge(doc, c)
	if err != nil {
		return "", err
	}
	conf, err := configuration(doc)
	if err != nil {
		return "", err
	}
	out := etree.NewDocumentWithRoot(conf.Copy())
	out.WriteSettings = doc.WriteSettings
	out.Indent(2)
	return out.WriteToString()
}

// editor is one merge.
type editor struct {
	doc     *etree.Document
	conf    *etree.Element
	c       *config.Config
	changes []Change
	ids     map[string]bool // all that the configuration has
	modern  bool            // the schema knows Promoted and Unpromoted

	clone     *etree.Element // of the group, or nil
	primitive *etree.Element
	devs      []string // ids of the fence devices, as in the configuration
}

func newEditor(current *etree.Document, c *config.Config) (*editor, error) {
	doc := current.Copy()
	conf, err := configuration(doc)
	if err != nil {
		return nil, err
	}
	e := &editor{doc: doc, conf: conf, c: c, ids: map[string]bool{}}
	e.modern = knowsPromoted(doc.Root().SelectAttrValue("validate-with", ""))
	for _, el := range conf.FindElements(".//*[@id]") {
		e.ids[id(el)] = true
	}
	return e, nil
}

func (e *editor) note(ch Change) { e.changes = append(e.changes, ch) }

// asOne edits what was made as a whole, and says so once.
func (e *editor) asOne(ch Change, edit func()) {
	n := len(e.changes)
	edit()
	e.changes = append(e.changes[:n], ch)
}

// section returns the part of the configuration with that name, which it makes.
func (e *editor) section(name string) *etree.Element { return child(e.conf, name) }

// existing returns the elements of a section, none when it does not exist.
func (e *editor) existing(section string) []*etree.Element {
	s := e.conf.SelectElement(section)
	if s == nil {
		return nil
	}
	return s.ChildElements()
}

// unused returns want, or want with a number where the document has that id.
func (e *editor) unused(want string) string {
	out := want
	for n := 2; e.ids[out]; n++ {
		out = fmt.Sprintf("%s-%d", want, n)
	}
	e.ids[out] = true
	return out
}

// claim makes sure that want is free for a new object.
func (e *editor) claim(want, remedy string) error {
	if e.ids[want] {
		return fmt.Errorf("the id %q is taken by something else in the CIB: %s", want, remedy)
	}
	e.ids[want] = true
	return nil
}

// word returns a role as the schema spells it.
func (e *editor) word(role string) string {
	if e.modern {
		return role
	}
	return map[string]string{"Promoted": "Master", "Unpromoted": "Slave"}[role]
}

func knowsPromoted(schema string) bool {
	var major, minor int
	n, err := fmt.Sscanf(schema, "pacemaker-%d.%d", &major, &minor)
	return err == nil && n == 2 && (major > 3 || major == 3 && minor >= 7)
}

// modernRole gives a role's present name.
func modernRole(role string) string {
	switch strings.ToLower(role) {
	case "master", "promoted":
		return "Promoted"
	case "slave", "unpromoted":
		return "Unpromoted"
	}
	return role
}

// id returns the id of an element, "" for none.
func id(el *etree.Element) string { return el.SelectAttrValue("id", "") }

// child returns the first child with that tag, which it makes.
func child(parent *etree.Element, tag string) *etree.Element {
	if el := parent.SelectElement(tag); el != nil {
		return el
	}
	return parent.CreateElement(tag)
}

// appendNew appends an element with its attributes, names and values in turn.
func appendNew(parent *etree.Element, tag string, attrs ...string) *etree.Element {
	el := parent.CreateElement(tag)
	for kv := range slices.Chunk(attrs, 2) {
		el.CreateAttr(kv[0], kv[1])
	}
	return el
}

// remove takes an element out, with the white space before it.
func remove(el *etree.Element) {
	parent, i := el.Parent(), el.Index()
	parent.RemoveChildAt(i)
	if i == 0 {
		return
	}
	if text, ok := parent.Child[i-1].(*etree.CharData); ok && text.IsWhitespace() {
		parent.RemoveChildAt(i - 1)
	}
}

// name makes s part of an id.
func name(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, s)
}
