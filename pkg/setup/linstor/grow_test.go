package linstor_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	lsapi "github.com/LINBIT/golinstor"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// modifyVolume sets the size of volume 0.
func (c *controller) modifyVolume(r *http.Request, in object) reply {
	rd := c.rds[r.PathValue("rd")]
	if rd == nil || rd.sizeKiB == 0 {
		return missing(lsapi.FailNotFoundVlmDfn, "Volume definition")
	}
	if !c.deaf {
		rd.sizeKiB = int64(in["size_kib"].(float64))
	}
	return modified("Volume definition")
}

const tib = config.Size(1 << 40)

// Ensure that LINSTOR grows the volume once, only where every pool has the room,
// and never makes it smaller.
func TestGrow(t *testing.T) {
	for _, tt := range []struct {
		name  string
		size  config.Size
		spoil func(c *controller)
		want  string
	}{
		{"grows", 8 * tib, func(*controller) {}, "change volume definition 0 of res0: 6T → 8T, LINSTOR grows it on every node"},
		{"has it", 6 * tib, func(*controller) {}, "keep volume definition 0 of res0: 6T"},
		{"smaller", 5 * tib, func(*controller) {}, "refuse volume definition 0 of res0: it has 6T already"},
		{
			"no room", 8 * tib, func(c *controller) { c.free["drbdtest2"] = 1 << 30 },
			"refuse storage pool pool01 on drbdtest2: 1024 GiB are free, 2048 GiB more are needed",
		},
		{"offline", 8 * tib, func(c *controller) { n := c.node("drbdtest2"); n.status, n.looks = "OFFLINE", -1 }, "refuse LINSTOR node drbdtest2: it is not online"},
		{"not there", 8 * tib, func(c *controller) { c.rds["res0"].sizeKiB = 0 }, "refuse volume definition 0 of res0: LINSTOR does not have it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := empty(t)
				s := stage(t, c, twoLVM)
				apply(t, s)
				c.free["drbdtest1"], c.free["drbdtest2"] = 3<<30, 3<<30
				tt.spoil(c)
				before := len(writes(c.calls))
				items, err := s.Grow(t.Context(), tt.size)
				if err != nil {
					t.Fatal(err)
				}
				if got := render(items); !strings.HasPrefix(got, tt.want) {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if n := len(writes(c.calls)) - before; n != 0 {
					t.Errorf("the look has written: %v", writes(c.calls)[before:])
				}
				if items[0].Do != nil {
					grown(t, c, items[0])
				}
			})
		})
	}
}

// grown does the item, then once more with a LINSTOR that only says yes.
func grown(t *testing.T, c *controller, it setup.Item) {
	t.Helper()
	if err := it.Do(t.Context(), &watcher{}); err != nil || c.rds["res0"].sizeKiB != 8<<30 {
		t.Errorf("ended with %v, the volume has %d KiB", err, c.rds["res0"].sizeKiB)
	}
	c.deaf, c.rds["res0"].sizeKiB = true, 6<<30
	if err := it.Do(t.Context(), &watcher{}); err == nil || !strings.Contains(err.Error(), "LINSTOR has 6T") {
		t.Errorf("a size that was not taken: %v", err)
	}
}
