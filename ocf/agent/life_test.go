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
	for _, machine := range []struct {
		name  string
		scene func(w *world)
	}{
		{"EL with DRBD 9", func(*world) {}},
		{"EL with DRBD 8.4", func(w *world) { w.DRBD.Kernel84 = true }},
		{"Debian", func(w *world) { w.Debian() }},
		{"auto-promote", func(w *world) { w.DRBD.AutoPromo = true }},
	} {
		t.Run(machine.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				machine.scene(w)
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
