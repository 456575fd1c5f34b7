package splitbrain

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

func TestWords(t *testing.T) {
	live := StateChanged{At: noon, Role: drbd.RoleSecondary, Connection: drbd.ConnConnected, Live: true}
	alone := StateChanged{At: noon.Add(time.Minute), Role: drbd.RoleSecondary, Connection: drbd.ConnStandAlone}
	at := func(seconds int) Word { return Word{WordHandler, noon.Add(time.Duration(seconds) * time.Second)} }
	tests := []struct {
		name string
		in   []Input
		want Phase
	}{
		{"a word, then StandAlone", []Input{live, at(30), alone}, PhaseHeld},
		{"StandAlone, then a word", []Input{live, alone, at(30)}, PhaseHeld},
		{"a word before the first state", []Input{at(30), alone}, PhaseHeld},
		{"a word that is still ahead of its lines", []Input{live, at(30)}, PhaseHeld},
		{"... overtaking a line from before", []Input{live, at(30), StateChanged{At: noon.Add(time.Second), Connection: drbd.ConnConnected, Live: true}}, PhaseHeld},
		{"a word from before", []Input{live, alone, at(-30)}, PhaseNone},
		{"a word that was resolved while the daemon was down", []Input{at(-30), live, alone}, PhaseNone},
		{"resolved later", []Input{at(30), alone, StateChanged{At: noon.Add(2 * time.Minute), Live: true}}, PhaseNone},
		{"a word of the future, resolved later", []Input{alone, at(100_000), StateChanged{At: noon.Add(2 * time.Hour), Live: true}}, PhaseNone},
		{"StandAlone", []Input{live, alone}, PhaseNone},
		{"no state yet", []Input{at(30)}, PhaseNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := NewMachine("alpha", "r0", "beta", Record{})
			for _, in := range tt.in {
				for _, e := range m.Handle(noon.Add(time.Hour), in) {
					if p, ok := e.(Persist); ok {
						m.Handle(noon.Add(time.Hour), Persisted{Revision: p.Record.Revision})
					}
				}
			}
			if got := m.Status().Phase; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// Ensure that a refusal is told once, and one that may end by itself only when
// it has lasted.
func TestAlerts(t *testing.T) {
	m := NewMachine("alpha", "r0", "beta", Record{})
	var told []string
	handle := func(at time.Duration, in Input) {
		for _, e := range m.Handle(noon.Add(at), in) {
			switch e := e.(type) {
			case Persist:
				m.Handle(noon.Add(at), Persisted{Revision: e.Record.Revision})
			case Alert:
				told = append(told, string(e.Kind)+" "+string(e.Status.Refusal)+" "+string(e.Result))
			}
		}
	}
	handle(0, PolicyChanged{Policy: auto(DiscardSecondary)})
	handle(0, StateChanged{Connection: drbd.ConnStandAlone, Role: drbd.RoleSecondary})
	handle(time.Second, Word{WordHelper, noon.Add(time.Second)})
	handle(4*time.Second, Tick{})
	handle(7*time.Second, Tick{})
	handle(9*time.Second, Tick{})
	handle(10*time.Second, StateChanged{Connection: drbd.ConnConnected, Live: true})
	want := []string{"found  ", "refused peer-missing ", "resolved peer-missing by-hand"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
