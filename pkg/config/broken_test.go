package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/spacei/drbdnfs/pkg/config"
)

// broken are files made from testdata/base.toml by replacing the first of each
// pair by the second. testdata/broken.txtar has the messages.
var broken = []struct {
	name  string
	pairs []string
}{
	{"syntax", []string{`cluster = "nfs_cluster"`, `cluster = nfs_cluster`}},
	{"syntax, a quote that does not end", []string{`size = "6T"`, `size = "6T`}},
	{"syntax, a password in the line", []string{accepted, "[[fencing.device]]\npassword = \"geheim"}},
	{"syntax, a password on several lines", []string{accepted, "[[fencing.device]]\npassword = \"\"\"\ngeheim\\z"}},
	{"syntax, what a terminal would not print", []string{`"nfs_cluster"`, "\"nfs\x01\xff\""}},
	{"key twice", []string{`size = "6T"`, "size = \"6T\"\nsize = \"7T\""}},
	{"unknown key", []string{`size = "6T"`, `sizes = "6T"`}},
	{"unknown key, nothing near", []string{`size = "6T"`, "size = \"6T\"\nxyz = 1"}},
	{"unknown key, empty", []string{`[storage]`, "[storage]\n\"\" = 1"}},
	{"unknown key with a control character", []string{`[storage]`, "[storage]\n\"a\\u0001\" = 1"}},
	{"unknown table", []string{`[storage]`, "[strage]"}},
	{"unknown key among nodes", []string{`address = "192.168.2.62"`, `adress = "192.168.2.62"`}},
	{"unknown key with a password", []string{`[storage]`, "[host]\npassword = \"geheim\"\n[storage]"}},
	{"text is a number", []string{`"nfs_cluster"`, "7"}},
	{"text is a date", []string{`"nfs_cluster"`, "2026-11-23"}},
	{"number is a text", []string{"threads = 128", `threads = "128"`}},
	{"number is a boolean", []string{"threads = 128", "threads = true"}},
	{"number is too large", []string{"threads = 128", "threads = 99999999999999999999"}},
	{"boolean is a text", []string{"accept_split_brain = true", `accept_split_brain = "yes"`}},
	{"time is a number", []string{"threads = 128", "lease_time = 30"}},
	{"time without a unit", []string{"threads = 128", `lease_time = "30"`}},
	{"size is a number", []string{`"6T"`, "6"}},
	{"list is a text", []string{clients, `"192.168.2.0/24"`}},
	{"versions are numbers", []string{"threads = 128", "versions = [3, 4.1]"}},
	{"table is a text", []string{"[storage]\nmanager = \"linstor\"", "", "cluster", "storage = \"linstor\"\ncluster"}},
	{"table is a list", []string{"[storage]\nmanager = \"linstor\"", "", "cluster", "storage = [[]]\ncluster"}},
	{"tables are one table", []string{"[[vip]]", "[vip]"}},
	{"DRBD option is a list", []string{`protocol = "C"`, `protocol = ["C"]`}},
	{"cluster missing", []string{`cluster = "nfs_cluster"`, ""}},
	{"cluster with bad characters", []string{"nfs_cluster", "nfs cluster"}},
	{"cluster too long", []string{"nfs_cluster", "nfs_cluster_of_16"}},
	{"cluster very long", []string{"nfs_cluster", strings.Repeat("nfs_cluster", 10)}},
	{"cluster on two lines", []string{`"nfs_cluster"`, "\"\"\"nfs\ncluster\"\"\""}},
	{"no nodes", []string{node1, "", node2, ""}},
	{"one node only", []string{node2, ""}},
	{"more than 32 nodes", []string{"[storage]", manyNodes(31) + "[storage]"}},
	{"one diskful node", []string{
		"address = \"192.168.2.62\"\ndevice = \"/dev/vda3\"", "address = \"192.168.2.62\"\ndiskless = true",
	}},
	{"node name missing", []string{"name = \"drbdtest2\"\n", ""}},
	{"node name bad", []string{`"drbdtest2"`, `"drbd_test2"`}},
	{"node name twice", []string{`"drbdtest2"`, `"DRBDtest1"`}},
	{"address missing", []string{"address = \"192.168.2.62\"\n", ""}},
	{"address bad", []string{`"192.168.2.62"`, `"192.168.2.62/24"`}},
	{"address loopback", []string{`"192.168.2.62"`, `"127.0.0.1"`}},
	{"address twice", []string{`"192.168.2.62"`, `"192.168.2.61"`}},
	{"addresses of two kinds", []string{`"192.168.2.62"`, `"fd00::2"`}},
	{"second address on one node only", []string{"device = ", "second_address = \"10.0.0.1\"\ndevice = "}},
	{"device on a diskless node", []string{
		"[storage]", "[[node]]\nname = \"witness\"\naddress = \"192.168.2.64\"\ndiskless = true\ndevice = \"/dev/vdb\"\n[storage]",
	}},
	{"device not absolute", []string{`"/dev/vda3"`, `"vda3"`}},
	{"device not below dev", []string{`"/dev/vda3"`, `"/dev/../tmp/disk"`}},
	{"firewall unknown", []string{"[storage]", "[host]\nfirewall = \"nftables\"\n[storage]"}},
	{"cluster network with host bits", []string{"[storage]", "[host]\ncluster_network = \"192.168.2.61/24\"\n[storage]"}},
	{"cluster network elsewhere", []string{"[storage]", "[host]\ncluster_network = \"10.0.0.0/8\"\n[storage]"}},
	{"client network bad", []string{"[storage]", "[host]\nclient_networks = [\"192.168.2.0/24\", \"lan\"]\n[storage]"}},
	{"manager unknown", []string{`"linstor"`, `"lvm"`}},
	{"driver unknown", []string{`"linstor"`, "\"linstor\"\ndriver = \"zfs\""}},
	{"controller unknown", []string{`"linstor"`, "\"linstor\"\ncontroller = \"drbdtest3\""}},
	{"thin driver without a pool", []string{`"linstor"`, "\"linstor\"\ndriver = \"lvmthin\""}},
	{"thin pool without the driver", []string{`"linstor"`, "\"linstor\"\nthin_pool = \"thin\""}},
	{"thin pool bad", []string{`"linstor"`, "\"linstor\"\ndriver = \"lvmthin\"\nthin_pool = \"..\""}},
	{"volume group empty", []string{`"linstor"`, "\"linstor\"\nvolume_group = \"\""}},
	{"volume group and pool bad", []string{`"linstor"`, "\"linstor\"\nvolume_group = \"-vg\"\npool = \"1pool\""}},
	{"resource called all", []string{`"res0"`, `"All"`}},
	{"resource with bad characters", []string{`"res0"`, `"res/0"`}},
	{"resource with bad characters for DRBD", []string{`"res0"`, `"-res0"`, `"linstor"`, `"drbdadm"`}},
	{"size missing", []string{"size = \"6T\"\n", ""}},
	{"size unreadable", []string{`"6T"`, `"6X"`}},
	{"size zero", []string{`"6T"`, `"0T"`}},
	{"size too small", []string{`"6T"`, `"63M"`}},
	{"size not whole KiB", []string{`"6T"`, `"99999999B"`}},
	{"minor out of range", []string{`"6T"`, "\"6T\"\nminor = 1048576"}},
	{"port out of range", []string{`"6T"`, "\"6T\"\nport = 65536"}},
	{"port taken", []string{`"6T"`, "\"6T\"\nport = 32773"}},
	{"source unknown", []string{`"6T"`, "\"6T\"\nsource = \"drbdtest3\""}},
	{"source diskless", []string{"[storage]", third + "[storage]", `"6T"`, "\"6T\"\nsource = \"witness\""}},
	{"DRBD option unknown", []string{`protocol = "C"`, `c-max-rte = "300M"`}},
	{"DRBD option unknown, nothing near", []string{`protocol = "C"`, `xyz = "300M"`}},
	{"DRBD value with a semicolon", []string{`protocol = "C"`, `verify-alg = "sha1; }"`}},
	{"DRBD value with a line end", []string{`protocol = "C"`, `verify-alg = "sha1\nquorum"`}},
	{"DRBD value with a quote, secret", []string{`protocol = "C"`, `shared-secret = "geheim\""`}},
	{"DRBD value empty", []string{`protocol = "C"`, `protocol = ""`}},
	{"protocol A", []string{`protocol = "C"`, `protocol = "A"`}},
	{"two primaries", []string{`protocol = "C"`, `allow-two-primaries = true`}},
	{"quorum with mode none", []string{`protocol = "C"`, `quorum = "majority"`}},
	{"quorum off with mode drbd-quorum", []string{
		`protocol = "C"`, `quorum = "off"`, "[storage]", third + "[storage]", accepted, "mode = \"drbd-quorum\"",
	}},
	{"quorum below a majority", []string{
		`protocol = "C"`, `quorum = 1`, "[storage]", third + "[storage]", accepted, "mode = \"drbd-quorum\"",
	}},
	{"fencing by DRBD with mode stonith", []string{`protocol = "C"`, `fencing = "resource-only"`, accepted, fenced}},
	{"file system type bad", []string{"mount = ", "type = \"xfs; rm\"\nmount = "}},
	{"mount relative", []string{`mount = "/home/nfs"`, `mount = "home/nfs"`}},
	{"mount is the root", []string{`mount = "/home/nfs"`, `mount = "/"`}},
	{"mount not clean", []string{`mount = "/home/nfs"`, `mount = "/home/nfs/"`}},
	{"mount options bad", []string{"mount = ", "mount_options = \"noatime, nodiratime\"\nmount = "}},
	{"mkfs by force", []string{"mount = ", "mkfs_options = [\"-K\", \"-f\"]\nmount = "}},
	{"mkfs by force, among others", []string{"mount = ", "mkfs_options = [\"-Kf\"]\nmount = "}},
	{"mkfs by force, in words", []string{"mount = ", "mkfs_options = [\"--force\"]\nmount = "}},
	{"mkfs option empty", []string{"mount = ", "mkfs_options = [\"-L\", \"nfs\", \"\"]\nmount = "}},
	{"no versions", []string{"threads = 128", "versions = []"}},
	{"version unknown", []string{"threads = 128", `versions = ["3", "4"]`}},
	{"threads out of range", []string{"threads = 128", "threads = 0"}},
	{"lease too short", []string{"threads = 128", `lease_time = "9s"`}},
	{"lease with a fraction", []string{"threads = 128", `lease_time = "10500ms"`}},
	{"lease negative", []string{"threads = 128", `lease_time = "-30s"`}},
	{"grace shorter than lease", []string{"threads = 128", "lease_time = \"60s\"\ngrace_time = \"30s\""}},
	{"grace by default shorter than lease", []string{"threads = 128", "lease_time = \"60s\""}},
	{"scope bad", []string{"threads = 128", `scope = "a b"`}},
	{"state directory elsewhere", []string{"threads = 128", `state_dir = "/var/lib/nfs"`}},
	{"port of a helper zero", []string{"threads = 128", "ports.mountd = 0"}},
	{"port of a helper is NFS's", []string{"threads = 128", "ports.statd = 2049"}},
	{"port of a helper twice", []string{"threads = 128", "ports.mountd = 32771"}},
	{"no exports", []string{"[[export]]\npath = \"/home/nfs/user-data\"\nclients = [\"192.168.2.0/24\"]\n", ""}},
	{"export path missing", []string{"path = \"/home/nfs/user-data\"\n", ""}},
	{"export path relative", []string{`"/home/nfs/user-data"`, `"user-data"`}},
	{"export not below the mount", []string{`"/home/nfs/user-data"`, `"/home/nfs2"`}},
	{"export of the NFS state", []string{`"/home/nfs/user-data"`, `"/home/nfs/var/lib/nfs"`}},
	{"export of what holds the NFS state", []string{`"/home/nfs/user-data"`, `"/home/nfs"`}},
	{"export path with a quote", []string{`"/home/nfs/user-data"`, `'/home/nfs/user"data'`}},
	{"export path with a line end", []string{`"/home/nfs/user-data"`, `"/home/nfs/user\ndata"`}},
	{"export without clients", []string{clients, "[]"}},
	{"client with host bits", []string{clients, `["192.168.3.7", "192.168.2.7/24"]`}},
	{"client with options", []string{clients, `["192.168.2.0/24(rw)"]`}},
	{"client twice", []string{clients, `["192.168.2.7", "192.168.2.7/32"]`}},
	{"option malformed", []string{clients, clients + "\noptions = [\"rw\", \"sec = sys\"]"}},
	{"options in one text", []string{clients, clients + "\noptions = [\"rw,sync\"]"}},
	{"fsid among the options", []string{clients, clients + "\noptions = [\"rw\", \"fsid=1\"]"}},
	{"fsid bad", []string{clients, clients + "\nfsid = \"data\""}},
	{"fsid twice", []string{
		clients, clients + "\nfsid = \"1\"\n[[export]]\npath = \"/home/nfs/b\"\nclients = [\"*\"]\nfsid = \"1\"",
	}},
	{"two fsids of one directory", []string{
		clients, clients + "\nfsid = \"1\"\n[[export]]\npath = \"/home/nfs/user-data\"\nclients = [\"*\"]",
	}},
	{"owner bad", []string{clients, clients + "\nowner = \"a:b:c\""}},
	{"mode not octal", []string{clients, clients + "\nmode = \"0789\""}},
	{"no service address", []string{"[[vip]]\naddress = \"192.168.2.63/24\"\ninterface = \"ens3\"\n", ""}},
	{"service address without prefix", []string{`"192.168.2.63/24"`, `"192.168.2.63"`}},
	{"service address of a host route", []string{`"192.168.2.63/24"`, `"192.168.2.63/32"`}},
	{"service address is the network", []string{`"192.168.2.63/24"`, `"192.168.2.0/24"`}},
	{"service address is a node's", []string{`"192.168.2.63/24"`, `"192.168.2.61/24"`}},
	{"service addresses in one text", []string{`"192.168.2.63/24"`, `"192.168.2.63/24, 192.168.2.64/24"`}},
	{"service address twice", []string{"[pacemaker]", "[[vip]]\naddress = \"192.168.2.63/24\"\n[pacemaker]"}},
	{"service address elsewhere without interface", []string{
		`"192.168.2.63/24"`, `"192.168.3.63/24"`, "interface = \"ens3\"\n", "",
	}},
	{"interface bad", []string{`"ens3"`, `"ens3:1"`}},
	{"token too short", []string{"[pacemaker]", "[corosync]\ntoken = \"500ms\"\n[pacemaker]"}},
	{"token too long", []string{"[pacemaker]", "[corosync]\ntoken = \"2m\"\n[pacemaker]"}},
	{"qdevice on a node", []string{"[pacemaker]", "[corosync.qdevice]\nhost = \"192.168.2.62\"\n[pacemaker]"}},
	{"qdevice host bad", []string{"[pacemaker]", "[corosync.qdevice]\nhost = \"a b\"\n[pacemaker]"}},
	{"qdevice algorithm unknown", []string{"[pacemaker]", "[corosync.qdevice]\nalgorithm = \"test\"\n[pacemaker]"}},
	{"group not an id", []string{`group = "nfs"`, `group = "1nfs"`}},
	{"group with the clone's ending", []string{`group = "nfs"`, `group = "nfs-clone"`}},
	{"preferred unknown", []string{`group = "nfs"`, `preferred = "drbdtest3"`}},
	{"preferred diskless", []string{"[storage]", third + "[storage]", `group = "nfs"`, `preferred = "witness"`}},
	{"stickiness negative", []string{`group = "nfs"`, "stickiness = -1"}},
	{"monitor interval too short", []string{`group = "nfs"`, `monitor_interval = "4s"`}},
	{"no-quorum policy unknown", []string{`group = "nfs"`, `no_quorum_policy = "fence"`}},
	{"no-quorum policy ignore with fencing", []string{`group = "nfs"`, `no_quorum_policy = "ignore"`, accepted, fenced}},
	{"alert relative", []string{`group = "nfs"`, `alert.path = "alert.sh"`}},
	{"alert without a program", []string{`group = "nfs"`, `alert.recipient = "root"`}},
	{"fencing missing", []string{"[fencing]\n" + accepted, ""}},
	{"fencing mode empty", []string{accepted, `mode = ""`}},
	{"fencing mode unknown", []string{accepted, `mode = "off"`}},
	{"none without acceptance", []string{"accept_split_brain = true\n", ""}},
	{"acceptance with stonith", []string{accepted, "mode = \"stonith\"\naccept_split_brain = true\n" + devices}},
	{"none with devices", []string{accepted, accepted + devices}},
	{"stonith without devices", []string{accepted, `mode = "stonith"`}},
	{"resource-and-stonith without a device for a node", []string{
		accepted, "mode = \"resource-and-stonith\"\n" + devices, `targets = ["drbdtest2"]`, `targets = ["drbdtest1"]`,
	}},
	{"drbd-quorum with two nodes", []string{accepted, `mode = "drbd-quorum"`}},
	{"device name twice", []string{accepted, fenced, `"fence2"`, `"fence1"`}},
	{"device name missing", []string{accepted, fenced, "name = \"fence2\"\n", ""}},
	{"device name bad", []string{accepted, fenced, `"fence2"`, `"fence 2"`}},
	{"device name is the group's", []string{accepted, fenced, `"fence2"`, `"nfs"`}},
	{"device without agent", []string{accepted, fenced, "agent = \"fence_ipmilan\"\n", ""}},
	{"device agent bad", []string{accepted, fenced, "\"fence_ipmilan\"\n", "\"fence ipmilan\"\n"}},
	{"device without targets", []string{
		accepted, fenced, `targets = ["drbdtest2"]`, `targets = ["drbdtest2", "drbdtest1"]` + third3,
	}},
	{"device target unknown", []string{accepted, fenced, `targets = ["drbdtest2"]`, `targets = ["drbdtest2", "drbdtest3"]`}},
	{"device target twice", []string{accepted, fenced, `targets = ["drbdtest2"]`, `targets = ["drbdtest2", "drbdtest2"]`}},
	{"device level", []string{accepted, fenced, "name = \"fence2\"", "name = \"fence2\"\nlevel = 10"}},
	{"device parameter name", []string{accepted, fenced, "lanplus = true", "\"lan plus\" = true"}},
	{"device parameter, secret list", []string{accepted, fenced, "lanplus = true", "password = [\n\"geheim\"]"}},
	{"priority delay with a fraction", []string{accepted, "mode = \"stonith\"\npriority_delay = \"1500ms\"\n" + devices}},
	{"split brain policy", splitBrain(`policy = "discard-primary"`)},
	{"split brain, keep-node without node", splitBrain(`policy = "keep-node"`)},
	{"split brain, node without keep-node", splitBrain(`keep = "drbdtest1"`)},
	{"split brain, unknown node", splitBrain("policy = \"keep-node\"\nkeep = \"drbdtest9\"")},
	{"split brain, diskless node", []string{accepted, accepted + third + "[split_brain]\npolicy = \"keep-node\"\nkeep = \"witness\"\n"}},
	{"split brain snapshot", splitBrain(`snapshot = "yes"`)},
	{"split brain cool-down", splitBrain(`cool_down = "5s"`)},
	{"split brain resolutions", splitBrain(`resolutions = 0`)},
	{"split brain marker", splitBrain(`marker_dir = "run/drbd"`)},
	{"metrics without port", metrics(`listen = "127.0.0.1"`)},
	{"metrics port", metrics(`listen = "node:0"`)},
	{"metrics host", metrics(`listen = "drbdtest1:19942"`)},
	{"metrics resources", metrics(`resources = "some"`)},
	{"metrics certificate without key", metrics(`tls_cert = "/etc/pki/cert.pem"`)},
	{"metrics key without certificate", metrics(`tls_key = "/etc/pki/key.pem"`)},
	{"metrics authority without certificate", metrics(`client_ca = "/etc/pki/ca.pem"`)},
	{"metrics relative file", metrics("tls_cert = \"cert.pem\"\ntls_key = \"/etc/pki/key.pem\"")},
	{"alerts command", alerts(`command = ["mail", "root"]`)},
	{"alerts webhook", alerts(`webhook = "alerts.example.org"`)},
	{"alerts webhook with password", alerts(`webhook = "https://me:geheim@alerts.example.org/"`)},
	{"alerts token without webhook", alerts(`token_file = "/etc/drbdnfs/token"`)},
	{"alerts timeout", alerts(`timeout = "1h"`)},
	{"with and without a line", []string{"[fencing]\n" + accepted, "", `"6T"`, `"6X"`}},
	{"several at once", []string{
		`"nfs_cluster"`, "7", `"192.168.2.62"`, `"x"`, "threads = 128", "\tthread = 128", `"6T"`, `"6X"`, accepted, "",
	}},
}

// splitBrain, metrics and alerts add a table with a line.
func splitBrain(line string) []string {
	return []string{accepted, accepted + "[split_brain]\n" + line + "\n"}
}

func metrics(line string) []string { return []string{accepted, accepted + "[metrics]\n" + line + "\n"} }

func alerts(line string) []string { return []string{accepted, accepted + "[alerts]\n" + line + "\n"} }

// Parts of testdata/base.toml, and what may stand in their place.
const (
	clients = `["192.168.2.0/24"]`
	fenced  = "mode = \"stonith\"\n" + devices
	node1   = "[[node]]\nname = \"drbdtest1\"\naddress = \"192.168.2.61\"\ndevice = \"/dev/vda3\"\n"
	node2   = "[[node]]\nname = \"drbdtest2\"\naddress = \"192.168.2.62\"\ndevice = \"/dev/vda3\"\n"
)

// third3 is a third fence device, for no node.
const third3 = "\n[[fencing.device]]\nname = \"fence3\"\nagent = \"fence_ipmilan\"\n"

func manyNodes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[[node]]\nname = \"n%d\"\naddress = \"192.168.2.%d\"\n", i, 100+i)
	}
	return b.String()
}

// Ensure that each broken file gets a message with key, value, line and remedy,
// and that no message shows a password.
func TestBroken(t *testing.T) {
	const file = "testdata/broken.txtar"
	want := map[string]string{}
	if archive, err := txtar.ParseFile(file); err == nil {
		for _, f := range archive.Files {
			want[f.Name] = string(f.Data)
		}
	}
	var all txtar.Archive
	for _, tt := range broken {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse("drbdnfs.toml", []byte(edit(t, base(t), tt.pairs...)))
			var problems *config.Errors
			if !errors.As(err, &problems) {
				t.Fatalf("the error is %v", err)
			}
			for _, p := range *problems {
				if p.File != "drbdnfs.toml" || p.Text == "" || p.Remedy == "" || p.Key == "" && !strings.HasPrefix(p.Text, "not TOML") {
					t.Errorf("incomplete: %+v", p)
				}
			}
			got := err.Error() + "\n"
			if strings.Contains(got, "geheim") {
				t.Error("the message shows a secret")
			}
			all.Files = append(all.Files, txtar.File{Name: tt.name, Data: []byte(got)})
			if diff := cmp.Diff(want[tt.name], got); diff != "" && !*update {
				t.Errorf("%s, run with -update: (-want +got)\n%s", file, diff)
			}
		})
	}
	if *update {
		golden(t, file, string(txtar.Format(&all)))
	}
}
