package check_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/check"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/declare"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/option"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/snapshot"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.Date(2026, 11, 23, 14, 7, 45, 0, time.UTC)

// parse is a configuration with fencing by two devices.
func parse(t *testing.T) *config.Config {
	t.Helper()
	device := func(n string) string {
		return fmt.Sprintf("[[fencing.device]]\nname = \"ipmi-%s\"\nagent = \"fence_ipmilan\"\ntargets = [%q]\n", n, n)
	}
	text := strings.Replace(config.Example(), `mode = ""`, "mode = \"stonith\"\n"+device("drbdtest1")+device("drbdtest2"), 1)
	c, err := config.Parse("drbdnfs.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// well is everything in order, seen from the node that serves.
func well(t *testing.T) *check.Facts {
	t.Helper()
	c := parse(t)
	n := declare.Node{Version: "0.1.0", Config: "5d41", Secret: true, Kernel: "9.1.23", Utils: "9.27.0"}
	handler := option.SplitBrainHandler
	own := n
	own.Kernel, own.Utils = "", ""
	return &check.Facts{
		Self: "drbdtest1", Config: c, Now: now,
		Plan: []setup.Part{{Stage: setup.Host, Items: []setup.Item{{Object: "clock", Action: setup.Keep, Detail: "synchronised"}}}},
		Declared: &check.Declared{
			Own: own, Nodes: map[string]declare.Node{"drbdtest1": n, "drbdtest2": n},
		},
		Cluster: &pacemaker.Status{
			HasDC: true, Quorum: true, Nodes: []pacemaker.Node{{Name: "drbdtest1", Online: true}, {Name: "drbdtest2", Online: true}},
			Alone: []pacemaker.Instance{{Resource: "ipmi-drbdtest1", Nodes: []string{"drbdtest2"}}, {Resource: "ipmi-drbdtest2", Nodes: []string{"drbdtest1"}}},
		},
		CIB: &check.CIB{Constraints: []string{"nfs-no-victim"}, Fence: map[string]bool{"ipmi-drbdtest1": false, "ipmi-drbdtest2": false}},
		History: &check.History{Events: []check.FenceEvent{
			{Target: "drbdtest2", Action: "reboot", Status: "pending"},
			{Target: "drbdtest2", Action: "reboot", Status: "success"},
			{Target: "drbdtest1", Action: "reboot", Status: "success"},
			{Target: "drbdtest1", Action: "reboot", Status: "failed"},
		}},
		Links: &check.Links{}, Votes: &check.Votes{},
		DRBD: &check.DRBDFacts{Kernel: "9.1.23", Utils: "9.27.0", Helper: drbd.Yes},
		Options: map[string][]string{
			"protocol": {"C"}, "allow-two-primaries": {"no"}, "after-sb-0pri": {"disconnect"}, "after-sb-1pri": {"disconnect"},
			"after-sb-2pri": {"disconnect"}, "disk-flushes": {"yes"}, "md-flushes": {"yes"}, "auto-promote": {"no"}, "al-extents": {"3389"},
		},
		Handler: &handler, Kept: &[]snapshot.Snapshot{}, Room: &check.Room{},
		Volume: &check.Volume{Size: 100, Free: 10, Inodes: 100, InodesFree: 50},
		State:  &check.State{Place: nfs.PlaceVolume, Mounted: true}, Block: &check.Block{}, Units: &check.Units{Boot: "loaded"},
		SELinux: &check.SELinux{Enforcing: true}, Clocks: map[string]check.Clock{"drbdtest2": {Known: true, Ahead: -time.Second}},
		Ports: &[]check.Port{{100005, "tcp", c.NFS.Ports.Mountd}, {100021, "udp6", c.NFS.Ports.LockdUDP}, {100003, "tcp", 2049}},
		Times: &check.Times{Lease: c.NFS.LeaseTime.D(), Grace: c.NFS.GraceTime.D()}, Metrics: &check.Metrics{Address: "127.0.0.1:19942"},
	}
}

// item is a plan of one item.
func item(stage, object string, a setup.Action, why string) func(*check.Facts) {
	return func(f *check.Facts) {
		f.Plan = []setup.Part{{Stage: stage, Items: []setup.Item{{Object: object, Action: a, Detail: "detail", Why: why}}}}
	}
}

// peer changes what drbdtest2 says of itself.
func peer(change func(*declare.Node)) func(*check.Facts) {
	return func(f *check.Facts) {
		n := f.Declared.Nodes["drbdtest2"]
		change(&n)
		f.Declared.Nodes["drbdtest2"] = n
	}
}

// member changes what Pacemaker says of drbdtest2.
func member(change func(*pacemaker.Node)) func(*check.Facts) {
	return func(f *check.Facts) { change(&f.Cluster.Nodes[1]) }
}

func set(option, value string) func(*check.Facts) {
	return func(f *check.Facts) { f.Options[option] = append(f.Options[option], value) }
}

func kept(s snapshot.Snapshot) func(*check.Facts) {
	return func(f *check.Facts) { *f.Kept = append(*f.Kept, s) }
}

func link(p nfs.Place, mounted bool) func(*check.Facts) {
	return func(f *check.Facts) { f.State = &check.State{Place: p, Mounted: mounted} }
}

func constraint(id string) func(*check.Facts) {
	return func(f *check.Facts) { f.CIB.Constraints = append(f.CIB.Constraints, id) }
}

func fails(resource string, count int) func(*check.Facts) {
	return func(f *check.Facts) {
		f.CIB.FailCounts = []check.FailCount{{Node: "drbdtest2", Resource: resource, Operation: "monitor_10000", Count: count}}
	}
}

// findings are facts that differ from well in one thing, and what is found: id,
// node, and a part of what is said.
var findings = []struct {
	name   string
	change func(*check.Facts)
	want   string // "id node", "" for nothing
	says   string
}{
	{"all is well", func(*check.Facts) {}, "", ""},

	{"another configuration", peer(func(n *declare.Node) { n.Config = "aaaa" }), "config-differs drbdtest2", "digest aaaa there, 5d41 on drbdtest1"},
	{"the peer's file is broken", peer(func(n *declare.Node) { n.Problem = declare.Invalid }), "config-unusable drbdtest2", "its drbdnfsd says: invalid"},
	{"our file is broken", func(f *check.Facts) { f.Declared.Nodes["drbdtest1"] = declare.Node{Problem: declare.Missing} }, "config-unusable drbdtest1", "missing"},
	{"the peer has another version", peer(func(n *declare.Node) { n.Version, n.Config = "0.2.0", "bbbb" }), "version-differs drbdtest2", "0.2.0 there, 0.1.0 on drbdtest1"},
	{"the peer has another module", peer(func(n *declare.Node) { n.Kernel = "9.2.0" }), "drbd-differs drbdtest2", "kernel module"},
	{"the peer has other utilities", peer(func(n *declare.Node) { n.Utils = "9.30.0" }), "drbd-differs drbdtest2", "9.30.0 there, 9.27.0 on drbdtest1"},
	{"the peer's DRBD is not known", peer(func(n *declare.Node) { n.Kernel, n.Utils = "", "" }), "", ""},
	{"the peer has no secret", peer(func(n *declare.Node) { n.Secret = false }), "secret-differs drbdtest2", "only on drbdtest1"},
	{"the peer says nothing", func(f *check.Facts) { delete(f.Declared.Nodes, "drbdtest2") }, "node-silent drbdtest2", "its drbdnfsd does not run"},
	{"our daemon has an old file", func(f *check.Facts) { f.Declared.Own.Config = "cccc"; delete(f.Declared.Nodes, "drbdtest2") }, "daemon-behind drbdtest1", "does not use the configuration"},
	{"our daemon is old", func(f *check.Facts) { f.Declared.Own.Version = "0.2.0"; delete(f.Declared.Nodes, "drbdtest2") }, "daemon-behind drbdtest1", "it runs version 0.1.0, 0.2.0 is installed"},

	{"the peer's clock is late", func(f *check.Facts) {
		f.Clocks["drbdtest2"] = check.Clock{Known: true, Ahead: -1500 * time.Millisecond}
	}, "clock-skew drbdtest2", "1.5s behind drbdtest1's"},
	{"the peer's clock is early", func(f *check.Facts) { f.Clocks["drbdtest2"] = check.Clock{Known: true, Ahead: 2 * time.Second} }, "clock-skew drbdtest2", "2s ahead of"},
	{"the peer's clock is not answered", func(f *check.Facts) { f.Clocks["drbdtest2"] = check.Clock{} }, "clock-unknown drbdtest2", ""},

	{"no quorum", func(f *check.Facts) { f.Cluster.Quorum = false }, "no-quorum drbdtest1", "no quorum"},
	{"no coordinator", func(f *check.Facts) { f.Cluster.Quorum, f.Cluster.HasDC = false, false }, "no-quorum drbdtest1", "no coordinator"},
	{"the peer is offline", member(func(n *pacemaker.Node) { n.Online = false }), "node-offline drbdtest2", "offline"},
	{"the peer is joining", member(func(n *pacemaker.Node) { n.Pending = true }), "node-offline drbdtest2", "joining"},
	{"the peer is unknown", member(func(n *pacemaker.Node) { n.Name = "other" }), "node-offline drbdtest2", "does not know it"},
	{"the peer is unclean", member(func(n *pacemaker.Node) { n.Unclean = true }), "node-unclean drbdtest2", "stonith_admin --confirm drbdtest2"},
	{"the peer is on standby", member(func(n *pacemaker.Node) { n.Standby = true }), "node-standby drbdtest2", "drbdnfs unstandby drbdtest2"},
	{"the peer is in maintenance", member(func(n *pacemaker.Node) { n.Maintenance = true }), "maintenance drbdtest2", "pcs node unmaintenance drbdtest2"},
	{"all are in maintenance", func(f *check.Facts) { f.Cluster.Maintenance, f.Cluster.Nodes[1].Maintenance = true, true }, "maintenance drbdtest1", "cluster nfs_cluster"},
	{"the peer is a victim", member(func(n *pacemaker.Node) { n.Attributes = map[string]string{"drbdnfs-victim-res0": "1"} }), "victim drbdtest2", "split-brain show"},
	{"an action has failed", func(f *check.Facts) {
		f.Cluster.FailedActions = []pacemaker.Failure{{Resource: "nfs", Task: "start", Node: "drbdtest2", Result: "error", Reason: "no such device", When: now}}
	}, "failed-action drbdtest2", "start on drbdtest2 failed: no such device, at 2026-11-23 14:07:45 UTC"},
	{"a failure is counted", fails("nfs", 2), "fail-count drbdtest2", "monitor_10000 has failed 2 times"},
	{"failures of somebody else", fails("other", 9), "fail-count drbdtest2", "9 times"},
	{"as many failures as allowed", fails("nfs", 3), "fail-limit drbdtest2", "migration_threshold is 3"},
	{"failed for good", fails("ipmi-drbdtest1", -1), "fail-limit drbdtest2", "crm_resource --cleanup --resource ipmi-drbdtest1 --node drbdtest2"},
	{"a ban", constraint("cli-ban-nfs-clone-on-drbdtest1"), "constraint-cli drbdtest1", "crm_resource --clear --resource nfs-clone"},
	{"a handler's constraint", constraint("drbd-fence-by-handler-res0-nfs-clone"), "constraint-fence drbdtest1", "rsc_location[@id='drbd-fence-by-handler-res0-nfs-clone']"},
	{"a move's constraint", constraint("nfs-move"), "constraint-move drbdtest1", "rsc_location[@id='nfs-move']"},
	{"wait_for_all is off", func(f *check.Facts) { f.Votes.WaitForAll = "0" }, "wait-for-all drbdtest1", "wait_for_all: 0"},
	{"wait_for_all is off without fencing", func(f *check.Facts) {
		f.Votes.WaitForAll, f.Config.Fencing.Mode, f.History = "0", config.FencingNone, nil
	}, "", ""},

	{"fencing was never tried", func(f *check.Facts) { f.History.Events = f.History.Events[2:] }, "fence-untested drbdtest2", "stonith_admin --reboot drbdtest2"},
	{"fencing has failed", func(f *check.Facts) {
		f.History.Events[1] = check.FenceEvent{Target: "drbdtest2", Action: "reboot", Status: "failed", Completed: "2026-11-23 14:00:00Z", Reason: "no route"}
	}, "fence-failed drbdtest2", "reboot failed at 2026-11-23 14:00:00Z: no route"},
	{"a fence device is disabled", func(f *check.Facts) { f.CIB.Fence["ipmi-drbdtest2"] = true }, "fence-off drbdtest1", "pcs stonith enable ipmi-drbdtest2"},
	{"a fence device is stopped", func(f *check.Facts) { f.Cluster.Alone[1].Nodes = nil }, "fence-off drbdtest1", "it runs on no node"},

	{"a link is down", func(f *check.Facts) { f.Links.Down = []string{"link 1 to drbdtest2"} }, "corosync-link drbdtest1", "corosync link 1 to drbdtest2"},
	{"utilities do not fit", func(f *check.Facts) { f.DRBD.Problem = "utilities 8.9.6 cannot run DRBD 9.1.23" }, "drbd-utils drbdtest1", "8.9.6"},
	{"handlers are off", func(f *check.Facts) { f.DRBD.Helper = drbd.No }, "usermode-helper drbdtest1", "disabled"},
	{"another handler", func(f *check.Facts) { *f.Handler = "/usr/lib/drbd/notify-split-brain.sh root" }, "drbd-handler drbdtest1", "it runs /usr/lib/drbd/notify"},
	{"no handler", func(f *check.Facts) { *f.Handler = "" }, "drbd-handler drbdtest1", "none is set"},
	{"protocol A", set("protocol", "A"), "drbd-protocol drbdtest1", "drbdadm adjust res0"},
	{"two primaries", set("allow-two-primaries", "yes"), "drbd-primaries drbdtest1", "allow-two-primaries is yes"},
	{"an automatic policy", set("after-sb-1pri", "discard-secondary"), "drbd-after-sb drbdtest1", "after-sb-1pri is discard-secondary"},
	{"no flushes", set("disk-flushes", "no"), "drbd-flushes drbdtest1", "disk-flushes is no"},
	{"automatic promotion", set("auto-promote", "yes"), "drbd-auto-promote drbdtest1", "auto-promote is yes"},
	{"DRBD 8.4 has no automatic promotion", func(f *check.Facts) { delete(f.Options, "auto-promote") }, "", ""},

	{"a snapshot", kept(snapshot.Snapshot{Name: "drbdpool/a", Made: now.Add(-50 * time.Hour), State: snapshot.Valid, UsedPercent: 12}), "snapshot-kept drbdtest1", "made 2026-11-21, 2 days ago"},
	{"a snapshot nearly full", kept(snapshot.Snapshot{Name: "drbdpool/a", State: snapshot.Valid, UsedPercent: 80}), "snapshot-full drbdtest1", "80.0 % of its room"},
	{"a snapshot that overflowed", kept(snapshot.Snapshot{Name: "drbdpool/a", State: snapshot.Invalid, UsedPercent: 100}), "snapshot-invalid drbdtest1", "snapshots rm drbdpool/a"},
	{"no room for a snapshot", func(f *check.Facts) { f.Room.Missing = "no room for a snapshot: 1 GiB" }, "snapshot-room drbdtest1", "volume group drbdpool"},
	{"the volume is full", func(f *check.Facts) { f.Volume.Free = 9 }, "volume-full drbdtest1", "91.0 % of the bytes"},
	{"no inodes", func(f *check.Facts) { f.Volume.InodesFree = 0 }, "volume-full drbdtest1", "100.0 % of the inodes"},

	{"not mounted, own state", link(nfs.PlaceLocal, false), "", ""},
	{"the group never started", link(nfs.PlaceDirectory, false), "state-fresh drbdtest1", "a directory"},
	{"mounted with a directory", link(nfs.PlaceDirectory, true), "state-link drbdtest1", "although the volume is mounted"},
	{"mounted with own state", link(nfs.PlaceLocal, true), "state-link drbdtest1", "own copy although"},
	{"the link dangles", link(nfs.PlaceVolume, false), "state-link drbdtest1", "which is not mounted here"},
	{"somebody's link", link(nfs.PlaceForeign, false), "state-link drbdtest1", "neither"},
	{"an adoption cut off", link(nfs.PlaceMissing, false), "state-link drbdtest1", "cut off"},
	{"no NFS at all", link(nfs.PlaceAbsent, false), "state-link drbdtest1", "not installed"},
	{"mountd elsewhere", func(f *check.Facts) { (*f.Ports)[0].Port = 1 }, "nfs-ports drbdtest1", "1/tcp instead of 32773"},
	{"another lease", func(f *check.Facts) { f.Times.Lease = 90 * time.Second }, "nfs-times drbdtest1", "1m30s in the kernel, 30s in the file"},
	{"another grace", func(f *check.Facts) { f.Times.Grace = 90 * time.Second }, "nfs-times drbdtest1", "grace time"},

	{"ports are blocked", func(f *check.Facts) { f.Block.There = true }, "ports-blocked drbdtest1", "crm_resource --refresh --resource nfs"},
	{"ports are blocked by an action", func(f *check.Facts) { f.Block.There, f.Block.Action = true, "promote" }, "", ""},
	{"a failed unit", func(f *check.Facts) { f.Units.Failed = []string{"rpcbind.service"} }, "unit-failed drbdtest1", "systemctl restart rpcbind.service"},
	{"no unit at boot", func(f *check.Facts) { f.Units.Boot = "masked" }, "boot-unit drbdtest1", "masked"},
	{"a denial", func(f *check.Facts) { f.SELinux.Denials = []string{"rpc.statd may not write file state"} }, "selinux-denied drbdtest1", "rpc.statd may not"},
	{"no ausearch", func(f *check.Facts) { f.SELinux.NoTool = true }, "selinux-unseen drbdtest1", "ausearch"},
	{"no metrics", func(f *check.Facts) { f.Metrics.Problem = "connection refused" }, "metrics-port drbdtest1", "drbdnfsd on 127.0.0.1:19942"},

	{"not root", item(setup.Host, "user", setup.Refuse, "run it with sudo"), "not-root drbdtest1", "sudo drbdnfs check"},
	{"setup refuses", item(setup.CIB, "CIB", setup.Refuse, "decide"), "conflict drbdtest1", "decide"},
	{"setup would make something", item(setup.Host, "mount point /home/nfs", setup.Make, ""), "drift drbdtest1", "missing; it is to be: detail"},
	{"setup would change something", item(setup.CIB, "nfs lease_time", setup.Change, "because"), "drift drbdtest1", "because"},
	{"setup would drop something", item(setup.CIB, "alert x", setup.Drop, ""), "drift drbdtest1", "not wanted any more"},
	{"setup warns", item(setup.LINSTOR, "LINSTOR", setup.Warn, "do this"), "advice drbdtest1", "do this"},
	{"setup leaves alone", item(setup.CIB, "property x", setup.Keep, "somebody chose this; it stays"), "left-alone drbdtest1", "somebody chose this"},
	{"another node's", item(setup.LINSTOR, "LINSTOR", setup.Other, ""), "elsewhere drbdtest1", "LINSTOR"},
	{"seen later", item(setup.Filesystem, "XFS", setup.Later, ""), "later drbdtest1", "detail"},
	{"the clock is free", item(setup.Host, "clock", setup.Warn, "set up chronyd"), "time-sync drbdtest1", "set up chronyd"},
	{"small packets only", item(setup.Host, "path to drbdtest2", setup.Warn, "set the same MTU"), "path drbdtest1", "set the same MTU"},
	{"a wrong name", item(setup.Host, "name drbdtest2", setup.Warn, "correct DNS"), "names drbdtest1", "correct DNS"},
	{"the firewall is closed", item(setup.Host, "firewall service drbdnfs-nfs", setup.Make, ""), "firewall drbdtest1", "missing"},
	{"a foreign NFS server", item(setup.Host, "nfs-server.service", setup.Change, "one server"), "nfs-server drbdtest1", "one server"},
	{"rpc_pipefs in the way", item(setup.Host, "/etc/nfs.conf", setup.Change, ""), "state-pipefs drbdtest1", "differs"},
	{"no daemon", item(setup.Host, "drbdnfsd.service", setup.Make, ""), "daemon drbdtest1", "drbdnfs setup apply"},
	{"not at boot", item(setup.Cluster, "corosync and Pacemaker at boot", setup.Make, ""), "cluster-units drbdtest1", "missing"},
	{"members are judged elsewhere", item(setup.Cluster, "membership of a, b", setup.Warn, "x"), "", ""},
	{"a risk", item(setup.CIB, "fencing", setup.Warn, "set fencing.mode"), "fencing-risk drbdtest1", "set fencing.mode"},
	{"the group is not promoted", item(setup.CIB, "group nfs", setup.Await, ""), "group drbdtest1", "not so yet"},
	{"a resync", item(setup.Sync, "first synchronisation", setup.Await, "harmless"), "redundancy drbdtest1", "harmless"},

	{"something hangs", func(f *check.Facts) {
		f.Unseen = []check.Unseen{{Source: "snapshots", Area: check.Storage, Why: "no answer within 10s"}}
	}, "unseen drbdtest1", "snapshots no answer within 10s"},
	{"Pacemaker is stopped", func(f *check.Facts) {
		f.Cluster, f.CIB = nil, nil
		f.Unseen = []check.Unseen{{"Pacemaker's configuration", check.Cluster, "exit"}, {"Pacemaker", check.Cluster, "the cluster does not run here"}}
	}, "cluster-down drbdtest1", "not looked at: Pacemaker's configuration"},
}

// Ensure that each thing is found, named and explained where it is so, and not
// otherwise.
func TestJudge(t *testing.T) {
	found := map[string]bool{}
	for _, tt := range findings {
		t.Run(tt.name, func(t *testing.T) {
			f := well(t)
			tt.change(f)
			got := check.Judge(f)
			if tt.name == "our daemon has an old file" || tt.name == "our daemon is old" {
				got = slices.DeleteFunc(got, func(f check.Finding) bool { return f.ID == "node-silent" }) // it cannot be compared here
			}
			if tt.want == "" {
				if len(got) > 0 {
					t.Errorf("found %+v, want nothing", got)
				}
				return
			}
			if len(got) != 1 {
				t.Fatalf("found %+v, want %s alone", got, tt.want)
			}
			x := got[0]
			found[x.ID] = true
			if s := x.ID + " " + x.Node; s != tt.want {
				t.Errorf("found %s, want %s", s, tt.want)
			}
			if all := strings.Join([]string{x.Thing, x.Found, x.Why, x.Remedy}, " "); !strings.Contains(all, tt.says) {
				t.Errorf("says %q, want %q in it", all, tt.says)
			}
		})
	}
	for _, c := range check.Checks() {
		if !found[c.ID] {
			t.Errorf("no test finds %s", c.ID)
		}
	}
}

// Ensure that what was not seen is not guessed.
func TestJudgeNothing(t *testing.T) {
	if got := check.Judge(&check.Facts{Self: "drbdtest1", Config: parse(t)}); got != nil {
		t.Errorf("found %+v", got)
	}
}

// Ensure that a finding of setup says where the file asks for it, what clients
// notice, and is in the area of its stage.
func TestJudgePlan(t *testing.T) {
	f := well(t)
	f.Plan = []setup.Part{{Stage: setup.CIB, Items: []setup.Item{{
		Object: "nfs lease_time", Action: setup.Change, Detail: "30s → 60s", Key: "resource.size", Interrupts: "clients wait",
	}}}}
	want := []check.Finding{{
		ID: "drift", Severity: check.Warning, Area: check.Cluster, Node: "drbdtest1", Thing: "nfs lease_time", Found: "differs; it is to be: 30s → 60s",
		Why: "the node is not as the file has it", Remedy: "drbdnfs setup plan, then drbdnfs setup apply (clients wait)", Where: f.Config.At("resource.size"),
	}}
	if diff := cmp.Diff(want, check.Judge(f)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
