package grow

import (
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
	"github.com/spacei/drbdnfs/pkg/setup"
)

const healthy = `exists resource name:res0 role:Primary suspended:no
exists connection name:res0 peer-node-id:1 conn-name:drbdtest2 connection:Connected role:Secondary
exists device name:res0 volume:0 minor:1000 disk:UpToDate client:no size:1048576
exists peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0 replication:Established peer-disk:UpToDate peer-client:no
exists -
`

// Ensure that each reason not to grow a volume is named with the remedy, and that
// a healthy one has none.
func TestJudge(t *testing.T) {
	c := &config.Config{Nodes: []config.Node{{Name: "drbdtest1"}, {Name: "drbdtest2"}}}
	tied := &config.Config{Nodes: append([]config.Node{{Name: "drbdtest3", Diskless: true}}, c.Nodes...)}
	const gib = 1 << 30
	for _, tt := range []struct {
		name, old, new string
		c              *config.Config
		size           int64
		says           string
	}{
		{"healthy", "", "", c, 2 * gib, ""},
		{"has it", "", "", c, gib, ""},
		{"has a little more", "", "", c, gib - 4<<20, ""},
		{"smaller", "", "", c, gib / 2, "never made smaller"},
		{"no size", "size:1048576", "size:0", c, 2 * gib, "size of its device is not known"},
		{"disk", "disk:UpToDate client", "disk:Failed client", c, 2 * gib, "disk of this node is Failed"},
		{"suspended", "suspended:no\n", "suspended:quorum\n", c, 2 * gib, "I/O is suspended (quorum)"},
		{"split", "connection:Connected role:Secondary", "connection:StandAlone role:Unknown", c, 2 * gib, "drbdnfs split-brain show"},
		{"cut off", "connection:Connected role:Secondary", "connection:Connecting role:Unknown", c, 2 * gib, "drbdtest2 is not connected (Connecting)"},
		{"resync", "replication:Established", "replication:SyncSource", c, 2 * gib, "a resync with drbdtest2 runs"},
		{"verify", "replication:Established", "replication:VerifyS", c, 2 * gib, "online verify"},
		{"peer's disk", "peer-disk:UpToDate", "peer-disk:Outdated", c, 2 * gib, "disk of drbdtest2 is Outdated"},
		{"no connection", healthy[strings.Index(healthy, "exists connection"):strings.Index(healthy, "exists device")], "", c, 2 * gib, "0 of 1 other nodes have a connection"},
		{"no Primary", "role:Primary", "role:Secondary", c, 2 * gib, "no node is Primary"},
		{"tie-breaker away", "drbdtest2", "drbdtest3", tied, 2 * gib, "0 of 1 other nodes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.ReplaceAll(healthy, tt.old, tt.new)
			if tt.old == "" {
				text = healthy
			}
			if tt.name == "no connection" {
				text = strings.ReplaceAll(text, healthy[strings.Index(healthy, "exists peer-device"):strings.Index(healthy, "exists -")], "")
			}
			st, err := events2.ReadDump(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			r := st.Resources["res0"]
			r.Kernel84 = false // as Status says of DRBD 9
			items := judge(r, tt.c, tt.size)
			if tt.says == "" {
				if len(items) > 0 {
					t.Errorf("it refuses: %+v", items)
				}
				return
			}
			if len(items) == 0 || items[0].Action != setup.Refuse || !strings.Contains(items[0].Detail+" "+items[0].Why, tt.says) {
				t.Errorf("got %+v, want a refusal with %q", items, tt.says)
			}
		})
	}
}

// Ensure that the size is read of what the programs print, and of nothing else.
func TestParseSize(t *testing.T) {
	for _, tt := range []struct {
		name, out string
		want      int64
	}{
		{"xfs_growfs", "meta-data=/dev/drbd1000 isize=512\n         =  sectsz=512\ndata     =                       bsize=4096   blocks=132082, imaxpct=25\nlog      =internal log           bsize=4096   blocks=16384, version=2\n", 132082 * 4096},
		{"dumpe2fs", "Filesystem volume name:   <none>\nBlock count:              262144\nReserved block count:     13107\nBlock size:               4096\n", 262144 * 4096},
		{"neither", "data = blocks=5", 0},
		{"nonsense", "data     =   bsize=99999999   blocks=99999999999999", 0},
	} {
		got, ok := parseSize([]byte(tt.out))
		if got != tt.want && (ok || tt.want != 0) || ok != (tt.want > 0) {
			t.Errorf("%s: got %d, %v; want %d", tt.name, got, ok, tt.want)
		}
	}
}

// Ensure that no output of the programs breaks the parser, or makes a size that is
// none.
func FuzzParseSize(f *testing.F) {
	f.Add([]byte("data     =  bsize=4096   blocks=132082"))
	f.Add([]byte("Block count: 1\nBlock size: 4096\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		if n, ok := parseSize(out); ok && n <= 0 {
			t.Errorf("%q: size %d", out, n)
		}
	})
}
