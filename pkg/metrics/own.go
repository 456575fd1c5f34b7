package metrics

import (
	"cmp"
	"strconv"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// own are the families that show a [Snapshot] and are this project's. Those of
// DRBD's objects have the labels of the compatible set, so that
// "on (instance, name, conn_name, volume)" joins them.
type own struct {
	streamUp, usermodeHelper                        *family
	peerRole, peerDisk, replication, done           *family
	path, suspendReason                             *family
	splitBrain, splitBrainPhase, lastDetected, rule *family
	groupActive, stepOK, exports, announcements     *family
	threads, inGrace, clients                       *family
}

func newOwn(c *catalogue) *own {
	conn := []string{"name", "conn_name", "peer_node_id"}
	peer := with(conn, "volume")
	return &own{
		streamUp:       c.gauge("drbdnfs_events2_up", "Whether events2 runs and its dump is complete."),
		usermodeHelper: c.gauge("drbdnfs_usermode_helper_enabled", "Whether the kernel calls DRBD's helpers; if not, it does not announce a split brain."),

		peerRole: c.gauge("drbdnfs_connection_peer_role", "1 for the role of the peer (events2 connection role).", with(conn, "peer_role")...),
		peerDisk: c.gauge("drbdnfs_peerdevice_disk_state", "1 for the state of the peer's disk (events2 peer-device peer-disk).",
			with(peer, "disk_state")...),
		replication: c.gauge("drbdnfs_peerdevice_replication_state", "1 for the state of replication (events2 peer-device replication).",
			with(peer, "replication_state")...),
		done: c.gauge("drbdnfs_peerdevice_resync_done_ratio",
			"Part of the resync or verify that is done, 0 to 1, while one is running or paused; not on DRBD 8.4 (events2 peer-device done).", peer...),
		path: c.gauge("drbdnfs_path_established", "Whether the path is established; not on DRBD 8.4 (events2 path established).",
			with(conn, "local", "peer")...),
		suspendReason: c.gauge("drbdnfs_resource_suspended_reason", "1 for each reason for which I/O is held back (events2 resource suspended).",
			"name", "reason"),

		splitBrain: c.gauge("drbdnfs_split_brain",
			"1 from the moment a split brain is found until the connection is live again, over restarts of the daemon; 0 for each other connection.", conn...),
		splitBrainPhase: c.gauge("drbdnfs_split_brain_phase", "1 for where the resolution of a split brain stands; held waits for a person.",
			with(conn, "phase")...),
		lastDetected: c.gauge("drbdnfs_split_brain_last_detected_timestamp_seconds", "When the last split brain was found; 0 is never.", "name"),
		rule:         c.gauge("drbdnfs_discard_policy_info", "Always 1. The split brain policy of the resource.", "name", "policy"),

		groupActive:   c.gauge("drbdnfs_group_active", "Whether the NFS group runs on this node.", "group"),
		stepOK:        c.gauge("drbdnfs_group_step_ok", "Whether this part of the group is right, on the node where the group is active.", "group", "step"),
		exports:       c.gauge("drbdnfs_exports", "Number of directories that this node exports for the group.", "group"),
		announcements: c.counter("drbdnfs_vip_announcements_total", "Announcements of the service addresses to their networks.", "group", "family"),

		threads: c.gauge("drbdnfs_nfsd_threads", "Threads of the kernel's NFS server; 0 is stopped."),
		inGrace: c.gauge("drbdnfs_nfsd_in_grace", "Whether the NFS server is in its grace period: locks are reclaimed, new ones wait."),
		clients: c.gauge("drbdnfs_nfsd_clients", "NFSv4 clients; only where the kernel has /proc/fs/nfsd/clients."),
	}
}

func (f *own) resource(s sink, r *drbd.Resource) {
	if r.Suspended != "" {
		for _, reason := range suspendReasons {
			s.flag(f.suspendReason, r.Suspended.Has(reason), r.Name, reason)
		}
	}
	for _, c := range r.SortedConnections() {
		l := []string{r.Name, c.Name, strconv.Itoa(c.PeerNodeID)}
		s.enum(f.peerRole, roles, string(c.Role), l...)
		for key, up := range c.Paths {
			s.tri(f.path, up, with(l, key.Local, key.Peer)...)
		}
		for _, p := range c.SortedPeerDevices() {
			f.peerDevice(s, r, p, with(l, strconv.Itoa(p.Volume)))
		}
	}
}

func (f *own) peerDevice(s sink, r *drbd.Resource, p *drbd.PeerDevice, l []string) {
	s.enum(f.peerDisk, diskStates, string(p.PeerDisk), l...)
	s.enum(f.replication, replicationStates, string(p.Replication), l...)
	if !r.Kernel84 && (p.Replication.Resyncing() || p.Replication.Verifying()) {
		s.put(f.done, p.DonePercent/100, l...)
	}
}

// splitBrains shows each connection once: as its record says, or as none.
func (f *own) splitBrains(s sink, snap *Snapshot, sh shown) {
	phases := Phases()
	show := func(p Peer, b SplitBrain) {
		l := []string{p.Resource, p.Connection, strconv.Itoa(p.NodeID)}
		s.flag(f.splitBrain, b.Found, l...)
		s.enum(f.splitBrainPhase, phases, cmp.Or(b.Phase, phases[0]), l...)
	}
	for p, b := range snap.SplitBrains {
		if sh.has(p.Resource) {
			show(p, b)
		}
	}
	for _, r := range sh.resources {
		for _, c := range r.SortedConnections() {
			p := Peer{Resource: r.Name, NodeID: c.PeerNodeID, Connection: c.Name}
			if _, ok := snap.SplitBrains[p]; !ok {
				show(p, SplitBrain{})
			}
		}
	}
}

func (f *own) node(s sink, snap *Snapshot, sh shown) {
	s.flag(f.streamUp, snap.StreamUp)
	s.tri(f.usermodeHelper, snap.UsermodeHelper)
	for name, policy := range snap.Policies {
		if sh.has(name) {
			s.put(f.rule, 1, name, bounded(policies, policy))
		}
	}
	for _, g := range snap.Groups {
		f.group(s, g)
	}
	if n := snap.NFSD; n != nil {
		s.count(f.threads, n.Threads)
		s.tri(f.inGrace, n.InGrace)
		s.count(f.clients, n.Clients)
	}
}

func (f *own) group(s sink, g Group) {
	s.flag(f.groupActive, g.Active, g.Name)
	if g.Active {
		for step, ok := range g.Steps {
			s.flag(f.stepOK, ok, g.Name, step)
		}
	}
	s.count(f.exports, g.Exports, g.Name)
	for fam, n := range g.Announcements {
		s.put(f.announcements, float64(n), g.Name, fam)
	}
}
