package sides_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
	"github.com/spacei/drbdnfs/pkg/snapshot"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/splitbrain/sides"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)

func at(hour, minute int) time.Time { return time.Date(2026, 11, 23, hour, minute, 0, 0, time.UTC) }

// facts are those of a split brain by the policy manual: drbdtest1 serves, both
// daemons run.
func facts() sides.Facts {
	one := splitbrain.Evidence{
		Standing: splitbrain.Standing{
			Node: "drbdtest1", Resource: "res0", Peer: "drbdtest2", Role: drbd.RolePrimary, Connection: drbd.ConnStandAlone,
			Promoted: drbd.Yes, Mounted: drbd.Yes, PrimarySince: at(9, 0), LastPromoted: at(9, 0),
			Policy: splitbrain.Policy{Kind: splitbrain.Manual}, Phase: splitbrain.PhaseHeld, Refusal: splitbrain.RefusalManual, LostAt: at(14, 1),
		},
		Sequence: 5, At: now.Add(-20 * time.Second),
		Volumes: []splitbrain.Volume{{Disk: drbd.DiskUpToDate, Identifiers: gi.Identifiers{Current: 0xA0, Bitmap: 0xE0}, ChangedBytes: 12 << 20}},
		Words:   []splitbrain.Saying{{Kind: splitbrain.WordHelper, At: at(14, 22)}, {Kind: splitbrain.WordKernel, At: at(14, 22)}},
	}
	two := one
	two.Node, two.Peer, two.Role, two.Promoted, two.Mounted = "drbdtest2", "drbdtest1", drbd.RoleSecondary, drbd.No, drbd.No
	two.PrimarySince, two.LastPromoted, two.At, two.Words = time.Time{}, at(14, 2), now.Add(-50*time.Second), nil
	two.Volumes = []splitbrain.Volume{{Disk: drbd.DiskUpToDate, Identifiers: gi.Identifiers{Current: 0xB0, Bitmap: 0xE0}, ChangedBytes: 8 << 20}}
	return sides.Facts{
		Pair: sides.Pair{Resource: "res0", Node: "drbdtest1", Peer: "drbdtest2"}, Now: now, Running: true,
		Evidence: map[string]splitbrain.Evidence{"drbdtest1": one, "drbdtest2": two},
		Record:   &splitbrain.Record{Resource: "res0", Peer: "drbdtest2", Phase: splitbrain.PhaseHeld, Refusal: splitbrain.RefusalManual, FoundAt: at(14, 22)},
	}
}

// change changes what one node says.
func change(f *sides.Facts, node string, how func(e *splitbrain.Evidence)) {
	e := f.Evidence[node]
	how(&e)
	f.Evidence[node] = e
}

var scenes = []struct {
	name string
	make func(f *sides.Facts)
}{
	{"manual", func(*sides.Facts) {}},
	{"no split brain", func(f *sides.Facts) {
		f.Record.Phase, f.Record.Refusal = splitbrain.PhaseNone, ""
		for node := range f.Evidence {
			change(f, node, func(e *splitbrain.Evidence) {
				e.Live, e.Phase, e.Refusal, e.Volumes = true, splitbrain.PhaseNone, "", nil
			})
		}
	}},
	{"victim promoted", func(f *sides.Facts) {
		change(f, "drbdtest2", func(e *splitbrain.Evidence) { e.Promoted, e.Mounted = drbd.Unknown, drbd.Yes })
	}},
	{"the other daemon ended", func(f *sides.Facts) {
		change(f, "drbdtest2", func(e *splitbrain.Evidence) { e.At = now.Add(-26 * time.Hour) })
	}},
	{"the other node says nothing", func(f *sides.Facts) { delete(f.Evidence, "drbdtest2") }},
	{"no daemon here", func(f *sides.Facts) {
		own := f.Evidence["drbdtest1"]
		f.Running = false
		f.Own = &splitbrain.Evidence{Standing: splitbrain.Standing{
			Node: "drbdtest1", Resource: "res0", Peer: "drbdtest2", Role: own.Role, Connection: own.Connection,
		}, Volumes: own.Volumes}
		f.Evidence = nil
		f.Unknown = []string{"what the nodes say, in Pacemaker's attributes: the cluster does not run here"}
	}},
	{"ordered, with a snapshot", func(f *sides.Facts) {
		o := splitbrain.Order{Incident: "5f1c", Victim: "drbdtest2", Snapshot: splitbrain.SnapshotRequired, From: "drbdtest1", At: at(14, 29)}
		for node := range f.Evidence {
			change(f, node, func(e *splitbrain.Evidence) { e.Order, e.Phase, e.Refusal = o, splitbrain.PhaseDecided, "" })
		}
		f.Record.Verdict = splitbrain.Verdict{Victim: "drbdtest2", Survivor: "drbdtest1", Reason: "a person has \x1b[31mordered it"}
		f.Snapshots = []snapshot.Snapshot{{Name: "drbdpool/res0_00000_sb_20261123T140745", State: snapshot.Valid}}
	}},
	{"promised", func(f *sides.Facts) {
		change(f, "drbdtest2", func(e *splitbrain.Evidence) { e.Commitment = "5f1c" })
	}},
	{"full resync, three nodes", func(f *sides.Facts) {
		change(f, "drbdtest2", func(e *splitbrain.Evidence) {
			e.OtherNodes = 1
			e.Volumes = []splitbrain.Volume{{Disk: drbd.DiskUpToDate, Identifiers: gi.Identifiers{Current: 0xB0, Bitmap: 0xF0, History: [2]gi.UUID{0xE0}}, ChangedBytes: -1}}
		})
	}},
}

// Ensure that a person sees both sides, what each choice costs, and what to type;
// and that nothing is offered that the daemons would refuse.
func TestText(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			f := facts()
			s.make(&f)
			p := sides.Judge(f)
			text := p.Text()
			for _, victim := range []string{"drbdtest1", "drbdtest2"} {
				if c, there := p.Choice(victim); there != p.Found || c.Possible && c.Refusal != "" {
					t.Errorf("%s: %+v", victim, c)
				}
			}
			golden(t, strings.NewReplacer(" ", "-", ",", "").Replace(s.name)+".golden", text)
		})
	}
}

// Ensure that programs find the same in JSON, with lists that are never null.
func TestJSON(t *testing.T) {
	f := facts()
	data, err := json.MarshalIndent(sides.Judge(f), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "manual.json", string(data)+"\n")
	f = facts()
	scenes[1].make(&f)
	f.Snapshots, f.Unknown = nil, nil
	if data, err = json.Marshal(sides.Judge(f)); err != nil || strings.Contains(string(data), "null") {
		t.Errorf("%v: %s", err, data)
	}
}

func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
