package sides

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd/gi"
	"github.com/spacei/drbdnfs/pkg/snapshot"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// relations in words.
var relations = map[gi.Relation]string{
	gi.Same:           "one generation: no split brain",
	gi.Source:         "one node has older data of the other: no split brain",
	gi.Target:         "one node has older data of the other: no split brain",
	gi.SplitBrain:     "split brain: both have written since one common generation",
	gi.SplitBrainFull: "split brain, and the last common generation is too old for the bitmap",
	gi.Unrelated:      "no common origin",
	gi.Unknown:        "cannot be compared: the identifiers of a node are not known",
}

// Text is the picture for a terminal.
func (p Picture) Text() string {
	var b strings.Builder
	if !p.Found {
		fmt.Fprintf(&b, "no split brain of %s between %s and %s\n", p.Resource, p.Sides[0].Node, p.Sides[1].Node)
		p.unknown(&b)
		return b.String()
	}
	fmt.Fprintf(&b, "split brain of %s between %s and %s", p.Resource, p.Sides[0].Node, p.Sides[1].Node)
	if !p.FoundAt.IsZero() {
		fmt.Fprintf(&b, ", found %s", when(p.Time, p.FoundAt))
	}
	fmt.Fprintf(&b, ": %s\n", phase(p.Phase, p.Refusal))
	if p.Why != "" {
		fmt.Fprintf(&b, "  why     %s\n  remedy  %s\n", p.Why, p.Remedy)
	}
	if p.Verdict.Victim != "" {
		fmt.Fprintf(&b, "  verdict %s discards, %s keeps its data: %s\n", clean(p.Verdict.Victim), clean(p.Verdict.Survivor), clean(p.Verdict.Reason))
	}
	fmt.Fprintf(&b, "\n%s\nidentifiers   %s\n\n", p.table(), relations[p.Relation])
	for _, c := range p.Choices {
		fmt.Fprintf(&b, "%s\n  %s\n", c.Text, c.Command)
		for _, on := range c.ByHand {
			fmt.Fprintf(&b, "  by hand, on %s: %s\n", on.Node, strings.Join(on.Commands, "; "))
		}
	}
	b.WriteByte('\n')
	if len(p.Snapshots) == 0 {
		fmt.Fprintf(&b, "snapshots on %s: none\n", p.Node)
	}
	for _, s := range p.Snapshots {
		fmt.Fprintf(&b, "snapshot on %s: %s, %s\n", p.Node, s.Name, s.State)
	}
	p.unknown(&b)
	return b.String()
}

func (p Picture) unknown(b *strings.Builder) {
	if !p.Running {
		fmt.Fprintf(b, "drbdnfsd does not run on %s: systemctl start drbdnfsd\n", p.Node)
	}
	for _, u := range p.Unknown {
		fmt.Fprintf(b, "not known: %s\n", u)
	}
}

// table has both sides beside each other.
func (p Picture) table() string {
	rows := []struct {
		name string
		cell func(s Side, e *splitbrain.Evidence) string
	}{
		{"role", func(_ Side, e *splitbrain.Evidence) string { return string(e.Role) }},
		{"promoted", func(_ Side, e *splitbrain.Evidence) string { return e.Promoted.String() }},
		{"mounted", func(_ Side, e *splitbrain.Evidence) string { return e.Mounted.String() }},
		{"connection", func(_ Side, e *splitbrain.Evidence) string { return string(e.Connection) }},
		{"disk", func(_ Side, e *splitbrain.Evidence) string { return disks(e) }},
		{"changed", func(s Side, _ *splitbrain.Evidence) string { return changed(s) }},
		{"since", func(s Side, _ *splitbrain.Evidence) string { return when(p.Time, s.Since) }},
		{"last promoted", func(_ Side, e *splitbrain.Evidence) string { return when(p.Time, e.LastPromoted) }},
		{"DRBD said", func(_ Side, e *splitbrain.Evidence) string { return p.words(e) }},
		{"policy", func(_ Side, e *splitbrain.Evidence) string { return policy(e) }},
		{"phase", func(_ Side, e *splitbrain.Evidence) string { return phase(e.Phase, e.Refusal) }},
		{"order", func(_ Side, e *splitbrain.Evidence) string { return p.order(e.Order) }},
		{"seen", func(s Side, _ *splitbrain.Evidence) string { return p.seen(s) }},
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "\t%s\t%s\n", p.head(p.Sides[0]), p.head(p.Sides[1]))
	for _, r := range rows {
		cells := [2]string{}
		for i, s := range p.Sides {
			switch {
			case s.Evidence != nil:
				cells[i] = clean(r.cell(s, s.Evidence))
			case r.name == "seen":
				cells[i] = p.seen(s)
			}
			if cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.name, cells[0], cells[1])
	}
	_ = w.Flush() // to memory
	return b.String()
}

func (p Picture) head(s Side) string {
	if s.Node == p.Node {
		return s.Node + " (this node)"
	}
	return s.Node
}

func disks(e *splitbrain.Evidence) string {
	var list []string
	for _, v := range e.Volumes {
		list = append(list, string(v.Disk))
	}
	return strings.Join(list, ", ")
}

func changed(s Side) string {
	if s.ChangedBytes < 0 {
		return "not known"
	}
	return snapshot.Bytes(s.ChangedBytes).String()
}

func (p Picture) words(e *splitbrain.Evidence) string {
	var list []string
	for _, w := range e.Words {
		list = append(list, string(w.Kind)+" "+when(p.Time, w.At))
	}
	return strings.Join(list, ", ")
}

func policy(e *splitbrain.Evidence) string {
	switch {
	case e.PolicyBroken:
		return "the file is broken"
	case e.Policy.Kind == "":
		return ""
	case e.Policy.Keep != "":
		return string(e.Policy.Kind) + " " + e.Policy.Keep
	}
	return string(e.Policy.Kind)
}

func phase(is splitbrain.Phase, r splitbrain.Refusal) string {
	if r != "" && is == splitbrain.PhaseHeld {
		return string(is) + " (" + string(r) + ")"
	}
	return string(is)
}

func (p Picture) order(o splitbrain.Order) string {
	if o.Victim == "" {
		return ""
	}
	return fmt.Sprintf("discard %s, on %s %s", o.Victim, o.From, when(p.Time, o.At))
}

func (p Picture) seen(s Side) string {
	switch s.Source {
	case SourceDaemon:
		return when(p.Time, s.At)
	case SourceStale:
		return when(p.Time, s.At) + ", not renewed"
	case SourceDRBD:
		return "now, by DRBD alone"
	}
	return "never: nothing is known"
}

// when is a time in the zone of now: the time alone on the same day.
func when(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	t = t.In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// clean makes foreign text one line without control characters.
func clean(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)), " ")
}
