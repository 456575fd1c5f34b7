package status

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// Look of the screen.
const (
	minWidth     = 80
	maxWidth     = 120
	labelWidth   = 12
	barWidth     = 14
	shownRecent  = 3
	indentFirst  = "  "
	indentDetail = "      "
)

// Screen is how [Render] draws.
type Screen struct {
	Color bool
	Width int // in columns; what is below 80 or above 120 counts as that
}

// Render draws the picture on one screen, as lines that end with a newline.
// Times are shown in the location of p.Time. It is pure.
func Render(p Picture, s Screen) string {
	s.Width = min(max(s.Width, minWidth), maxWidth)
	d := &drawing{Screen: s, p: p}
	d.title()
	d.service()
	d.nodes()
	d.quorum()
	for _, b := range p.SplitBrains {
		d.split(b)
	}
	d.recent()
	for _, f := range p.Findings {
		if f.Word != wordFenceNone { // the line on fencing says it
			d.finding(f)
		}
	}
	d.unknown()
	return d.b.String()
}

type drawing struct {
	Screen
	p Picture
	b strings.Builder
}

// paint colours s where colours are wanted.
func (d *drawing) paint(s string, colors ...text.Color) string {
	if !d.Color {
		return s
	}
	return text.Escape(s, text.Colors(colors).EscapeSeq())
}

// lines prints words behind first, broken at the width and indented below.
// Colours are added after the breaking.
func (d *drawing) lines(first, indent, words string, colors ...text.Color) {
	room := d.Width - len(indent)
	for i, l := range wrap(words, room) {
		if i == 0 {
			d.b.WriteString(first + d.paint(l, colors...) + "\n")
		} else {
			d.b.WriteString(indent + d.paint(l, colors...) + "\n")
		}
	}
}

// wrap breaks s between words into lines of at most width; a longer word stays
// whole, so that a command can be copied.
func wrap(s string, width int) []string {
	var out []string
	line := ""
	for w := range strings.FieldsSeq(s) {
		switch {
		case line == "":
			line = w
		case len([]rune(line))+1+len([]rune(w)) <= width:
			line += " " + w
		default:
			out = append(out, line)
			line = w
		}
	}
	return append(out, line)
}

func (d *drawing) label(name, words string) {
	d.lines(fmt.Sprintf("%s%-*s", indentFirst, labelWidth, name), strings.Repeat(" ", len(indentFirst)+labelWidth), words)
}

func (d *drawing) title() {
	color := map[Level]text.Color{Healthy: text.FgGreen, Degraded: text.FgYellow, Down: text.FgRed}[d.p.Level]
	name, level := cmp.Or(d.p.Cluster, "cluster"), strings.ToUpper(string(d.p.Level))
	indent := strings.Repeat(" ", len(name)+len(level)+4)
	d.lines(d.paint(name, text.Bold)+"  "+d.paint(level, color, text.Bold)+"  ", indent, d.p.Headline)
}

func (d *drawing) service() {
	s := d.p.Service
	line := cmp.Or(s.Active, d.nobody())
	if !s.Since.IsZero() && s.Active != "" {
		line += " since " + d.time(s.Since)
		if how := how(s.Previous, s.How, s.StallMS); how != "" {
			line += " (" + how + ")"
		}
	}
	if s.Busy != "" {
		line += "; Pacemaker: " + s.Busy
	}
	d.label("service", line)
	for _, v := range d.p.VIPs {
		d.label("address", vipLine(v))
	}
	if len(d.p.Exports) > 0 {
		var paths []string
		for _, e := range d.p.Exports {
			paths = append(paths, e.Path)
		}
		line := strings.Join(paths, ", ")
		if d.p.Clients != nil {
			line += fmt.Sprintf("; clients %d", *d.p.Clients)
		}
		d.label("exports", line)
	}
}

// nobody is what is said in place of the active node.
func (d *drawing) nobody() string {
	if d.p.Level == Down {
		return "nobody"
	}
	for _, v := range d.p.VIPs {
		if v.Answers == drbd.Yes && v.Present == drbd.No {
			return "a node other than " + d.p.From
		}
	}
	return "not known who serves"
}

func vipLine(v VIP) string {
	line := v.Address
	if v.Interface != "" {
		line += " on " + v.Interface
	}
	switch v.Answers {
	case drbd.Yes:
		return fmt.Sprintf("%s, answers NFS in %.1f ms", line, v.TookMS)
	case drbd.No:
		return line + ", does not answer NFS"
	}
	return line + ", not asked"
}

// how is the way the service came to a node.
func how(from, reason string, stall int64) string {
	var parts []string
	if from != "" {
		parts = append(parts, "from "+from)
	}
	if stall > 0 {
		parts = append(parts, "clients waited "+wait(stall))
	}
	if reason != "" && reason != ReasonUnknown {
		parts = append(parts, reason)
	}
	return strings.Join(parts, ", ")
}

func wait(ms int64) string {
	if ms < 60_000 {
		return fmt.Sprintf("%.1f s", float64(ms)/1000)
	}
	return roughly(time.Duration(ms) * time.Millisecond)
}

// time is the time of day, with the date when that is not today.
func (d *drawing) time(t time.Time) string {
	now := d.p.Time
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

var unlined = table.Style{
	Name: "unlined", Box: table.BoxStyle{PaddingRight: "  "}, Format: table.FormatOptions{Header: text.FormatDefault},
	Options: table.OptionsNoBordersAndSeparators,
}

func (d *drawing) table(indent string, header table.Row, rows []table.Row) {
	w := table.NewWriter()
	w.SetStyle(unlined)
	w.AppendHeader(header)
	w.AppendRows(rows)
	for l := range strings.Lines(w.Render()) {
		d.b.WriteString(indent + strings.TrimRight(l, " \n") + "\n")
	}
}

func (d *drawing) nodes() {
	var rows []table.Row
	for _, n := range d.p.Nodes {
		name := n.Name
		if n.Active {
			name = d.paint(name, text.Bold)
		}
		rows = append(rows, table.Row{
			name, d.good(n.Cluster, n.Cluster == NodeOnline), cmp.Or(string(n.Role), "-"), d.disk(n),
			d.good(cmp.Or(string(n.Connection), "-"), n.Connection == drbd.ConnConnected), bar(n.Sync),
		})
	}
	d.table(indentFirst, table.Row{"NODE", "CLUSTER", "DRBD", "DISK", "PEER LINK", "SYNC"}, rows)
}

func (d *drawing) disk(n Node) string {
	switch {
	case n.Diskless:
		return "tie-breaker"
	case n.Seen == SeenNobody && n.Disk != drbd.DiskUnknown:
		return string(n.Disk) + "?"
	}
	return d.good(string(n.Disk), n.Disk == drbd.DiskUpToDate)
}

func (d *drawing) good(word string, good bool) string {
	if good {
		return word
	}
	return d.paint(word, text.FgYellow)
}

func bar(s *Sync) string {
	if s == nil {
		return "-"
	}
	n := min(max(int(s.Percent*barWidth/100), 0), barWidth)
	line := fmt.Sprintf("[%s%s] %.1f %%", strings.Repeat("#", n), strings.Repeat(".", barWidth-n), s.Percent)
	if s.Paused {
		return line + " paused"
	}
	if s.MiBPerSecond > 0 {
		line += fmt.Sprintf("  %.0f MiB/s", s.MiBPerSecond)
	}
	if s.Restored != "" {
		line += "  " + s.Restored
	}
	return line
}

func (d *drawing) quorum() {
	q := d.p.Quorum
	line := q.Corosync.String()
	if q.Corosync != drbd.Unknown {
		line += fmt.Sprintf(" (%d of %d)", q.Nodes, q.Expected)
	}
	if q.DRBD == drbd.No {
		line += ", DRBD: no"
	}
	d.label("quorum", line)
	d.label("fencing", d.p.Fencing.Note)
}

func (d *drawing) split(b SplitBrain) {
	line := fmt.Sprintf("%s and %s, %s", b.Nodes[0], b.Nodes[1], b.Phase)
	if b.Refusal != "" {
		line += " (" + b.Refusal + ")"
	}
	if !b.FoundAt.IsZero() {
		line += ", found " + d.time(b.FoundAt)
	}
	d.label("split brain", line)
	var rows []table.Row
	for _, s := range b.Sides {
		changed := "not known"
		if s.ChangedBytes >= 0 {
			changed = size(s.ChangedBytes)
		}
		last := "not known"
		if !s.LastPromoted.IsZero() {
			last = d.time(s.LastPromoted)
		}
		rows = append(rows, table.Row{s.Node, s.Role, cmp.Or(string(s.Disk), "-"), changed, last, s.Promoted.String(), strings.Join(s.Words, ",")})
	}
	if len(rows) > 0 {
		d.table(indentDetail, table.Row{"NODE", "DRBD", "DISK", "CHANGED", "LAST PROMOTED", "SERVES", "DRBD SAID"}, rows)
	}
}

func (d *drawing) recent() {
	for i, f := range d.p.Failovers {
		if i == shownRecent {
			return
		}
		line := d.time(f.Time) + " to " + f.To
		if how := how(f.From, f.Reason, f.StallMS); how != "" {
			line += ": " + how
		}
		if f.Detail != "" {
			line += " (" + f.Detail + ")"
		}
		label := ""
		if i == 0 {
			label = "recent"
		}
		d.label(label, line)
	}
}

func (d *drawing) finding(f Finding) {
	mark, color := "!", text.FgYellow
	switch f.Severity {
	case Critical:
		mark, color = "x", text.FgRed
	case Notice:
		mark, color = "-", text.Faint
	}
	first := indentFirst + d.paint(mark, color, text.Bold) + " "
	what := f.What
	if !f.Since.IsZero() {
		what += ", " + d.time(f.Since)
	}
	d.lines(first, indentFirst+"  ", what)
	if f.Why != "" {
		d.lines(indentDetail, indentDetail, f.Why)
	}
	if f.Remedy != "" {
		d.lines(indentDetail+d.paint("do: ", text.Bold), indentDetail+"    ", f.Remedy)
	}
}

func (d *drawing) unknown() {
	for i, u := range d.p.Unknown {
		label := ""
		if i == 0 {
			label = "not asked"
		}
		d.label(label, u.Source+": "+u.Why)
	}
}
