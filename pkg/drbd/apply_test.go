package drbd_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
)

// apply feeds lines to st and returns the changes as text.
func apply(t *testing.T, st *drbd.State, lines string) []string {
	t.Helper()
	var changes []string
	for ev, err := range events2.Read(strings.NewReader(lines + "\n")) {
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range st.Apply(ev) {
			changes = append(changes, c.String())
		}
	}
	return changes
}

// replay returns the state after lines.
func replay(t *testing.T, lines string) *drbd.State {
	t.Helper()
	st := drbd.NewState()
	apply(t, st, lines)
	return st
}

const healthy9 = `exists resource name:res0 role:Primary suspended:no force-io-failures:no may_promote:no promotion_score:10102
exists connection name:res0 peer-node-id:1 conn-name:drbdtest2 connection:Connected role:Secondary
exists device name:res0 volume:0 minor:1000 backing_dev:/dev/drbdpool/res0_00000 disk:UpToDate client:no quorum:yes
exists peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no
exists -
`

const healthy84 = `exists resource name:res0 role:Primary suspended:no
exists connection name:res0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary
exists device name:res0 volume:0 minor:0 disk:UpToDate
exists peer-device name:res0 peer-node-id:0 conn-name:peer volume:0 minor:0 replication:Established peer-disk:UpToDate resync-suspended:no
exists -
`

var applyTests = []struct {
	name, before, lines string
	want                []string
}{
	{
		"a new resource", "",
		"create resource name:a role:Secondary suspended:no force-io-failures:no may_promote:no promotion_score:0",
		[]string{
			"created resource a", "set resource a role:->Secondary", "set resource a suspended:->no",
			"set resource a force-io-failures:unknown->no", "set resource a may_promote:unknown->no", "set resource a promotion_score:-1->0",
		},
	},
	{"the same words again", healthy9, "change resource name:res0 role:Primary may_promote:no", nil},
	{"an empty change", healthy9, "change peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0", nil},
	{"only counters", healthy9, "change device name:res0 volume:0 minor:1000 size:614344 read:1 written:2 al-writes:3 bm-writes:4 upper-pending:5 lower-pending:6 al-suspended:no", nil},
	{"an unknown key", healthy9, "change device name:res0 volume:0 minor:1000 colour:blue disk:Failed", []string{"set device res0/0 disk:UpToDate->Failed"}},
	{"an unknown object", healthy9, "change moon name:res0 phase:full", nil},
	{"an unknown verb", healthy9, "praise resource name:res0 role:Secondary", nil},
	{"resync progress", healthy9, "change peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0 done:50.00 out-of-sync:7", nil},
	{
		"quorum lost", healthy9,
		"change device name:res0 volume:0 minor:1000 quorum:no\nchange resource name:res0 suspended:quorum",
		[]string{"set device res0/0 quorum:yes->no", "set resource res0 suspended:no->quorum"},
	},
	{
		"a helper, its end and its exit code", healthy9,
		"call helper name:res0 peer-node-id:1 conn-name:drbdtest2 helper:fence-peer\nresponse helper name:res0 peer-node-id:1 conn-name:drbdtest2 helper:fence-peer status:1792",
		[]string{"called helper res0 drbdtest2 fence-peer", "responded helper res0 drbdtest2 fence-peer code 7"},
	},
	{
		"a helper that is not installed", healthy9,
		"response helper name:res0 peer-node-id:1 helper:fence-peer status:4294967294",
		[]string{"responded helper res0 peer 1 fence-peer code -1"},
	},
	{
		"a path", healthy9,
		"create path name:res0 peer-node-id:1 conn-name:drbdtest2 local:ipv4:1.2.3.4:7789 peer:ipv4:5.6.7.8:7790 established:no\n" +
			"change path name:res0 peer-node-id:1 conn-name:drbdtest2 local:ipv4:1.2.3.4:7789 peer:ipv4:5.6.7.8:7790 established:yes\n" +
			"destroy path name:res0 peer-node-id:1 conn-name:drbdtest2 local:ipv4:1.2.3.4:7789 peer:ipv4:5.6.7.8:7790",
		[]string{
			"created path res0 drbdtest2", "set path res0 drbdtest2 established:unknown->no",
			"set path res0 drbdtest2 established:no->yes", "destroyed path res0 drbdtest2",
		},
	},
	{"a new name", healthy9, "rename resource name:res0 new_name:res1", []string{"renamed resource res1 to res1"}},
	{"lines lost", healthy9, "- skipped 3", []string{"lost 3 lines"}},
	{
		"teardown on 9", healthy9,
		"destroy peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0\ndestroy connection name:res0 peer-node-id:1 conn-name:drbdtest2\n" +
			"destroy device name:res0 volume:0\ndestroy resource name:res0",
		[]string{"destroyed peer-device res0 drbdtest2/0", "destroyed connection res0 drbdtest2", "destroyed device res0/0", "destroyed resource res0"},
	},
	{
		"something destroyed that was never seen", healthy9,
		"destroy peer-device name:res0 peer-node-id:5 volume:0\ndestroy peer-device name:res0 peer-node-id:1 volume:5\ndestroy connection name:res0 peer-node-id:5\n" +
			"destroy device name:res0 volume:5\ndestroy path name:res0 peer-node-id:1 local:a peer:b\ndestroy resource name:x\ndestroy moon name:res0 peer-node-id:1",
		nil,
	},
	{
		"a change before its resource", "",
		"change peer-device name:a peer-node-id:1 conn-name:b volume:0 replication:Off",
		[]string{"created resource a", "created connection a b", "created peer-device a b/0", "set peer-device a b/0 replication:->Off"},
	},
	{
		"the end of a connection on 8.4 is StandAlone", healthy84,
		"change connection name:res0 peer-node-id:0 conn-name:peer connection:Disconnecting role:Unknown\n" +
			"destroy peer-device name:res0 peer-node-id:0 conn-name:peer volume:0 minor:0\ndestroy connection name:res0 peer-node-id:0 conn-name:peer",
		[]string{
			"set connection res0 peer connection:Connected->Disconnecting", "set connection res0 peer role:Secondary->Unknown",
			"destroyed peer-device res0 peer/0", "set connection res0 peer connection:Disconnecting->StandAlone",
		},
	},
	{
		"8.4 connects again", healthy84 + "destroy connection name:res0 peer-node-id:0 conn-name:peer\n",
		"create connection name:res0 peer-node-id:0 conn-name:peer connection:StandAlone role:Unknown\nchange connection name:res0 peer-node-id:0 conn-name:peer connection:Connecting",
		[]string{"set connection res0 peer connection:StandAlone->Connecting"},
	},
	{
		"8.4 leaves out the name of a connection without addresses", "exists resource name:res0 role:Secondary suspended:no\n",
		"exists connection name:res0 peer-node-id:0 connection:StandAlone role:Unknown",
		[]string{"created connection res0 peer", "set connection res0 peer connection:->StandAlone", "set connection res0 peer role:->Unknown"},
	},
	{
		"down on 8.4 leaves nothing", healthy84 + "destroy peer-device name:res0 peer-node-id:0 volume:0\ndestroy connection name:res0 peer-node-id:0\n",
		"destroy device name:res0 volume:0 minor:0\ndestroy resource name:res0",
		[]string{"destroyed device res0/0", "destroyed resource res0"},
	},
}

func TestApply(t *testing.T) {
	for _, tt := range applyTests {
		t.Run(tt.name, func(t *testing.T) {
			st := replay(t, tt.before)
			if diff := cmp.Diff(tt.want, apply(t, st, tt.lines)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestApplyCounts(t *testing.T) {
	st := replay(t, healthy9+`change device name:res0 volume:0 minor:1000 size:614344 read:10 written:20 al-writes:40 bm-writes:50 upper-pending:60 lower-pending:70 al-suspended:yes blocked:upper,lower open:yes
change connection name:res0 peer-node-id:1 conn-name:drbdtest2 congested:yes ap-in-flight:10 rs-in-flight:20
change peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0 replication:SyncSource done:63.12 received:1 sent:2 out-of-sync:3 pending:4 unacked:5 dbdt1:7.83 eta:74
change resource name:res0 write-ordering:flush
`)
	r := st.Resources["res0"]
	wantDevice := &drbd.Device{
		Minor: 1000, Disk: "UpToDate", Client: drbd.No, Open: drbd.Yes, Quorum: drbd.Yes, BackingDev: "/dev/drbdpool/res0_00000",
		SizeBytes: 614344 << 10, ReadBytes: 10 << 10, WrittenBytes: 20 << 10, ALWrites: 40, BMWrites: 50, UpperPending: 60, LowerPending: 70,
		ALSuspended: drbd.Yes, Blocked: "upper,lower",
	}
	if diff := cmp.Diff(wantDevice, r.Devices[0]); diff != "" {
		t.Errorf("device (-want +got):\n%s", diff)
	}
	c := r.Connections[1]
	if c.Congested != drbd.Yes || c.APInFlight != 5120 || c.RSInFlight != 10240 || r.WriteOrdering != "flush" {
		t.Errorf("congested %v, in flight %d and %d bytes, write ordering %q", c.Congested, c.APInFlight, c.RSInFlight, r.WriteOrdering)
	}
	wantPeer := &drbd.PeerDevice{
		Replication: "SyncSource", PeerDisk: "UpToDate", PeerClient: drbd.No, ResyncSuspended: "no", DonePercent: 63.12,
		OutOfSyncBytes: 3 << 10, ReceivedBytes: 1 << 10, SentBytes: 2 << 10, Pending: 4, Unacked: 5, MiBPerSecond: 7.83, ETA: 74e9,
	}
	if diff := cmp.Diff(wantPeer, c.PeerDevices[0]); diff != "" {
		t.Errorf("peer device (-want +got):\n%s", diff)
	}

	t.Run("ETANotKnown", func(t *testing.T) {
		apply(t, st, "change peer-device name:res0 peer-node-id:1 volume:0 done:64.00 dbdt1:0.00 eta:nan")
		if p := c.PeerDevices[0]; p.ETA != 0 || p.DonePercent != 64 || !p.Syncing() {
			t.Errorf("eta %v, done %v, syncing %v", p.ETA, p.DonePercent, p.Syncing())
		}
	})
	t.Run("ProgressEndsWithTheResync", func(t *testing.T) {
		apply(t, st, "change peer-device name:res0 peer-node-id:1 volume:0 replication:Established")
		if p := c.PeerDevices[0]; p.DonePercent != 0 || p.ETA != 0 || p.MiBPerSecond != 0 || p.Syncing() {
			t.Errorf("done %v, eta %v, rate %v, syncing %v after the resync", p.DonePercent, p.ETA, p.MiBPerSecond, p.Syncing())
		}
	})
	t.Run("NumbersThatAreNone", func(t *testing.T) {
		apply(t, st, "change device name:res0 volume:0 size:x read:18446744073709551615 written:-1")
		if d := r.Devices[0]; d.SizeBytes != 614344<<10 || d.ReadBytes != 10<<10 || d.WrittenBytes != 20<<10 {
			t.Errorf("size %d, read %d, written %d: want what was known before", d.SizeBytes, d.ReadBytes, d.WrittenBytes)
		}
	})
}

func TestCloneIsIndependent(t *testing.T) {
	st := replay(t, healthy9+"create path name:res0 peer-node-id:1 conn-name:drbdtest2 local:a peer:b established:yes\n")
	clone := st.Clone()
	want := st.Clone()
	apply(t, st, `change resource name:res0 role:Secondary
change device name:res0 volume:0 minor:1000 disk:Failed
change connection name:res0 peer-node-id:1 connection:StandAlone
change peer-device name:res0 peer-node-id:1 volume:0 peer-disk:Outdated
change path name:res0 peer-node-id:1 local:a peer:b established:no
destroy resource name:res0`)
	if diff := cmp.Diff(want, clone); diff != "" {
		t.Errorf("the clone changed (-want +got):\n%s", diff)
	}
}

func TestRename(t *testing.T) {
	st := replay(t, healthy9+"rename resource name:res0 new_name:data\n")
	if r := st.Resources["data"]; r == nil || r.Name != "data" || st.Resources["res0"] != nil {
		t.Errorf("resources after the rename: %v", st.SortedResources())
	}
	if got := apply(t, st, "rename resource name:res0 new_name:x\nrename resource name:data"); got != nil {
		t.Errorf("renaming nothing gives %v", got)
	}
}

func TestLostLinesAreCounted(t *testing.T) {
	if st := replay(t, "- skipped 2\n- skipped 5\n"); st.Lost != 7 {
		t.Errorf("lost %d lines, want 7", st.Lost)
	}
}

func TestRoleTargets(t *testing.T) {
	nine := replay(t, healthy9).Resources["res0"]
	if diff := cmp.Diff([]string{"res0"}, nine.RoleTargets()); diff != "" || nine.Kernel84 {
		t.Errorf("DRBD 9 (-want +got):\n%s", diff)
	}
	old := replay(t, healthy84+"exists device name:res0 volume:2 minor:12 disk:UpToDate\nexists device name:res0 volume:1 minor:11 disk:UpToDate\n").Resources["res0"]
	if diff := cmp.Diff([]string{"0", "11", "12"}, old.RoleTargets()); diff != "" || !old.Kernel84 {
		t.Errorf("DRBD 8.4 (-want +got):\n%s", diff)
	}
}

// Ensure that a dump comes to the same state in whatever order its lines are,
// and that the same dump again changes nothing.
func TestOrderDoesNotMatter(t *testing.T) {
	for _, file := range []string{"testdata/drbd-9.1.23/node1/events2-full.log", "testdata/drbd-8.4.11/resync-target.dump"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dump, _, _ := strings.Cut(string(data), "exists -")
		lines := strings.Split(strings.TrimRight(dump[:strings.LastIndex(dump, "\n")], "\n"), "\n")
		want := drbd.NewState()
		apply(t, want, strings.Join(lines, "\n"))
		if len(want.Resources) != 1 || len(want.Resources["res0"].Devices) != 1 {
			t.Fatalf("%s: %d lines make %d resources", file, len(lines), len(want.Resources))
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 100 {
			random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			got := drbd.NewState()
			apply(t, got, strings.Join(lines, "\n"))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s, lines in the order\n%s\n(-want +got):\n%s", file, strings.Join(lines, "\n"), diff)
			}
			if changes := apply(t, got, strings.Join(lines, "\n")); len(changes) != 0 {
				t.Errorf("%s again: %q", file, changes)
			}
		}
	}
}
