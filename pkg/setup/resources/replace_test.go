package resources_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/setup/resources"
)

const handmade = "../../cib/testdata/handmade.xml"

// serves is crm_mon's XML of the hand-made resources, active on drbdtest1.
func serves(more string) string {
	one := func(id, role string) string {
		return `<resource id="` + id + `" role="` + role + `" managed="true"><node name="drbdtest1"/></resource>`
	}
	resources := `<clone id="res_drbd-clone" managed="true">` + one("res_drbd", "Promoted") + `</clone><group id="group-nfs">` +
		one("mount_nfs", "Started") + one("res_nfs", "Started") + one("VIP", "Started") + `</group>`
	return strings.Replace(monitor("", "", "", more), "<resources>", "<resources>"+resources, 1)
}

// newHandmade is a cluster on which the hand-made resources run until they are to
// stop, and the group runs once it is in the CIB.
func newHandmade(t *testing.T, stop bool, more string) *cluster {
	w := newCluster(t, handmade)
	w.mon = func() string {
		switch {
		case w.doc.FindElement("//clone[@id='nfs-clone']") != nil:
			return monitor("Promoted", "Unpromoted", "", "")
		case stop && w.doc.FindElement("//nvpair[@name='target-role']") != nil:
			return monitor("", "", "", "")
		}
		return serves(more)
	}
	return w
}

// Ensure that hand-made resources are refused unless the group is to take their
// place, and left to the node on which they serve.
func TestHandmade(t *testing.T) {
	for _, tt := range []struct {
		name, self string
		replace    bool
		want       string
	}{
		{"where they serve", "drbdtest1", false, "refuse hand-made resources res_drbd-clone, group-nfs: do the work of the group nfs already"},
		{"to be replaced", "drbdtest1", true, "change hand-made resources res_drbd-clone, group-nfs: stopped, then the group nfs takes their place in one change of the CIB"},
		{"on the other node", "drbdtest2", true, "other hand-made resources res_drbd-clone, group-nfs: serve on drbdtest1: drbdnfs setup apply --replace there puts the group in their place"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newHandmade(t, true, "")
				s := resources.New(resources.Options{Machine: w.Host, Config: example(), Self: tt.self, Replace: tt.replace})
				if got := short(look(t, s)); len(got) != 2 || got[0] != tt.want {
					t.Errorf("items %q, want %q and the risk", got, tt.want)
				}
				if w.patches != 0 {
					t.Errorf("a look has sent %d patches", w.patches)
				}
			})
		})
	}
}

// Ensure that the hand-made resources are stopped with one patch and replaced
// with another, that the stop of our own victims does not count as a
// disturbance, and that nothing is left to do after it.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newHandmade(t, true, "")
		w.simulate = func(doc string) string {
			if strings.Contains(doc, "group-nfs") && !strings.Contains(doc, "Stopped") {
				return ""
			}
			return `<rsc_action action="stop" resource="VIP" node="drbdtest1"/>`
		}
		s := resources.New(resources.Options{Machine: w.Host, Config: example(), Self: "drbdtest1", Replace: true})
		if err := run(t, look(t, s), &progress{}); err != nil {
			t.Fatal(err)
		}
		if w.patches != 2 {
			t.Errorf("%d patches, want 2", w.patches)
		}
		rest := short(look(t, s))
		want := []string{"keep group nfs in the CIB: as configured", "keep group nfs: Promoted on drbdtest1"}
		if diff := cmp.Diff(want, rest[:2]); diff != "" {
			t.Errorf("items of the second look (-want +got):\n%s", diff)
		}
	})
}

// Ensure that a stop that fails, or never ends, leaves the hand-made resources in
// the CIB and says how to go on and back.
func TestTakeOverFails(t *testing.T) {
	failedStop := `<failures><failure op_key="mount_nfs_stop_0" node="drbdtest1" exitstatus="error" exitreason="busy" task="stop" last-rc-change="2100-01-01 00:00:00Z"/></failures>`
	for _, tt := range []struct {
		name, more string
		want       []string
	}{
		{"failed", failedStop, []string{"mount_nfs: stop on drbdtest1 failed: busy", "stop on drbdtest1 failed: busy"}},
		{"never ends", "", []string{"still running: res_drbd on drbdtest1, mount_nfs on drbdtest1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newHandmade(t, false, tt.more)
				s := resources.New(resources.Options{Machine: w.Host, Config: example(), Self: "drbdtest1", Replace: true})
				err := run(t, look(t, s), &progress{})
				if err == nil || !slices.ContainsFunc(tt.want, func(want string) bool { return strings.Contains(err.Error(), want) }) {
					t.Fatalf("error %v, want %q", err, tt.want)
				}
				if !strings.Contains(err.Error(), "to go back: pcs resource enable res_drbd-clone group-nfs") {
					t.Errorf("error %v does not say how to go back", err)
				}
				if w.patches != 1 || w.doc.FindElement("//clone[@id='res_drbd-clone']") == nil {
					t.Errorf("after %d patches the hand-made clone is gone", w.patches)
				}
			})
		})
	}
}
