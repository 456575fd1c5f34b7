package drbd_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
)

func dumped(t *testing.T, text string) *drbd.State {
	t.Helper()
	st, err := events2.ReadDump(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

const refreshed = `exists resource name:a role:Primary suspended:no write-ordering:flush
exists connection name:a peer-node-id:1 conn-name:b connection:Connected role:Secondary congested:no ap-in-flight:0 rs-in-flight:0
exists device name:a volume:0 minor:7 disk:UpToDate size:100 read:1 written:2 al-writes:3 bm-writes:4 upper-pending:5 lower-pending:6 al-suspended:no blocked:no
exists peer-device name:a peer-node-id:1 conn-name:b volume:0 replication:SyncSource peer-disk:Inconsistent done:1.00 received:1 sent:2 out-of-sync:3 pending:4 unacked:5 dbdt1:6.00 eta:7
exists -
`

// Ensure that all numbers of a dump are taken over.
func TestRefreshNumbers(t *testing.T) {
	newer := strings.NewReplacer(
		"write-ordering:flush", "write-ordering:drain", "congested:no", "congested:yes", "-in-flight:0", "-in-flight:10",
		"size:100", "size:200", "read:1", "read:11", "written:2", "written:12", "al-writes:3", "al-writes:13", "bm-writes:4", "bm-writes:14",
		"upper-pending:5", "upper-pending:15", "lower-pending:6", "lower-pending:16", "al-suspended:no", "al-suspended:yes", "blocked:no", "blocked:upper",
		"done:1.00", "done:50.00", "received:1", "received:11", "sent:2", "sent:12", "out-of-sync:3", "out-of-sync:13", " pending:4", " pending:14",
		"unacked:5", "unacked:15", "dbdt1:6", "dbdt1:16", "eta:7", "eta:17",
	).Replace(refreshed)
	got, want := dumped(t, refreshed), dumped(t, newer)
	if cmp.Equal(got, want) {
		t.Fatal("both dumps are the same")
	}
	got.Refresh(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-dump +refreshed):\n%s", diff)
	}
}

// Ensure that a dump does not change states, does not bring back what is gone
// and does not take away what it lacks.
func TestRefreshLeavesStates(t *testing.T) {
	for _, tt := range []struct{ name, line, dump string }{
		{"older states", "", strings.NewReplacer("Primary", "Secondary", "UpToDate", "Failed", "connection:Connected", "connection:StandAlone").Replace(refreshed)},
		{"resource gone", "destroy resource name:a", refreshed},
		{"connection gone", "destroy connection name:a peer-node-id:1 conn-name:b", refreshed},
		{"peer device gone", "destroy peer-device name:a peer-node-id:1 conn-name:b volume:0", refreshed},
		{"device gone", "destroy device name:a volume:0 minor:7", refreshed},
		{"resync over", "change peer-device name:a peer-node-id:1 conn-name:b volume:0 replication:Established", refreshed},
		{"nothing in the dump", "", "exists -\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := dumped(t, refreshed)
			if tt.line != "" {
				ev, err := events2.Parse(tt.line)
				if err != nil {
					t.Fatal(err)
				}
				got.Apply(ev)
			}
			want := got.Clone()
			got.Refresh(dumped(t, tt.dump))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("state (-before +after):\n%s", diff)
			}
		})
	}
}
