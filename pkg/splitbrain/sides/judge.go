package sides

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
	"github.com/spacei/drbdnfs/pkg/snapshot"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// staleAfter is from when on evidence says that its daemon does not run: that
// renews it each minute.
const staleAfter = 3 * time.Minute

// Source is who says what is known of a side.
type Source string

// The sources.
const (
	SourceDaemon Source = "daemon" // its daemon, in Pacemaker's attributes
	SourceStale  Source = "stale"  // likewise, and it has not renewed that
	SourceDRBD   Source = "drbd"   // DRBD on this node
	SourceNobody Source = "nobody"
)

// Side is one node.
type Side struct {
	Node         string               `json:"node"`
	Source       Source               `json:"source"`
	At           time.Time            `json:"at,omitzero"` // when that was said, by the node's clock
	ChangedBytes int64                `json:"changed_bytes"`
	Since        time.Time            `json:"since,omitzero"` // from when on it can have changed them; zero: not known
	Evidence     *splitbrain.Evidence `json:"evidence"`       // null: nothing is known
}

// Choice is what discarding one node's data means.
type Choice struct {
	Discard  string             `json:"discard"`
	Keep     string             `json:"keep"`
	Text     string             `json:"text"`
	Possible bool               `json:"possible"`
	Refusal  splitbrain.Refusal `json:"refusal,omitempty"` // empty where nobody knows enough
	Command  string             `json:"command"`           // to type: that, or what makes it possible
	// ByHand are the commands for each node where the daemons cannot do it and
	// a person can.
	ByHand []splitbrain.Commands `json:"by_hand,omitempty"`
}

// Picture is a pair as a person sees it.
type Picture struct {
	Pair
	Time      time.Time           `json:"time"`
	Found     bool                `json:"found"` // there is a split brain
	FoundAt   time.Time           `json:"found_at,omitzero"`
	Incident  string              `json:"incident,omitempty"`
	Relation  gi.Relation         `json:"relation"`
	Phase     splitbrain.Phase    `json:"phase"` // here
	Refusal   splitbrain.Refusal  `json:"refusal,omitempty"`
	Why       string              `json:"why,omitempty"`
	Remedy    string              `json:"remedy,omitempty"`
	Verdict   splitbrain.Verdict  `json:"verdict,omitzero"`
	Running   bool                `json:"daemon_running"` // here
	Sides     []Side              `json:"sides"`
	Choices   []Choice            `json:"choices"`
	Snapshots []snapshot.Snapshot `json:"snapshots"` // on this node
	Unknown   []string            `json:"unknown"`
}

// Judge makes a picture of what was seen.
func Judge(f Facts) Picture {
	p := Picture{
		Pair: f.Pair, Time: f.Now, Running: f.Running, Phase: splitbrain.PhaseNone, Relation: gi.Unknown,
		Choices: []Choice{}, Snapshots: f.Snapshots, Unknown: f.Unknown,
	}
	if p.Snapshots == nil {
		p.Snapshots = []snapshot.Snapshot{}
	}
	if p.Unknown == nil {
		p.Unknown = []string{}
	}
	for _, node := range sorted(f.Pair) {
		p.Sides = append(p.Sides, f.side(node))
	}
	if r := f.Record; r != nil {
		p.FoundAt, p.Verdict = r.FoundAt, r.Verdict
		p.is(r.Phase, r.Refusal)
	}
	if own, says := f.Evidence[f.Node]; says && f.Running {
		p.is(own.Phase, own.Refusal)
	}
	a, b := p.Sides[0].Evidence, p.Sides[1].Evidence
	if a != nil && b != nil && !a.Live && !b.Live {
		p.Relation = splitbrain.Relate(a.Volumes, b.Volumes)
		p.Incident = splitbrain.Incident(*a, *b)
	}
	p.Found = p.Phase != splitbrain.PhaseNone || p.Relation.Diverged()
	if peer, says := f.Evidence[f.Peer]; says && !peer.Live && peer.Phase != splitbrain.PhaseNone {
		p.Found = true
	}
	if !p.Found {
		return p
	}
	p.Choices = []Choice{p.choice(0), p.choice(1)}
	for i := range p.Choices {
		p.Choices[i].ByHand = p.byHand(i)
	}
	return p
}

func sorted(p Pair) []string {
	nodes := []string{p.Node, p.Peer}
	slices.Sort(nodes)
	return nodes
}

func (p *Picture) is(phase splitbrain.Phase, r splitbrain.Refusal) {
	p.Phase, p.Refusal, p.Why, p.Remedy = phase, "", "", ""
	if phase == splitbrain.PhaseHeld {
		p.Refusal = r
		p.Why, p.Remedy = r.Explain()
	}
}

// side is what is known of a node, and who says so.
func (f *Facts) side(node string) Side {
	s := Side{Node: node, Source: SourceNobody, ChangedBytes: -1}
	e, says := f.Evidence[node]
	switch {
	case node == f.Node && f.Own != nil:
		s.Source, s.Evidence, s.At = SourceDRBD, f.Own, f.Now
	case says:
		s.Source, s.Evidence, s.At = SourceDaemon, &e, e.At
		if f.Now.Sub(e.At).Abs() > staleAfter || node == f.Node && !f.Running {
			s.Source = SourceStale
		}
	}
	if s.Evidence != nil && len(s.Evidence.Volumes) > 0 {
		s.ChangedBytes = s.Evidence.ChangedBytes()
	}
	s.Since = f.since(s.Evidence)
	return s
}

// since is from when on a node can have written without the other: it was
// Primary when they lost each other, or was promoted later.
func (f *Facts) since(e *splitbrain.Evidence) time.Time {
	if e == nil {
		return time.Time{}
	}
	lost := e.LostAt
	for _, other := range f.Evidence {
		if lost.IsZero() {
			lost = other.LostAt
		}
	}
	if e.LastPromoted.After(lost) && !lost.IsZero() {
		return e.LastPromoted
	}
	return lost
}

// more reports whether there are nodes with data besides the two.
func (p *Picture) more() bool {
	return slices.ContainsFunc(p.Sides, func(s Side) bool { return s.Evidence != nil && s.Evidence.OtherNodes > 0 })
}

// choice is to discard the data of side i.
func (p *Picture) choice(i int) Choice {
	victim, survivor := p.Sides[i], p.Sides[1-i]
	c := Choice{Discard: victim.Node, Keep: survivor.Node, Command: "drbdnfs split-brain resolve " + p.Resource + " --discard " + victim.Node}
	for _, s := range []Side{victim, survivor} {
		if why, command := p.missing(s); why != "" {
			c.Text, c.Command = "discarding "+victim.Node+" is not possible from here: "+why, command
			return c
		}
	}
	c.Refusal = splitbrain.Try(*victim.Evidence, *survivor.Evidence, victim.Node)
	why, remedy := c.Refusal.Explain()
	no := "discarding " + victim.Node + " is not possible: "
	switch c.Refusal {
	case "":
		c.Possible = true
		c.Text = p.loses(victim, survivor)
	case splitbrain.RefusalVictimInUse:
		c.Text, c.Command = no+usedHow(victim), "drbdnfs move "+survivor.Node
	case splitbrain.RefusalCommitted:
		c.Text, c.Command = no+victim.Node+" has promised to keep its data", remedy
	default:
		c.Text, c.Command = no+why, remedy
	}
	return c
}

// missing says why a node cannot be ordered anything, and what to do.
func (p *Picture) missing(s Side) (why, command string) {
	switch {
	case s.Node == p.Node && !p.Running:
		return "drbdnfsd does not run on " + s.Node, "systemctl start drbdnfsd"
	case s.Source == SourceStale:
		return fmt.Sprintf("%s has said nothing since %s: its drbdnfsd does not run, or its clock is wrong", s.Node, when(p.Time, s.At)),
			"systemctl start drbdnfsd, on " + s.Node
	case s.Source != SourceDaemon:
		return "nothing is known of " + s.Node + ": its drbdnfsd or Pacemaker does not run", "systemctl start pacemaker drbdnfsd, on " + s.Node
	}
	return "", ""
}

// loses says what discarding the data of victim costs.
func (p *Picture) loses(victim, survivor Side) string {
	changes := "what it has changed"
	if victim.ChangedBytes >= 0 {
		changes = snapshot.Bytes(victim.ChangedBytes).String()
	}
	text := fmt.Sprintf("discarding %s loses %s", victim.Node, changes)
	if !victim.Since.IsZero() {
		text += " written since " + when(p.Time, victim.Since)
	} else {
		text += " written since the two were in sync"
	}
	if survivor.Evidence.Role == drbd.RolePrimary {
		text += "; clients of " + survivor.Node + " are not interrupted"
	} else {
		text += "; nobody is served meanwhile"
	}
	return text
}

// usedHow says who uses the data of a node.
func usedHow(s Side) string {
	var how []string
	e := s.Evidence
	if e.Role != drbd.RoleSecondary {
		how = append(how, string(e.Role))
	}
	for _, u := range []struct {
		is   drbd.Tri
		word string
	}{{e.Promoted, "promoted by Pacemaker"}, {e.Mounted, "mounted"}} {
		switch u.is {
		case drbd.Yes:
			how = append(how, u.word)
		case drbd.Unknown:
			how = append(how, "perhaps "+u.word)
		}
	}
	return s.Node + " is in use: " + strings.Join(how, ", ")
}

// byHand are the commands that a person runs on each node for a choice, where
// the daemons cannot do it and that helps: none for a node that is in use, and
// none where it is not proven that the data diverged.
func (p *Picture) byHand(i int) []splitbrain.Commands {
	c, s := p.Choices[i], p.Sides[i]
	switch c.Refusal {
	case "", splitbrain.RefusalFullSync, splitbrain.RefusalMoreNodes, splitbrain.RefusalMixed, splitbrain.RefusalCommitted, splitbrain.RefusalLost:
	default:
		return nil
	}
	if c.Possible || s.Evidence != nil && s.Source != SourceStale && s.Evidence.Used() {
		return nil
	}
	return splitbrain.ByHand(p.Resource, c.Discard, c.Keep, p.more())
}

// Choice returns the choice to discard the data of node.
func (p *Picture) Choice(node string) (Choice, bool) {
	i := slices.IndexFunc(p.Choices, func(c Choice) bool { return c.Discard == node })
	if i < 0 {
		return Choice{}, false
	}
	return p.Choices[i], true
}
