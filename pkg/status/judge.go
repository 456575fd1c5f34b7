package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// Judge makes the picture of what was seen: level, headline and findings, each
// with its cause and what to do. It is pure.
func Judge(f Facts) Picture {
	v := &view{f: &f, p: draw(&f)}
	v.served = v.serves()
	for _, rule := range []func(){
		v.splitBrain, v.cluster, v.service, v.parts, v.nodes, v.drbd, v.actions, v.constraints, v.fencing, v.programs, v.rest,
	} {
		rule()
	}
	slices.SortStableFunc(v.p.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(severityOrder(a.Severity), severityOrder(b.Severity)), cmp.Compare(place(a.Word), place(b.Word)))
	})
	v.p.Level = v.level()
	v.p.Headline = v.headline()
	return *v.p
}

// view is what the rules look at and add to.
type view struct {
	f      *Facts
	p      *Picture
	served drbd.Tri // by all that can be seen, some node serves clients
}

func severityOrder(s Severity) int { return slices.Index([]Severity{Critical, Warning, Notice}, s) }

// found adds a finding. Its severity and remedy are the word's own where it has
// none.
func (v *view) found(word string, x Finding) {
	x.Word = word
	x.Severity = cmp.Or(x.Severity, Words()[place(word)].Severity)
	v.p.Findings = append(v.p.Findings, x)
}

// has reports whether a word was found.
func (v *view) has(words ...string) bool {
	return slices.ContainsFunc(v.p.Findings, func(x Finding) bool { return slices.Contains(words, x.Word) })
}

// serves is the best that is known of whether clients are served: an address
// that answers, or else a node that is promoted.
func (v *view) serves() drbd.Tri {
	silent := 0
	for _, a := range v.p.VIPs {
		if a.Answers == drbd.Yes {
			return drbd.Yes
		}
		if a.Answers == drbd.No {
			silent++
		}
	}
	switch {
	case silent > 0:
		return drbd.No
	case v.p.Service.Active != "":
		return drbd.Yes
	case v.f.Cluster != nil && v.f.Plan != nil:
		return drbd.No
	}
	return drbd.Unknown
}

func (v *view) level() Level {
	switch {
	case v.served == drbd.No:
		return Down
	case v.served == drbd.Unknown,
		slices.ContainsFunc(v.p.Findings, func(x Finding) bool { return x.Severity != Notice }):
		return Degraded
	}
	return Healthy
}

func (v *view) headline() string {
	var bad []Finding
	for _, x := range v.p.Findings {
		if x.Severity != Notice {
			bad = append(bad, x)
		}
	}
	active := v.p.Service.Active
	if v.p.Level == Healthy {
		if ready := v.ready(); len(ready) > 0 {
			return fmt.Sprintf("%s serves, %s can take over", active, strings.Join(ready, ", "))
		}
		return active + " serves"
	}
	if len(bad) == 0 {
		return "whether clients are served could not be seen"
	}
	line := bad[0].What
	if bad[0].Word == wordNoService {
		return line + ": " + bad[0].Why
	}
	if v.p.Level == Down && bad[0].Word != wordSilent {
		line = "clients are not served: " + line
	}
	if len(bad) > 1 {
		line += fmt.Sprintf(" (and %d more)", len(bad)-1)
	}
	return line
}

// ready are the nodes that can take over.
func (v *view) ready() []string {
	var out []string
	for _, n := range v.p.Nodes {
		if !n.Active && !n.Diskless && n.Cluster == NodeOnline && n.Disk == drbd.DiskUpToDate {
			out = append(out, n.Name)
		}
	}
	return out
}

// group is the group's name for commands.
func (v *view) group() string { return v.p.Service.Group }

// clone is the name of its clone.
func (v *view) clone() string {
	g, _ := v.f.CIB.group(v.group())
	return cmp.Or(g.Clone, v.group()+"-clone")
}

func (v *view) cleanup() string { return "pcs resource cleanup " + v.group() }
