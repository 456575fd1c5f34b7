package nfs

import (
	"context"
	"errors"
	"net/netip"
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

func TestLockClients(t *testing.T) {
	for layout := range layouts {
		_, s := serving(t, layout)
		clients, err := s.LockClients()
		if diff := cmp.Diff([]string{"c1"}, clients); diff != "" || err != nil {
			t.Errorf("%s: with locks: %v\n%s", layout, err, diff)
		}
		pending, err := s.PendingNotifications()
		if diff := cmp.Diff([]string{"c1", "c2"}, pending); diff != "" || err != nil {
			t.Errorf("%s: to be told: %v\n%s", layout, err, diff)
		}
	}
	r := newRooted(t)
	r.mkdir(volumeDir)
	s := NewState(r, volumeDir)
	if clients, err := s.LockClients(); err != nil || clients != nil {
		t.Errorf("without NFSv3: %q, %v", clients, err)
	}
	if clients, err := s.PendingNotifications(); err != nil || clients != nil {
		t.Errorf("without NFSv3: %q, %v", clients, err)
	}
	r.write(volumeDir+"/sm/c1", "")
	if clients, err := s.PendingNotifications(); err != nil || len(clients) != 1 {
		t.Errorf("without sm.bak: %q, %v", clients, err)
	}
}

// Ensure that each address has its own sm-notify: the first with the list
// itself, the others with copies that were made before it starts.
func TestNotifyLockClients(t *testing.T) {
	r, s := serving(t, "EL")
	r.write("/run/drbdnfs/notify/1/sm/stale", "")
	n := &notifier{rooted: r}
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	if err := s.NotifyLockClients(t.Context(), n, addrs); err != nil {
		t.Fatal(err)
	}
	diff := cmp.Diff([]string{
		"nfs.notify drbdnfs-notify0.service: /usr/sbin/sm-notify -d -f -v 192.0.2.1 (oneshot false, wait false, before pacemaker.service)",
		"nfs.notify drbdnfs-notify1.service: /usr/sbin/sm-notify -d -f -v 2001:db8::1 -P /run/drbdnfs/notify/1 (oneshot false, wait false, before pacemaker.service)",
	}, n.units)
	if diff != "" {
		t.Errorf("units (-want +got):\n%s", diff)
	}
	diff = cmp.Diff([]string{
		"1/", "1/sm.bak/", "1/sm.bak/c2 = statd/sm.bak/c2", "1/sm/", "1/sm/c1 = statd/sm/c1", "1/state = statd/state",
	}, r.tree("/run/drbdnfs/notify"))
	if diff != "" {
		t.Errorf("copies (-want +got):\n%s", diff)
	}
}

// Ensure that on Debian, where rpc.statd shares its directory with everything
// else, only what sm-notify reads is copied.
func TestNotifyLockClientsDebian(t *testing.T) {
	r, s := serving(t, "Debian")
	n := &notifier{rooted: r}
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	if err := s.NotifyLockClients(t.Context(), n, addrs); err != nil {
		t.Fatal(err)
	}
	diff := cmp.Diff([]string{"sm.bak/", "sm.bak/c2 = sm.bak/c2", "sm/", "sm/c1 = sm/c1", "state = state"}, r.tree("/run/drbdnfs/notify/1"))
	if diff != "" {
		t.Errorf("copy (-want +got):\n%s", diff)
	}
	n.fail = errors.New("sm-notify: not installed")
	checkText(t, s.NotifyLockClients(t.Context(), n, addrs), "not installed")
}
