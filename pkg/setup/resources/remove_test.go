package resources_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/setup"
)

// Ensure that removing takes the group out, waits until it has stopped, and that
// a second time there is nothing to do.
func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCluster(t, made)
		w.mon = func() string {
			if w.patches > 0 && w.monCalled > 5 {
				return monitor("", "", "", "")
			}
			return monitor("Promoted", "Unpromoted", "", "")
		}
		items, err := w.stage("drbdtest1", example()).LookRemove(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"drop location nfs-no-victim: made by drbdnfs", "drop clone nfs-clone: made by drbdnfs"}, short(items)); diff != "" {
			t.Errorf("items (-want +got):\n%s", diff)
		}
		p := &progress{}
		if err := run(t, items, p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"group nfs still runs on drbdtest1, drbdtest2"}, p.texts); diff != "" {
			t.Errorf("waited for (-want +got):\n%s", diff)
		}
		items, err = w.stage("drbdtest1", example()).LookRemove(context.Background())
		if err != nil || len(items) != 1 || items[0].Action != setup.Keep || w.doc.FindElement("//clone") != nil {
			t.Errorf("a second time: %q, %v", short(items), err)
		}
	})
}

// Ensure that a group is not taken for stopped when crm_mon could not see it.
func TestRemoveUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCluster(t, made)
		w.mon = func() string {
			if w.patches > 0 {
				return silent
			}
			return monitor("Promoted", "Unpromoted", "", "")
		}
		items, err := w.stage("drbdtest1", example()).LookRemove(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		checkError(t, run(t, items, &progress{}), "the cluster does not answer: Could not connect to the CIB")
	})
}

// Ensure that the last fence device may leave an otherwise empty cluster, of
// which crm_verify says that it would start nothing, and no other one.
func TestRemoveLastDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCluster(t, made)
		w.mon = func() string { return monitor("", "", "", "") }
		w.verify = func(doc string) string {
			if strings.Contains(doc, `type="drbdnfs"`) {
				return ""
			}
			return "(x)\terror: Resource start-up disabled since no STONITH resources have been defined"
		}
		web := w.doc.FindElement("//resources").CreateElement("primitive")
		web.CreateAttr("id", "web")
		remove := func() error {
			items, err := w.stage("drbdtest1", example()).LookRemove(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if items[0].Action == setup.Refuse {
				return errors.New(items[0].Detail)
			}
			return run(t, items, &progress{})
		}
		checkError(t, remove(), "Resource start-up disabled")
		w.change(func(*etree.Element) { web.Parent().RemoveChild(web) })
		checkError(t, remove(), "")
	})
}

// Ensure that removing is left to the node that applies, before anything is taken
// away under the group, and that without a cluster nothing is said about it.
func TestRemoveElsewhere(t *testing.T) {
	for _, tt := range []struct {
		name, self string
		stopped    bool
		want       setup.Action
	}{
		{"other node", "drbdtest2", false, setup.Refuse},
		{"no cluster", "drbdtest1", true, setup.Keep},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newCluster(t, made)
			w.stopped = tt.stopped
			items, err := w.stage(tt.self, example()).LookRemove(context.Background())
			if err != nil || len(items) != 1 || items[0].Action != tt.want {
				t.Errorf("items %q, error %v, want %s", short(items), err, tt.want)
			}
		})
	}
}
