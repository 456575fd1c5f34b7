package config_test

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spacei/drbdnfs/pkg/config"
)

var update = flag.Bool("update", false, "rewrite golden files and the tables in docs/configuration.md")

var sameConfig = cmpopts.IgnoreUnexported(config.Config{})

// base reads the file of two nodes that the tests change.
func base(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/base.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// edit replaces in text each first of two by the second; each must be there.
func edit(t testing.TB, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the file has no %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("drbdnfs.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s, run with -update: (-want +got)\n%s", file, diff)
	}
}

// Ensure that every default is filled in where the file says nothing.
func TestDefaults(t *testing.T) {
	c := parse(t, edit(t, base(t), "[storage]\nmanager = \"linstor\"\n", "", "name = \"res0\"\n", "",
		"[resource.drbd]\nprotocol = \"C\"\n", "", "[filesystem]\nmount = \"/home/nfs\"\n", "", "[nfs]\nthreads = 128\n", "",
		"[pacemaker]\ngroup = \"nfs\"\n", ""))
	want := &config.Config{
		Cluster: "nfs_cluster",
		Nodes: []config.Node{
			{Name: "drbdtest1", Address: "192.168.2.61", Device: "/dev/vda3"},
			{Name: "drbdtest2", Address: "192.168.2.62", Device: "/dev/vda3"},
		},
		Host: config.Host{HostsFile: true, Firewall: "firewalld"},
		Storage: config.Storage{
			Manager: "linstor", Controller: "drbdtest1", VolumeGroup: "drbdpool", Pool: "pool01", Driver: "lvm",
		},
		Resource: config.Resource{
			Name: "res0", Size: 6 << 40, Minor: 1000, Port: 7000, Source: "drbdtest1",
			DRBD: map[string]string{
				"protocol": "C", "auto-promote": "no", "read-balancing": "least-pending", "c-max-rate": "300M", "c-min-rate": "100M",
				"al-extents": "3389", "max-buffers": "20000", "max-epoch-size": "20000", "sndbuf-size": "0", "on-io-error": "detach",
				"after-sb-0pri": "disconnect", "after-sb-1pri": "disconnect", "after-sb-2pri": "disconnect", "rr-conflict": "disconnect",
				"quorum": "off", "split-brain": "/usr/lib/drbdnfs/drbdnfs-handler split-brain",
			},
		},
		Filesystem: config.Filesystem{Type: "xfs", Mount: "/home/nfs"},
		NFS: config.NFS{
			Versions: []string{"3", "4.1", "4.2"}, Threads: 128,
			LeaseTime: config.Duration(30 * time.Second), GraceTime: config.Duration(30 * time.Second),
			Ports: config.Ports{Mountd: 32773, Statd: 32771, StatdOutgoing: 32772, LockdTCP: 32774, LockdUDP: 32775},
		},
		Exports: []config.Export{{
			Path: "/home/nfs/user-data", Clients: []string{"192.168.2.0/24"},
			Options: []string{"rw", "sync", "no_root_squash", "no_all_squash"}, Owner: "root:root", Mode: "0755",
		}},
		VIPs:     []config.VIP{{Address: "192.168.2.63/24", Interface: "ens3"}},
		Corosync: config.Corosync{QDevice: config.QDevice{Algorithm: "ffsplit"}},
		Pacemaker: config.Pacemaker{
			Group: "nfs", Stickiness: 200, MigrationThreshold: 3, FailureTimeout: config.Duration(5 * time.Minute),
			MonitorInterval: config.Duration(10 * time.Second), Alert: config.Alert{Timeout: config.Duration(10 * time.Second)},
		},
		Fencing: config.Fencing{Mode: "none", AcceptSplitBrain: true},
		SplitBrain: config.SplitBrain{
			Policy: "manual", Snapshot: "required", CoolDown: config.Duration(24 * time.Hour), Resolutions: 2,
		},
		Metrics: config.Metrics{Listen: "127.0.0.1:19942", Resources: "managed", States: true},
		Alerts:  config.Alerts{Timeout: config.Duration(10 * time.Second)},
	}
	if diff := cmp.Diff(want, c, sameConfig); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// devices are fence devices for the two nodes of base.
const devices = `
[[fencing.device]]
name = "fence1"
agent = "fence_ipmilan"
targets = ["drbdtest1"]
[fencing.device.parameters]
ip = "192.0.2.1"
lanplus = true
ipport = 623

[[fencing.device]]
name = "fence2"
agent = "fence_ipmilan"
targets = ["drbdtest2"]
`

const accepted = "mode = \"none\"\naccept_split_brain = true\n"

const third = `
[[node]]
name = "witness"
address = "192.168.2.64"
diskless = true
`

// Ensure that each fencing mode brings its DRBD options, that the file's own
// values win, and that values of any type become DRBD's words.
func TestDRBDOptions(t *testing.T) {
	for _, tt := range []struct {
		name, options, fencing string
		want                   map[string]string
	}{
		{"none", "", accepted, map[string]string{"quorum": "off", "fencing": "", "c-max-rate": "300M"}},
		{"stonith", "", "mode = \"stonith\"\n" + devices, map[string]string{"quorum": "off", "fencing": "", "fence-peer": ""}},
		{"resource-and-stonith", "", "mode = \"resource-and-stonith\"\n" + devices, map[string]string{
			"quorum": "off", "fencing": "resource-and-stonith",
			"fence-peer":   "/usr/lib/drbd/crm-fence-peer.9.sh",
			"unfence-peer": "/usr/lib/drbd/crm-unfence-peer.9.sh",
		}},
		{
			"resource-and-stonith, own handler", `fence-peer = "/usr/lib/drbd/crm-fence-peer.9.sh --timeout 60"`,
			"mode = \"resource-and-stonith\"\n" + devices,
			map[string]string{"fence-peer": "/usr/lib/drbd/crm-fence-peer.9.sh --timeout 60"},
		},
		{"drbd-quorum", "", "mode = \"drbd-quorum\"\n" + third, map[string]string{"quorum": "majority", "on-no-quorum": "io-error"}},
		{
			"drbd-quorum, own values", "quorum = 2\non-no-quorum = \"suspend-io\"", "mode = \"drbd-quorum\"\n" + third,
			map[string]string{"quorum": "2", "on-no-quorum": "suspend-io"},
		},
		{
			"types", "c-max-rate = \"600M\"\nal-extents = 1237\nalways-asbp = true\ntcp-cork = false", accepted,
			map[string]string{"c-max-rate": "600M", "al-extents": "1237", "always-asbp": "yes", "tcp-cork": "no"},
		},
		{"an option of DRBD 9", "twopc-timeout = 400", accepted, map[string]string{"twopc-timeout": "400"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := parse(t, edit(t, base(t), "protocol = \"C\"", tt.options, accepted, tt.fencing))
			for name, want := range tt.want {
				if got := c.Resource.DRBD[name]; got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Ensure that parameters of a fence agent are texts, whatever the file has.
func TestFenceParameters(t *testing.T) {
	c := parse(t, edit(t, base(t), accepted, "mode = \"stonith\"\n"+devices))
	want := map[string]string{"ip": "192.0.2.1", "lanplus": "yes", "ipport": "623"}
	if diff := cmp.Diff(want, c.Fencing.Devices[0].Parameters); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := c.Fencing.Devices[1].Level; got != 1 {
		t.Errorf("level %d, want 1", got)
	}
}

// Ensure that what is allowed at the edge of a rule is not refused.
func TestAccepted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pairs []string
	}{
		{"cluster of 15 characters", []string{"nfs_cluster", "nfs-cluster_015"}},
		{"32 nodes", []string{"[storage]", manyNodes(30) + "[storage]"}},
		{"no devices", []string{"device = \"/dev/vda3\"\n", "", "device = \"/dev/vda3\"\n", ""}},
		{"IPv6", []string{
			"192.168.2.61", "fd00::61", "192.168.2.62", "fd00::62", "192.168.2.63/24", "fd00::63/64", "192.168.2.0/24", "fd00::/64",
		}},
		{"two links", []string{
			"device = ", "second_address = \"10.0.0.1\"\ndevice = ", ".62\"\ndevice = ", ".62\"\nsecond_address = \"10.0.0.2\"\ndevice = ",
		}},
		{"networks", []string{
			"[storage]", "[host]\nfirewall = \"off\"\ncluster_network = \"192.168.0.0/16\"\nclient_networks = [\"10.0.0.0/8\"]\n[storage]",
		}},
		{"thin pool", []string{"\"linstor\"", "\"linstor\"\ndriver = \"lvmthin\"\nthin_pool = \"thin\"\ncontroller = \"drbdtest2\""}},
		{"resource with a dot for drbdadm", []string{"\"linstor\"", "\"drbdadm\"", "\"res0\"", "\"nfs.data\""}},
		{"smallest size", []string{"\"6T\"", "\"64M\"\nminor = 0"}},
		{"mkfs options", []string{
			"mount = ", "mkfs_options = [\"-K\", \"-L\", \"fast\", \"-nftype=1\", \"-m\", \"finobt=1\"]\nmount = ",
		}},
		{"lockd on one port", []string{"threads = 128", "ports = { lockd_tcp = 4045, lockd_udp = 4045 }"}},
		{"lease and grace", []string{"threads = 128", "threads = 4096\nlease_time = \"1h\"\ngrace_time = \"1h\""}},
		{"state beside the export", []string{"threads = 128", "state_dir = \"/home/nfs/user-data2\""}},
		{"fsid shared by one directory", []string{
			clients, clients + "\nfsid = \"1\"\n" +
				"[[export]]\npath = \"/home/nfs/user-data\"\nclients = [\"*\"]\noptions = [\"ro\"]\nfsid = \"1\"",
		}},
		{"fsid as UUID", []string{
			clients, "[\"@hosts\", \"*.example.org\"]\nfsid = \"6e1d2f5a-9043-4c0e-8b6c-3f0a77d21458\"\nowner = \"48\"\nmode = \"2775\"",
		}},
		{"service address elsewhere", []string{"192.168.2.63/24", "10.1.1.1/8"}},
		{"corosync", []string{
			"[pacemaker]", "[corosync]\ntoken = \"1s\"\nqdevice = { host = \"qnet.example.org\", algorithm = \"lms\" }\n[pacemaker]",
		}},
		{"pacemaker", []string{
			"[pacemaker]", "[pacemaker]\nno_quorum_policy = \"ignore\"\npreferred = \"drbdtest2\"\n" +
				"monitor_interval = \"5s\"\nmigration_threshold = 0",
		}},
		{"one device for all nodes", []string{
			accepted, "mode = \"stonith\"\ntimeout = \"2m\"\n" +
				"[[fencing.device]]\nname = \"sbd\"\nagent = \"fence_sbd\"\nlevel = 9\ntargets = [\"drbdtest1\", \"drbdtest2\"]",
		}},
		{"line ends of Windows", []string{"cluster = \"nfs_cluster\"\n", "cluster = \"nfs_cluster\"\r\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if c := parse(t, edit(t, base(t), tt.pairs...)); len(c.Nodes) < 2 {
				t.Errorf("%d nodes", len(c.Nodes))
			}
		})
	}
}

// Ensure that keys are found in the file, however they are written there.
func TestAt(t *testing.T) {
	c := parse(t, edit(t, base(t), "[nfs]\nthreads = 128", "[nfs]\nports = { mountd = 20048 }\nversions = [\n  \"3\",\n  \"4.2\",\n]",
		"[storage]\n", "[storage] # below\n", accepted, "mode = \"stonith\"\n"+devices,
		"[pacemaker]\n", "[pacemaker]\nalert.path = \"/bin/true\"\n"))
	for key, want := range map[string]string{
		"cluster":                           "drbdnfs.toml:1",
		"node":                              "drbdnfs.toml:3",
		"node[0]":                           "drbdnfs.toml:3",
		"node[1].device":                    "drbdnfs.toml:11",
		"resource.size":                     "drbdnfs.toml:18",
		"resource.drbd.protocol":            "drbdnfs.toml:21",
		"nfs.ports.mountd":                  "drbdnfs.toml:27",
		"nfs.versions":                      "drbdnfs.toml:28",
		"nfs.versions[1]":                   "drbdnfs.toml:30",
		"export[0].clients[0]":              "drbdnfs.toml:35",
		"pacemaker.alert.path":              "drbdnfs.toml:42",
		"pacemaker.alert":                   "drbdnfs.toml:42",
		"fencing.device[0].parameters.ip":   "drbdnfs.toml:53",
		"fencing.device[1].targets":         "drbdnfs.toml:60",
		"storage.pool":                      "drbdnfs.toml",
		"no.such[0].key":                    "drbdnfs.toml",
		"fencing.device[2].name":            "drbdnfs.toml",
		"fencing.device[0].parameters.user": "drbdnfs.toml",
	} {
		if got := c.At(key); got != want {
			t.Errorf("%s is at %s, want %s", key, got, want)
		}
	}
	if got := (&config.Config{}).At("cluster"); got != config.DefaultFile {
		t.Errorf("without a file: %s", got)
	}
}

// Ensure that nodes are found by name and by what they do.
func TestNodes(t *testing.T) {
	c := parse(t, edit(t, base(t), "[[node]]", "[[node]]\nname = \"witness\"\naddress = \"192.168.2.64\"\ndiskless = true\n\n[[node]]",
		"size = \"6T\"", "size = \"6T\"\nsource = \"drbdtest2\""))
	if got := c.First().Name; got != "witness" {
		t.Errorf("first node %s", got)
	}
	var names []string
	for _, n := range c.Diskful() {
		names = append(names, n.Name)
	}
	if diff := cmp.Diff([]string{"drbdtest1", "drbdtest2"}, names); diff != "" {
		t.Errorf("diskful (-want +got)\n%s", diff)
	}
	if got := c.Source().Name; got != "drbdtest2" {
		t.Errorf("source %s", got)
	}
	if n, ok := c.Node("drbdtest1"); !ok || n.Address != "192.168.2.61" {
		t.Errorf("node drbdtest1: %v, %v", n, ok)
	}
	if _, ok := c.Node("drbdtest3"); ok {
		t.Error("a node that is not there was found")
	}
}

// Ensure that the agent's parameters are in the agent's syntax.
func TestTexts(t *testing.T) {
	c := parse(t, edit(t, base(t), "clients = [\"192.168.2.0/24\"]\n", `clients = ["192.168.2.0/24", "@hosts"]
options = ["ro"]
fsid = "17"

[[export]]
path = "/home/nfs/a b"
clients = ["*"]
options = []
`, "interface = \"ens3\"", "interface = \"ens3\"\n[[vip]]\naddress = \"192.168.2.65/24\""))
	for _, tt := range []struct{ name, got, want string }{
		{"exports", c.ExportsText(), "/home/nfs/user-data 192.168.2.0/24(ro,fsid=17) @hosts(ro,fsid=17)\n\"/home/nfs/a b\" *()"},
		{"vips", c.VIPsText(), "192.168.2.63/24@ens3 192.168.2.65/24"},
		{"ports", c.PortsText(), "mountd=32773 statd=32771 statd-outgoing=32772 lockd-tcp=32774 lockd-udp=32775"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, tt.got, tt.want)
		}
	}
}

// Ensure that the example says what is undecided, and is right once it is
// decided.
func TestExample(t *testing.T) {
	golden(t, "testdata/example.toml", config.Example())
	_, err := config.Parse("drbdnfs.toml", []byte(config.Example()))
	var problems *config.Errors
	if !errors.As(err, &problems) || len(*problems) != 1 || (*problems)[0].Key != "fencing.mode" {
		t.Errorf("undecided: %v", err)
	}
	c := parse(t, edit(t, config.Example(), "mode = \"\"\n", accepted))
	if c.Resource.Size.Bytes() != 6<<40 || len(c.Nodes) != 2 || c.VIPsText() != "192.168.2.63/24@ens3" {
		t.Errorf("the example is not the procedure's: %+v", c)
	}
}

// Ensure that the file with all defaults is one that reads to the same
// configuration, and that it holds no password.
func TestShow(t *testing.T) {
	long := edit(t, base(t), accepted, "mode = \"resource-and-stonith\"\npriority_delay = \"15s\"\n"+devices,
		"threads = 128", "threads = 8\nversions = [\"4.2\"]\nscope = \"a:b\"", "[pacemaker]\n",
		"[corosync]\ntoken = \"1500ms\"\n[pacemaker]\nfailure_timeout = \"0s\"\n"+
			"alert.path = \"/a b\"\nalert.recipient = '\"\\root'\n", "clients =", "options = []\nclients =")
	for name, text := range map[string]string{"short": base(t), "long": long} {
		t.Run(name, func(t *testing.T) {
			c := parse(t, text)
			golden(t, "testdata/show-"+name+".toml", c.Show())
			if diff := cmp.Diff(c, parse(t, c.Show()), sameConfig); diff != "" {
				t.Errorf("shown and read again (-before +after)\n%s", diff)
			}
		})
	}
	c := parse(t, edit(t, long, "lanplus = true", "lanplus = true\npasswd = \"geheim1\"\nApi_Token = \"geheim2\"",
		"protocol = \"C\"", "shared-secret = \"geheim3\"")+"[alerts]\nwebhook = \"https://alerts.example.org/geheim4\"\n")
	if got := c.Show(); strings.Contains(got, "geheim") || strings.Count(got, `"(hidden)"`) != 4 {
		t.Errorf("secrets are shown:\n%s", got)
	}
}
