package metrics

import (
	"strconv"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// compat is the set of drbd-reactor (LINBIT/drbd-reactor,
// src/plugin/prometheus.rs, with "enums = true"): names, labels, units and
// words are the same to the byte, because dashboards and rules of others use
// them. That is why two counters lack "_total".
type compat struct {
	version, resources                                          *family
	role, suspended, mayPromote, promotionScore, forceIO        *family
	connection, congested, apInFlight, rsInFlight               *family
	outOfSync, sent, received                                   *family
	disk, client, diskless, quorum, open, size, read, written   *family
	alWrites, bmWrites, upperPending, lowerPending, alSuspended *family
}

func newCompat(c *catalogue) *compat {
	resource := []string{"name"}
	conn := []string{"name", "conn_name", "peer_node_id"}
	peer := with(conn, "volume")
	dev := []string{"name", "volume", "minor"}
	return &compat{
		version:   c.gauge("drbd_version", "Always 1. Versions of the loaded kernel module and of drbd-utils.", "kmod", "utils"),
		resources: c.gauge("drbd_resource_resources", "Number of resources that DRBD has on this node, whether shown here or not."),

		role: c.gauge("drbd_resource_role", "1 for the role the resource has on this node (events2 resource role).",
			with(resource, "drbd_resource_role")...),
		suspended:      c.gauge("drbd_resource_suspended", "Whether I/O is held back (events2 resource suspended).", resource...),
		mayPromote:     c.gauge("drbd_resource_maypromote", "Whether the resource may become Primary (events2 resource may_promote).", resource...),
		promotionScore: c.gauge("drbd_resource_promotionscore", "DRBD's own promotion score, higher is better (events2 resource promotion_score).", resource...),
		forceIO: c.gauge("drbd_resource_forceiofailures", "Whether all I/O fails until the device is closed (events2 resource force-io-failures).",
			resource...),

		connection: c.gauge("drbd_connection_state", "1 for the state of the connection (events2 connection connection).",
			with(conn, "drbd_connection_state")...),
		congested:  c.gauge("drbd_connection_congested", "Whether the send buffer is more than 80% full (events2 connection congested).", conn...),
		apInFlight: c.gauge("drbd_connection_apinflight_bytes", "Application writes on their way to the peer (events2 connection ap-in-flight).", conn...),
		rsInFlight: c.gauge("drbd_connection_rsinflight_bytes", "Resync on its way to the peer (events2 connection rs-in-flight).", conn...),

		outOfSync: c.gauge("drbd_peerdevice_outofsync_bytes", "Data that differs from the peer's, by DRBD's bitmap (events2 peer-device out-of-sync).", peer...),
		sent:      c.counter("drbd_peerdevice_sent_bytes", "Data sent to the peer since connected (events2 peer-device sent).", peer...),
		received:  c.counter("drbd_peerdevice_received_bytes", "Data received from the peer since connected (events2 peer-device received).", peer...),

		disk:   c.gauge("drbd_device_state", "1 for the state of the local disk (events2 device disk).", with(dev, "drbd_device_state")...),
		client: c.gauge("drbd_device_client", "Whether the volume has no disk on purpose (events2 device client).", dev...),
		diskless: c.gauge("drbd_device_unintentionaldiskless", "Whether the volume has lost its disk (events2 device disk and client).",
			dev...),
		quorum:       c.gauge("drbd_device_quorum", "Whether the volume has quorum, or needs none (events2 device quorum).", dev...),
		open:         c.gauge("drbd_device_open", "Whether somebody holds the device open (events2 device open).", dev...),
		size:         c.gauge("drbd_device_size_bytes", "Size of the volume (events2 device size).", dev...),
		read:         c.counter("drbd_device_read_bytes_total", "Data read from the local disk (events2 device read).", dev...),
		written:      c.counter("drbd_device_written_bytes_total", "Data written to the local disk (events2 device written).", dev...),
		alWrites:     c.counter("drbd_device_alwrites_total", "Writes to the activity log (events2 device al-writes).", dev...),
		bmWrites:     c.counter("drbd_device_bmwrites_total", "Writes to the bitmap (events2 device bm-writes).", dev...),
		upperPending: c.gauge("drbd_device_upperpending", "Requests to DRBD that are not answered yet (events2 device upper-pending).", dev...),
		lowerPending: c.gauge("drbd_device_lowerpending", "Requests of DRBD to the local disk that are open (events2 device lower-pending).", dev...),
		alSuspended:  c.gauge("drbd_device_alsuspended", "Whether the activity log is suspended (events2 device al-suspended).", dev...),
	}
}

func (f *compat) resource(s sink, r *drbd.Resource) {
	s.enum(f.role, roles, string(r.Role), r.Name)
	if r.Suspended != "" {
		s.flag(f.suspended, !r.Suspended.None(), r.Name)
	}
	s.tri(f.mayPromote, r.MayPromote, r.Name)
	if r.PromotionScore != drbd.Absent {
		s.put(f.promotionScore, float64(r.PromotionScore), r.Name)
	}
	s.tri(f.forceIO, r.ForceIOFailures, r.Name)
	for _, d := range r.SortedDevices() {
		f.device(s, r, d)
	}
	for _, c := range r.SortedConnections() {
		f.link(s, r, c)
	}
}

func (f *compat) device(s sink, r *drbd.Resource, d *drbd.Device) {
	l := []string{r.Name, strconv.Itoa(d.Volume), strconv.Itoa(d.Minor)}
	s.enum(f.disk, diskStates, string(d.Disk), l...)
	s.tri(f.client, d.Client, l...)
	s.tri(f.diskless, unintentional(r, d), l...)
	s.tri(f.quorum, d.Quorum, l...)
	s.tri(f.open, d.Open, l...)
	if !hasStatistics(d) {
		return
	}
	for _, n := range [...]struct {
		f     *family
		value int64
	}{
		{f.size, d.SizeBytes},
		{f.read, d.ReadBytes},
		{f.written, d.WrittenBytes},
		{f.alWrites, d.ALWrites},
		{f.bmWrites, d.BMWrites},
		{f.upperPending, d.UpperPending},
		{f.lowerPending, d.LowerPending},
	} {
		s.put(n.f, float64(n.value), l...)
	}
	s.tri(f.alSuspended, d.ALSuspended, l...)
}

// hasStatistics tells whether events2 printed d with --statistics: only then it
// has "al-suspended", on both kernels, and all the numbers with it.
func hasStatistics(d *drbd.Device) bool { return d.ALSuspended != drbd.Unknown }

// unintentional tells whether d has lost its disk. DRBD 9 says whether a volume
// without a disk is meant to be; DRBD 8.4 has none that is.
func unintentional(r *drbd.Resource, d *drbd.Device) drbd.Tri {
	switch {
	case d.Disk == "":
		return drbd.Unknown
	case d.Disk != drbd.DiskDiskless || d.Client == drbd.Yes:
		return drbd.No
	case d.Client == drbd.No || r.Kernel84:
		return drbd.Yes
	}
	return drbd.Unknown
}

func (f *compat) link(s sink, r *drbd.Resource, c *drbd.Connection) {
	l := []string{r.Name, c.Name, strconv.Itoa(c.PeerNodeID)}
	s.enum(f.connection, connectionStates, string(c.State), l...)
	s.tri(f.congested, c.Congested, l...)
	if c.Congested == drbd.Unknown { // without --statistics
		return
	}
	if !r.Kernel84 { // 8.4 does not have these two
		s.put(f.apInFlight, float64(c.APInFlight), l...)
		s.put(f.rsInFlight, float64(c.RSInFlight), l...)
	}
	for _, p := range c.SortedPeerDevices() {
		lv := with(l, strconv.Itoa(p.Volume))
		s.put(f.outOfSync, float64(p.OutOfSyncBytes), lv...)
		s.put(f.sent, float64(p.SentBytes), lv...)
		s.put(f.received, float64(p.ReceivedBytes), lv...)
	}
}
