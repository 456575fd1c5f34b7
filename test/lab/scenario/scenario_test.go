package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSelect(t *testing.T) {
	usual, err := Select(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"bring-up", "setup-again", "split-brain-manual", "crash", "move", "locks", "monitor-recovers", "stop-busy", "killed-action", "probe-bare", "ocf-tester"}
	if got := scenarioNames(usual); !slices.Equal(got, want) {
		t.Errorf("without names: %v, want %v", got, want)
	}
	all, err := Select([]string{"all"})
	if err != nil || len(all) != len(All()) {
		t.Errorf("all: %d scenarios, %v", len(all), err)
	}
	two, err := Select([]string{"soak", "crash"})
	if err != nil || !slices.Equal(scenarioNames(two), []string{"soak", "crash"}) {
		t.Errorf("by name: %v, %v", scenarioNames(two), err)
	}
	if _, err := Select([]string{"crush"}); err == nil || !strings.Contains(err.Error(), "bring-up") {
		t.Errorf("unknown name: %v", err)
	}
}

func TestKillPoints(t *testing.T) {
	few, full := killPoints(false), killPoints(true)
	for _, p := range few {
		if !slices.Contains(full, p) {
			t.Errorf("%s is missing in the full list", p)
		}
	}
	if few[0].String() != "promote block before" {
		t.Errorf("first point %q", few[0])
	}
	edges := 0
	for _, p := range few {
		if p.edge == "before" {
			edges++
		}
	}
	if edges != 2 {
		t.Errorf("%d before-points in the short list, want one for each action", edges)
	}
}

func TestStalls(t *testing.T) {
	s := Stalls{"v4.2": 9500 * time.Millisecond, "v3": 12 * time.Second}
	if got := s.String(); got != "v3 12.0 s, v4.2 9.5 s" {
		t.Errorf("%q", got)
	}
}
