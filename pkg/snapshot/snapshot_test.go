package snapshot_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/snapshot"
)

const (
	thickName = "drbdpool/res0_00000_sb_20261123T140745"
	thinName  = "drbdpool/res1_00000_sb_20261123T140745"
	begin     = "lvcreate --yes --snapshot --permission r --addtag drbdnfs"
	thickTags = " --addtag drbdnfs.resource=res0 --addtag drbdnfs.volume=0 --addtag drbdnfs.incident=5d41402a --name res0_00000_sb_20261123T140745"
	thinTags  = " --addtag drbdnfs.resource=res1 --addtag drbdnfs.volume=2 --addtag drbdnfs.incident=5d41402a --name res1_00000_sb_20261123T140745"
	whole     = begin + thickTags + " --size 1077936128b --chunksize 16k drbdpool/res0_00000"
	changed   = begin + thickTags + " --size 117440512b --chunksize 4k drbdpool/res0_00000"
	thinLine  = begin + thinTags + " --setactivationskip n drbdpool/res1_00000"
)

// thickSnapshot is what becomes of request with room for all.
var thickSnapshot = snapshot.Snapshot{
	Name: thickName, Device: "/dev/" + thickName, Origin: "drbdpool/res0_00000", Resource: "res0", Incident: "5d41402a",
	Made: at, Size: 1077936128, State: snapshot.Valid,
}

// Ensure that a snapshot is made with the arguments that its kind needs, and is
// described as it is.
func TestMake(t *testing.T) {
	for _, tt := range []struct {
		name    string
		arrange func(*world, *snapshot.Request)
		command string
		want    snapshot.Snapshot
	}{
		{"thick with room for the whole volume", func(*world, *snapshot.Request) {}, whole, thickSnapshot},
		{"by another path of the device", func(_ *world, r *snapshot.Request) { r.BackingDev = "/dev/dm-3" }, whole, thickSnapshot},
		{"room to the byte", func(w *world, _ *snapshot.Request) { w.free = 1077936128 }, whole, thickSnapshot},
		{"what was changed is unknown", func(_ *world, r *snapshot.Request) { r.ChangedBytes = -1 }, whole, thickSnapshot},
		{"room for what was changed", func(w *world, _ *snapshot.Request) { w.free = 1077936127 }, changed, func() snapshot.Snapshot {
			s := thickSnapshot
			s.Size = 117440512
			return s
		}()},
		{
			"thin", func(_ *world, r *snapshot.Request) { *r = thinRequest() }, thinLine,
			snapshot.Snapshot{
				Name: thinName, Device: "/dev/" + thinName, Origin: "drbdpool/res1_00000", Pool: "drbdpool/thin", Resource: "res1", Volume: 2,
				Incident: "5d41402a", Made: at, Size: 2 * gib, UsedPercent: 40.5, State: snapshot.Valid,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, r := newWorld(t), request()
			tt.arrange(w, &r)
			got, err := snapshot.New(w).Make(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("snapshot (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{tt.command}, w.changes()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that no snapshot is begun where it could not be relied on, and that the
// reason has the numbers.
func TestMakeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		arrange func(*world, *snapshot.Request)
		is      error
		want    string
	}{
		{
			"no room in the volume group", func(w *world, _ *snapshot.Request) { w.free = 117440511 }, snapshot.ErrNoRoom,
			"volume group drbdpool has 112.0 MiB free, and at least 112.0 MiB are needed (1.0 GiB for one that can never overflow)",
		},
		{
			"what was changed is unknown", func(w *world, r *snapshot.Request) { w.free, r.ChangedBytes = gib, -1 }, snapshot.ErrNoRoom,
			"has 1.0 GiB free, and at least 1.0 GiB are needed",
		},
		{"a disk", func(_ *world, r *snapshot.Request) { r.BackingDev = "/dev/vda3" }, snapshot.ErrNotLVM, "snapshot of /dev/vda3, volume 0 of res0: device 253:99: not"},
		{"no such device", func(_ *world, r *snapshot.Request) { r.BackingDev = "/dev/none" }, nil, "/dev/none: no such file"},
		{"size unknown", func(w *world, _ *snapshot.Request) { w.extent = 0 }, nil, "lvs does not say how large drbdpool/res0_00000"},
		{"resource that is no tag", func(_ *world, r *snapshot.Request) { r.Resource = "res 0" }, nil, `resource "res 0" cannot be part of an LVM tag`},
		{"no incident", func(_ *world, r *snapshot.Request) { r.Incident = "" }, nil, `incident "" cannot be part of an LVM tag`},
		{"no volume", func(_ *world, r *snapshot.Request) { r.Volume = -1 }, nil, "there is no volume -1"},
		{"no time", func(_ *world, r *snapshot.Request) { r.When = time.Time{} }, nil, "no time is given"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, r := newWorld(t), request()
			tt.arrange(w, &r)
			refused(t, w, r, tt.is, tt.want)
		})
	}
}

// Ensure that a thin snapshot is not begun when its pool could be filled by it.
func TestPoolRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		arrange func(pool *lv)
		is      error
		want    string
	}{
		{"data of the pool", func(p *lv) { p.data = "90.00" }, snapshot.ErrNoRoom, "thin pool drbdpool/thin has 204.8 MiB left below 95 % (90 % are used), and 212.8 MiB are needed"},
		{"pool above the limit", func(p *lv) { p.data = "99.50" }, snapshot.ErrNoRoom, "has 0 B left below 95 % (99.5 % are used)"},
		{"metadata of the pool", func(p *lv) { p.meta = "75.00" }, snapshot.ErrNoRoom, "75 % of the metadata of thin pool drbdpool/thin are used, 75 % is the limit"},
		{"state of the pool", func(p *lv) { p.health = "out_of_data" }, nil, "thin pool drbdpool/thin is not in order: out_of_data"},
		{"pool that says nothing", func(p *lv) { p.data = "" }, nil, "lvs does not say how full thin pool drbdpool/thin is"},
		{"pool that is gone", func(p *lv) { p.name = "other" }, nil, "thin pool drbdpool/thin: there is no such logical volume"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.arrange(w.find("drbdpool/thin"))
			refused(t, w, thinRequest(), tt.is, tt.want)
		})
	}
}

// refused makes sure that Make ends with the error and has done nothing.
func refused(t *testing.T, w *world, r snapshot.Request, is error, want string) {
	t.Helper()
	s, err := snapshot.New(w).Make(t.Context(), r)
	if err == nil || !strings.Contains(err.Error(), want) || (is != nil && !errors.Is(err, is)) {
		t.Errorf("error %v, want %q, which is %v", err, want, is)
	}
	if diff := cmp.Diff(snapshot.Snapshot{}, s); diff != "" {
		t.Errorf("a snapshot is returned:\n%s", diff)
	}
	if c := w.changes(); len(c) > 0 {
		t.Errorf("something was done: %q", c)
	}
}

// Ensure that a machine without LVM has nothing to make a snapshot of, and none.
func TestWithoutLVM(t *testing.T) {
	w := newWorld(t)
	w.Fail("snapshot.lvs", host.ErrNotInstalled)
	k := snapshot.New(w)
	if _, err := k.Make(t.Context(), request()); !errors.Is(err, snapshot.ErrNotLVM) {
		t.Errorf("Make: error %v, want ErrNotLVM", err)
	}
	if list, err := k.List(t.Context(), ""); err != nil || len(list) > 0 {
		t.Errorf("List: %v, %v; want nothing", list, err)
	}
}

// Ensure that one incident has one snapshot of a volume, and the next incident
// its own.
func TestMakeOnce(t *testing.T) {
	w := newWorld(t)
	k, r := snapshot.New(w), request()
	for range 2 {
		got, err := k.Make(t.Context(), r)
		if err != nil || got.Name != thickName {
			t.Fatalf("%q, %v; want %s", got.Name, err, thickName)
		}
		r.When = r.When.Add(time.Hour) // the second call is another run of the daemon
	}
	if c := w.changes(); len(c) != 1 {
		t.Errorf("made more than once: %q", c)
	}
	other := r
	other.Incident, other.When = "7d793037", at.Add(time.Minute)
	got, err := k.Make(t.Context(), other)
	if want := "drbdpool/res0_00000_sb_20261123T140845"; err != nil || got.Name != want {
		t.Errorf("another incident: %q, %v; want %s", got.Name, err, want)
	}
	// The volume was replaced: what was made of the old one is no snapshot of the new one.
	w.find(thickName).origin = "res0_00000_old"
	if got, err = k.Make(t.Context(), r); err != nil || got.Origin != "drbdpool/res0_00000" || got.Name == thickName {
		t.Errorf("another origin: %+v, %v; want a new snapshot", got, err)
	}
}

// Ensure that what an earlier call has left is used when it is whole, and
// otherwise named and left alone.
func TestMakeFindsUnusable(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(*world)
		want   string
	}{
		{"overflowed", func(w *world) { w.find(thickName).invalid = true }, thickName + " has overflowed or is damaged"},
		{"full", func(w *world) { w.find(thickName).data = "100.00" }, thickName + " has overflowed or is damaged"},
		{"disk missing", func(w *world) { w.find(thickName).health = "partial" }, thickName + " has overflowed or is damaged"},
		{"inactive", func(w *world) { w.find(thickName).inactive = true }, "lvchange --activate y --ignoreactivationskip " + thickName},
		{"unfinished", func(w *world) { w.find(thickName).plain = true }, "if lvs shows no origin for it: lvremove " + thickName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				k := snapshot.New(w)
				if _, err := k.Make(t.Context(), request()); err != nil {
					t.Fatal(err)
				}
				tt.damage(w)
				_, err := k.Make(t.Context(), request())
				if !errors.Is(err, snapshot.ErrUnusable) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want ErrUnusable with %q", err, tt.want)
				}
				if c := w.changes(); len(c) != 1 {
					t.Errorf("something was done about it: %q", c)
				}
			})
		})
	}
}

// Ensure that after a kill at any moment the next call has one whole snapshot,
// or says what a person has to look at.
func TestMakeAfterKill(t *testing.T) {
	for _, tt := range []struct {
		name     string
		arrange  func(*world)
		request  snapshot.Request
		unusable bool
		made     int // runs of lvcreate in all
	}{
		{"before lvcreate", func(w *world) { w.Kill("snapshot.lvcreate", 1, hosttest.Before) }, request(), false, 1},
		{"after lvcreate", func(w *world) { w.Kill("snapshot.lvcreate", 1, hosttest.After) }, request(), false, 1},
		{"lvcreate killed too", func(w *world) { w.cut = true }, request(), true, 1},
		{"lvcreate of a thin one killed too", func(w *world) { w.cut = true }, thinRequest(), true, 1},
		{"lvcreate goes on", func(w *world) { w.cut, w.finishAfter = true, 5 }, request(), false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				k := snapshot.New(w)
				tt.arrange(w)
				if killed := w.Action(t.Context(), func(ctx context.Context) { _, _ = k.Make(ctx, tt.request) }); !killed {
					t.Fatal("was not killed")
				}
				w.cut = false
				s, err := k.Make(t.Context(), tt.request)
				switch {
				case tt.unusable && !errors.Is(err, snapshot.ErrUnusable):
					t.Errorf("error %v, want ErrUnusable", err)
				case !tt.unusable && (err != nil || s.State != snapshot.Valid):
					t.Errorf("%+v, %v; want a valid snapshot", s, err)
				}
				if c := w.changes(); len(c) != tt.made {
					t.Errorf("commands %q, want %d", c, tt.made)
				}
			})
		})
	}
}

// Ensure that a snapshot counts only when LVM shows it afterwards, active.
func TestMakeVerifies(t *testing.T) {
	for _, tt := range []struct {
		name    string
		arrange func(*world)
		want    string
	}{
		{"not there", func(w *world) { w.lazy = true }, "lvs does not show " + thickName},
		{"not active", func(w *world) { w.asleep = true }, thickName + " is not active"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				tt.arrange(w)
				_, err := snapshot.New(w).Make(t.Context(), request())
				if !errors.Is(err, snapshot.ErrUnusable) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want ErrUnusable with %q", err, tt.want)
				}
			})
		})
	}
}

// Ensure that each failing call ends the work with its own error, and that no
// call waits forever.
func TestFaults(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name   string
		inject func(*world)
		want   error
	}{
		{"first look", func(w *world) { w.FailOnce("snapshot.lvs", boom) }, boom},
		{"lvcreate", func(w *world) { w.FailOnce("snapshot.lvcreate", boom) }, boom},
		{"look afterwards", func(w *world) { w.FailNth("snapshot.lvs", 2, boom) }, boom},
		{"look hangs", func(w *world) { w.Hang("snapshot.lvs") }, context.DeadlineExceeded},
		{"lvcreate hangs", func(w *world) { w.Hang("snapshot.lvcreate") }, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				tt.inject(w)
				began := time.Now()
				if _, err := snapshot.New(w).Make(t.Context(), request()); !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
				if took := time.Since(began); took > 5*time.Minute {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// Ensure that waiting for an unfinished snapshot ends with the caller's context,
// and the error says both.
func TestSettleEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.asleep = true
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		_, err := snapshot.New(w).Make(ctx, request())
		if !errors.Is(err, snapshot.ErrUnusable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want ErrUnusable and the context's", err)
		}
	})
}

// Ensure that what lvs prints is not guessed at.
func TestUnreadable(t *testing.T) {
	for _, text := range []string{"", "  LV VG\n", `{"report":[{"lv":[{"lv_size":"1g"}]}]}`, `{"report":[{"lv":[{"vg_free":"NaN"}]}]}`} {
		w := newWorld(t)
		w.Tool("lvs", func(host.Cmd) (string, error) { return text, nil })
		if _, err := snapshot.New(w).List(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "list snapshots: read what lvs prints") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// Ensure that snapshots are listed by their tags, the oldest first, with their
// state, of one resource or of all.
func TestList(t *testing.T) {
	w := newWorld(t)
	const tags = "drbdnfs,drbdnfs.incident=a,drbdnfs.resource=res0,drbdnfs.volume=0"
	w.lvs = append(
		w.lvs,
		&lv{group: "drbdpool", name: "renamed", origin: "res0_00000", tags: tags, made: at.Add(time.Hour), size: gib, data: "12.34", minor: 30, open: true},
		&lv{group: "drbdpool", name: "full", origin: "res0_00000", tags: tags, made: at, size: gib, data: "100.00", invalid: true, minor: 31},
		&lv{group: "drbdpool", name: "off", origin: "res1_00000", pool: "thin", tags: strings.ReplaceAll(tags, "res0", "res1"), made: at, size: gib, inactive: true},
		&lv{group: "drbdpool", name: "alone", pool: "thin", tags: tags, size: gib, minor: 32},
		&lv{group: "drbdpool", name: "half", plain: true, origin: "res0_00000", tags: tags, made: at, size: gib, minor: 33},
		// Not ours: another tool's, and one whose tags are not all there.
		&lv{group: "drbdpool", name: "backup", origin: "res0_00000", tags: "drbdnfs", made: at, size: gib, minor: 34},
		&lv{group: "drbdpool", name: "odd", origin: "res0_00000", tags: strings.Replace(tags, "volume=0", "volume=x", 1), made: at, size: gib, minor: 35},
	)
	k := snapshot.New(w)
	list, err := k.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	type short struct {
		Name, Origin, Pool string
		Used               float64
		State              snapshot.State
		Open               bool
	}
	var got []short
	for _, s := range list {
		got = append(got, short{s.Name, s.Origin, s.Pool, s.UsedPercent, s.State, s.Open})
	}
	want := []short{
		{"drbdpool/alone", "", "drbdpool/thin", 40.5, snapshot.Valid, false},
		{"drbdpool/full", "drbdpool/res0_00000", "", 100, snapshot.Invalid, false},
		{"drbdpool/half", "", "", -1, snapshot.Unfinished, false},
		{"drbdpool/off", "drbdpool/res1_00000", "drbdpool/thin", 40.5, snapshot.Inactive, false},
		{"drbdpool/renamed", "drbdpool/res0_00000", "", 12.34, snapshot.Valid, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	list, err = k.List(t.Context(), "res1")
	if err != nil || len(list) != 1 || list[0].Name != "drbdpool/off" || list[0].Resource != "res1" {
		t.Errorf("of res1: %+v, %v", list, err)
	}
}

// Ensure that the output of a real lvs is read: thick, thin, a pool, and a volume
// of somebody else; nothing of it was active.
func TestRecording(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "lvs-2.03.16-inactive.json"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.Tool("lvs", func(host.Cmd) (string, error) { return string(data), nil })
	got, err := snapshot.New(w).List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	made := time.Unix(1795452174, 0).UTC()
	want := []snapshot.Snapshot{
		{
			Name: "drbd-pool/snapx", Device: "/dev/drbd-pool/snapx", Origin: "drbd-pool/res0", Resource: "res0", Incident: "abc123",
			Made: made, Size: 64 * mib, UsedPercent: -1, State: snapshot.Inactive,
		},
		{
			Name: "drbd-pool/thin0_sb", Device: "/dev/drbd-pool/thin0_sb", Origin: "drbd-pool/thin0", Pool: "drbd-pool/pool", Resource: "res1", Incident: "abc123",
			Made: made, Size: 256 * mib, UsedPercent: -1, State: snapshot.Inactive,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
}

// Ensure that a snapshot is found by each of its names.
func TestIs(t *testing.T) {
	for name, want := range map[string]bool{
		thickName: true, "/dev/" + thickName: true, "res0_00000_sb_20261123T140745": true, "drbdpool": false, "": false, "drbdpool/res0_00000": false,
	} {
		if got := thickSnapshot.Is(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// Ensure that removal takes our snapshots, by any of their names, and nothing
// else.
func TestRemove(t *testing.T) {
	removed := []string{"lvremove --yes " + thickName}
	for _, tt := range []struct {
		name    string
		arrange func(*world)
		remove  string
		want    string // of the error
		command []string
	}{
		{"by its name", func(*world) {}, thickName, "", removed},
		{"without volume group", func(*world) {}, strings.TrimPrefix(thickName, "drbdpool/"), "", removed},
		{"by its device", func(*world) {}, "/dev/" + thickName, "", removed},
		{"invalid", func(w *world) { w.find(thickName).invalid = true }, thickName, "", removed},
		{"no such name", func(*world) {}, "drbdpool/none", "remove snapshot drbdpool/none: there is no such logical volume", nil},
		{"the volume itself", func(*world) {}, "drbdpool/res0_00000", "does not have the tags", nil},
		{"somebody's snapshot", func(w *world) { w.find(thickName).tags = "" }, thickName, "does not have the tags", nil},
		{"no snapshot any more", func(w *world) { w.find(thickName).plain = true }, thickName, "LVM does not show it as a snapshot, so it stays; if nobody needs it: lvremove " + thickName, nil},
		{"two of that name", func(w *world) { w.find("rl/root").name = "res0_00000_sb_20261123T140745" }, "res0_00000_sb_20261123T140745", "name it with its volume group", nil},
		{"open", func(w *world) { w.find(thickName).open = true }, thickName, "it is in use, and not by a mount that is seen here", nil},
		{"mounted", func(w *world) {
			w.find(thickName).open = true
			w.SetMount("/dev/mapper/x", "/mnt/look")
			w.mountOf(thickName)
		}, thickName, "it is mounted on /mnt/look: umount it first", nil},
		{"mounts unknown", func(w *world) {
			w.find(thickName).open = true
			w.Fail("mounts", errors.New("boom"))
		}, thickName, "it is in use\nmounts: boom", nil},
		{"still there", func(w *world) { w.lazy = true }, thickName, "lvremove was content, and lvs still shows it", removed},
		{"lvremove fails", func(w *world) { w.FailOnce("snapshot.lvremove", errors.New("boom")) }, thickName, "boom", nil},
		{"look fails", func(w *world) { w.FailOnce("snapshot.lvs", errors.New("boom")) }, thickName, "look at logical volumes: snapshot.lvs: boom", nil},
		{"look afterwards fails", func(w *world) { w.FailNth("snapshot.lvs", 2, errors.New("boom")) }, thickName, "look at logical volumes: snapshot.lvs: boom", removed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			k := snapshot.New(w)
			if _, err := k.Make(t.Context(), request()); err != nil {
				t.Fatal(err)
			}
			tt.arrange(w)
			err := k.Remove(t.Context(), tt.remove)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if got := w.changes()[1:]; !slices.Equal(got, tt.command) {
				t.Errorf("commands %q, want %q", got, tt.command)
			}
			if gone := w.find(thickName) == nil; gone != (tt.want == "" || tt.name == "look afterwards fails") {
				t.Errorf("gone: %v", gone)
			}
		})
	}
}

// mountOf makes the last mount one of the volume.
func (w *world) mountOf(full string) {
	mounts, _ := w.Mounts()
	w.find(full).minor = mounts[len(mounts)-1].Minor
	w.major = mounts[len(mounts)-1].Major
}
