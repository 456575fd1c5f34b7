package admin_test

import (
	"testing"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// Ensure that only the word by which DRBD's helpers are switched off means that,
// and that nothing is guessed without the module.
func TestUsermodeHelper(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       drbd.Tri
	}{
		{"the usual program", "drbdadm\n", drbd.Yes},
		{"switched off", "disabled\n", drbd.No},
		{"no module", "", drbd.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := hosttest.New(t)
			if tt.text != "" {
				h.SetFile("/sys/module/drbd/parameters/usermode_helper", tt.text)
			}
			if got := admin.New(h).UsermodeHelper(); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
