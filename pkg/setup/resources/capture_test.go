package resources_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

func capture(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Ensure that what Pacemaker really prints about a group that serves is
// understood.
func TestCapturedStatus(t *testing.T) {
	w := newCluster(t, made)
	text := capture(t, "crm_mon-2.1.5-promoted.xml")
	w.mon = func() string { return text }
	items := short(look(t, w.stage("drbdtest2", example())))
	if want := "keep group nfs: Promoted on drbdtest2"; !slices.Contains(items, want) {
		t.Errorf("items %q lack %q", items, want)
	}
}

// Ensure that what crm_simulate really prints about a resource that would move
// is understood, and that our own actions in it are not counted.
func TestCapturedSimulation(t *testing.T) {
	w := newCluster(t, empty)
	planned := capture(t, "crm_simulate-2.1.5-move.xml")
	w.Tool("crm_simulate", func(c host.Cmd) (string, error) {
		if strings.Contains(string(c.Stdin), "nfs-clone") {
			return planned, nil
		}
		return "<pacemaker-result/>", nil
	})
	items := look(t, w.stage("drbdtest1", example()))
	want := []string{"refuse other resources: the change would disturb web (move on drbdtest1)"}
	if diff := cmp.Diff(want, short(items)); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

// Ensure that what a fencing mode leaves open is told in every plan, also while
// there is no cluster.
func TestRisks(t *testing.T) {
	third := config.Node{Name: "drbdtest3", Diskless: true}
	for _, tt := range []struct {
		mode  string
		nodes []config.Node
		want  string
	}{
		{config.FencingNone, nil, "a cut link can split the data"},
		{config.FencingQuorum, nil, "with two nodes DRBD has no quorum"},
		{config.FencingQuorum, []config.Node{third}, ""},
		{config.FencingSTONITH, nil, ""},
		{config.FencingDRBD, nil, ""},
	} {
		for _, stopped := range []bool{false, true} {
			w := newCluster(t, made)
			w.stopped = stopped
			c := example()
			c.Fencing.Mode, c.Nodes = tt.mode, append(c.Nodes, tt.nodes...)
			got := ""
			for _, it := range look(t, w.stage("drbdtest1", c)) {
				if it.Action == setup.Warn {
					got = it.Detail
				}
			}
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("%s with %d nodes: %q, want %q", tt.mode, len(c.Nodes), got, tt.want)
			}
		}
	}
}
