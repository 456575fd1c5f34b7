package daemon

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/drbd/stream"
	"github.com/spacei/drbdnfs/pkg/handler"
	"github.com/spacei/drbdnfs/pkg/kmsg"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/snapshot"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// beat is how often the owner's loop turns without any news.
const beat = time.Second

// owner is the one goroutine's: everything that the daemon knows. Others reach
// it through inbox.
type owner struct {
	*Daemon
	inbox     inbox
	endpoints chan endpoint // what the metrics endpoint is to be
	ended     chan struct{} // closed when nobody reads the inbox any more
	workers   sync.WaitGroup

	state         *drbd.State // never nil
	up            bool        // DRBD is followed
	down          error       // why not
	kernel, utils drbd.Version
	known         bool          // the first dump, or word that there is no DRBD, came
	early         []kmsg.Record // what the kernel said before

	settings settings
	talks    map[talkKey]*talk
	records  map[string]bool // of DRBD's handler, that a talk has heard of
	unheard  bool            // a talk is new, so that records may be of interest again

	admin     *admin.Admin
	snapshots *snapshot.Keeper
	handler   *handler.Store
	store     store
	times     *times
	cluster   *cluster
	alerts    *alerter

	local     localFacts
	group     groupFacts
	reported  time.Time // when Pacemaker was last told of a failure
	markers   map[string]bool
	told      string // systemd's STATUS
	dirty     bool   // the snapshot for the metrics is out of date
	watchdog  time.Time
	counted   stream.Counters // what the metrics have of them
	forgotten bool            // what was remembered of split brains cannot be read
	declared  declared        // what this node has told the others of itself
}

func newOwner(d *Daemon) *owner {
	w := &owner{
		Daemon: d, inbox: make(inbox, 64), endpoints: make(chan endpoint, 1), ended: make(chan struct{}), state: drbd.NewState(),
		talks: map[talkKey]*talk{}, records: map[string]bool{}, markers: map[string]bool{},
		admin: admin.New(d.o.Host), snapshots: snapshot.New(d.o.Host), handler: handler.NewStore(d.o.Host, handler.Dir),
		store: store{d.o.Host, d.o.StateDir + "/split-brain"},
	}
	w.times = newTimes(d.o.Host, d.o.Log, d.o.StateDir+"/primary.json")
	w.cluster = newCluster(pacemaker.New(d.o.Host), d.o.Log)
	w.alerts = newAlerter(d)
	return w
}

// load reads what an earlier process has left.
func (w *owner) load() {
	w.times.load(time.Now())
	records, err := w.store.load()
	if err != nil {
		w.forgotten = true
		w.o.Log.Error("what is remembered of split brains cannot be read, so that nothing is discarded", "err", err)
	}
	w.reload()
	for _, r := range records {
		w.open(talkKey{r.Resource, r.Peer}, r)
	}
	w.expose()
}

// run is the loop. It returns when ctx ends.
func (w *owner) run(ctx context.Context, updates <-chan stream.Update) error {
	defer close(w.ended)
	w.alive.Store(time.Now().UnixNano())
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			w.o.Notify("STOPPING=1")
			return nil
		case u := <-updates:
			w.update(u)
		case f := <-w.inbox:
			f(w)
		case <-w.o.Reload:
			w.reloadAsked()
		case <-tick.C:
			w.tick()
		}
		w.alive.Store(time.Now().UnixNano())
	}
}

// reloadAsked is a reload that systemd waits for. Before the beginning is over
// it is part of that.
func (w *owner) reloadAsked() {
	if !w.known {
		w.reload()
		return
	}
	w.o.Notify("RELOADING=1")
	w.reload()
	w.o.Notify("READY=1")
}

// tick does what has to be done from time to time.
func (w *owner) tick() {
	now := time.Now()
	if w.unheard {
		w.readRecords()
	}
	for _, t := range w.sorted() {
		w.handle(t, splitbrain.Tick{})
	}
	w.exchange(now)
	w.declare(now)
	w.lookLocal(now)
	w.lookGroup(now)
	w.count()
	if w.dirty {
		w.expose()
	}
	w.tellSystemd(now)
}

// update takes news of DRBD.
func (w *owner) update(u stream.Update) {
	w.dirty = true
	if u.Up {
		w.up, w.down, w.kernel, w.utils = true, nil, u.Kernel, u.Utils
	}
	if u.Down != nil {
		w.up, w.down = false, u.Down
		w.times.unseen(time.Now())
	}
	if u.State != nil {
		w.state = u.State
		w.dumped()
	}
	for _, ev := range u.Events {
		w.apply(ev)
	}
	if u.Numbers != nil {
		w.state.Refresh(u.Numbers)
	}
	if (u.State != nil || u.Down != nil) && !w.known {
		w.begun()
	}
	w.ready.Store(w.up)
}

// begun is the first time that DRBD's state is known, also that it is not there.
func (w *owner) begun() {
	w.known = true
	for _, r := range w.early {
		w.kernelSaid(r)
	}
	w.early = nil
	w.readRecords()
	w.expose()
	w.o.Notify("READY=1")
}

// apply brings the state up to date with one event, and tells who has to know.
func (w *owner) apply(ev drbd.Event) {
	at := ev.Time
	if at.IsZero() {
		at = time.Now()
	}
	touched := map[string]bool{}
	for _, c := range w.state.Apply(ev) {
		w.changed(c)
		w.times.changed(c, at)
		w.reportFailure(c)
		if c.Kind == drbd.Called {
			w.metrics.HelperCalled(c.ID.Resource, c.New)
			if c.New == "split-brain" {
				w.drbdSaid(c.ID, at)
			}
		}
		touched[c.ID.Resource] = true
	}
	for name := range touched {
		w.meet(name, at)
	}
}

// dumped takes a state that is new as a whole.
func (w *owner) dumped() {
	now := time.Now()
	if w.up {
		w.logDump()
	}
	w.times.dumped(w.state, now)
	w.meetAll(now)
}

// meetAll is meet for all resources, those that are down included.
func (w *owner) meetAll(at time.Time) {
	names := map[string]bool{}
	for name := range w.state.Resources {
		names[name] = true
	}
	for key := range w.talks {
		names[key.resource] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		w.meet(name, at)
	}
}

// meet makes the talks of a resource and tells each what has changed for it.
func (w *owner) meet(name string, at time.Time) {
	r := w.state.Resources[name]
	if r != nil && holdsData(r) {
		for _, c := range connections(r) {
			peer := w.nodeOf(r, c)
			if peer == "" || diskless(c) {
				continue
			}
			t := w.open(talkKey{name, peer}, w.renamed(r, c, peer))
			t.connection, t.peerID = c.Name, c.PeerNodeID
		}
	}
	for _, t := range w.of(name) {
		if !t.met && r == nil && w.up {
			continue
		}
		s := stateOf(r, t.peerID, at)
		if t.met && same(s, t.seen) {
			continue
		}
		t.met, t.seen = true, s
		w.handle(t, s)
	}
}

// connections are those of r. DRBD 8.4 does not show its only one while that is
// StandAlone, so one that is not there is taken for that.
func connections(r *drbd.Resource) []*drbd.Connection {
	if r.Kernel84 && len(r.Connections) == 0 {
		return []*drbd.Connection{{Name: drbd.Name84, State: drbd.ConnStandAlone}}
	}
	return r.SortedConnections()
}

// stateOf is [splitbrain.StateOf], which cannot know what DRBD 8.4 does not
// show.
func stateOf(r *drbd.Resource, peerID int, at time.Time) splitbrain.StateChanged {
	s := splitbrain.StateOf(r, peerID, at)
	if r != nil && r.Kernel84 && s.Connection == "" {
		s.Connection = drbd.ConnStandAlone
	}
	return s
}

// same compares two states but for their times.
func same(a, b splitbrain.StateChanged) bool {
	a.At, b.At = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

// holdsData reports whether this node has a disk for the resource: others
// cannot diverge.
func holdsData(r *drbd.Resource) bool {
	for _, d := range r.Devices {
		if d.Client != drbd.Yes {
			return true
		}
	}
	return false
}

// diskless reports whether the peer is one on purpose.
func diskless(c *drbd.Connection) bool {
	for _, p := range c.PeerDevices {
		if p.PeerClient != drbd.Yes {
			return false
		}
	}
	return len(c.PeerDevices) > 0
}

// nodeOf is the name of the node at the other end of a connection. DRBD 9 calls
// the connection by it; DRBD 8.4 has two nodes, and the configuration names
// them, or did. Without one, the connection's name has to do, and there is nobody
// to exchange evidence with.
func (w *owner) nodeOf(r *drbd.Resource, c *drbd.Connection) string {
	if !r.Kernel84 {
		return c.Name
	}
	if cfg := w.settings.config; cfg != nil && len(cfg.Nodes) == 2 {
		for _, n := range cfg.Nodes {
			if n.Name != w.self {
				return n.Name
			}
		}
	}
	for _, t := range w.of(r.Name) {
		if t.peer != c.Name {
			return t.peer
		}
	}
	return c.Name
}

// renamed is the record to begin with for a peer that was without a name until
// the configuration came: what was found of it under the connection's name. The
// talk of that name ends.
func (w *owner) renamed(r *drbd.Resource, c *drbd.Connection, peer string) splitbrain.Record {
	old := w.talks[talkKey{r.Name, c.Name}]
	if !r.Kernel84 || peer == c.Name || old == nil {
		return splitbrain.Record{}
	}
	var record splitbrain.Record
	if old.phase != splitbrain.PhaseNone {
		record = w.store.read(r.Name, c.Name)
		record.Peer = peer
	}
	delete(w.talks, old.talkKey)
	w.warn("end of a record", w.store.remove(r.Name, c.Name))
	return record
}

// sorted are the talks in the order of their names.
func (w *owner) sorted() []*talk {
	list := make([]*talk, 0, len(w.talks))
	for _, t := range w.talks {
		list = append(list, t)
	}
	slices.SortFunc(list, compare)
	return list
}

// of are the talks of one resource, in the order of the peers' names.
func (w *owner) of(resource string) []*talk {
	var list []*talk
	for _, t := range w.talks {
		if t.resource == resource {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, compare)
	return list
}

func compare(a, b *talk) int {
	return cmp.Or(strings.Compare(a.resource, b.resource), strings.Compare(a.peer, b.peer))
}

// talkKey names one split brain's two sides as this node sees them.
type talkKey struct{ resource, peer string }

// String is "res0 with drbdtest2".
func (k talkKey) String() string { return fmt.Sprintf("%s with %s", k.resource, k.peer) }
