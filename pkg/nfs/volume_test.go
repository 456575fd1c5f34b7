package nfs

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// serving is a node whose own copy is local and whose volume is mounted.
func serving(t *testing.T, layout string) (*rooted, *State) {
	t.Helper()
	r := newRooted(t)
	r.install(layout, LocalDir)
	r.install(layout, volumeDir)
	r.symlink(LocalDir, Dir)
	return r, NewState(r, volumeDir)
}

// Ensure that the link leads to the volume only when what it leads to is
// ready, and that the exports of another node are gone from it.
func TestToVolume(t *testing.T) {
	for layout := range layouts {
		t.Run(layout, func(t *testing.T) {
			r, s := serving(t, layout)
			r.write(volumeDir+"/etab", "/stale\t*(ro)\n")
			for range 2 {
				if err := s.ToVolume(t.Context()); err != nil {
					t.Fatal(err)
				}
				expectPlace(t, s, PlaceVolume)
				if got := r.read(Dir + "/etab"); got != "" {
					t.Errorf("etab = %q", got)
				}
			}
			if err := s.ToLocal(); err != nil {
				t.Fatal(err)
			}
			expectPlace(t, s, PlaceLocal)
			if got := r.read(Dir + "/etab"); got != "etab" {
				t.Errorf("own etab = %q", got)
			}
		})
	}
}

// Ensure that ToVolume, ended at any instruction, leaves a link that leads
// somewhere, and can be run again.
func TestToVolumeInterrupted(t *testing.T) {
	for at := 1; ; at++ {
		r, s := serving(t, "EL")
		r.killAt = at
		err := s.ToVolume(t.Context())
		if err != nil && !errors.Is(err, errKilled) {
			t.Fatalf("ended at call %d: %v", at, err)
		}
		if _, err := r.Stat(Dir); err != nil {
			t.Errorf("after call %d: %v", at, err)
		}
		r.killAt = 0
		if err := s.ToVolume(t.Context()); err != nil {
			t.Errorf("again after call %d: %v", at, err)
		}
		expectPlace(t, s, PlaceVolume)
		if err == nil {
			return
		}
	}
}

func TestToVolumeRefuses(t *testing.T) {
	r := newRooted(t)
	r.install("EL", Dir)
	r.mkdir(volumeDir)
	err := NewState(r, volumeDir).ToVolume(t.Context())
	checkText(t, err, "not a link of drbdnfs", "run start first")
	if !errors.Is(err, ErrForeignState) {
		t.Errorf("error %v is not ErrForeignState", err)
	}

	r = newRooted(t)
	r.install("EL", LocalDir)
	r.symlink(LocalDir, Dir)
	checkText(t, NewState(r, volumeDir).ToVolume(t.Context()), "nfs_state_dir "+volumeDir+" is missing")

	_, s := serving(t, "EL")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.ToVolume(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	expectPlace(t, s, PlaceLocal)
}

// Ensure that rpc.statd's files on the volume go to the account that it has on
// this node, and nothing else does.
func TestToVolumeOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to give files away")
	}
	tests := []struct {
		layout, dir string
		want        map[string][2]int
	}{
		{"EL", "statd/", map[string][2]int{
			volumeDir + "/statd": {29, 30}, volumeDir + "/statd/sm": {29, 30}, volumeDir + "/statd/sm.bak": {29, 30},
			volumeDir + "/statd/state": {29, 30}, volumeDir + "/statd/sm/c1": {29, 30}, volumeDir + "/statd/sm.bak/c2": {29, 30},
		}},
		{"Debian", "", map[string][2]int{
			volumeDir + "/sm": {29, 30}, volumeDir + "/sm.bak": {29, 30}, volumeDir + "/state": {29, 30},
			volumeDir + "/sm/c1": {29, 30}, volumeDir + "/sm.bak/c2": {29, 30},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.layout, func(t *testing.T) {
			r, s := serving(t, tt.layout)
			if err := os.Chown(r.root+LocalDir+"/"+tt.dir+"sm", 29, 30); err != nil {
				t.Fatal(err)
			}
			if err := s.ToVolume(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, r.chowned); diff != "" {
				t.Errorf("given away (-want +got):\n%s", diff)
			}
			clear(r.chowned)
			if err := s.ToVolume(t.Context()); err != nil || len(r.chowned) != 0 {
				t.Errorf("once more: %v, %v", r.chowned, err)
			}
		})
	}
}

// Ensure that a node without NFSv3 gives nothing away.
func TestToVolumeWithoutStatd(t *testing.T) {
	r := newRooted(t)
	r.write(LocalDir+"/etab", "")
	r.install("EL", volumeDir)
	r.symlink(LocalDir, Dir)
	if err := NewState(r, volumeDir).ToVolume(t.Context()); err != nil || len(r.chowned) != 0 {
		t.Errorf("%v, %v", r.chowned, err)
	}
}
