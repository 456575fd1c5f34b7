package metrics_test

import (
	"testing"

	"github.com/spacei/drbdnfs/pkg/metrics"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// Ensure that each policy that split brains are decided by is shown by its own
// word, and not as one that is not known.
func TestPoliciesAreKnown(t *testing.T) {
	want := []splitbrain.PolicyKind{
		splitbrain.Manual, splitbrain.DiscardSecondary, splitbrain.DiscardLeastChanges, splitbrain.DiscardYoungerPrimary, splitbrain.KeepNode,
	}
	snap := &metrics.Snapshot{Policies: map[string]string{"invented": "invented"}} // shown as another word
	for _, p := range want {
		snap.Policies[string(p)] = string(p)
	}
	m, err := metrics.New(metrics.Options{Source: func() *metrics.Snapshot { return snap }})
	if err != nil {
		t.Fatal(err)
	}
	var managed []string
	for name := range snap.Policies {
		managed = append(managed, name)
	}
	m.SetScope(metrics.Scope{Managed: managed})
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, f := range families {
		if f.GetName() != "drbdnfs_discard_policy_info" {
			continue
		}
		for _, s := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range s.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["policy"] == labels["name"] {
				shown[labels["policy"]] = true
			}
		}
	}
	for _, p := range want {
		if !shown[string(p)] {
			t.Errorf("%s is not known", p)
		}
	}
	if len(shown) != len(want) {
		t.Errorf("shown are %v", shown)
	}
}
