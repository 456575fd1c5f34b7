package daemon

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
	"github.com/spacei/drbdnfs/pkg/drbd/stream"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// world is two nodes with DRBD between them, and a cluster.
type world struct {
	t     *testing.T
	pair  *pair
	nodes [2]*node

	mu       sync.Mutex
	private  map[string]map[string]string // attributes: by name, by node
	flags    map[string]map[string]string // node attributes: by node, by name
	stopped  bool                         // Pacemaker does not run
	deaf     map[string]bool              // nodes of which the others hear nothing
	promoted string                       // where the group runs as Promoted
	noDC     bool
	failures []string // reported by crm_resource
}

// node is one of them. Its files outlive its daemon.
type node struct {
	*hosttest.Host
	w        *world
	side     *side
	policy   string // table [split_brain] and whatever follows of the configuration
	updates  chan stream.Update
	stop     context.CancelFunc
	ended    chan bool // whether it was killed
	owner    *owner    // of the running daemon; look at it after it has ended, or through ask
	log      buffer
	notified buffer
	lvs      []lv
	free     int64
}

// lv is a logical volume.
type lv struct {
	name, origin, tags string
	size               int64
	minor              int
	data               uint64 // the generation that a snapshot holds
}

// buffer is written by a daemon while the test reads it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// textLog logs to b without times.
func textLog(b *buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}}))
}

// newWorld is two nodes that were never apart; the group runs on drbdtest1.
func newWorld(t *testing.T, kernel84 bool, policy string) *world {
	w := &world{
		t: t, pair: newPair(kernel84), private: map[string]map[string]string{},
		flags: map[string]map[string]string{}, deaf: map[string]bool{}, promoted: "drbdtest1",
	}
	for i, s := range w.pair.sides {
		n := &node{Host: hosttest.New(t), w: w, side: s, policy: policy, free: 4 << 30}
		n.Name, n.Modules["drbd"], n.Host.DRBD.Kernel84 = s.name, true, kernel84
		n.lvs = []lv{{name: "res0_00000", size: 1 << 30, minor: 3}}
		n.Tool("drbdsetup", s.drbdsetup)
		n.Tool("drbdadm", s.drbdadm)
		n.Tool("attrd_updater", n.attrd)
		n.Tool("crm_mon", n.crmMon)
		n.Tool("crm_resource", n.crmResource)
		n.Tool("lvs", n.list)
		n.Tool("lvcreate", n.create)
		s.emit = n.emit
		n.configure(policy)
		w.nodes[i] = n
	}
	w.pair.sides[0].role = "Primary"
	w.nodes[0].SetMount("/dev/drbd1000", "/home/nfs")
	return w
}

// story runs f in a bubble with both daemons running.
func story(t *testing.T, kernel84 bool, policy string, f func(w *world)) *world {
	t.Helper()
	var end *world
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kernel84, policy)
		end = w
		for _, n := range w.nodes {
			n.start()
		}
		w.sleep(3 * time.Second)
		f(w)
		for _, n := range w.nodes {
			n.end()
		}
		time.Sleep(time.Second) // for what the two kernels still try
	})
	return end
}

// alone runs f in a bubble in which no daemon runs yet. The other node says
// nothing.
func alone(t *testing.T, kernel84 bool, policy string, f func(w *world, n *node)) *node {
	t.Helper()
	var n *node
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, kernel84, policy)
		n = w.nodes[0]
		f(w, n)
		n.end()
		time.Sleep(time.Second)
	})
	return n
}

// locked changes the scene.
func (w *world) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// sleep lets time go by, and what happens in it.
func (w *world) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// machine is the node as its daemon sees it.
type machine struct {
	*hosttest.Host
	n *node
}

func (m machine) ReadFile(path string) ([]byte, error) {
	if path == "/proc/drbd" {
		m.n.w.pair.mu.Lock()
		defer m.n.w.pair.mu.Unlock()
		return []byte(m.n.side.proc()), nil
	}
	return m.Host.ReadFile(path)
}

func (m machine) BlockDevice(path string) (major, minor int, err error) {
	if path == "/dev/drbdpool/res0_00000" {
		return 253, 3, nil
	}
	return m.Host.BlockDevice(path)
}

// configure writes the configuration file.
func (n *node) configure(policy string) {
	base, err := os.ReadFile("testdata/drbdnfs.toml")
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.SetFile(config.DefaultFile, string(base)+policy)
}

// start starts the daemon, which finds DRBD as it is.
func (n *node) start() {
	n.boot()
	n.dumped()
}

// dumped is a new dump of the stream.
func (n *node) dumped() {
	n.w.pair.mu.Lock()
	defer n.w.pair.mu.Unlock()
	n.updates <- n.first()
}

// boot starts the daemon, but for what needs a real machine, and says nothing to
// it.
func (n *node) boot() {
	ctx, stop := context.WithCancel(context.Background())
	n.stop, n.ended = stop, make(chan bool, 1)
	ready := make(chan struct{})
	go func() {
		n.ended <- n.Action(ctx, func(ctx context.Context) { n.live(ctx, ready) })
	}()
	<-ready
}

// first is what the stream says first.
func (n *node) first() stream.Update {
	state, err := events2.ReadDump(strings.NewReader(n.side.dump()))
	if err != nil {
		n.w.t.Fatal(err)
	}
	kernel, err := drbd.ParseProcVersion([]byte(n.side.proc()))
	if err != nil {
		n.w.t.Fatal(err)
	}
	return stream.Update{Up: true, State: state, Kernel: kernel, Utils: drbd.Version{Major: 9, Minor: 22}}
}

// live is Run without sockets and without inotify.
func (n *node) live(ctx context.Context, ready chan<- struct{}) {
	d, err := New(Options{
		Host: machine{n.Host, n}, Log: textLog(&n.log), Watchdog: 30 * time.Second,
		Notify: func(s string) { fmt.Fprintln(&n.notified, s) },
	})
	if err != nil {
		n.w.t.Error(err)
		return
	}
	n.owner = newOwner(d)
	n.updates = make(chan stream.Update, 1000)
	close(ready)
	n.owner.load()
	var g sync.WaitGroup
	g.Go(func() { n.owner.cluster.run(ctx) })
	g.Go(func() { n.owner.alerts.run(ctx) })
	if err := n.owner.run(ctx, n.updates); err != nil {
		n.w.t.Error(err)
	}
	g.Wait()
	n.owner.workers.Wait()
	n.owner.times.stopped(time.Now())
}

// end ends the daemon if it still runs, and reports whether it was killed.
func (n *node) end() bool {
	if n.stop == nil {
		return true
	}
	n.stop()
	killed := <-n.ended
	n.w.pair.mu.Lock()
	n.stop, n.updates = nil, nil
	n.w.pair.mu.Unlock()
	return killed
}

// emit is a line of events2. The pair is locked.
func (n *node) emit(line string) {
	ev, err := events2.Parse(line)
	if err != nil {
		n.w.t.Errorf("%q: %v", line, err)
	}
	if n.updates != nil {
		n.updates <- stream.Update{Events: []drbd.Event{ev}}
	}
}

// ask runs f on the owner, as anything else that it does.
func (n *node) ask(f func(w *owner)) {
	done := make(chan struct{})
	n.owner.inbox <- func(w *owner) { f(w); close(done) }
	<-done
}

// status is what the daemon says of the split brain.
func (n *node) status() (s splitbrain.Status) {
	n.ask(func(w *owner) {
		for _, t := range w.of(resource) {
			s = t.machine.Status()
		}
	})
	return s
}

// diverge makes a split brain: drbdtest1 goes on as Primary and changes first,
// drbdtest2 was Primary for a while, later, and changes second.
func (w *world) diverge(first, second int64) {
	a, b := w.pair.sides[0], w.pair.sides[1]
	w.pair.unplug(true)
	w.sleep(time.Minute)
	a.write(first)
	b.setRole("Primary")
	b.write(second)
	w.sleep(time.Second)
	b.setRole("Secondary")
	w.sleep(20 * time.Second)
	w.pair.unplug(false)
	w.sleep(100 * time.Millisecond)
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
