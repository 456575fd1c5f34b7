package cib_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/cib"
)

// edited is the hand-made CIB with some text exchanged.
func edited(t *testing.T, pairs ...string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/handmade.xml")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(data), pairs[i]) {
			t.Fatalf("the CIB has no %q", pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(data))
}

// Ensure that the resources that do the group's work by hand are found by what
// they work on, and nothing else is.
func TestFindHandmade(t *testing.T) {
	drbd, group := []string{"res_drbd"}, []string{"mount_nfs", "res_nfs", "VIP"}
	for _, tt := range []struct {
		name  string
		pairs []string
		tops  []string
		prims []string
	}{
		{"the procedure", nil, []string{"res_drbd-clone", "group-nfs"}, append(drbd, group...)},
		{
			"another DRBD resource",
			[]string{`name="drbd_resource" value="res0"`, `name="drbd_resource" value="res1"`, `first="res_drbd-clone"`, `first="group-nfs"`, `rsc="res_drbd-clone"`, `rsc="group-nfs"`},
			[]string{"group-nfs"},
			group,
		},
		{"a directory with a slash", []string{`value="/home/nfs"`, `value="/home/nfs/"`}, []string{"res_drbd-clone", "group-nfs"}, append(drbd, group...)},
		{"ocf:heartbeat:nfsserver", []string{`class="systemd" type="nfs-server"`, `class="ocf" provider="heartbeat" type="nfsserver"`}, []string{"res_drbd-clone", "group-nfs"}, append(drbd, group...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := cib.Parse([]byte(edited(t, tt.pairs...)))
			if err != nil {
				t.Fatal(err)
			}
			h, err := cib.FindHandmade(doc, example())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(cib.Handmade{Tops: tt.tops, Primitives: tt.prims}, h); diff != "" {
				t.Errorf("hand-made (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that an empty CIB, and one with the group itself, have no hand-made
// resources.
func TestFindNoHandmade(t *testing.T) {
	for _, file := range []string{"empty-debian-2.1.5.xml", "pcs-0.11.xml"} {
		t.Run(file, func(t *testing.T) {
			h, err := cib.FindHandmade(load(t, file), example())
			if err != nil || h.Found() {
				t.Errorf("found %v, %v; want nothing", h, err)
			}
		})
	}
}

// Ensure that what hangs together with foreign resources is not torn apart.
func TestHandmadeShared(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pairs []string
		want  string
	}{
		{
			"a foreign resource in the group",
			[]string{`value="192.168.2.63"`, `value="192.168.2.77"`},
			"group-nfs holds VIP as well: take it out first: pcs resource ungroup group-nfs VIP",
		},
		{
			"a colocation with a foreign resource",
			[]string{`</constraints>`, `<rsc_colocation id="backup-with-vip" rsc="backup" with-rsc="VIP" score="INFINITY"/></constraints>`},
			"backup-with-vip names VIP and something else: remove it first, and make it anew for the group: pcs constraint delete backup-with-vip",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := cib.Parse([]byte(edited(t, tt.pairs...)))
			if err != nil {
				t.Fatal(err)
			}
			for name, edit := range map[string]func() error{
				"find":    func() error { _, err := cib.FindHandmade(doc, example()); return err },
				"stop":    func() error { _, _, err := cib.StopHandmade(doc, example()); return err },
				"replace": func() error { _, _, err := cib.ReplaceHandmade(doc, example()); return err },
			} {
				if err := edit(); !errors.Is(err, cib.ErrShared) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: error %v, want %q", name, err, tt.want)
				}
			}
		})
	}
}

// Ensure that stopping sets the target role of what holds the primitives, that
// doing it again changes nothing, and that the replacement leaves nothing of the
// hand-made resources, keeps what is not about them, and has the group.
func TestReplaceHandmade(t *testing.T) {
	c := example()
	stopped, changes, err := cib.StopHandmade(load(t, "handmade.xml"), c)
	if err != nil || len(changes) != 2 {
		t.Fatalf("stop: %v, %v; want 2 changes", changes, err)
	}
	for _, top := range []string{"res_drbd-clone", "group-nfs"} {
		nv := stopped.FindElement("//*[@id='" + top + "']/meta_attributes/nvpair[@name='target-role']")
		if nv == nil || nv.SelectAttrValue("value", "") != "Stopped" {
			t.Errorf("%s is not to be stopped", top)
		}
	}
	if _, again, err := cib.StopHandmade(stopped, c); err != nil || len(again) > 0 {
		t.Errorf("stop again: %v, %v; want no change", again, err)
	}
	after, changes, err := cib.ReplaceHandmade(stopped, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"res_drbd-clone", "res_drbd", "group-nfs", "VIP", "order-res_drbd-clone-mount_nfs-mandatory"} {
		if after.FindElement("//*[@id='"+gone+"']") != nil {
			t.Errorf("%s is still there", gone)
		}
	}
	if after.FindElement("//*[@id='rsc-stickiness']") == nil {
		t.Error("the defaults of the hand-made configuration are gone")
	}
	if after.FindElement("//primitive[@id='nfs']") == nil || len(changes) < 5 {
		t.Errorf("the group is not there, after %v", changes)
	}
	if _, again, err := cib.Merge(after, c); err != nil || len(again) > 0 {
		t.Errorf("merge again: %v, %v; want no change", again, err)
	}
}
