package status

import (
	"cmp"
	"slices"

	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// splitBrains are those that the nodes' evidence, or this node's records, tell
// of.
func splitBrains(f *Facts) []SplitBrain {
	out := []SplitBrain{}
	find := func(a, b string) *SplitBrain {
		nodes := [2]string{min(a, b), max(a, b)}
		for i := range out {
			if out[i].Nodes == nodes {
				return &out[i]
			}
		}
		out = append(out, SplitBrain{Resource: f.Plan.Resource, Nodes: nodes, Sides: []SplitSide{}})
		return &out[len(out)-1]
	}
	for _, e := range f.Evidence {
		find(e.Node, e.Peer).add(e)
	}
	for _, r := range f.Records {
		if r.Resource == f.Plan.Resource && r.Phase != splitbrain.PhaseNone {
			s := find(f.Self, r.Peer)
			s.phase(r.Phase, r.Refusal)
			s.FoundAt = r.FoundAt
			s.Victim = cmp.Or(s.Victim, r.Verdict.Victim)
		}
	}
	out = slices.DeleteFunc(out, func(s SplitBrain) bool { return s.Phase == "" })
	for i := range out {
		out[i].Command = "drbdnfs split-brain show"
		if r := splitbrain.Refusal(out[i].Refusal); r != "" {
			out[i].Why, out[i].Remedy = r.Explain()
		}
	}
	return out
}

// add takes over what one node says.
func (s *SplitBrain) add(e splitbrain.Evidence) {
	side := SplitSide{
		Node: e.Node, At: e.At, Role: e.Role, Promoted: e.Promoted, Mounted: e.Mounted, Phase: string(e.Phase),
		Refusal: string(e.Refusal), Policy: clean(string(e.Policy.Kind)), LastPromoted: e.LastPromoted, Words: []string{}, ChangedBytes: -1,
	}
	for i, v := range e.Volumes {
		side.Disk = worseDisk(side.Disk, v.Disk)
		switch {
		case v.ChangedBytes < 0 || i > 0 && side.ChangedBytes < 0:
			side.ChangedBytes = -1
		case i == 0:
			side.ChangedBytes = v.ChangedBytes
		default:
			side.ChangedBytes += v.ChangedBytes
		}
	}
	for _, w := range e.Words {
		side.Words = append(side.Words, clean(string(w.Kind)))
		if s.FoundAt.IsZero() || w.At.Before(s.FoundAt) {
			s.FoundAt = w.At
		}
	}
	s.Sides = append(s.Sides, side)
	s.phase(e.Phase, e.Refusal)
	s.Victim = cmp.Or(s.Victim, clean(e.Victim))
	s.Incident = cmp.Or(s.Incident, clean(e.Incident))
}

// phase takes over a phase: what is held by one node is held, and of the others
// the one that has come farthest counts.
func (s *SplitBrain) phase(p splitbrain.Phase, r splitbrain.Refusal) {
	order := []string{
		string(splitbrain.PhaseHeld), string(splitbrain.PhaseDiscarding), string(splitbrain.PhaseReconnecting),
		string(splitbrain.PhaseSnapshotting), string(splitbrain.PhaseDecided), string(splitbrain.PhaseFound),
	}
	if !slices.Contains(order, string(p)) {
		return
	}
	s.Phase = worse(order, s.Phase, string(p))
	if p == splitbrain.PhaseHeld {
		s.Refusal = cmp.Or(s.Refusal, clean(string(r)))
	}
}
