package snapshot_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/snapshot"
)

// Ensure that the room for a snapshot can be asked for without making one.
func TestRoom(t *testing.T) {
	for _, tt := range []struct {
		name string
		free int64
		dev  string
		want error
	}{
		{"enough", 2 * gib, thick, nil},
		{"too little", 64 * mib, thick, snapshot.ErrNoRoom},
		{"no logical volume", 2 * gib, "/dev/vda3", snapshot.ErrNotLVM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.free = tt.free
			err := snapshot.New(w).Room(t.Context(), snapshot.Request{BackingDev: tt.dev})
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if got := w.Commands(); len(got) != 1 || !strings.HasPrefix(got[0], "lvs ") {
				t.Errorf("ran %q, want lvs alone", got)
			}
		})
	}
	w := newWorld(t)
	w.Fail("snapshot.lvs", errors.New("boom"))
	if err := snapshot.New(w).Room(t.Context(), snapshot.Request{BackingDev: thick}); err == nil || errors.Is(err, snapshot.ErrNoRoom) {
		t.Errorf("an error of LVM: %v", err)
	}
}
