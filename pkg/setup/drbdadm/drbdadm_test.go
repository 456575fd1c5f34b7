package drbdadm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/resfile"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
)

const lvcreate = "lvcreate --yes --wipesignatures y --addtag drbdnfs --addtag drbdnfs-new --name res0 --size 1074790400b drbdpool"

// fromBlank is what happens on the source, in this order.
var fromBlank = []string{
	lvcreate,
	"wipefs --all /dev/drbdpool/res0",
	"lvchange --deltag drbdnfs-new drbdpool/res0",
	"drbdadm --config-file=" + trial + " sh-nop",
	"drbdadm create-md --max-peers=7 res0",
	"drbdadm up res0",
	"drbdadm primary --force res0",
	"drbdsetup secondary res0",
}

// Ensure that a blank node gets everything in the right order, that the second
// run does nothing, and that only the source declares its data good.
func TestApply(t *testing.T) {
	for _, tt := range []struct {
		name, self string
		old        bool
		want       []string
	}{
		{"source", "drbdtest1", false, fromBlank},
		{"other node", "drbdtest2", false, fromBlank[:6]},
		{"source with 8.4", "drbdtest1", true, []string{
			lvcreate, fromBlank[1], fromBlank[2], fromBlank[3],
			"drbdadm create-md res0", "drbdadm up res0", "drbdadm primary --force res0", "drbdsetup secondary 1000",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.old, w.stale = tt.old, "ext4"
			s := w.stage(conf(), tt.self)
			if _, err := w.apply(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, w.changes()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			want, err := resfile.Render(conf(), !tt.old)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := w.ReadFile(resFile); string(got) != want {
				t.Errorf("resource file:\n%s", got)
			}
			if _, err := w.ReadFile(trial); err == nil {
				t.Error("the trial file is left")
			}
			if n, err := w.apply(t.Context(), s); n != 0 || err != nil {
				t.Errorf("second run: %d items, %v", n, err)
			}
		})
	}
}

// Ensure that the plan of a node without anything names every object, and that
// it looks only.
func TestPlanOfNothing(t *testing.T) {
	w := newWorld(t)
	items, err := w.stage(conf(), "drbdtest1").Look(t.Context())
	want := []string{
		"make logical volume drbdpool/res0: 1G and DRBD's metadata, 1074790400 bytes",
		"make /etc/drbd.d/res0.res: for DRBD 9",
		"later DRBD metadata of res0: after the volume and the resource file",
		"later DRBD resource res0: is brought up after its metadata",
		"later first good copy of res0: after the resource is up",
	}
	if diff := cmp.Diff(want, plan(t, items, err)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if got := w.changes(); got != nil {
		t.Errorf("look ran %q", got)
	}
	if ops := w.Ops(); strings.Contains(strings.Join(ops, " "), "setup.trial") {
		t.Errorf("look wrote: %v", ops)
	}
}

// Ensure that a machine without the programs gets a plan too.
func TestPlanWithoutPrograms(t *testing.T) {
	w := newWorld(t)
	for _, op := range []string{"setup.lvs", "setup.vgs", "drbd.status"} {
		w.Fail(op, host.ErrNotInstalled)
	}
	items, err := w.stage(conf(), "drbdtest1").Look(t.Context())
	if got := plan(t, items, err); got[0] != "later logical volume drbdpool/res0: volume group drbdpool is not there yet" {
		t.Errorf("got %s", got[0])
	}
}

// made is a node on which everything was made.
func made(t *testing.T, w *world) *world {
	t.Helper()
	if _, err := w.apply(t.Context(), w.stage(conf(), "drbdtest1")); err != nil {
		t.Fatal(err)
	}
	return w
}

// edit replaces a text in the resource file.
func (w *world) edit(from, to string) {
	data, _ := w.ReadFile(resFile)
	w.SetFile(resFile, strings.Replace(string(data), from, to, 1))
}

// Ensure that a changed configuration is checked, put in place and given to
// the kernel, and that a secret is not shown.
func TestChange(t *testing.T) {
	w := made(t, newWorld(t))
	before := len(w.changes())
	c := conf()
	c.Resource.DRBD["al-extents"], c.Resource.DRBD["shared-secret"] = "1237", "hush"
	s := w.stage(c, "drbdtest1")
	items, err := s.Look(t.Context())
	if got := strings.Join(plan(t, items, err), "\n"); strings.Contains(got, "hush") || !strings.Contains(got, "+shared-secret …") {
		t.Errorf("plan:\n%s", got)
	}
	if _, err := w.apply(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"drbdadm --config-file=" + trial + " sh-nop", "drbdadm adjust res0"}, w.changes()[before:]); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if st, err := w.Stat(resFile); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file with the secret: %v, %v", st.Mode(), err)
	}
	if n, err := w.apply(t.Context(), s); n != 0 || err != nil {
		t.Errorf("second run: %d items, %v", n, err)
	}
}

// Ensure that a file that drbdadm does not take never gets in place.
func TestFileIsCheckedFirst(t *testing.T) {
	w := newWorld(t)
	w.refuseCheck = true
	_, err := w.apply(t.Context(), w.stage(conf(), "drbdtest1"))
	if err == nil || !strings.Contains(err.Error(), "an option keyword") {
		t.Errorf("got %v", err)
	}
	if _, err := w.ReadFile(resFile); err == nil {
		t.Error("the file is in place")
	}
}

// Ensure that a thin volume is made in its pool, and only there.
func TestThin(t *testing.T) {
	c := conf()
	c.Storage.Driver, c.Storage.ThinPool = config.DriverLVMThin, "thin"
	w := newWorld(t)
	w.free = 0
	items, err := w.stage(c, "drbdtest1").Look(t.Context())
	if got := plan(t, items, err)[0]; got != "later logical volume drbdpool/res0: thin pool drbdpool/thin is not there" {
		t.Errorf("without the pool: %s", got)
	}
	w.pool = true
	if _, err := w.apply(t.Context(), w.stage(c, "drbdtest1")); err != nil {
		t.Fatal(err)
	}
	want := "lvcreate --yes --wipesignatures y --addtag drbdnfs --addtag drbdnfs-new --name res0 --virtualsize 1074790400b --thin drbdpool/thin"
	if got := w.changes()[0]; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// Ensure that the volume leaves DRBD's device its size, for small and large
// ones: the sizes in sectors are those of DRBD's documentation.
func TestVolumeSize(t *testing.T) {
	for _, tt := range []struct {
		gib, peers, extra int64
	}{{1, 7, 1}, {1024, 7, 225}, {6144, 7, 1345}, {1024, 31, 994}} {
		c := conf()
		c.Resource.Size = config.Size(tt.gib << 30)
		for i := len(c.Nodes); int64(i) < tt.peers+1; i++ {
			c.Nodes = append(c.Nodes, config.Node{Name: fmt.Sprintf("n%d", i), Address: "10.0.0.1"})
		}
		w := newWorld(t)
		w.free = 1 << 60
		items, err := w.stage(c, "drbdtest1").Look(t.Context())
		want := fmt.Sprintf("%d bytes", tt.gib<<30+tt.extra<<20)
		if got := plan(t, items, err)[0]; !strings.HasSuffix(got, want) {
			t.Errorf("%d GiB, %d peers: %s, want %s", tt.gib, tt.peers, got, want)
		}
	}
}

// Ensure that a tie-breaker gets the file and the resource, and no volume.
func TestDiskless(t *testing.T) {
	c := conf()
	c.Nodes = append(c.Nodes, config.Node{Name: "drbdtest3", Address: "192.168.2.64", Diskless: true})
	w := newWorld(t)
	w.disk = "Diskless"
	s := w.stage(c, "drbdtest3")
	if _, err := w.apply(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"drbdadm --config-file=" + trial + " sh-nop", "drbdadm up res0"}, w.changes()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if n, err := w.apply(t.Context(), s); n != 0 || err != nil {
		t.Errorf("second run: %d items, %v", n, err)
	}
}

// Ensure that the source waits for the other node, saying so, and that the end
// of its patience leaves nothing forced.
func TestFirstCopyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connection, w.peerJoinsAfter = "Connecting", 20
		s := &silent{}
		if _, err := setup.Apply(t.Context(), []setup.Stage{w.stage(conf(), "drbdtest1")}, s); err != nil {
			t.Fatal(err)
		}
		if w.forced != 1 || w.role != "Secondary" || w.disk != "UpToDate" {
			t.Errorf("forced %d, %s, %s", w.forced, w.role, w.disk)
		}
		if len(s.waited) == 0 || s.waited[0] != "drbdtest2: run drbdnfs setup apply there" {
			t.Errorf("waited for %q", s.waited)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connection = "Connecting"
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := w.apply(ctx, w.stage(conf(), "drbdtest1")); !errors.Is(err, context.DeadlineExceeded) || w.forced != 0 {
			t.Errorf("forced %d, %v", w.forced, err)
		}
	})
}

// Ensure that a peer that shows anything but a blank disk stops the decision.
func TestFirstCopyOnlyOfBlankDisks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*world)
		says   string
	}{
		{"peer has data", func(w *world) { w.peer = "UpToDate" }, ""},
		{"peer is Outdated", func(w *world) { w.peer = "Outdated" }, "drbdtest2 has disk Outdated"},
		{"given up", func(w *world) { w.connection = "StandAlone" }, "StandAlone"},
		{"disk changed", func(w *world) { w.disk = "Outdated" }, "disk is Outdated"},
		{"history appeared", func(w *world) { w.gi = "AF7C863BC4779AFD" }, "got data meanwhile"},
		{"went down", func(w *world) { w.up = false }, "went down meanwhile"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := made(t, newWorld(t))
			w.disk, w.gi, w.forced = "Inconsistent", "0000000000000004", 0
			items, err := w.stage(conf(), "drbdtest1").Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tt.change(w)
			err = items[len(items)-1].Do(t.Context(), &silent{})
			if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
			if w.forced != 0 {
				t.Error("forced")
			}
		})
	}
}

// Ensure that a device that udev holds open for a moment is let go.
func TestDemoteIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.busy = 3
		if made(t, w); w.role != "Secondary" {
			t.Errorf("role %s", w.role)
		}
	})
}

// Ensure that the version comes from the module that would be loaded, and that
// nothing is decided without one.
func TestModuleNotLoaded(t *testing.T) {
	w := newWorld(t)
	w.Modules["drbd"] = false
	answer, fails := "8.4.11\n", false
	w.Tool("modinfo", func(c host.Cmd) (string, error) {
		if fails {
			return "", hosttest.Exit(c, 1, "modinfo: ERROR: Module drbd not found.")
		}
		return answer, nil
	})
	s := w.stage(conf(), "drbdtest1")
	items, err := s.Look(t.Context())
	if got := strings.Join(plan(t, items, err), "\n"); !strings.Contains(got, "make /etc/drbd.d/res0.res: for DRBD 8.4") {
		t.Errorf("with 8.4 installed:\n%s", got)
	}
	fails = true
	items, err = s.Look(t.Context())
	if diff := cmp.Diff([]string{"later DRBD resource res0: this kernel has no module drbd yet"}, plan(t, items, err)); diff != "" {
		t.Errorf("without a module (-want +got):\n%s", diff)
	}
	fails, answer = false, "what\n"
	if _, err := s.Look(t.Context()); err == nil {
		t.Error("no error for a strange version")
	}
	if _, err := w.stage(conf(), "elsewhere").Look(t.Context()); err == nil {
		t.Error("no error on a machine that is not in the configuration")
	}
}
