package cib_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/cib"
)

// Ensure that what this package knows of the agent's parameters is what the
// agent says in its meta-data: what it reloads, and what it assumes.
func TestAgentParameters(t *testing.T) {
	var reloadable []string
	defaults := map[string]string{}
	for _, p := range agent.Metadata().Parameters {
		if p.Reloadable {
			reloadable = append(reloadable, p.Name)
		}
		defaults[p.Name] = p.Default
	}
	got := cib.Reloadable()
	slices.Sort(got)
	slices.Sort(reloadable)
	if diff := cmp.Diff(reloadable, got); diff != "" {
		t.Errorf("reloadable (-agent +here):\n%s", diff)
	}
	for name, value := range cib.Defaults() {
		want, ok := defaults[name]
		if !ok || value != want {
			t.Errorf("default of %s is %q here, the agent has %q (known %v); it has %v", name, value, want, ok, slices.Sorted(maps.Keys(defaults)))
		}
	}
}
