package nfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host"
)

const volumeDir = "/home/nfs/var/lib/nfs"

// layouts are what the packages of nfs-utils install.
var layouts = map[string][]string{
	"EL":     {"etab", "rmtab", "statd/sm/c1", "statd/sm.bak/c2", "statd/state", "nfsdcld/main.sqlite", "v4recovery/.keep", "rpc_pipefs/.keep"},
	"Debian": {"etab", "rmtab", "sm/c1", "sm.bak/c2", "state", "nfsdcld/main.sqlite"},
}

// install puts a layout at dir, each file holding its own name.
func (r *rooted) install(layout, dir string) {
	r.t.Helper()
	for _, f := range layouts[layout] {
		r.write(dir+"/"+f, f)
	}
}

// files is what tree shows of a layout.
func files(layout string, without ...string) []string {
	var out []string
	add := func(s string) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, f := range layouts[layout] {
		if slices.ContainsFunc(without, func(w string) bool { return strings.HasPrefix(f, w) }) {
			continue
		}
		for d := filepath.Dir(f); d != "."; d = filepath.Dir(d) {
			add(d + "/")
		}
		add(f + " = " + f)
	}
	slices.Sort(out)
	return out
}

// expectPlace checks where /var/lib/nfs leads.
func expectPlace(t *testing.T, s *State, want Place) {
	t.Helper()
	if got, err := s.Place(); err != nil || got != want {
		t.Errorf("place = %v, %v, want %v", got, err, want)
	}
}

func TestPlace(t *testing.T) {
	tests := []struct {
		name string
		make func(*rooted)
		want Place
	}{
		{"absent", func(r *rooted) { r.mkdir("/var/lib") }, PlaceAbsent},
		{"between two renames", func(r *rooted) { r.mkdir(LocalDir) }, PlaceMissing},
		{"before them", func(r *rooted) { r.mkdir(LocalDir + ".new") }, PlaceMissing},
		{"directory", func(r *rooted) { r.mkdir(Dir) }, PlaceDirectory},
		{"file", func(r *rooted) { r.write(Dir, "") }, PlaceForeign},
		{"ours", func(r *rooted) { r.symlink(LocalDir, Dir) }, PlaceLocal},
		{"ours, relative", func(r *rooted) { r.symlink("nfs.local", Dir) }, PlaceLocal},
		{"ours, not clean", func(r *rooted) { r.symlink("/var//lib/../lib/nfs.local/", Dir) }, PlaceLocal},
		{"the volume's", func(r *rooted) { r.symlink(volumeDir, Dir) }, PlaceVolume},
		{"the volume's, relative", func(r *rooted) { r.symlink("../../home/nfs/var/lib/nfs", Dir) }, PlaceVolume},
		{"another one", func(r *rooted) { r.symlink("/srv/nfs", Dir) }, PlaceForeign},
		{"itself", func(r *rooted) { r.symlink(Dir, Dir) }, PlaceForeign},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRooted(t)
			tt.make(r)
			expectPlace(t, NewState(r, volumeDir+"/"), tt.want)
		})
	}
}

// Ensure that after a reset of a node that served, a link that leads nowhere
// leads to the node's own copy, and that everything else is left alone.
func TestRestoreLocal(t *testing.T) {
	tests := []struct {
		name string
		make func(*rooted)
		done bool
	}{
		{"the volume is not mounted", func(r *rooted) { r.symlink(volumeDir, Dir); r.mkdir(LocalDir) }, true},
		{"the volume is mounted", func(r *rooted) { r.symlink(volumeDir, Dir); r.mkdir(LocalDir); r.mkdir(volumeDir) }, false},
		{"no own copy", func(r *rooted) { r.symlink(volumeDir, Dir) }, false},
		{"ours already", func(r *rooted) { r.symlink(LocalDir, Dir); r.mkdir(LocalDir) }, false},
		{"a directory", func(r *rooted) { r.mkdir(Dir); r.mkdir(LocalDir) }, false},
		{"a file", func(r *rooted) { r.write(Dir, ""); r.mkdir(LocalDir) }, false},
		{"nothing", func(r *rooted) { r.mkdir("/var/lib") }, false},
		{"the copy is a link", func(r *rooted) { r.symlink(volumeDir, Dir); r.symlink(Dir+"_", LocalDir) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRooted(t)
			tt.make(r)
			before := r.tree("/var/lib")
			done, err := RestoreLocal(r)
			if err != nil || done != tt.done {
				t.Fatalf("= %v, %v, want %v", done, err, tt.done)
			}
			if tt.done {
				expectPlace(t, NewState(r, volumeDir), PlaceLocal)
			} else if diff := cmp.Diff(before, r.tree("/var/lib")); diff != "" {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
		})
	}
}

// Ensure that the directory of nfs-utils becomes the node's own copy as it is,
// whether or not the file system can exchange two names.
func TestToLocalAdopts(t *testing.T) {
	for layout := range layouts {
		for _, noSwap := range []bool{false, true} {
			t.Run(layout, func(t *testing.T) {
				r := newRooted(t)
				r.noSwap = noSwap
				r.install(layout, Dir)
				s := NewState(r, volumeDir)
				for range 2 { // the second time there is nothing to do
					if err := s.ToLocal(); err != nil {
						t.Fatal(err)
					}
					expectPlace(t, s, PlaceLocal)
					if diff := cmp.Diff(files(layout), r.tree(LocalDir)); diff != "" {
						t.Errorf("own copy (-want +got):\n%s", diff)
					}
				}
				if diff := cmp.Diff([]string{"nfs -> " + LocalDir}, links(r.tree("/var/lib"))); diff != "" {
					t.Errorf("links (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// links are the lines of a tree that are symbolic links.
func links(tree []string) []string {
	return slices.DeleteFunc(tree, func(s string) bool { return !strings.Contains(s, " -> ") })
}

// layoutsOfNode are the states in which a node can be when it is started.
var layoutsOfNode = []struct {
	name string
	make func(*rooted)
	want []string // the node's own copy afterwards
}{
	{"as installed", func(r *rooted) { r.install("EL", Dir) }, files("EL")},
	{"as installed, no exchange", func(r *rooted) { r.install("EL", Dir); r.noSwap = true }, files("EL")},
	{"after a move", func(r *rooted) { r.symlink(volumeDir, Dir); r.install("EL", LocalDir) }, files("EL")},
	{"after the procedure", func(r *rooted) { r.symlink(volumeDir, Dir); r.install("EL", Dir+"_") }, files("EL", "rpc_pipefs")},
	{"after the procedure on Debian", func(r *rooted) { r.symlink(volumeDir, Dir); r.install("Debian", Dir+"_") }, files("Debian")},
	{"our link without the copy", func(r *rooted) { r.symlink(LocalDir, Dir) }, skeletonFiles},
	{"nothing at all", func(r *rooted) { r.mkdir("/var/lib") }, skeletonFiles},
}

// withoutPipefs leaves out the mount point that belongs elsewhere anyway and
// need not survive.
func withoutPipefs(tree []string) []string {
	return slices.DeleteFunc(slices.Clone(tree), func(s string) bool { return strings.HasPrefix(s, "rpc_pipefs") })
}

var skeletonFiles = []string{"etab", "nfsdcld/", "nfsdcltrack/", "rmtab", "sm.bak/", "sm/", "v4recovery/", "xtab"}

// Ensure that ToLocal, ended at any of its instructions and run again, comes to
// the same end from every state in which a node can be.
func TestToLocalInterrupted(t *testing.T) {
	for _, tt := range layoutsOfNode {
		t.Run(tt.name, func(t *testing.T) {
			for at := 1; ; at++ {
				r := newRooted(t)
				tt.make(r)
				s := NewState(r, volumeDir)
				r.killAt = at
				err := s.ToLocal()
				if err != nil && !errors.Is(err, errKilled) {
					t.Fatalf("ended at call %d: %v", at, err)
				}
				r.killAt = 0
				if err := s.ToLocal(); err != nil {
					t.Fatalf("again after call %d: %v\n%s", at, err, strings.Join(r.tree("/var/lib"), "\n"))
				}
				expectPlace(t, s, PlaceLocal)
				if diff := cmp.Diff(withoutPipefs(tt.want), withoutPipefs(r.tree(LocalDir))); diff != "" {
					t.Fatalf("own copy after call %d (-want +got):\n%s", at, diff)
				}
				if err == nil {
					return
				}
			}
		})
	}
}

// Ensure that ToLocal changes nothing that is not its own.
func TestToLocalRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(*rooted)
		says []string
	}{
		{"a foreign link", func(r *rooted) { r.symlink("/srv/nfs", Dir) }, []string{"/var/lib/nfs leads to \"/srv/nfs\"", "put the directory of nfs-utils back"}},
		{"a file", func(r *rooted) { r.write(Dir, "x") }, []string{"/var/lib/nfs leads to \"\""}},
		{"two directories", func(r *rooted) { r.install("EL", Dir); r.install("EL", LocalDir) }, []string{"both directories", "merge them and remove one"}},
		{"a mount on it", func(r *rooted) {
			r.install("EL", Dir)
			r.mounts = []host.Mount{{Dir: "/"}, {Dir: Dir, Type: "xfs"}}
		}, []string{"/var/lib/nfs (xfs) is mounted there", "umount it"}},
		{"a mount below it", func(r *rooted) {
			r.install("EL", Dir)
			r.mounts = []host.Mount{{Dir: "/var/lib/nfs_other"}, {Dir: Dir + "/rpc_pipefs", Type: "rpc_pipefs"}}
		}, []string{"/var/lib/nfs/rpc_pipefs (rpc_pipefs)"}},
		{"an unreadable mount table", func(r *rooted) { r.install("EL", Dir); r.mountsE = errors.New("no /proc") }, []string{"no /proc"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRooted(t)
			tt.make(r)
			before := r.tree("/var/lib")
			checkText(t, NewState(r, volumeDir).ToLocal(), tt.says...)
			if diff := cmp.Diff(before, r.tree("/var/lib")); diff != "" {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
		})
	}
	r := newRooted(t)
	r.symlink("/srv/nfs", Dir)
	if err := NewState(r, volumeDir).ToLocal(); !errors.Is(err, ErrForeignState) {
		t.Errorf("error %v is not ErrForeignState", err)
	}
}

// Ensure that mounts beside the directory do not count, in particular that of
// a directory whose name starts alike.
func TestToLocalMountsBeside(t *testing.T) {
	r := newRooted(t)
	r.install("EL", Dir)
	r.mounts = []host.Mount{{Dir: "/"}, {Dir: "/var/lib"}, {Dir: "/var/lib/nfs.local2"}, {Dir: "/var/lib/nfs2"}}
	if err := NewState(r, volumeDir).ToLocal(); err != nil {
		t.Error(err)
	}
}

// Ensure that an interrupted Seed leaves nothing that looks complete.
func TestSeedInterrupted(t *testing.T) {
	for layout := range layouts {
		t.Run(layout, func(t *testing.T) {
			for at := 1; ; at++ {
				r := newRooted(t)
				r.install(layout, LocalDir)
				r.symlink(LocalDir, Dir)
				r.mkdir("/home/nfs")
				s := NewState(r, volumeDir)
				r.killAt = at
				err := s.Seed()
				if err != nil && !errors.Is(err, errKilled) {
					t.Fatalf("ended at call %d: %v", at, err)
				}
				if _, statErr := os.Stat(r.root + volumeDir); err != nil && statErr == nil {
					t.Errorf("call %d left the name", at)
				}
				r.killAt = 0
				if err := s.Seed(); err != nil {
					t.Fatalf("again after call %d: %v", at, err)
				}
				if diff := cmp.Diff(files(layout, "rpc_pipefs"), r.tree(volumeDir)); diff != "" {
					t.Fatalf("copy after call %d (-want +got):\n%s", at, diff)
				}
				if got := r.tree("/home/nfs/var/lib"); slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "nfs.seed") }) {
					t.Errorf("left over: %q", got)
				}
				if err == nil {
					return
				}
			}
		})
	}
}

// Ensure that Seed keeps what is on the volume and refuses what is no
// directory.
func TestSeedKeeps(t *testing.T) {
	r := newRooted(t)
	r.install("EL", LocalDir)
	r.write(volumeDir+"/statd/state", "of the other node")
	s := NewState(r, volumeDir)
	if err := s.Seed(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"statd/", "statd/state = of the other node"}, r.tree(volumeDir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r = newRooted(t)
	r.install("EL", LocalDir)
	r.write(volumeDir, "")
	checkText(t, NewState(r, volumeDir).Seed(), "nfs_state_dir "+volumeDir+" is not a directory", "remove or rename")
}
