package filesystem_test

import (
	"context"
	"log/slog"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/filesystem"
)

// Ensure that a blank volume gets its file system and its directories on the
// source, that nothing is left of the work, and that the second run does nothing.
func TestBuild(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		want   []string
		label  string
	}{
		{"xfs", func(*config.Config) {}, []string{"mkfs.xfs -K -L drbdnfs-new /dev/drbd1000", "xfs_admin -L res0 /dev/drbd1000"}, "res0"},
		{"own label", func(c *config.Config) { c.Filesystem.MkfsOptions = []string{"-L", "data"} }, []string{"mkfs.xfs -L data /dev/drbd1000"}, "data"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, c := newWorld(t), conf()
			tt.change(c)
			s := w.stage(c, "drbdtest1")
			items, err := s.Look(t.Context())
			if diff := cmp.Diff([]string{"make xfs file system of res0: on the blank volume, with the directories of the exports"}, plan(t, items, err)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if got := w.changes(); got != nil {
				t.Errorf("look ran %q", got)
			}
			p := &silent{}
			if _, err := setup.Apply(t.Context(), []setup.Stage{s}, p); err != nil {
				t.Fatal(err)
			}
			want := append([]string{"drbdsetup primary res0", tt.want[0]}, "install -d -m 1777 -o nobody -g users -- "+private+"/www/data.drbdnfs-new", "install -d -- "+private+"/plain.drbdnfs-new")
			want = append(append(want, tt.want[1:]...), "drbdsetup secondary res0")
			if diff := cmp.Diff(want, w.changes()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"mkfs.xfs on /dev/drbd1000, 512M"}, p.waited); diff != "" {
				t.Errorf("waited (-want +got):\n%s", diff)
			}
			if w.label != tt.label {
				t.Errorf("label %q, want %q", w.label, tt.label)
			}
			w.clean(t)
			if diff := cmp.Diff(exported, w.there(t)); diff != "" {
				t.Errorf("directories (-want +got):\n%s", diff)
			}
			if n, err := apply(t.Context(), s); n != 0 || err != nil {
				t.Errorf("second run: %d items, %v", n, err)
			}
		})
	}
}

// anyType mounts every type of file system.
type anyType struct{ *hosttest.Host }

// Mount mounts as the one type that package hosttest knows.
func (a anyType) Mount(ctx context.Context, op, source, dir, _, options string) error {
	return a.Host.Mount(ctx, op, source, dir, "xfs", options)
}

// Ensure that the label fits, and that each type gets it from its own program,
// or none.
func TestLabel(t *testing.T) {
	for _, tt := range []struct{ name, fstype, want string }{
		{"a-long-resource-name", "xfs", "xfs_admin -L drbdnfs /dev/drbd1000"},
		{"drbdnfs-new", "xfs", "xfs_admin -L drbdnfs /dev/drbd1000"},
		{"res0", "ext4", "e2label /dev/drbd1000 res0"},
		{"res0", "btrfs", "install -d -- /run/drbdnfs/setup-res0/plain.drbdnfs-new"},
	} {
		t.Run(tt.name+" "+tt.fstype, func(t *testing.T) {
			w, c := newWorld(t), conf()
			w.Tool("mkfs.btrfs", w.mkfs)
			w.DRBD.Resource, c.Resource.Name, c.Filesystem.Type = tt.name, tt.name, tt.fstype
			s := filesystem.New(filesystem.Options{Machine: anyType{w.Host}, Config: c, Self: "drbdtest1", Log: slog.New(slog.DiscardHandler)})
			if _, err := apply(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			got := w.changes()
			if got[len(got)-2] != tt.want {
				t.Errorf("got %s, want %s", got[len(got)-2], tt.want)
			}
			if labelled := strings.Contains(got[1], "-L drbdnfs-new"); labelled != (tt.fstype != "btrfs") {
				t.Errorf("mkfs: %s", got[1])
			}
			if n, err := apply(t.Context(), s); n != 0 || err != nil {
				t.Errorf("second run: %d items, %v", n, err)
			}
		})
	}
}

// Ensure that each state of the volume is told as it is, that nothing is made
// where something is, and that nothing is done for a refusal.
func TestLook(t *testing.T) {
	const fs = " xfs file system of res0: "
	for _, tt := range []struct {
		name  string
		self  string
		scene func(*world)
		want  []string
	}{
		{"blank, other node", "drbdtest2", func(*world) {}, []string{"other" + fs + "made on drbdtest1"}},
		{"diskless", "drbdtest3", func(*world) {}, []string{"other" + fs + "this node has no disk"}},
		{"there", "drbdtest1", func(w *world) { w.fs = "xfs" }, []string{"keep" + fs + "there; directories are looked at where it is mounted"}},
		{"there, other node", "drbdtest2", func(w *world) { w.fs, w.label = "xfs", "drbdnfs-new" }, []string{"keep" + fs + "there; directories are looked at where it is mounted"}},
		{"cut off", "drbdtest1", func(w *world) { w.fs, w.label = "xfs", "drbdnfs-new" }, []string{"change" + fs + "an earlier run was cut off before the directories of the exports were made"}},
		{"another file system", "drbdtest1", func(w *world) { w.fs, w.label = "ext4", "photos" }, []string{"refuse" + fs + `the volume holds ext4 "photos"`}},
		{"another file system, other node", "drbdtest2", func(w *world) { w.fs = "LVM2_member" }, []string{"refuse" + fs + "the volume holds LVM2_member"}},
		{"not UpToDate", "drbdtest1", func(w *world) { w.DRBD.Disk = "Inconsistent" }, []string{"later" + fs + "on the blank volume, with the directories of the exports"}},
		{"peer serves", "drbdtest1", func(w *world) { w.DRBD.PeerRole = "Primary" }, []string{"other" + fs + "drbdtest2 is Primary"}},
		{"peer serves on 8.4", "drbdtest1", func(w *world) { w.DRBD.PeerRole, w.DRBD.Kernel84 = "Primary", true }, []string{"other" + fs + "the peer is Primary"}},
		{"down, blank", "drbdtest1", func(w *world) { w.DRBD.Up = false }, []string{"later" + fs + "the resource is not up yet"}},
		{"down, blank, other node", "drbdtest2", func(w *world) { w.DRBD.Up = false }, []string{"other" + fs + "made on drbdtest1"}},
		{"down", "drbdtest1", func(w *world) { w.DRBD.Up, w.fs = false, "xfs" }, []string{"keep" + fs + "there; the resource is down on this node"}},
		{"not configured", "drbdtest1", func(w *world) { w.DRBD.Up, w.DRBD.Configured = false, false }, []string{"later" + fs + "the resource is not up yet"}},
		{"mounted elsewhere", "drbdtest1", func(w *world) { w.mount("/srv", "xfs") }, []string{"refuse" + fs + "is mounted on /srv"}},
		{"serves", "drbdtest1", func(w *world) { w.mount(mnt, "xfs"); w.SetDir(mnt+"/plain", 0, 0) }, []string{
			"keep" + fs + "mounted on /home/nfs",
			"make directory /home/nfs/www/data: on the volume, -m 1777 -o nobody -g users",
			"keep directory /home/nfs/plain: there",
		}},
		{"symbolic link", "drbdtest1", func(w *world) { w.mount(mnt, "xfs"); w.SetLink(mnt+"/www", "/etc"); w.SetFile(mnt+"/plain", "") }, []string{
			"keep" + fs + "mounted on /home/nfs",
			"refuse directory /home/nfs/www/data: symbolic link /home/nfs/www is in the way",
			"refuse directory /home/nfs/plain: /home/nfs/plain is in the way",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.scene(w)
			s := w.stage(conf(), tt.self)
			items, err := s.Look(t.Context())
			if diff := cmp.Diff(tt.want, plan(t, items, err)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if slices.ContainsFunc(tt.want, func(l string) bool { return strings.HasPrefix(l, "refuse") }) {
				if _, err := apply(t.Context(), s); err == nil || w.changes() != nil {
					t.Errorf("a refused plan was applied: %v, %q", err, w.changes())
				}
			}
		})
	}
	w := newWorld(t)
	if _, err := w.stage(conf(), "elsewhere").Look(t.Context()); err == nil {
		t.Error("no error on a machine that is not in the configuration")
	}
}

// mount mounts the volume as the group or a person would.
func (w *world) mount(dir, fstype string) {
	w.fs, w.DRBD.Role = "xfs", "Primary"
	w.SetDir(dir, 0, 0)
	if err := w.Mount(context.Background(), "scene", "/dev/drbd1000", dir, fstype, ""); err != nil {
		panic(err)
	}
}

// Ensure that the node that serves makes the directories that are missing where
// the volume is mounted, stays Primary, and then has nothing to do.
func TestDirectoriesWhileServing(t *testing.T) {
	w := newWorld(t)
	w.mount(mnt, "xfs")
	s := w.stage(conf(), "drbdtest2")
	if n, err := apply(t.Context(), s); n != 2 || err != nil {
		t.Fatalf("%d items, %v", n, err)
	}
	want := []string{"install -d -m 1777 -o nobody -g users -- /home/nfs/www/data.drbdnfs-new", "install -d -- /home/nfs/plain.drbdnfs-new"}
	if diff := cmp.Diff(want, w.changes()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	for _, dir := range exported {
		if st, err := w.Lstat(dir); err != nil || !st.IsDir() {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if w.DRBD.Role != "Primary" || w.Mounted(mnt) == "" {
		t.Errorf("%s, mounted from %q", w.DRBD.Role, w.Mounted(mnt))
	}
	if n, err := apply(t.Context(), s); n != 0 || err != nil {
		t.Errorf("second run: %d items, %v", n, err)
	}
}

// Ensure that directories are not made when the group has stopped meanwhile.
func TestDirectoriesAfterServing(t *testing.T) {
	w := newWorld(t)
	w.mount(mnt, "xfs")
	items, err := w.stage(conf(), "drbdtest1").Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Unmount(t.Context(), "scene", mnt); err != nil {
		t.Fatal(err)
	}
	if err := items[1].Do(t.Context(), &silent{}); err == nil || w.changes() != nil {
		t.Errorf("got %v, %q", err, w.changes())
	}
}

// Ensure that remove keeps the file system and says how to give it up.
func TestLookRemove(t *testing.T) {
	w := newWorld(t)
	w.fs = "xfs"
	items, err := w.stage(conf(), "drbdtest1").LookRemove(t.Context())
	if diff := cmp.Diff([]string{"keep xfs file system of res0: holds the data"}, plan(t, items, err)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if !strings.HasSuffix(items[0].Why, "wipefs --all "+path.Join("/dev", "drbd1000")) {
		t.Errorf("why: %s", items[0].Why)
	}
	w.DRBD.Up = false
	if items, err := w.stage(conf(), "drbdtest1").LookRemove(t.Context()); items != nil || err != nil {
		t.Errorf("down: %v, %v", items, err)
	}
}
