package metrics

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// Scope says which series a scrape has. The zero value shows managed resources
// only, without states, and no resource is managed.
type Scope struct {
	// Managed are the resources of our configuration. What is counted of them is
	// kept while DRBD does not have them.
	Managed []string
	// All shows every resource that DRBD has, not the managed ones alone.
	All bool
	// States adds a series for each word that a state can have. Most rules and
	// dashboards need them; they are two thirds of all series.
	States bool
}

// Options is what [New] builds from.
type Options struct {
	// Source returns the current snapshot, or nil while there is none. Required.
	// It is called once per scrape, by several goroutines at once, and must not
	// block: an atomic pointer is meant.
	Source func() *Snapshot
	// Scope can be changed later with [Metrics.SetScope].
	Scope Scope
	// Version and Revision name the build; empty is shown as empty.
	Version, Revision string
}

// Metrics holds everything that is scraped. All its methods may be called by
// several goroutines at once, and none blocks on anything but memory.
type Metrics struct {
	registry *prometheus.Registry
	source   func() *Snapshot
	list     []*family
	compat   *compat
	own      *own
	counts   *counts

	mu      sync.Mutex           // guards the fields below; no call is made to the outside while it is held
	scope   Scope                // its slice is never written to
	counted map[string]time.Time // resources with counts, and when their last split brain was found
}

// New returns metrics with their own registry, the Go runtime's and the
// process's among them; the default registry is not touched. It fails without
// a Source.
func New(o Options) (*Metrics, error) {
	if o.Source == nil {
		return nil, errors.New("metrics: no source given")
	}
	var c catalogue
	build := c.gauge("drbdnfs_build_info", "Always 1. The version of drbdnfsd, the commit it was built from and the version of Go.",
		"version", "revision", "goversion")
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		source:   o.Source,
		compat:   newCompat(&c),
		own:      newOwn(&c),
		counts:   newCounts(&c),
		counted:  map[string]time.Time{},
	}
	m.list = c.list
	m.SetScope(o.Scope)
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: build.name, Help: build.help}, build.labels)
	info.WithLabelValues(o.Version, o.Revision, runtime.Version()).Set(1)
	for _, c := range []prometheus.Collector{
		info, &collector{m: m}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// SetScope changes what the next scrape shows, as after a reload of the
// configuration.
func (m *Metrics) SetScope(s Scope) {
	s.Managed = slices.Clone(s.Managed)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scope = s
}

// takes reports whether something that happened to a resource is counted. It
// is kept in mind, so that the count can be dropped with the resource.
func (m *Metrics) takes(resource string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.scope.All && !slices.Contains(m.scope.Managed, resource) {
		return false
	}
	if _, ok := m.counted[resource]; !ok {
		m.counted[resource] = time.Time{}
	}
	return true
}

// shown is what of a snapshot one scrape shows.
type shown struct {
	scope     Scope
	state     *drbd.State      // never nil
	resources []*drbd.Resource // by name
}

// has reports whether things about the resource of this name are shown: it is
// managed, or DRBD has it and all are wanted.
func (sh shown) has(name string) bool {
	return slices.Contains(sh.scope.Managed, name) || sh.scope.All && sh.state.Resources[name] != nil
}

func (m *Metrics) shown(snap *Snapshot) shown {
	m.mu.Lock()
	sh := shown{scope: m.scope, state: snap.DRBD}
	m.mu.Unlock()
	if sh.state == nil || !sh.state.Complete {
		sh.state = drbd.NewState()
	}
	for _, r := range sh.state.SortedResources() {
		if sh.has(r.Name) {
			sh.resources = append(sh.resources, r)
		}
	}
	return sh
}

// collector is the registry's view of a [Metrics]; its methods would be no
// business of the daemon's.
type collector struct {
	m *Metrics
}

var _ prometheus.Collector = (*collector)(nil)

// Describe names all families but the build's.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range c.m.list[1:] {
		ch <- f.desc
	}
}

// Collect sends the series of one snapshot, and the counts.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	m := c.m
	snap := m.source()
	if snap == nil {
		snap = &Snapshot{}
	}
	sh := m.shown(snap)
	s := sink{ch: ch, states: sh.scope.States}
	if snap.Kernel != "" {
		s.put(m.compat.version, 1, snap.Kernel, snap.Utils)
	}
	if sh.state.Complete {
		s.put(m.compat.resources, float64(max(snap.Resources, len(sh.state.Resources))))
	}
	for _, r := range sh.resources {
		m.compat.resource(s, r)
		m.own.resource(s, r)
	}
	m.own.splitBrains(s, snap, sh)
	m.own.node(s, snap, sh)
	for name, at := range m.prepare(snap, sh) {
		s.put(m.own.lastDetected, seconds(at), name)
	}
	m.counts.collect(ch)
}

// prepare makes the series that start at 0, drops those of resources that are
// gone, and returns when the last split brain of each resource shown was found.
func (m *Metrics) prepare(snap *Snapshot, sh shown) map[string]time.Time {
	last := map[string]time.Time{}
	for _, name := range sh.scope.Managed {
		last[name] = time.Time{}
	}
	for _, r := range sh.resources {
		last[r.Name] = time.Time{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, at := range m.counted {
		if _, ok := last[name]; ok {
			last[name] = at
		} else if sh.state.Complete {
			delete(m.counted, name)
			m.counts.drop(name)
		}
	}
	for p, b := range snap.SplitBrains {
		if at, ok := last[p.Resource]; ok && b.DetectedAt.After(at) {
			last[p.Resource] = b.DetectedAt
		}
	}
	for name, at := range last {
		m.counted[name] = at
		m.counts.startResource(name, snap.Policies[name])
	}
	for _, g := range snap.Groups {
		m.counts.startGroup(g.Name)
	}
	return last
}

// seconds is a time as Prometheus shows it; the zero time is 0.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
