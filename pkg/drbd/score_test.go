package drbd_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// node builds a resource as one node sees it.
func node(role drbd.Role, parts ...func(*drbd.Resource)) *drbd.Resource {
	r := &drbd.Resource{Name: "res0", Role: role, Suspended: "no", Devices: map[int]*drbd.Device{}, Connections: map[int]*drbd.Connection{}}
	for _, p := range parts {
		p(r)
	}
	return r
}

// vol adds the next volume with its quorum.
func vol(disk drbd.DiskState, quorum drbd.Tri) func(*drbd.Resource) {
	return func(r *drbd.Resource) {
		v := len(r.Devices)
		r.Devices[v] = &drbd.Device{Volume: v, Minor: 1000 + v, Disk: disk, Quorum: quorum}
	}
}

// peer adds the next peer with one disk per volume.
func peer(state drbd.ConnectionState, repl drbd.ReplicationState, disks ...drbd.DiskState) func(*drbd.Resource) {
	return func(r *drbd.Resource) {
		id := len(r.Connections) + 1
		c := &drbd.Connection{PeerNodeID: id, Name: "peer" + string(rune('0'+id)), State: state, Role: drbd.RoleSecondary, PeerDevices: map[int]*drbd.PeerDevice{}}
		for v, d := range disks {
			c.PeerDevices[v] = &drbd.PeerDevice{Volume: v, Replication: repl, PeerDisk: d}
		}
		r.Connections[id] = c
	}
}

func suspended(s drbd.Suspended) func(*drbd.Resource) {
	return func(r *drbd.Resource) { r.Suspended = s }
}

func peerIs(role drbd.Role) func(*drbd.Resource) {
	return func(r *drbd.Resource) { r.Connections[len(r.Connections)].Role = role }
}

func client(r *drbd.Resource) { r.Connections[len(r.Connections)].PeerDevices[0].PeerClient = drbd.Yes }

const (
	p, s     = drbd.RolePrimary, drbd.RoleSecondary
	yes, no  = drbd.Yes, drbd.No
	unknown  = drbd.Unknown
	up       = drbd.DiskUpToDate
	dunknown = drbd.DiskUnknown
	conn     = drbd.ConnConnected
	est      = drbd.ReplEstablished
	off      = drbd.ReplOff
)

// unchanged stands for "leave the score as it is".
const unchanged = -1

var scoreTests = []struct {
	name string
	r    *drbd.Resource
	want int
}{
	// As good as it gets.
	{"both UpToDate", node(s, vol(up, yes), peer(conn, est, up)), 10000},
	{"both UpToDate, the peer is Primary", node(s, vol(up, yes), peer(conn, est, up), peerIs(p)), 10000},
	{"both UpToDate on 8.4, which knows no quorum", node(s, vol(up, unknown), peer(conn, est, up)), 10000},
	{"the peer resyncs from us", node(s, vol(up, yes), peer(conn, drbd.ReplSyncSource, drbd.DiskInconsistent)), 10000},
	{"the peer lost its disk", node(s, vol(up, yes), peer(conn, est, drbd.DiskDiskless)), 10000},
	{"the peer is gone and was fenced", node(s, vol(up, yes), peer(drbd.ConnConnecting, off, drbd.DiskOutdated)), 10000},
	{"Primary, the peer is gone", node(p, vol(up, yes), peer(drbd.ConnConnecting, off, dunknown)), 10000},
	{"Primary, StandAlone", node(p, vol(up, yes), peer(drbd.ConnStandAlone, off, dunknown)), 10000},
	{"Primary, a fence handler is running", node(p, vol(up, yes), peer(drbd.ConnConnecting, off, dunknown), suspended("fencing")), 10000},
	{"no peer is configured", node(s, vol(up, yes)), 10000},
	{"a tie-breaker is away", node(s, vol(up, yes), peer(conn, est, up), peer(drbd.ConnConnecting, off, dunknown), client), 10000},
	{"two volumes, both UpToDate", node(s, vol(up, yes), vol(up, yes), peer(conn, est, up, up)), 10000},
	{"an administrator suspended I/O", node(s, vol(up, yes), peer(conn, est, up), suspended("user")), 10000},

	// Good data, but somebody may have better.
	{"the peer is gone", node(s, vol(up, yes), peer(drbd.ConnConnecting, off, dunknown)), 1000},
	{"the peer is gone on 8.4", node(s, vol(up, unknown), peer(drbd.ConnConnecting, off, dunknown)), 1000},
	{"StandAlone on 8.4, which has no peer device then", node(s, vol(up, unknown), peer(drbd.ConnStandAlone, off)), 1000},
	{"in the handshake on 8.4", node(s, vol(up, unknown), peer(conn, off, dunknown)), 1000},
	{"one of two peers is gone", node(s, vol(up, yes), peer(conn, est, up), peer(drbd.ConnConnecting, off, dunknown)), 1000},
	{"one of two volumes' peer is unknown", node(s, vol(up, yes), vol(up, yes), peer(conn, est, up, dunknown)), 1000},
	{"the peer's disk has a new word", node(s, vol(up, yes), peer(conn, est, "Brilliant")), 1000},
	{"alone after a double failure, UpToDate", node(s, vol(up, yes), peer(drbd.ConnConnecting, off, dunknown)), 1000},

	// Good data only over the network.
	{"Diskless, the peer is good", node(s, vol(drbd.DiskDiskless, yes), peer(conn, est, up)), 10},
	{"Failed, the peer is good", node(s, vol(drbd.DiskFailed, yes), peer(conn, est, up)), 10},
	{"a resync from the peer runs", node(s, vol(drbd.DiskInconsistent, yes), peer(conn, drbd.ReplSyncTarget, up)), 10},
	{"a resync from the peer is about to start", node(s, vol(drbd.DiskOutdated, yes), peer(conn, drbd.ReplWFBitMapT, up)), 10},
	{"a resync from a Primary peer runs", node(s, vol(drbd.DiskInconsistent, yes), peer(conn, drbd.ReplSyncTarget, up), peerIs(p)), 10},
	{"Primary without a disk", node(p, vol(drbd.DiskDiskless, yes), peer(conn, est, up)), 10},
	{"only one of two volumes is here", node(s, vol(up, yes), vol(drbd.DiskDiskless, yes), peer(conn, est, up, up)), 10},
	{"one volume is here, its peer unknown, the other remote", node(s, vol(up, yes), vol(drbd.DiskDiskless, yes), peer(conn, est, dunknown, up)), 10},
	{"Consistent, the peer is good", node(s, vol(drbd.DiskConsistent, yes), peer(conn, est, up)), 10},
	{"the second of two peers is good", node(s, vol(drbd.DiskDiskless, yes), peer(drbd.ConnConnecting, off, dunknown), peer(conn, est, up)), 10},

	// DRBD will ask the fence handler.
	{"Consistent, alone after a double failure", node(s, vol(drbd.DiskConsistent, unknown), peer(drbd.ConnConnecting, off, dunknown)), 5},
	{"one volume UpToDate, one Consistent", node(s, vol(up, yes), vol(drbd.DiskConsistent, yes), peer(drbd.ConnConnecting, off, dunknown, dunknown)), 5},

	// Nothing to serve.
	{"not configured", nil, 0},
	{"no volume yet", node(s), 0},
	{"Inconsistent, alone", node(s, vol(drbd.DiskInconsistent, yes), peer(drbd.ConnConnecting, off, dunknown)), 0},
	{"Inconsistent on both", node(s, vol(drbd.DiskInconsistent, yes), peer(conn, est, drbd.DiskInconsistent)), 0},
	{"Outdated, alone", node(s, vol(drbd.DiskOutdated, yes), peer(drbd.ConnConnecting, off, dunknown)), 0},
	{"Diskless, alone", node(s, vol(drbd.DiskDiskless, yes), peer(drbd.ConnConnecting, off, dunknown)), 0},
	{"Diskless on 8.4, good peer still in the handshake", node(s, vol(drbd.DiskDiskless, unknown), peer(conn, off, up)), 0},
	{"a new word for the disk", node(s, vol("Brilliant", yes), peer(drbd.ConnConnecting, off, dunknown)), 0},
	{"no quorum", node(s, vol(up, no), peer(drbd.ConnConnecting, off, dunknown)), 0},
	{"no quorum on a Primary", node(p, vol(up, no), peer(drbd.ConnConnecting, off, dunknown)), 0},
	{"no quorum on one of two volumes", node(s, vol(up, yes), vol(up, no), peer(conn, est, up, up)), 0},
	{"no quorum and attaching", node(s, vol(drbd.DiskAttaching, yes), vol(up, no), peer(conn, est, up, up)), 0},
	{"suspended by quorum", node(p, vol(up, yes), peer(conn, est, up), suspended("user,quorum")), 0},
	{"suspended by no-data", node(p, vol(drbd.DiskDiskless, yes), peer(drbd.ConnConnecting, off, dunknown), suspended("no-data")), 0},
	{"I/O is made to fail", node(s, vol(up, yes), peer(conn, est, up), func(r *drbd.Resource) { r.ForceIOFailures = yes }), 0},
	{"one of two volumes has nothing", node(s, vol(up, yes), vol(drbd.DiskInconsistent, yes), peer(drbd.ConnConnecting, off, dunknown, dunknown)), 0},

	// Wait and see.
	{"Attaching", node(s, vol(drbd.DiskAttaching, yes), peer(conn, est, up)), unchanged},
	{"Negotiating", node(s, vol(drbd.DiskNegotiating, yes), peer(conn, est, up)), unchanged},
	{"Detaching", node(s, vol(drbd.DiskDetaching, yes), peer(conn, est, up)), unchanged},
	{"one of two volumes is attaching", node(s, vol(up, yes), vol(drbd.DiskAttaching, yes), peer(conn, est, up, up)), unchanged},
}

func TestPromotionScore(t *testing.T) {
	for _, tt := range scoreTests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok, reason := drbd.PromotionScore(tt.r)
			if !ok {
				if got != 0 {
					t.Errorf("unchanged comes with a score of %d", got)
				}
				got = unchanged
			}
			if got != tt.want {
				t.Errorf("got %d (%s), want %d", got, reason, tt.want)
			}
			if reason == "" || len(reason) > 128 {
				t.Errorf("reason %q is empty or too long", reason)
			}
		})
	}
}

// Ensure that a state which is better in one respect never has a lower score.
func TestPromotionScoreIsMonotonic(t *testing.T) {
	disks := []drbd.DiskState{drbd.DiskInconsistent, drbd.DiskConsistent, up}
	for _, quorum := range []drbd.Tri{no, unknown, yes} {
		for _, pd := range []drbd.DiskState{dunknown, drbd.DiskOutdated, drbd.DiskInconsistent} {
			last := 0
			for _, d := range disks {
				got, _, why := drbd.PromotionScore(node(s, vol(d, quorum), peer(conn, est, pd)))
				if got < last {
					t.Errorf("disk %s, quorum %v, peer %s: %d (%s) after %d", d, quorum, pd, got, why, last)
				}
				if d == up && quorum != no && got <= 0 {
					t.Errorf("good data and quorum, peer %s: %d", pd, got)
				}
				last = got
			}
		}
	}
}

func TestHealth(t *testing.T) {
	syncing := func(done float64) func(*drbd.Resource) {
		return func(r *drbd.Resource) { r.Connections[1].PeerDevices[0].DonePercent = done }
	}
	tests := []struct {
		name string
		r    *drbd.Resource
		want []string
	}{
		{"healthy", node(p, vol(up, yes), peer(conn, est, up)), nil},
		{"online verify is not degraded", node(p, vol(up, yes), peer(conn, drbd.ReplVerifyS, up)), nil},
		{"a tie-breaker has no disk", node(p, vol(up, yes), peer(conn, est, up), peer(conn, est, drbd.DiskDiskless), client), nil},
		{"not configured", nil, []string{"not configured"}},
		{"nothing in it", node(s), []string{"no volume", "no peer"}},
		{"peer missing", node(p, vol(up, yes), peer(drbd.ConnConnecting, off, dunknown)), []string{"peer peer1 Connecting"}},
		{"StandAlone", node(p, vol(up, yes), peer(drbd.ConnStandAlone, off)), []string{"peer peer1 StandAlone"}},
		{"resync to the peer", node(p, vol(up, yes), peer(conn, drbd.ReplSyncSource, drbd.DiskInconsistent), syncing(63.99)), []string{"resyncing 63 %"}},
		{
			"resync from the peer", node(s, vol(drbd.DiskInconsistent, yes), peer(conn, drbd.ReplSyncTarget, up), syncing(0.5)),
			[]string{"local disk Inconsistent", "resyncing 0 %"},
		},
		{
			"resync on 8.4, which prints no progress",
			node(p, vol(up, unknown), peer(conn, drbd.ReplSyncSource, drbd.DiskInconsistent), func(r *drbd.Resource) {
				r.Kernel84 = true
				r.Devices[0].SizeBytes, r.Connections[1].PeerDevices[0].OutOfSyncBytes = 1000<<10, 370<<10
			}),
			[]string{"resyncing 63 %"},
		},
		{
			"resync on 8.4 without statistics",
			node(p, vol(up, unknown), peer(conn, drbd.ReplSyncSource, drbd.DiskInconsistent), func(r *drbd.Resource) { r.Kernel84 = true }),
			[]string{"resyncing 0 %"},
		},
		{"resync paused", node(p, vol(up, yes), peer(conn, drbd.ReplPausedSyncS, drbd.DiskInconsistent)), []string{"resync PausedSyncS"}},
		{"no disk", node(p, vol(drbd.DiskDiskless, yes), peer(conn, est, up)), []string{"local disk Diskless"}},
		{"the peer has no disk", node(p, vol(up, yes), peer(conn, est, drbd.DiskDiskless)), []string{"peer peer1 disk Diskless"}},
		{"handshake on 8.4", node(p, vol(up, unknown), peer(conn, off, dunknown)), []string{"peer peer1 not replicating"}},
		{"protocol A fell behind", node(p, vol(up, yes), peer(conn, drbd.ReplAhead, drbd.DiskConsistent)), []string{"peer peer1 Ahead"}},
		{
			"no quorum, suspended", node(p, vol(up, no), peer(drbd.ConnConnecting, off, dunknown), suspended("quorum")),
			[]string{"I/O suspended (quorum)", "no quorum", "peer peer1 Connecting"},
		},
		{"forced down", node(s, vol(up, yes), peer(conn, est, up), func(r *drbd.Resource) { r.ForceIOFailures = yes }), []string{"I/O fails"}},
		{
			"the second of two volumes", node(p, vol(up, yes), vol(drbd.DiskFailed, yes), peer(conn, drbd.ReplSyncSource, up, drbd.DiskInconsistent), syncing(10)),
			[]string{"volume 1: local disk Failed", "volume 0: resyncing 10 %", "volume 1: resyncing 0 %"},
		},
		{"a peer without a name", node(p, vol(up, yes), peer(drbd.ConnStandAlone, off), func(r *drbd.Resource) { r.Connections[1].Name = "" }), []string{"peer 1 StandAlone"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, drbd.Health(tt.r)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}
