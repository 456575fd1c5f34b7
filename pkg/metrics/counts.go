package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// counts are the families that are counted as things happen.
type counts struct {
	restarts, parseErrors prometheus.Counter
	lastEvent             prometheus.Gauge
	lines                 *prometheus.CounterVec
	line                  map[drbd.Object]prometheus.Counter // of lines; never written to after the start
	otherLine             prometheus.Counter                 // of lines
	helperCalls           *prometheus.CounterVec
	detected, resolutions *prometheus.CounterVec
	actions               *prometheus.CounterVec
	lastAction            *prometheus.GaugeVec
	duration              *prometheus.HistogramVec
	reloadOK, reloadTime  prometheus.Gauge
	alerts, alertsFailed  *prometheus.CounterVec
	mu                    sync.Mutex
	groups                map[string]bool // guarded by mu; the groups that have series
}

func newCounts(c *catalogue) *counts {
	n := &counts{
		restarts:    newCounter(c, "drbdnfs_events2_restarts_total", "Times that events2 ended and was started again."),
		parseErrors: newCounter(c, "drbdnfs_events2_parse_errors_total", "Lines of events2 that were not understood."),
		lastEvent:   newGauge(c, "drbdnfs_events2_last_event_timestamp_seconds", "When the last line of events2 was read; 0 is never."),
		lines:       newCounterVec(c, "drbdnfs_events2_lines_total", "Lines of events2 by the object they are about.", "object"),
		helperCalls: newCounterVec(c, "drbdnfs_helper_calls_total", "Helpers that the kernel called (events2 call helper).", "name", "helper"),
		detected:    newCounterVec(c, "drbdnfs_split_brain_detected_total", "Split brains found.", "name"),
		resolutions: newCounterVec(c, "drbdnfs_split_brain_resolutions_total",
			"Split brains that were resolved, that could not be, and that were left to a person.", "name", "policy", "result"),
		actions:    newCounterVec(c, "drbdnfs_agent_actions_total", "Actions of the resource agent by exit code.", "group", "action", "rc"),
		lastAction: newGaugeVec(c, "drbdnfs_agent_last_action_timestamp_seconds", "When the action last ended.", "group", "action"),
		duration:   newDuration(c, "drbdnfs_agent_action_duration_seconds", "How long actions of the resource agent took.", "action"),
		reloadOK:   newGauge(c, "drbdnfs_config_last_reload_successful", "Whether the configuration was read without an error the last time."),
		reloadTime: newGauge(c, "drbdnfs_config_last_reload_success_timestamp_seconds",
			"When the configuration was last read without an error; 0 is never."),
		alerts:       newCounterVec(c, "drbdnfs_alerts_total", "Alerts that the daemon tried to send itself, after all retries.", "sink"),
		alertsFailed: newCounterVec(c, "drbdnfs_alerts_failures_total", "Alerts that could not be sent.", "sink"),
		line:         map[drbd.Object]prometheus.Counter{},
		groups:       map[string]bool{},
	}
	n.start()
	return n
}

// start makes the series that are known in advance.
func (n *counts) start() {
	for _, o := range objects {
		n.line[drbd.Object(o)] = n.lines.WithLabelValues(o)
	}
	n.otherLine = n.lines.WithLabelValues(other)
	for _, a := range usualActions() {
		n.duration.WithLabelValues(a)
	}
	for _, s := range alertSinks {
		n.alerts.WithLabelValues(s)
		n.alertsFailed.WithLabelValues(s)
	}
}

// startResource makes the series of a resource that start at 0.
func (n *counts) startResource(name, policy string) {
	for _, h := range alarming {
		n.helperCalls.WithLabelValues(name, h)
	}
	n.detected.WithLabelValues(name)
	if policy == "" {
		return
	}
	for _, result := range []Result{Resolved, Failed, Refused} {
		n.resolutions.WithLabelValues(name, bounded(policies, policy), string(result))
	}
}

// startGroup makes the series of a group that start at 0.
func (n *counts) startGroup(group string) {
	group = n.group(group)
	for _, a := range usualActions() {
		n.actions.WithLabelValues(group, a, code(0))
	}
}

// group returns the name of a group as a label: of more than [maxGroups] names
// the rest is "other", because any program of this node's root can name one.
func (n *counts) group(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.groups[name] {
		if len(n.groups) >= maxGroups {
			return other
		}
		n.groups[name] = true
	}
	return name
}

// drop removes all series of a resource.
func (n *counts) drop(name string) {
	l := prometheus.Labels{"name": name}
	n.helperCalls.DeletePartialMatch(l)
	n.detected.DeletePartialMatch(l)
	n.resolutions.DeletePartialMatch(l)
}

func (n *counts) collect(ch chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{
		n.restarts, n.parseErrors, n.lastEvent, n.lines, n.helperCalls, n.detected, n.resolutions,
		n.actions, n.lastAction, n.duration, n.reloadOK, n.reloadTime, n.alerts, n.alertsFailed,
	} {
		c.Collect(ch)
	}
}

func newCounter(c *catalogue, name, help string) prometheus.Counter {
	c.counter(name, help)
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func newGauge(c *catalogue, name, help string) prometheus.Gauge {
	c.gauge(name, help)
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func newCounterVec(c *catalogue, name, help string, labels ...string) *prometheus.CounterVec {
	c.counter(name, help, labels...)
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func newGaugeVec(c *catalogue, name, help string, labels ...string) *prometheus.GaugeVec {
	c.gauge(name, help, labels...)
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

// newDuration makes a histogram for times from a monitor's to a failover's.
func newDuration(c *catalogue, name, help string, labels ...string) *prometheus.HistogramVec {
	c.histogram(name, help, labels...)
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: []float64{.01, .05, .1, .5, 1, 2.5, 5, 10, 30, 60, 120},
	}, labels)
}

// Events2Restarted counts one end of the events2 child that was not wanted.
func (m *Metrics) Events2Restarted() { m.counts.restarts.Inc() }

// Events2Line counts one line about o, read at the time given. It does not
// allocate.
func (m *Metrics) Events2Line(o drbd.Object, at time.Time) {
	c, ok := m.counts.line[o]
	if !ok {
		c = m.counts.otherLine
	}
	c.Inc()
	m.counts.lastEvent.Set(seconds(at))
}

// Events2ParseError counts one line that was not understood.
func (m *Metrics) Events2ParseError() { m.counts.parseErrors.Inc() }

// HelperCalled counts one call of a helper by the kernel, as events2 announces
// it. Resources that are not in scope are not counted, and names of helpers
// that this package does not know are "other".
func (m *Metrics) HelperCalled(resource, helper string) {
	if m.takes(resource) {
		m.counts.helperCalls.WithLabelValues(resource, bounded(helpers, helper)).Inc()
	}
}

// SplitBrainDetected counts one split brain of a resource in scope, found at
// the time given.
func (m *Metrics) SplitBrainDetected(resource string, at time.Time) {
	if !m.takes(resource) {
		return
	}
	m.counts.detected.WithLabelValues(resource).Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	if at.After(m.counted[resource]) {
		m.counted[resource] = at
	}
}

// Result is how one split brain ended, or that it did not.
type Result string

// The results.
const (
	Resolved Result = "resolved" // the connection is live again
	Failed   Result = "failed"   // a resolution was begun and did not get there
	Refused  Result = "refused"  // left to a person, with a reason in the log
)

// SplitBrainEnded counts how a split brain of a resource in scope ended.
func (m *Metrics) SplitBrainEnded(resource, policy string, r Result) {
	if m.takes(resource) {
		m.counts.resolutions.WithLabelValues(resource, bounded(policies, policy), string(r)).Inc()
	}
}

// AgentAction counts one action of the agent that ended at the time given,
// with its exit code and duration. Names are bounded: more than 32 groups, and
// actions and codes that OCF does not have, are "other".
func (m *Metrics) AgentAction(group, action string, rc int, took time.Duration, at time.Time) {
	group, action = m.counts.group(group), bounded(actions, action)
	m.counts.actions.WithLabelValues(group, action, code(rc)).Inc()
	m.counts.lastAction.WithLabelValues(group, action).Set(seconds(at))
	m.counts.duration.WithLabelValues(action).Observe(took.Seconds())
}

// ConfigLoaded notes that the configuration was read at the time given, and
// whether it is in use now.
func (m *Metrics) ConfigLoaded(ok bool, at time.Time) {
	m.counts.reloadOK.Set(number(ok))
	if ok {
		m.counts.reloadTime.Set(seconds(at))
	}
}

// AlertSent counts one alert that went out, or was given up, by "command" or
// "webhook".
func (m *Metrics) AlertSent(sink string, ok bool) {
	sink = bounded(alertSinks, sink)
	m.counts.alerts.WithLabelValues(sink).Inc()
	if !ok {
		m.counts.alertsFailed.WithLabelValues(sink).Inc()
	}
}
