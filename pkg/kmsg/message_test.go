package kmsg_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/kmsg"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// of9 is a message of DRBD 9 about one volume of one peer, of84 one of DRBD 8.4.
func of9(m kmsg.Message) kmsg.Message {
	m.Resource, m.Peer, m.Minor = "nfs", "nfs2", 1000
	return m
}

func of84(m kmsg.Message) kmsg.Message {
	m.Volume = drbd.Absent
	return m
}

// Texts as drbd_receiver.c and drbd_state.c print them, of the versions that
// doc.go names.
var parseTests = []struct {
	name, line string
	want       kmsg.Message // without its Text
}{
	{"split brain on 8.4", "block drbd0: Split-Brain detected but unresolved, dropping connection!", of84(kmsg.Message{Kind: kmsg.SplitBrain})},
	{"split brain long ago", "block drbd0: Split-Brain detected, dropping connection!", of84(kmsg.Message{Kind: kmsg.SplitBrain})},
	{"split brain", "drbd nfs/0 drbd1000 nfs2: Split-Brain detected but unresolved, dropping connection!", of9(kmsg.Message{Kind: kmsg.SplitBrain})},
	{"split brain while attaching", "drbd nfs/0 drbd1000 nfs2: Split-Brain detected during attach but unresolved, dropping connection!", of9(kmsg.Message{Kind: kmsg.SplitBrain})},
	{"split brain in other words", "drbd nfs/0 drbd1000 nfs2: Split-Brain detected, whatever", of9(kmsg.Message{Kind: kmsg.SplitBrain})},
	{
		"solved by policy on 8.4", "block drbd0: Split-Brain detected, 0 primaries, automatically solved. Sync from this node",
		of84(kmsg.Message{Kind: kmsg.AutoSolved, SyncFrom: "this"}),
	},
	{
		"solved by policy", "drbd nfs/0 drbd1000 nfs2: Split-Brain detected, 1 primaries, automatically solved. Sync from peer node",
		of9(kmsg.Message{Kind: kmsg.AutoSolved, SyncFrom: "peer"}),
	},
	{
		"solved by policy while attaching", "drbd nfs/0 drbd1000 nfs2: Split-Brain detected during attach, 1 primary(ies), automatically resolved. Sync from peer node",
		of9(kmsg.Message{Kind: kmsg.AutoSolved, SyncFrom: "peer"}),
	},
	{
		"solved by hand on 8.4", "block drbd0: Split-Brain detected, manually solved. Sync from peer node",
		of84(kmsg.Message{Kind: kmsg.ManuallySolved, SyncFrom: "peer"}),
	},
	{
		"solved by hand", "drbd nfs/0 drbd1000 nfs2: Split-Brain detected, manually solved. Full sync from this node",
		of9(kmsg.Message{Kind: kmsg.ManuallySolved, SyncFrom: "this"}),
	},
	{"solved by hand for nobody", "drbd nfs/0 drbd1000 nfs2: Split-Brain detected, manually solved. Sync from that node", of9(kmsg.Message{Kind: kmsg.ManuallySolved})},
	{"ignored", "drbd nfs/0 drbd1000 nfs2: Ignore Split-Brain, for now, at least one side unstable", of9(kmsg.Message{Kind: kmsg.Ignored})},
	{"ignored while attaching", "drbd nfs/0 drbd1000 nfs2: Ignoring split-brain during attach: at least one side unstable", of9(kmsg.Message{Kind: kmsg.Ignored})},
	{"unrelated on 8.4", "block drbd0: Unrelated data, aborting!", of84(kmsg.Message{Kind: kmsg.UnrelatedData})},
	{"unrelated", "drbd nfs/0 drbd1000 nfs2: Unrelated data, aborting!", of9(kmsg.Message{Kind: kmsg.UnrelatedData})},
	{"primary as target", "drbd nfs/0 drbd1000 nfs2: I shall become SyncTarget, but I am primary!", of9(kmsg.Message{Kind: kmsg.PrimaryTarget})},
	{"primary as target while attaching", "drbd nfs/0 drbd1000 nfs2: I shall become SyncTarget during attach, but I am primary!", of9(kmsg.Message{Kind: kmsg.PrimaryTarget})},
	{"two primaries on 8.4", "block drbd0: State change failed: Multiple primaries not allowed by config", of84(kmsg.Message{Kind: kmsg.TwoPrimaries})},
	{
		"two primaries", "drbd nfs: State change failed: Multiple primaries not allowed by config (-1)",
		kmsg.Message{Kind: kmsg.TwoPrimaries, Resource: "nfs", Volume: drbd.Absent, Minor: drbd.Absent},
	},
	{
		"own identifiers on 8.4", "block drbd1: self BA1B9AD112DDE2F4:0000000000000000:0000000000000000:0000000000000000 bits:9175141 flags:0",
		of84(kmsg.Message{Kind: kmsg.Self, Minor: 1, UUIDs: [4]uint64{0xBA1B9AD112DDE2F4}, Bits: 9175141}),
	},
	{
		"peer's identifiers", "drbd nfs/0 drbd1000 nfs2: peer D43295DEF6F52C8E:B8602D562BDDA7F6:0C0D482C236BEE8E:0000000000000000 bits:2570 flags:1022",
		of9(kmsg.Message{Kind: kmsg.Peer, UUIDs: [4]uint64{0xD43295DEF6F52C8E, 0xB8602D562BDDA7F6, 0x0C0D482C236BEE8E}, Bits: 2570}),
	},
	{"may recover on 8.4", "block drbd0: uuid_compare()=100 by rule 90", of84(kmsg.Message{Kind: kmsg.Compared, Verdict: kmsg.VerdictAutoRecover, Rule: "90"})},
	{"diverged on 8.4", "block drbd0: uuid_compare()=-100 by rule 100", of84(kmsg.Message{Kind: kmsg.Compared, Verdict: kmsg.VerdictDisconnect, Rule: "100"})},
	{"nothing in common on 8.4", "block drbd1: uuid_compare()=-1000 by rule 100", of84(kmsg.Message{Kind: kmsg.Compared, Minor: 1, Verdict: kmsg.VerdictUnrelated, Rule: "100"})},
	{"source on 8.4", "block drbd0: uuid_compare()=1 by rule 70", of84(kmsg.Message{Kind: kmsg.Compared, Verdict: "source-use-bitmap", Rule: "70"})},
	{"too old on 8.4", "block drbd0: uuid_compare()=-1091 by rule 35", of84(kmsg.Message{Kind: kmsg.Compared, Verdict: "-1091", Rule: "35"})},
	{"may recover", "drbd nfs/0 drbd1000 nfs2: uuid_compare()=split-brain-auto-recover by rule=bitmap-both", of9(kmsg.Message{Kind: kmsg.Compared, Verdict: kmsg.VerdictAutoRecover, Rule: "bitmap-both"})},
	{"diverged", "drbd nfs/0 drbd1000 nfs2: uuid_compare()=split-brain-disconnect by rule=history-both", of9(kmsg.Message{Kind: kmsg.Compared, Verdict: kmsg.VerdictDisconnect, Rule: "history-both"})},
	{
		"given up on 8.4", "drbd nfs: conn( Disconnecting -> StandAlone ) ",
		kmsg.Message{Kind: kmsg.StandAlone, Resource: "nfs", Volume: drbd.Absent, Minor: drbd.Absent, Was: drbd.ConnDisconnecting},
	},
	{
		"given up", "drbd nfs nfs2: conn( Disconnecting -> StandAlone ) [disconnected]",
		kmsg.Message{Kind: kmsg.StandAlone, Resource: "nfs", Peer: "nfs2", Volume: drbd.Absent, Minor: drbd.Absent, Was: drbd.ConnDisconnecting},
	},
	{
		"given up among other things", "drbd nfs nfs2: role( Primary -> Unknown ) conn( Connected -> StandAlone ) [down]",
		kmsg.Message{Kind: kmsg.StandAlone, Resource: "nfs", Peer: "nfs2", Volume: drbd.Absent, Minor: drbd.Absent, Was: drbd.ConnConnected},
	},
	{
		"given up with the resource", "drbd /unregistered/nfs/1 drbd1001 nfs2: Unrelated data, aborting!",
		kmsg.Message{Kind: kmsg.UnrelatedData, Resource: "nfs", Peer: "nfs2", Volume: 1, Minor: 1001},
	},
}

// Ensure that every message of interest is told, with whom it is about.
func TestParse(t *testing.T) {
	for _, tt := range parseTests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := kmsg.Parse(tt.line)
			if !ok {
				t.Fatalf("%q is none", tt.line)
			}
			if !strings.HasSuffix(strings.TrimSpace(tt.line), ": "+got.Text) {
				t.Errorf("text %q", got.Text)
			}
			got.Text = ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that what is not DRBD's, not of interest, or cut off, is none.
func TestParseOthers(t *testing.T) {
	for _, line := range []string{
		"",
		"Split-Brain detected but unresolved, dropping connection!",
		"drbd: registered as block device major 147",
		"drbd1000: detected capacity change from 0 to 1228688",
		"block sda: Split-Brain detected but unresolved, dropping connection!",
		"block drbd: Unrelated data, aborting!",
		"block drbd-1: Unrelated data, aborting!",
		"block drbd99999999: Unrelated data, aborting!",
		"XFS (drbd1000): Split-Brain detected but unresolved, dropping connection!",
		"drbd : Unrelated data, aborting!",
		"drbd nfs/0: Unrelated data, aborting!",
		"drbd nfs/x drbd0: Unrelated data, aborting!",
		"drbd nfs/0 nfs2: Unrelated data, aborting!",
		"drbd nfs nfs2 nfs3: Unrelated data, aborting!",
		"drbd nfs/0 drbd0 nfs2 nfs3: Unrelated data, aborting!",
		"drbd nfs/0 drbd1000 nfs2: drbd_sync_handshake:",
		"drbd nfs nfs2: conn( StandAlone -> Unconnected ) [connect]",
		"drbd nfs nfs2: Failed: conn( StandAlone -> StandAlone ) [disconnect]",
		"drbd nfs nfs2: conn( Connected -> StandAlone",
		"drbd nfs: State change failed: Can not disconnect a StandAlone device (-9)",
		"drbd nfs/0 drbd1000 nfs2: I shall become SyncSource, but I am inconsistent!",
		"drbd nfs/0 drbd1000 nfs2: uuid_compare()= by rule=x",
		"drbd nfs/0 drbd1000 nfs2: uuid_compare()=no-sync",
		"drbd nfs/0 drbd1000 nfs2: self uuid info vanished while I was looking!",
		"drbd nfs/0 drbd1000 nfs2: self 1:2:3 bits:0 flags:0",
		"drbd nfs/0 drbd1000 nfs2: self 1:2:3:x bits:0 flags:0",
		"drbd nfs/0 drbd1000 nfs2: self 1:2:3:4 bits:x flags:0",
		"drbd nfs/0 drbd1000 nfs2: self 1:2:3:4 0 flags:0",
		"drbd nfs/0 drbd1000 nfs2: other 1:2:3:4 bits:0 flags:0",
	} {
		if m, ok := kmsg.Parse(line); ok || m != (kmsg.Message{}) {
			t.Errorf("%q is %+v", line, m)
		}
	}
}

// Ensure that both logs of a real split brain and its repair read as they
// should.
func TestParseRecordings(t *testing.T) {
	for _, name := range []string{"node1", "node2"} {
		t.Run(name, func(t *testing.T) {
			base := filepath.Join("testdata", "drbd-9.1.23", name)
			log, err := os.ReadFile(base + ".log")
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for line := range strings.Lines(string(log)) {
				r, err := kmsg.ParseRecord([]byte(line))
				if err != nil {
					t.Fatal(err)
				}
				if m := r.Message; m.Kind != "" {
					fmt.Fprintf(&got, "%d %s %s %s/%d drbd%d %s", r.Position.Seq, r.SinceBoot, m.Kind, m.Resource, m.Volume, m.Minor, m.Peer)
					switch m.Kind {
					case kmsg.Self, kmsg.Peer:
						fmt.Fprintf(&got, " %016X %d bits", m.UUIDs, m.Bits)
					case kmsg.Compared:
						fmt.Fprintf(&got, " %s by %s", m.Verdict, m.Rule)
					case kmsg.ManuallySolved:
						fmt.Fprintf(&got, " from %s", m.SyncFrom)
					case kmsg.StandAlone:
						fmt.Fprintf(&got, " was %s", m.Was)
					}
					got.WriteByte('\n')
				}
			}
			golden := base + ".messages"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzParse ensures that a message is whole: named, of a known kind, and part of
// its line.
func FuzzParse(f *testing.F) {
	for _, tt := range parseTests {
		f.Add(tt.line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		m, ok := kmsg.Parse(line)
		if !ok {
			if m != (kmsg.Message{}) {
				t.Errorf("%q: left over %+v", line, m)
			}
			return
		}
		if m.Kind == "" || !strings.Contains(line, m.Text) || m.Resource == "" && m.Minor == drbd.Absent {
			t.Errorf("%q: %+v", line, m)
		}
		if m.Volume < drbd.Absent || m.Minor < drbd.Absent || (m.Kind == kmsg.Compared) != (m.Verdict != "") {
			t.Errorf("%q: %+v", line, m)
		}
	})
}
