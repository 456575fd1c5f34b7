package sides_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/splitbrain/sides"
)

// node is a machine whose DRBD 9 is StandAlone after a split brain, without a
// cluster, and its looker.
func node(t *testing.T, replication string) (*hosttest.Host, *sides.Looker) {
	t.Helper()
	h := hosttest.New(t)
	h.Modules["drbd"] = true
	h.SetFile("/proc/drbd", "version: 9.1.23 (api:2/proto:86-121)\n")
	conn := "StandAlone"
	if replication != "Off" {
		conn = "Connected"
	}
	h.Tool("drbdsetup", func(c host.Cmd) (string, error) {
		if c.Args[0] == "get-gi" {
			return "00000000000000A0:00000000000000E0:0000000000000000:0000000000000000:1:1:0:0:1:0:0:0:0:0:0:1\n", nil
		}
		return fmt.Sprintf(`exists resource name:res0 role:Primary suspended:no
exists connection name:res0 peer-node-id:1 conn-name:drbdtest2 connection:%s role:Unknown
exists device name:res0 volume:0 minor:1000 disk:UpToDate client:no size:1048508
exists peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0 replication:%s peer-disk:DUnknown peer-client:no out-of-sync:8192
exists -
`, conn, replication), nil
	})
	h.Tool("attrd_updater", func(c host.Cmd) (string, error) {
		return "", hosttest.Exit(c, 102, "attrd_updater: Could not connect: Transport endpoint is not connected")
	})
	h.Tool("lvs", func(host.Cmd) (string, error) { return `{"report":[{"lv":[]}]}`, nil })
	return h, sides.New(sides.Options{Host: h, StateDir: "/var/lib/drbdnfs", Listens: func() bool { return false }})
}

var pair = sides.Pair{Resource: "res0", Node: "drbdtest1", Peer: "drbdtest2"}

// Ensure that a node without a daemon and without a cluster still tells what DRBD
// has, and what it does not know.
func TestLookAlone(t *testing.T) {
	h, l := node(t, "Off")
	h.SetFile("/var/lib/drbdnfs/split-brain/res0@drbdtest2.json", `{"version":1,"revision":3,"resource":"res0","peer":"drbdtest2","phase":"held","refusal":"manual"}`)
	f := l.Look(t.Context(), pair)
	if f.Own == nil || f.Own.Role != drbd.RolePrimary || f.Own.Connection != drbd.ConnStandAlone || f.Own.ChangedBytes() != 8<<20 || f.Record == nil {
		t.Fatalf("own %+v, record %+v", f.Own, f.Record)
	}
	if len(f.Unknown) != 1 || !strings.Contains(f.Unknown[0], "the cluster does not run here") {
		t.Errorf("not known: %q", f.Unknown)
	}
	if p := sides.Judge(f); !p.Found || p.Sides[0].Source != sides.SourceDRBD || p.Sides[1].Source != sides.SourceNobody {
		t.Errorf("%+v", p)
	}
	pairs, err := l.Recorded("drbdtest1")
	if diff := cmp.Diff([]sides.Pair{pair}, pairs); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// Ensure that each thing that cannot be asked is said, and takes nothing else
// with it.
func TestLookFails(t *testing.T) {
	boom := errors.New("boom")
	for op, want := range map[string]string{
		"drbd.status": "DRBD on this node: ", "splitbrain.get-gi": "DRBD on this node: ", "pacemaker.query": "what the nodes say", "snapshot.lvs": "the snapshots of this node: ",
	} {
		h, l := node(t, "Off")
		h.Fail(op, boom)
		f := l.Look(t.Context(), pair)
		if text := strings.Join(f.Unknown, "\n"); !strings.Contains(text, want) || !strings.Contains(text, "boom") {
			t.Errorf("%s: not known %q", op, f.Unknown)
		}
	}
	h, l := node(t, "Off")
	h.SetFile("/var/lib/drbdnfs/split-brain/res0@drbdtest2.json", "{")
	if f := l.Look(t.Context(), pair); f.Record != nil || !strings.Contains(strings.Join(f.Unknown, "\n"), "this node's record") {
		t.Errorf("a broken record: %+v, %q", f.Record, f.Unknown)
	}
}

// Ensure that the end of a resolution says whether the resync is done.
func TestResync(t *testing.T) {
	for replication, want := range map[string]string{
		"Established": "the resync is done", "SyncSource": "the resync runs, 8.0 MiB to go: drbdadm status res0",
	} {
		_, l := node(t, replication)
		if got := l.Resync(t.Context(), pair); got != want {
			t.Errorf("%s: %q", replication, got)
		}
	}
	h, l := node(t, "Off")
	h.Fail("drbd.status", errors.New("boom"))
	if got := l.Resync(t.Context(), pair); !strings.Contains(got, "is not known: ") {
		t.Errorf("said %q", got)
	}
}
