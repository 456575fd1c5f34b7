// Package metrics shows Prometheus what the daemon knows: DRBD's state under the
// names that drbd-reactor gave it, so that public dashboards and rules work, and
// under drbdnfs_ what those leave out: split brain, the NFS group, the agent's
// actions, and the daemon itself.
//
//	m, err := metrics.New(metrics.Options{
//		Source: func() *metrics.Snapshot { return current.Load() },
//		Scope:  metrics.Scope{Managed: []string{"res0"}, States: true},
//	})
//	m.HelperCalled("res0", "split-brain") // what only counts
//
//	s, err := metrics.Listen(metrics.ServerOptions{Metrics: m, Healthy: alive, Ready: complete})
//	err = s.Run(ctx)
//
// Two ways lead here. What is a state comes from a [Snapshot] that the daemon
// makes and never changes again; each scrape reads one snapshot from end to
// end, so its series fit together, and what is gone leaves no series behind.
// What happens is counted at once by the methods of [Metrics].
//
// A fact that is not known has no series: an 8.4 kernel says nothing about
// quorum, and that must not read as 0. A word of a future DRBD is shown as it
// is, so the series of a state always add up to one. Names from outside that a
// label takes are bounded: the rest is "other".
//
// Text format 0.0.4 only: in OpenMetrics two of the compatible names would have
// to change. The package uses its own registry, runs nothing and reads no file
// but its certificate. docs/metrics.md lists every family and is compared with
// the code.
package metrics
