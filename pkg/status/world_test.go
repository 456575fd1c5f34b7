package status_test

import (
	"flag"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/mount"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
	"github.com/spacei/drbdnfs/pkg/status"
	"github.com/spacei/drbdnfs/pkg/vip"
)

var update = flag.Bool("update", false, "rewrite the golden files and the tables of docs/status.md")

// at is a moment of the day on which all tests happen.
func at(clock string) time.Time {
	t, err := time.Parse(time.DateTime, "2026-11-23 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s, run with -update: (-want +got)\n%s", file, diff)
	}
}

// healthy is what drbdtest1, the active node of two with DRBD 9, sees when all
// is well.
func healthy() status.Facts {
	clients := 14
	return status.Facts{
		Self: "drbdtest1", Now: at("15:00:00"), Took: 412 * time.Millisecond,
		Config: status.ConfigGood, ConfigFile: "/etc/drbdnfs/drbdnfs.toml", Plan: plan(),
		Cluster: cluster(), CIB: cib(),
		DRBD: status.DRBDUp, Resource: resource(drbd.RolePrimary),
		Group: &group.Facts{
			Recorded: true, Mount: mount.Mounted, Place: nfs.PlaceVolume, Daemons: true, Threads: 128, ThreadsOurs: true,
			Addresses: []vip.State{{VIP: address(), Interface: "ens3", Present: true, InPlace: true, Running: true}},
		},
		Addresses: []host.Address{{Interface: "ens3", Prefix: netip.MustParsePrefix("192.168.2.63/24")}},
		Replies:   []status.Reply{{Addr: netip.MustParseAddr("192.168.2.63"), Took: 400 * time.Microsecond}},
		Clients:   &clients, Victim: drbd.No, Daemon: drbd.Yes,
		Journal: []status.Event{
			{Kind: status.EventLost, Node: "drbdtest2", At: at("14:02:01")},
			{Kind: status.EventPromote, Node: "drbdtest1", At: at("14:02:11")},
		},
	}
}

func address() vip.VIP {
	return vip.VIP{Prefix: netip.MustParsePrefix("192.168.2.63/24"), Interface: "ens3"}
}

func plan() *status.Plan {
	return &status.Plan{
		Cluster: "nfs_cluster", Nodes: []status.PlanNode{{Name: "drbdtest1"}, {Name: "drbdtest2"}}, Group: "nfs", Resource: "res0",
		Mount: "/home/nfs", Exports: []nfs.Export{{Path: "/home/nfs/user-data", Client: "192.168.2.0/24"}},
		VIPs: []vip.VIP{address()}, Threads: 128, NullVersion: 4, Fencing: "stonith",
	}
}

func cluster() *pacemaker.Status {
	return &pacemaker.Status{
		HasDC: true, DC: "drbdtest1", Quorum: true,
		Nodes: []pacemaker.Node{{Name: "drbdtest1", Online: true}, {Name: "drbdtest2", Online: true}},
		Clones: []pacemaker.Clone{{ID: "nfs-clone", Instances: []pacemaker.Instance{
			{Resource: "nfs", Role: "Promoted", Nodes: []string{"drbdtest1"}},
			{Resource: "nfs", Role: "Unpromoted", Nodes: []string{"drbdtest2"}},
		}}},
	}
}

func cib() *status.CIB {
	return &status.CIB{
		Properties: map[string]string{"cluster-name": "nfs_cluster", "stonith-enabled": "true"}, Nodes: []string{"drbdtest1", "drbdtest2"},
		Groups: []status.GroupResource{{ID: "nfs", Clone: "nfs-clone", Threshold: 3}}, FailCounts: map[string]map[string]int{},
		Fences: []string{"fence_ipmi"},
		Operations: []status.Operation{
			{Node: "drbdtest1", Resource: "nfs", Task: "promote", OK: true, Start: at("14:02:06"), Took: 4 * time.Second},
		},
	}
}

func resource(role drbd.Role) *drbd.Resource {
	peer := drbd.RoleSecondary
	if role == drbd.RoleSecondary {
		peer = drbd.RolePrimary
	}
	return &drbd.Resource{
		Name: "res0", Role: role, Suspended: drbd.SuspendedNo,
		Devices: map[int]*drbd.Device{0: {Minor: 1000, Disk: drbd.DiskUpToDate, Quorum: drbd.Yes, SizeBytes: 1 << 30}},
		Connections: map[int]*drbd.Connection{1: {
			PeerNodeID: 1, Name: "drbdtest2", State: drbd.ConnConnected, Role: peer,
			PeerDevices: map[int]*drbd.PeerDevice{0: {Replication: drbd.ReplEstablished, PeerDisk: drbd.DiskUpToDate}},
		}},
	}
}

// passive is what drbdtest2 sees of the healthy cluster.
func passive() status.Facts {
	f := healthy()
	f.Self, f.Clients, f.Addresses, f.Journal = "drbdtest2", nil, []host.Address{}, nil
	f.Group = &group.Facts{Addresses: []vip.State{{VIP: address()}}}
	f.Resource = resource(drbd.RoleSecondary)
	f.Resource.Connections[1].Name = "drbdtest1"
	return f
}

// peerDead takes the other node away, as this node sees it.
func peerDead(f *status.Facts) {
	peer := "drbdtest2"
	if f.Self == peer {
		peer = "drbdtest1"
	}
	for i := range f.Cluster.Nodes {
		f.Cluster.Nodes[i].Online = f.Cluster.Nodes[i].Name != peer
	}
	instances := f.Cluster.Clones[0].Instances
	for i := range instances {
		if instances[i].Nodes[0] == peer {
			instances[i] = pacemaker.Instance{Resource: "nfs", Role: "Stopped"}
		}
	}
	c := f.Resource.Connections[1]
	c.State, c.Role = drbd.ConnConnecting, drbd.RoleUnknown
	c.PeerDevices[0].Replication, c.PeerDevices[0].PeerDisk = drbd.ReplOff, drbd.DiskUnknown
}

// nobody makes the address silent and the group promoted nowhere.
func nobody(f *status.Facts) {
	f.Replies[0].Error = "no answer within 1 s"
	for i := range f.Cluster.Clones[0].Instances {
		if f.Cluster.Clones[0].Instances[i].Role == "Promoted" {
			f.Cluster.Clones[0].Instances[i].Role = "Unpromoted"
		}
	}
	if f.Resource != nil {
		f.Resource.Role = drbd.RoleSecondary
	}
}

// fail adds a failed action and takes the group off its node, unless it runs
// again.
func fail(f *status.Facts, node, task, reason string, runs bool) {
	f.Cluster.FailedActions = append(f.Cluster.FailedActions, pacemaker.Failure{
		Resource: "nfs", Task: task, Node: node, Result: "error", Reason: reason, When: at("14:30:00"),
	})
	if runs {
		return
	}
	instances := f.Cluster.Clones[0].Instances
	for i := range instances {
		if len(instances[i].Nodes) > 0 && instances[i].Nodes[0] == node {
			instances[i] = pacemaker.Instance{Resource: "nfs", Role: "Stopped"}
		}
	}
}

// split is a split brain as both nodes tell of it.
func split(f *status.Facts, phase splitbrain.Phase, refusal splitbrain.Refusal) {
	for i, node := range []string{"drbdtest1", "drbdtest2"} {
		f.Evidence = append(f.Evidence, splitbrain.Evidence{
			At: at("14:59:50"),
			Standing: splitbrain.Standing{
				Node: node, Peer: []string{"drbdtest2", "drbdtest1"}[i], Resource: "res0",
				Role: []drbd.Role{drbd.RolePrimary, drbd.RoleSecondary}[i], Connection: drbd.ConnStandAlone,
				Promoted: drbd.Tri(2 - i), Mounted: drbd.Tri(2 - i), LastPromoted: at("14:02:11"), Phase: phase, Refusal: refusal,
				Policy: splitbrain.Policy{Kind: splitbrain.Manual},
			},
			Volumes: []splitbrain.Volume{{Disk: drbd.DiskUpToDate, ChangedBytes: int64(8<<20) << i}},
			Words:   []splitbrain.Saying{{Kind: splitbrain.WordHelper, At: at("14:07:45")}},
		})
	}
	f.Resource.Connections[1].State = drbd.ConnStandAlone
	f.Resource.Connections[1].PeerDevices[0].Replication = drbd.ReplOff
}
