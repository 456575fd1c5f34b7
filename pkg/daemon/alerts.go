package daemon

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/spacei/drbdnfs/pkg/alert"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// lastWords is how long an alerter whose settings were replaced may go on with
// what it was given.
const lastWords = time.Minute

// alerter tells those whom the configuration names. It belongs to the owner, but
// for run.
type alerter struct {
	d       *Daemon
	cluster string
	as      config.Alerts
	current *alert.Alerter // nil: nobody
	next    chan *alert.Alerter
}

func newAlerter(d *Daemon) *alerter {
	return &alerter{d: d, next: make(chan *alert.Alerter, 4)}
}

// configure tells from now on whom c names; nil is nobody.
func (a *alerter) configure(c *config.Config) {
	var as config.Alerts
	if c != nil {
		a.cluster, as = c.Cluster, c.Alerts
	}
	if reflect.DeepEqual(as, a.as) {
		return
	}
	a.as, a.current = as, nil
	if len(as.Command) == 0 && as.Webhook == "" {
		return
	}
	n, err := alert.New(alert.Options{
		Host: a.d.o.Host, Log: a.d.o.Log, Command: as.Command, Webhook: as.Webhook, TokenFile: as.TokenFile, CAFile: as.CAFile,
		Timeout: as.Timeout.D(), Count: func(way string, what alert.Outcome) { a.d.metrics.AlertSent(way, what == alert.Sent) },
	})
	if err != nil {
		a.d.o.Log.Error("nobody can be told of a split brain", "err", err)
		return
	}
	a.current = n
	a.next <- n // there is room: a reload comes at most a few times a second
}

// run sends until ctx ends.
func (a *alerter) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	end := func() {}
	for {
		select {
		case <-ctx.Done():
			end()
			return
		case n := <-a.next:
			time.AfterFunc(lastWords, end)
			var of context.Context
			of, end = context.WithCancel(ctx)
			running.Go(func() { _ = n.Run(of) }) // nil whenever it returns
		}
	}
}

// send tells of a split brain.
func (a *alerter) send(t *talk, e splitbrain.Alert) {
	if a.current == nil {
		return
	}
	s := e.Status
	out := alert.Alert{
		Kind: alert.Kind(e.Kind), When: e.At, Cluster: a.cluster, Node: a.d.self, Resource: t.resource, Peer: t.peer,
		Incident: s.Incident, Summary: e.Text, Reason: s.Verdict.Reason, Policy: string(e.Own.Policy.Kind),
		Victim: s.Verdict.Victim, Survivor: s.Verdict.Survivor, Snapshots: strings.Fields(s.Snapshot),
	}
	if s.Why != "" {
		out.Reason = s.Why
	}
	for _, c := range s.Commands {
		for _, line := range c.Commands {
			out.Advice = append(out.Advice, "on "+c.Node+": "+line)
		}
	}
	a.current.Send(out)
}
