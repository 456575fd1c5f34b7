package ocf

import (
	"fmt"
	"strings"
	"time"
)

// Metadata describes an agent to Pacemaker, pcs and the administrator.
type Metadata struct {
	Name       string
	Version    string // the agent's own version
	Short      string // one line
	Long       string // paragraphs separated by empty lines
	Parameters []Parameter
	Actions    []ActionSpec
}

// Parameter describes one instance attribute.
type Parameter struct {
	Name       string
	Type       string // "string", "integer" or "boolean"
	Default    string // empty: no default, or set by Required
	Required   bool
	Unique     bool // no two resources may share the value
	Reloadable bool // a change is applied by reload-agent, without a restart
	Short      string
	Long       string
}

// ActionSpec advertises one action with the smallest timeout that it may be
// given.
type ActionSpec struct {
	Name     string
	Timeout  time.Duration
	Interval time.Duration // monitors only
	Role     string        // monitors only: "Promoted" or "Unpromoted"
	Depth    int           // monitors only: OCF_CHECK_LEVEL
}

// doctype declares, besides the DTD that ocf-tester validates against, the
// attributes and action names of OCF 1.1 that this DTD does not know, so that
// one document is valid for ra-api-1.dtd, for the OCF 1.1 RELAX NG and for
// pcs's copy of it.
const doctype = `<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd" [
<!ATTLIST parameter reloadable (1|0) #IMPLIED>
<!ATTLIST action name CDATA #REQUIRED>
]>
`

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\n", "&#10;")

var textEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// XML renders m. The same m gives the same bytes.
func (m Metadata) XML() string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n" + doctype)
	fmt.Fprintf(&b, "<resource-agent name=\"%s\" version=\"%s\">\n<version>1.1</version>\n\n",
		escaper.Replace(m.Name), escaper.Replace(m.Version))
	writeDesc(&b, "", m.Long, m.Short)
	b.WriteString("\n<parameters>\n")
	for _, p := range m.Parameters {
		p.write(&b)
	}
	b.WriteString("</parameters>\n\n<actions>\n")
	for _, a := range m.Actions {
		a.write(&b)
	}
	b.WriteString("</actions>\n</resource-agent>\n")
	return b.String()
}

func writeDesc(b *strings.Builder, indent, long, short string) {
	fmt.Fprintf(b, "%s<longdesc lang=\"en\">\n%s\n%s</longdesc>\n", indent, textEscaper.Replace(long), indent)
	fmt.Fprintf(b, "%s<shortdesc lang=\"en\">%s</shortdesc>\n", indent, textEscaper.Replace(short))
}

func (p Parameter) write(b *strings.Builder) {
	fmt.Fprintf(b, "  <parameter name=%q", p.Name)
	if p.Unique {
		b.WriteString(` unique="1"`)
	}
	if p.Required {
		b.WriteString(` required="1"`)
	}
	if p.Reloadable {
		b.WriteString(` reloadable="1"`)
	}
	b.WriteString(">\n")
	writeDesc(b, "    ", p.Long, p.Short)
	fmt.Fprintf(b, "    <content type=\"%s\"", p.Type)
	if !p.Required {
		fmt.Fprintf(b, " default=\"%s\"", escaper.Replace(p.Default))
	}
	b.WriteString("/>\n  </parameter>\n")
}

func (a ActionSpec) write(b *strings.Builder) {
	fmt.Fprintf(b, "  <action name=\"%s\" timeout=\"%ds\"", a.Name, int(a.Timeout.Seconds()))
	if a.Interval > 0 {
		fmt.Fprintf(b, " interval=\"%ds\"", int(a.Interval.Seconds()))
	}
	if a.Role != "" {
		fmt.Fprintf(b, " role=\"%s\"", a.Role)
	}
	if a.Depth > 0 {
		fmt.Fprintf(b, " depth=\"%d\"", a.Depth)
	}
	b.WriteString("/>\n")
}
