package drbd

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// DRBD counts volumes and traffic in KiB and requests in flight in sectors
// (drbd-utils user/v9/drbdsetup.c, print_*_statistics).
const (
	kib    = 1024
	sector = 512
)

// Apply brings s up to date with one line of events2 and returns what became
// different, in the order of the line. A line that changes nothing, or only
// what --statistics adds, returns nil.
//
// Lines may come in any order within one of the kernel's transactions, so an
// object that was never introduced is created on the way. Apply does no I/O
// and never fails: a number that is none is left out, a word it does not know
// is kept. After a [Lost] change only a new dump into a new State helps.
func (s *State) Apply(e Event) []Change {
	switch e.Verb {
	case VerbSkipped:
		s.Lost += e.Skipped
		return []Change{{Kind: Lost, Object: ObjectNone, ID: NoID(), Code: e.Skipped}}
	case VerbCall:
		return []Change{{Kind: Called, Object: e.Object, ID: e.ID.clone(), New: strings.Clone(e.Helper())}}
	case VerbResponse:
		code, _ := e.HelperExit()
		return []Change{{Kind: Responded, Object: e.Object, ID: e.ID.clone(), New: strings.Clone(e.Helper()), Code: code}}
	case VerbRename:
		return s.rename(e)
	case VerbDestroy:
		return s.destroy(e)
	case VerbExists, VerbCreate, VerbChange:
		if e.DumpEnd() {
			s.Complete = true
			return []Change{{Kind: Complete, Object: ObjectNone, ID: NoID()}}
		}
		return s.update(e)
	}
	return nil
}

func (s *State) rename(e Event) []Change {
	name, _ := e.Get("new_name")
	r := s.Resources[e.ID.Resource]
	if r == nil || name == "" {
		return nil
	}
	old := r.Name
	delete(s.Resources, old)
	r.Name = strings.Clone(name)
	s.Resources[r.Name] = r
	return []Change{{Kind: Renamed, Object: ObjectResource, ID: r.id(), Old: old, New: r.Name}}
}

func (s *State) destroy(e Event) []Change {
	r := s.Resources[e.ID.Resource]
	if r == nil {
		return nil
	}
	gone := func(id ID) []Change { return []Change{{Kind: Destroyed, Object: e.Object, ID: id}} }
	if e.Object == ObjectResource {
		delete(s.Resources, r.Name)
		return gone(r.id())
	}
	if e.Object == ObjectDevice {
		d := r.Devices[e.ID.Volume]
		if d == nil {
			return nil
		}
		delete(r.Devices, d.Volume)
		return gone(d.id(r))
	}
	c := r.Connections[e.ID.PeerNodeID]
	if c == nil {
		return nil
	}
	switch e.Object {
	case ObjectConnection:
		if keepsConnection(r) {
			return c.standAlone(r)
		}
		delete(r.Connections, c.PeerNodeID)
		return gone(c.id(r))
	case ObjectPeerDevice:
		p := c.PeerDevices[e.ID.Volume]
		if p == nil {
			return nil
		}
		delete(c.PeerDevices, p.Volume)
		return gone(p.id(r, c))
	case ObjectPath:
		key := PathKey{Local: e.ID.Local, Peer: e.ID.Peer}
		if _, ok := c.Paths[key]; !ok {
			return nil
		}
		delete(c.Paths, key)
		return gone(c.pathID(r, e.ID.clone()))
	}
	return nil
}

// standAlone records what the end of an 8.4 connection means.
func (c *Connection) standAlone(r *Resource) []Change {
	u := updater{object: ObjectConnection, id: c.id(r)}
	word(&u, &c.State, connectionStates, "connection", string(ConnStandAlone))
	word(&u, &c.Role, roles, "role", string(RoleUnknown))
	clear(c.PeerDevices)
	return u.changes
}

func (s *State) update(e Event) []Change {
	if e.ID.Resource == "" {
		return nil
	}
	u := updater{object: e.Object}
	r := s.Resources[e.ID.Resource]
	if r == nil {
		r = newResource(strings.Clone(e.ID.Resource))
		s.Resources[r.Name] = r
		u.created(ObjectResource, r.id())
	}
	switch e.Object {
	case ObjectResource:
		r.update(&u, e)
	case ObjectDevice:
		r.updateDevice(&u, e)
	case ObjectConnection, ObjectPeerDevice, ObjectPath:
		r.updateConnection(&u, e)
	}
	return u.changes
}

func newResource(name string) *Resource {
	return &Resource{Name: name, PromotionScore: Absent, Devices: map[int]*Device{}, Connections: map[int]*Connection{}}
}

func (r *Resource) update(u *updater, e Event) {
	u.id = r.id()
	if e.Verb != VerbChange {
		r.Kernel84 = is84Resource(e)
	}
	for _, f := range e.Fields {
		switch f.Key {
		case "role":
			word(u, &r.Role, roles, "role", f.Value)
		case "suspended":
			word(u, &r.Suspended, suspendedSets, "suspended", f.Value)
		case "force-io-failures":
			u.tri(&r.ForceIOFailures, "force-io-failures", f.Value)
		case "may_promote":
			u.tri(&r.MayPromote, "may_promote", f.Value)
		case "promotion_score":
			u.number(&r.PromotionScore, "promotion_score", f.Value)
		case "write-ordering":
			silent(&r.WriteOrdering, f.Value)
		}
	}
}

func (r *Resource) updateDevice(u *updater, e Event) {
	if e.ID.Volume == Absent {
		return
	}
	d := r.Devices[e.ID.Volume]
	if d == nil {
		d = &Device{Volume: e.ID.Volume, Minor: e.ID.Minor}
		r.Devices[d.Volume] = d
		u.created(ObjectDevice, d.id(r))
	}
	if e.ID.Minor != Absent {
		d.Minor = e.ID.Minor
	}
	u.id = d.id(r)
	for _, f := range e.Fields {
		switch f.Key {
		case "disk":
			word(u, &d.Disk, diskStates, "disk", f.Value)
		case "client":
			u.tri(&d.Client, "client", f.Value)
		case "open":
			u.tri(&d.Open, "open", f.Value)
		case "quorum":
			u.tri(&d.Quorum, "quorum", f.Value)
		case "backing_dev":
			word(u, &d.BackingDev, nil, "backing_dev", f.Value)
		default:
			d.count(f)
		}
	}
}

// count takes the keys of a device that --statistics adds.
func (d *Device) count(f Field) {
	switch f.Key {
	case "size":
		amount(&d.SizeBytes, f, kib)
	case "read":
		amount(&d.ReadBytes, f, kib)
	case "written":
		amount(&d.WrittenBytes, f, kib)
	case "al-writes":
		amount(&d.ALWrites, f, 1)
	case "bm-writes":
		amount(&d.BMWrites, f, 1)
	case "upper-pending":
		amount(&d.UpperPending, f, 1)
	case "lower-pending":
		amount(&d.LowerPending, f, 1)
	case "al-suspended":
		d.ALSuspended = ParseTri(f.Value)
	case "blocked":
		silent(&d.Blocked, f.Value)
	}
}

func (r *Resource) updateConnection(u *updater, e Event) {
	if e.ID.PeerNodeID == Absent {
		return
	}
	c := r.Connections[e.ID.PeerNodeID]
	if c == nil {
		c = &Connection{PeerNodeID: e.ID.PeerNodeID, PeerDevices: map[int]*PeerDevice{}}
		r.Connections[c.PeerNodeID] = c
		c.name(r, e)
		u.created(ObjectConnection, c.id(r))
	}
	c.name(r, e)
	switch e.Object {
	case ObjectConnection:
		c.update(u, r, e)
	case ObjectPeerDevice:
		c.updatePeerDevice(u, r, e)
	case ObjectPath:
		c.updatePath(u, r, e)
	}
}

func (c *Connection) name(r *Resource, e Event) {
	switch {
	case e.ID.ConnName != "" && e.ID.ConnName != c.Name:
		c.Name = strings.Clone(e.ID.ConnName)
	case c.Name == "":
		c.Name = missingName(r)
	}
}

func (c *Connection) update(u *updater, r *Resource, e Event) {
	u.id = c.id(r)
	for _, f := range e.Fields {
		switch f.Key {
		case "connection":
			word(u, &c.State, connectionStates, "connection", f.Value)
		case "role":
			word(u, &c.Role, roles, "role", f.Value)
		case "congested":
			c.Congested = ParseTri(f.Value)
		case "ap-in-flight":
			amount(&c.APInFlight, f, sector)
		case "rs-in-flight":
			amount(&c.RSInFlight, f, sector)
		}
	}
}

func (c *Connection) updatePath(u *updater, r *Resource, e Event) {
	key := PathKey{Local: e.ID.Local, Peer: e.ID.Peer}
	was, ok := c.Paths[key]
	if !ok {
		key = PathKey{Local: strings.Clone(key.Local), Peer: strings.Clone(key.Peer)}
		if c.Paths == nil {
			c.Paths = map[PathKey]Tri{}
		}
		c.Paths[key] = Unknown
		u.created(ObjectPath, c.pathID(r, ID{Local: key.Local, Peer: key.Peer}))
	}
	v, ok := e.Get("established")
	if now := ParseTri(v); ok && now != was {
		c.Paths[key] = now
		u.id = c.pathID(r, e.ID.clone())
		u.set("established", was.String(), now.String())
	}
}

func (c *Connection) updatePeerDevice(u *updater, r *Resource, e Event) {
	if e.ID.Volume == Absent {
		return
	}
	p := c.PeerDevices[e.ID.Volume]
	if p == nil {
		p = &PeerDevice{Volume: e.ID.Volume}
		c.PeerDevices[p.Volume] = p
		u.created(ObjectPeerDevice, p.id(r, c))
	}
	u.id = p.id(r, c)
	for _, f := range e.Fields {
		switch f.Key {
		case "replication":
			word(u, &p.Replication, replicationStates, "replication", f.Value)
		case "peer-disk":
			word(u, &p.PeerDisk, diskStates, "peer-disk", f.Value)
		case "peer-client":
			u.tri(&p.PeerClient, "peer-client", f.Value)
		case "resync-suspended":
			word(u, &p.ResyncSuspended, nil, "resync-suspended", f.Value)
		default:
			p.count(f)
		}
	}
	if !p.Replication.progresses() {
		// DRBD does not print "done:" once more when a resync ends or breaks.
		p.DonePercent, p.MiBPerSecond, p.ETA = 0, 0, 0
	}
}

// count takes the keys of a peer device that --statistics adds, and the progress of a
// resync.
func (p *PeerDevice) count(f Field) {
	switch f.Key {
	case "done":
		decimal(&p.DonePercent, f)
	case "dbdt1":
		decimal(&p.MiBPerSecond, f)
	case "eta":
		p.ETA = 0
		var s float64
		if decimal(&s, f); s > 0 && s < math.MaxInt32 {
			p.ETA = time.Duration(s * float64(time.Second))
		}
	case "out-of-sync":
		amount(&p.OutOfSyncBytes, f, kib)
	case "received":
		amount(&p.ReceivedBytes, f, kib)
	case "sent":
		amount(&p.SentBytes, f, kib)
	case "pending":
		amount(&p.Pending, f, 1)
	case "unacked":
		amount(&p.Unacked, f, 1)
	}
}

// updater collects the changes of one line. It allocates only when there are any.
type updater struct {
	object  Object
	id      ID
	changes []Change
}

func (u *updater) add(c Change) {
	if u.changes == nil {
		u.changes = make([]Change, 0, 2) // most lines change one or two keys
	}
	u.changes = append(u.changes, c)
}

func (u *updater) created(o Object, id ID) {
	u.add(Change{Kind: Created, Object: o, ID: id})
}

func (u *updater) set(key, before, after string) {
	u.add(Change{Kind: Set, Object: u.object, ID: u.id, Key: key, Old: before, New: after})
}

func (u *updater) tri(p *Tri, key, value string) {
	if now := ParseTri(value); now != *p {
		u.set(key, p.String(), now.String())
		*p = now
	}
}

func (u *updater) number(p *int, key, value string) {
	n, err := strconv.Atoi(value)
	if err != nil || n == *p {
		return
	}
	u.set(key, strconv.Itoa(*p), strconv.Itoa(n))
	*p = n
}

// word sets *p to a word of list, or to a copy of a word nobody knows.
func word[T ~string](u *updater, p *T, list []string, key, value string) {
	if string(*p) == value {
		return
	}
	now := intern(list, value)
	u.set(key, string(*p), now)
	*p = T(now)
}

// silent sets *p to a word whose change is not announced.
func silent(p *string, value string) {
	if *p != value {
		*p = strings.Clone(value)
	}
}

// amount sets *p to f times unit, unless f is no number or would overflow.
func amount(p *int64, f Field, unit int64) {
	if n, err := strconv.ParseInt(f.Value, 10, 64); err == nil && n <= math.MaxInt64/unit && n >= 0 {
		*p = n * unit
	}
}

// decimal sets *p to f, unless f is no number; DRBD prints "nan" for an unknown rate.
func decimal(p *float64, f Field) {
	n, err := strconv.ParseFloat(f.Value, 64)
	if err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
		*p = n
	}
}
