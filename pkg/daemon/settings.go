package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/metrics"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// settings is what the configuration file says.
type settings struct {
	config *config.Config // nil: there is no file
	data   []byte         // as it was read last, in use or not
	read   bool
	broken string // why the file cannot be used; config is the old one
}

// groupOf is the name in Pacemaker of the group that a resource carries, "" for
// a resource of somebody else.
func (s *settings) groupOf(resource string) string {
	if s.config == nil || s.config.Resource.Name != resource {
		return ""
	}
	return s.config.Pacemaker.Group
}

// shows reports whether the metrics have series of a resource. Without a file
// they show what DRBD has.
func (s *settings) shows(resource string) bool {
	return s.config == nil || s.config.Metrics.Resources == config.ResourcesAll || s.config.Resource.Name == resource
}

// policyChange is what a machine has to know of the settings.
func (s *settings) policyChange(resource string) splitbrain.PolicyChanged {
	return splitbrain.PolicyChanged{Policy: s.policy(resource), Err: s.broken}
}

// policy of a resource. That of the configuration is for its own resource; of
// all others somebody else takes care.
func (s *settings) policy(resource string) splitbrain.Policy {
	if s.groupOf(resource) == "" {
		return splitbrain.Policy{Kind: splitbrain.Manual}
	}
	c := s.config.SplitBrain
	return splitbrain.Policy{
		Kind: splitbrain.PolicyKind(c.Policy), Keep: c.Keep, Snapshot: splitbrain.SnapshotMode(c.Snapshot),
		CoolDown: c.CoolDown.D(), Resolutions: c.Resolutions,
	}
}

// reload reads the configuration file. A broken one keeps the old settings, and
// nothing is discarded by them until it is mended.
func (w *owner) reload() {
	s := &w.settings
	data, err := w.o.Host.ReadFile(w.o.ConfigFile)
	missing := errors.Is(err, fs.ErrNotExist)
	if s.read && (err == nil || missing) && s.broken == "" && bytes.Equal(data, s.data) && missing == (s.config == nil) {
		return
	}
	if s.read && err == nil && s.broken != "" && bytes.Equal(data, s.data) {
		return // as broken as before
	}
	first := !s.read
	s.read, s.data = true, data
	var c *config.Config
	if !missing && err == nil {
		c, err = config.Parse(w.o.ConfigFile, data)
	}
	if err != nil && !missing {
		s.broken = firstLine(err)
		w.o.Log.Error("the configuration cannot be used, the old one stays", "err", s.broken)
		w.metrics.ConfigLoaded(false, time.Now())
		if first {
			w.configure() // as without a file, so that the metrics tell of it
		}
	} else {
		s.config, s.broken = c, ""
		w.o.Log.Info("configuration read", "path", w.o.ConfigFile, "missing", missing)
		w.metrics.ConfigLoaded(true, time.Now())
		w.configure()
	}
	for _, t := range w.sorted() {
		w.handle(t, s.policyChange(t.resource))
	}
	w.meetAll(time.Now()) // it may name the peers
	w.dirty = true
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// configure brings new settings into use.
func (w *owner) configure() {
	scope := metrics.Scope{All: true, States: true} // without a file, what DRBD has
	e := endpoint{Listen: metrics.DefaultListen}
	if c := w.settings.config; c != nil {
		scope = metrics.Scope{Managed: []string{c.Resource.Name}, All: c.Metrics.Resources == config.ResourcesAll, States: c.Metrics.States}
		e = endpoint{Listen: w.listenAddress(c), Cert: c.Metrics.TLSCert, Key: c.Metrics.TLSKey, ClientCA: c.Metrics.ClientCA}
		w.group.config = groupConfig(c)
	} else {
		w.group.config = nil
	}
	w.metrics.SetScope(scope)
	w.alerts.configure(w.settings.config)
	select {
	case <-w.endpoints: // one that was not taken yet
	default:
	}
	w.endpoints <- e
}

// listenAddress is where the metrics are offered, "" for nowhere.
func (w *owner) listenAddress(c *config.Config) string {
	addr, ok := c.MetricsAddress(w.self)
	if !ok {
		w.o.Log.Error("metrics.listen asks for this node's address, and the configuration has no such node", "node", w.self)
	}
	return addr
}

// endpoint is where and how metrics and the status page are offered.
type endpoint struct{ Listen, Cert, Key, ClientCA string }

// serve offers the metrics as the last endpoint says, until ctx ends. An address
// that cannot be taken is tried again.
func (d *Daemon) serve(ctx context.Context, endpoints <-chan endpoint) {
	var e endpoint
	end := func() {}
	defer func() { end() }()
	told := ""
	for {
		var again <-chan time.Time
		if e.Listen != "" {
			stop, err := d.offer(ctx, e)
			if err != nil && err.Error() != told {
				told = err.Error()
				d.o.Log.Warn("metrics are not offered, trying again", "err", err)
			}
			if err == nil {
				told = ""
				end = stop
			} else {
				again = time.After(retryWatch)
			}
		}
		for next := false; !next; {
			select {
			case <-ctx.Done():
				return
			case <-again:
				next = true
			case n := <-endpoints:
				if n != e {
					end()
					end = func() {}
					e, next = n, true
				}
			}
		}
	}
}

// offer begins to answer. The function that it returns ends that, and returns
// when the address is free.
func (d *Daemon) offer(ctx context.Context, e endpoint) (stop func(), err error) {
	s, err := metrics.Listen(ctx, metrics.ServerOptions{
		Metrics: d.metrics, Healthy: d.healthy, Ready: d.ready.Load, Page: d.page,
		Listen: []string{e.Listen}, TLSCert: e.Cert, TLSKey: e.Key, ClientCA: e.ClientCA, Log: d.o.Log,
	})
	if err != nil {
		return nil, err
	}
	d.o.Log.Info("metrics are offered", "address", fmt.Sprint(s.Addrs()))
	run, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(run); err != nil {
			d.o.Log.Error("metrics are not offered any more", "err", err)
		}
	}()
	return func() { cancel(); <-ended }, nil
}

// healthyWithin is how long the owner's loop may be busy.
const healthyWithin = 15 * time.Second

// healthy says why the daemon is not.
func (d *Daemon) healthy() error {
	last := time.Unix(0, d.alive.Load())
	if since := time.Since(last); since > healthyWithin {
		return fmt.Errorf("the loop that owns the state has not turned for %v", since.Round(time.Second))
	}
	return nil
}
