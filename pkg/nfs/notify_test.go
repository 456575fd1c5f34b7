package nfs

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var twoAddrs = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}

// clients makes the lists of a volume: sm holds those with locks, bak those that
// an earlier notification has not reached, and the state number is 5.
func clients(t *testing.T, r *rooted, sm, bak []string) {
	t.Helper()
	for _, list := range []struct {
		dir   string
		names []string
	}{{"/sm", sm}, {"/sm.bak", bak}} {
		dir := volumeDir + list.dir
		if err := r.RemoveAll("test", dir); err != nil {
			t.Fatal(err)
		}
		r.mkdir(dir)
		for _, n := range list.names {
			r.write(dir+"/"+n, n)
		}
	}
	r.write(volumeDir+"/state", "\x05\x00\x00\x00")
}

func onDebian(t *testing.T) (*rooted, *State) {
	t.Helper()
	r := newRooted(t)
	r.install("Debian", LocalDir)
	r.install("Debian", volumeDir)
	r.symlink(LocalDir, Dir)
	return r, NewState(r, volumeDir)
}

func names(t *testing.T, r *rooted, dir string) []string {
	t.Helper()
	got, err := readNames(r, dir)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clip(append([]string(nil), got...))
}

// Ensure that retiring moves the clients with locks to those that have to be
// told, keeps those that are there, and takes the state number to the next odd
// one, once.
func TestRetireLockClients(t *testing.T) {
	tests := []struct {
		name    string
		sm, bak []string
		want    []string
		state   byte
	}{
		{"nobody", nil, nil, nil, 5},
		{"only with locks", []string{"c1", "c2"}, nil, []string{"c1", "c2"}, 7},
		{"only not reached", nil, []string{"c3"}, []string{"c3"}, 5},
		{"both", []string{"c1", "c2"}, []string{"c2", "c3"}, []string{"c1", "c2", "c3"}, 7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, s := onDebian(t)
			clients(t, r, tt.sm, tt.bak)
			for range 2 {
				if err := s.RetireLockClients(); err != nil {
					t.Fatal(err)
				}
				if got := names(t, r, volumeDir+"/sm"); len(got) > 0 {
					t.Errorf("sm still has %q", got)
				}
				if diff := cmp.Diff(tt.want, names(t, r, volumeDir+"/sm.bak")); diff != "" {
					t.Errorf("sm.bak (-want +got):\n%s", diff)
				}
				if got := r.read(volumeDir + "/state"); got[0] != tt.state {
					t.Errorf("state number %d, want %d", got[0], tt.state)
				}
			}
		})
	}
}

// Ensure that a state file that is missing, cut off or even becomes an odd one.
func TestRetireLockClientsState(t *testing.T) {
	for old, want := range map[string]byte{"": 1, "\x09": 1, "\x06\x00\x00\x00": 7} {
		r, s := onDebian(t)
		clients(t, r, []string{"c1"}, nil)
		r.write(volumeDir+"/state", old)
		if err := s.RetireLockClients(); err != nil {
			t.Fatal(err)
		}
		if got := r.read(volumeDir + "/state"); len(got) != 4 || got[0] != want {
			t.Errorf("from %q to %q, want number %d", old, got, want)
		}
	}
}

// Ensure that being killed anywhere in retiring, telling and forgetting loses no
// client that was not told: at the end of every attempt it is on a list.
func TestLockClientsInterrupted(t *testing.T) {
	want := []string{"c1", "c2", "c3"}
	for at := 1; ; at++ {
		r, s := onDebian(t)
		clients(t, r, []string{"c1", "c2"}, []string{"c3"})
		n := &notifier{rooted: r}
		life := func() error {
			return errors.Join(s.RetireLockClients(), s.NotifyLockClients(t.Context(), n, twoAddrs), s.ForgetNotified())
		}
		r.calls, r.killAt = 0, at
		err := life()
		killed := r.calls >= at
		r.killAt = 0
		if killed != (err != nil) {
			t.Fatalf("killed at %d: %v, error %v", at, killed, err)
		}
		got, err := s.LockClients()
		slices.Sort(got)
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" || err != nil {
			t.Fatalf("killed at call %d: %v (-want +got):\n%s", at, err, diff)
		}
		if err := life(); err != nil {
			t.Fatalf("again after a kill at call %d: %v", at, err)
		}
		got, _ = s.LockClients()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("again after a kill at call %d (-want +got):\n%s", at, diff)
		}
		if !killed {
			return
		}
	}
}

// Ensure that each address has its own sm-notify on its own copy of the list,
// with the state number that rpc.statd will read.
func TestNotifyLockClients(t *testing.T) {
	r, s := onDebian(t)
	clients(t, r, []string{"c1"}, []string{"c2"})
	r.write(volumeDir+"/drbdnfs-notify/0/sm/stale", "")
	n := &notifier{rooted: r}
	if err := s.RetireLockClients(); err != nil {
		t.Fatal(err)
	}
	if err := s.NotifyLockClients(t.Context(), n, twoAddrs); err != nil {
		t.Fatal(err)
	}
	dir := volumeDir + "/drbdnfs-notify"
	diff := cmp.Diff([]string{
		"nfs.notify drbdnfs-notify0.service: /usr/sbin/sm-notify -d -f -n -v 192.0.2.1 -P " + dir + "/0 (oneshot false, wait false, before pacemaker.service)",
		"nfs.notify drbdnfs-notify1.service: /usr/sbin/sm-notify -d -f -n -v 2001:db8::1 -P " + dir + "/1 (oneshot false, wait false, before pacemaker.service)",
	}, n.units)
	if diff != "" {
		t.Errorf("units (-want +got):\n%s", diff)
	}
	for _, i := range []string{"/0", "/1"} {
		if diff := cmp.Diff([]string{"c1", "c2"}, names(t, r, dir+i+"/sm")); diff != "" {
			t.Errorf("copy %s (-want +got):\n%s", i, diff)
		}
		if got := r.read(dir + i + "/state"); got != r.read(volumeDir+"/state") {
			t.Errorf("copy %s has state number %q", i, got)
		}
	}
	n.fail = errors.New("sm-notify: not installed")
	checkText(t, s.NotifyLockClients(t.Context(), n, twoAddrs), "not installed")
}

// Ensure that nothing is started, or even looked for, when nobody has locks.
func TestNotifyNobody(t *testing.T) {
	r, s := onDebian(t)
	clients(t, r, []string{"c1"}, nil) // locked since the start, not retired
	n := &notifier{rooted: r, fail: errors.New("must not be asked for")}
	if err := s.NotifyLockClients(t.Context(), n, twoAddrs); err != nil || len(n.units) > 0 {
		t.Errorf("%v, %q", err, n.units)
	}
}

// Ensure that a client is forgotten when it was told from every address, and
// not before.
func TestForgetNotified(t *testing.T) {
	r, s := onDebian(t)
	clients(t, r, []string{"c1", "c2", "c3"}, nil)
	n := &notifier{rooted: r}
	if err := errors.Join(s.RetireLockClients(), s.NotifyLockClients(t.Context(), n, twoAddrs)); err != nil {
		t.Fatal(err)
	}
	dir := volumeDir + "/drbdnfs-notify"
	gone := func(paths ...string) {
		for _, p := range paths {
			if err := r.Remove("test", p); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(want ...string) {
		t.Helper()
		if err := s.ForgetNotified(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, names(t, r, volumeDir+"/sm.bak")); diff != "" {
			t.Errorf("not told (-want +got):\n%s", diff)
		}
	}
	check("c1", "c2", "c3")
	gone(dir+"/0/sm/c1", dir+"/0/sm/c2", dir+"/1/sm/c1")
	r.write(dir+"/1/sm.bak/c2", "") // sent, not answered
	gone(dir + "/1/sm/c2")
	check("c2", "c3")
	gone(dir+"/1/sm.bak/c2", dir+"/0/sm/c3", dir+"/1/sm/c3")
	check()
}

// Ensure that a volume without NFSv3 state has no lock clients.
func TestLockClientsNone(t *testing.T) {
	r := newRooted(t)
	r.mkdir(volumeDir)
	s := NewState(r, volumeDir)
	if got, err := s.LockClients(); err != nil || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
	if err := errors.Join(s.RetireLockClients(), s.ForgetNotified()); err != nil {
		t.Error(err)
	}
}
