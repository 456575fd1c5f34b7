package agent_test

import (
	"testing"

	"github.com/spacei/drbdnfs/ocf"
)

// Ensure that the life of an instance has the codes of the specification at
// each station, and that each action can be repeated.
func TestLife(t *testing.T) {
	steps := []struct {
		action string
		code   ocf.Code
		serves bool
	}{
		{"probe", ocf.NotRunning, false},
		{"start", ocf.Success, false},
		{"start", ocf.Success, false},
		{"probe", ocf.Success, false},
		{"monitor", ocf.Success, false},
		{"promote", ocf.Success, true},
		{"promote", ocf.Success, true},
		{"start", ocf.Success, true},
		{"probe", ocf.RunningPromoted, true},
		{"monitor", ocf.RunningPromoted, true},
		{"status", ocf.RunningPromoted, true},
		{"notify", ocf.Success, true},
		{"reload-agent", ocf.Success, true},
		{"demote", ocf.Success, false},
		{"demote", ocf.Success, false},
		{"monitor", ocf.Success, false},
		{"promote", ocf.Success, true},
		{"stop", ocf.Success, false},
		{"stop", ocf.Success, false},
		{"monitor", ocf.NotRunning, false},
		{"probe", ocf.NotRunning, false},
	}
	for _, kernel := range []struct {
		name string
		is84 bool
	}{{"DRBD 9", false}, {"DRBD 8.4", true}} {
		t.Run(kernel.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.DRBD.Kernel84 = kernel.is84
				for i, s := range steps {
					w.want(t, s.action, s.code)
					if w.Serves() != s.serves {
						t.Fatalf("after step %d (%s): serves is %v", i, s.action, !s.serves)
					}
					if !s.serves {
						w.clean(t)
					}
				}
				if w.DRBD.Up {
					t.Error("DRBD is up after stop")
				}
			})
		})
	}
}
