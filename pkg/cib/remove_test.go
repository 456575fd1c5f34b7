package cib_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/cib"
)

// Ensure that Remove takes out what Merge made and leaves the rest, properties
// included, and that there is nothing left to remove.
func TestRemove(t *testing.T) {
	for name, c := range configurations {
		for _, file := range documents {
			t.Run(file+"/"+name, func(t *testing.T) {
				made, _ := merge(t, load(t, file), c)
				out, changes, err := cib.Remove(made, c)
				if err != nil {
					t.Fatal(err)
				}
				checkForeign(t, load(t, file), out)
				if !strings.Contains(strings.Join(lines(changes), "\n"), " nfs-clone: made by drbdnfs (clients lose the service") {
					t.Errorf("changes %q", lines(changes))
				}
				for _, el := range out.FindElements("/cib/configuration//*[@id]") {
					if id := el.SelectAttrValue("id", ""); strings.HasPrefix(id, "nfs") || strings.HasPrefix(id, "drbdnfs-") {
						t.Errorf("%s %s is left", el.Tag, id)
					}
				}
				if out.FindElement("//nvpair[@name='no-quorum-policy']") == nil {
					t.Error("a property is gone")
				}
				if _, more, err := cib.Remove(out, c); err != nil || len(more) > 0 {
					t.Errorf("a second time: %q, %v", lines(more), err)
				}
			})
		}
	}
}

// Ensure that what pcs and DRBD's handlers put on the group goes with it, and
// that a foreign object that names it is an error.
func TestRemoveReferences(t *testing.T) {
	for _, tt := range []struct{ name, section, text, want string }{
		{"ban", "constraints", `<rsc_location id="cli-ban-nfs-clone-on-drbdtest1" rsc="nfs-clone" node="drbdtest1" score="-INFINITY"/>`, ""},
		{"handler", "constraints", `<rsc_location id="drbd-fence-by-handler-res0-nfs-clone" rsc="nfs-clone"/>`, ""},
		{"colocation", "constraints", `<rsc_colocation id="with" rsc="web" with-rsc="nfs-clone"/>`, "with names nfs-clone"},
		{"order", "constraints", `<rsc_order id="then" first="nfs" then="web"/>`, "then names nfs"},
		{"set", "constraints", `<rsc_order id="set"><resource_set id="s"><resource_ref id="nfs-clone"/></resource_set></rsc_order>`, "set names nfs-clone"},
		{"location", "constraints", `<rsc_location id="mine" rsc="nfs-clone" node="drbdtest1" score="5"/>`, "pcs constraint delete mine"},
		{"level", "configuration", `<fencing-topology><fencing-level id="l" target="x" index="1" devices="drbdnfs-ipmi1"/></fencing-topology>`, "l names drbdnfs-ipmi1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := with(fenced)
			doc, _ := merge(t, load(t, "pcs-0.11.xml"), c)
			edit(t, doc, "//"+tt.section, added(tt.text))
			out, _, err := cib.Remove(doc, c)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v does not say %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(0, len(out.FindElements("//constraints/*"))); diff != "" {
				t.Errorf("constraints that are left (-want +got):\n%s", diff)
			}
		})
	}
}
