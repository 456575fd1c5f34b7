package status_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/status"
)

// screens are those that the golden files show.
func screens() map[string]status.Facts {
	resync := healthy()
	syncing(resync.Resource, drbd.ReplSyncSource, drbd.DiskInconsistent)
	resync.Plan.Fencing, resync.CIB.Properties["stonith-enabled"] = "none", "false"
	resync.Snapshots = []string{"drbdpool/res0_00000_sb_20261123T140745"}

	held := healthy()
	split(&held, splitbrain.PhaseHeld, splitbrain.RefusalManual)

	dead := passive()
	peerDead(&dead)
	nobody(&dead)
	fail(&dead, "drbdtest2", "promote", "State change failed: (-2) Need access to UpToDate data", false)
	dead.Resource.Devices[0].Disk = drbd.DiskOutdated

	stopped := passive()
	stopped.Cluster, stopped.CIB, stopped.ClusterStopped, stopped.Daemon = nil, nil, true, drbd.No
	stopped.DRBD, stopped.Resource = status.DRBDDown, nil
	stopped.Unknown = []status.Unknown{{Source: "crm_mon", Why: "the cluster does not run here"}, {Source: "cib", Why: "the cluster does not run here"}}
	return map[string]status.Facts{"healthy": healthy(), "resync": resync, "split-brain": held, "down": dead, "pacemaker-stopped": stopped}
}

// Ensure that the screens are as they are meant to be, and fit.
func TestRender(t *testing.T) {
	for name, f := range screens() {
		t.Run(name, func(t *testing.T) {
			p := status.Judge(f)
			got := status.Render(p, status.Screen{Width: 100})
			golden(t, "testdata/"+name+".screen", got)
			for l := range strings.Lines(got) {
				if utf8.RuneCountInString(l) > 121 {
					t.Errorf("a line of %d columns: %s", utf8.RuneCountInString(l), l)
				}
			}
			data, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/"+name+".json", string(data)+"\n")
			for _, key := range []string{"vips", "exports", "nodes", "split_brains", "failovers", "snapshots", "findings", "unknown"} {
				if strings.Contains(string(data), `"`+key+`": null`) {
					t.Errorf("%s is no list", key)
				}
			}
		})
	}
}

// Ensure that colours are only there where they are wanted, and change nothing
// else.
func TestColour(t *testing.T) {
	p := status.Judge(screens()["resync"])
	plain, coloured := status.Render(p, status.Screen{Width: 80}), status.Render(p, status.Screen{Width: 80, Color: true})
	if strings.Contains(plain, "\x1b") || !strings.Contains(coloured, "\x1b[") {
		t.Error("colours")
	}
	var stripped strings.Builder
	for i, part := range strings.Split(coloured, "\x1b[") {
		if i > 0 {
			_, part, _ = strings.Cut(part, "m")
		}
		stripped.WriteString(part)
	}
	if stripped.String() != plain {
		t.Errorf("without colours it is\n%s\nnot\n%s", stripped.String(), plain)
	}
}
