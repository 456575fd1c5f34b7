package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/journal"
	"github.com/spacei/drbdnfs/pkg/metrics"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// expose makes the picture that the metrics show.
func (w *owner) expose() {
	w.dirty = false
	s := &metrics.Snapshot{
		DRBD: w.state.CloneOf(w.settings.shows), Resources: len(w.state.Resources), StreamUp: w.up, UsermodeHelper: usermodeHelper(w.o.Host),
		SplitBrains: map[metrics.Peer]metrics.SplitBrain{}, Policies: map[string]string{}, NFSD: w.group.nfsd,
	}
	if w.kernel != (drbd.Version{}) {
		s.Kernel = w.kernel.String()
	}
	if w.utils != (drbd.Version{}) {
		s.Utils = w.utils.String()
	}
	for _, t := range w.talks {
		if !w.settings.shows(t.resource) {
			continue
		}
		st := t.machine.Status()
		s.SplitBrains[metrics.Peer{Resource: t.resource, NodeID: t.peerID, Connection: cmp.Or(t.connection, t.peer)}] = metrics.SplitBrain{
			Found: st.Phase != splitbrain.PhaseNone, Phase: string(st.Phase), DetectedAt: st.FoundAt,
		}
		s.Policies[t.resource] = string(w.settings.policy(t.resource).Kind)
	}
	if w.group.group != nil {
		s.Groups = []metrics.Group{*w.group.group}
	} else if c := w.settings.config; c != nil {
		s.Groups = []metrics.Group{{Name: c.Pacemaker.Group, Exports: -1}}
		s.Policies[c.Resource.Name] = c.SplitBrain.Policy
	}
	w.snapshot.Store(s)
	w.mark()
}

// mark writes the files by which ha_cluster_exporter knows of a split brain
// (collector/drbd/drbd.go), and takes those away that are not true any more.
func (w *owner) mark() {
	c := w.settings.config
	if c == nil || c.SplitBrain.MarkerDir == "" {
		return
	}
	want := map[string]bool{}
	for _, t := range w.talks {
		r := w.state.Resources[t.resource]
		if r == nil {
			continue
		}
		for v := range r.Devices {
			path := filepath.Join(c.SplitBrain.MarkerDir, fmt.Sprintf("drbd-split-brain-detected-%s-%d", t.resource, v))
			want[path] = want[path] || t.phase != splitbrain.PhaseNone
		}
	}
	for path := range w.markers { // of a resource that is gone
		if _, known := want[path]; !known {
			want[path] = false
		}
	}
	for path, there := range want {
		if is, known := w.markers[path]; known && is == there {
			continue
		}
		err := w.setMark(path, there)
		if w.warn("marker for ha_cluster_exporter", err); err == nil {
			w.markers[path] = there
		}
	}
}

// setMark writes or removes one of these files. One that an earlier process has
// left is removed too.
func (w *owner) setMark(path string, there bool) error {
	if !there {
		return w.o.Host.Remove("daemon.marker", path)
	}
	if err := w.o.Host.MkdirAll("daemon.marker-dir", filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return w.o.Host.WriteFileAtomic("daemon.marker", path, nil, 0o644)
}

func (w *owner) warn(what string, err error) {
	if err != nil {
		w.o.Log.Warn("not written", "what", what, "err", err)
	}
}

// count brings the metrics up to date with what the stream has done.
func (w *owner) count() {
	c := w.stream.Counters()
	for o, n := range c.Lines {
		for i := w.counted.Lines[o]; i < n; i++ {
			w.metrics.Events2Line(o, c.LastEvent)
		}
	}
	for i := w.counted.ParseErrors; i < c.ParseErrors; i++ {
		w.metrics.Events2ParseError()
	}
	for i := w.counted.Restarts; i < c.Restarts; i++ {
		w.metrics.Events2Restarted()
	}
	w.counted = c
}

// words of the journal for each kind of alert.
var words = map[splitbrain.AlertKind]struct {
	text, id string
	level    slog.Level
}{
	splitbrain.AlertFound:     {"split brain found", journal.SplitBrainFound, slog.LevelError},
	splitbrain.AlertDecided:   {"split brain decided", journal.SplitBrainDecided, slog.LevelWarn},
	splitbrain.AlertDiscarded: {"split brain discarded", journal.SplitBrainDiscarded, slog.LevelWarn},
	splitbrain.AlertResolved:  {"split brain resolved", journal.SplitBrainResolved, slog.LevelInfo},
	splitbrain.AlertRefused:   {"split brain refused", journal.SplitBrainRefused, slog.LevelError},
	splitbrain.AlertFailed:    {"split brain failed", journal.SplitBrainFailed, slog.LevelError},
}

// alert tells people: in the journal, in the metrics, and whom the configuration
// names.
func (w *owner) alert(t *talk, a splitbrain.Alert) {
	w.dirty = true
	word := words[a.Kind]
	attrs := []any{
		journal.MessageID, word.id, "resource", t.resource, "peer", t.peer, "text", a.Text, "phase", string(a.Status.Phase),
		"incident", a.Status.Incident, "proof", strings.Join(a.Status.Proofs, ","), "snapshot", a.Status.Snapshot,
		"refusal", string(a.Status.Refusal), "remedy", a.Status.Remedy, "commands", commandText(a.Status),
	}
	if a.Kind == splitbrain.AlertDecided || a.Kind == splitbrain.AlertDiscarded {
		attrs = append(attrs, "evidence", evidenceText(a.Own, a.Peer))
	}
	//lint:ignore sloglint the message is one of the constants of words
	w.o.Log.Log(context.Background(), word.level, word.text, attrs...)
	policy := string(w.settings.policy(t.resource).Kind)
	switch a.Kind {
	case splitbrain.AlertFound:
		w.metrics.SplitBrainDetected(t.resource, a.Status.FoundAt)
	case splitbrain.AlertResolved:
		if a.Result == splitbrain.ResultAutomatic || a.Result == splitbrain.ResultOrdered {
			w.metrics.SplitBrainEnded(t.resource, policy, metrics.Resolved)
		}
	case splitbrain.AlertFailed:
		w.metrics.SplitBrainEnded(t.resource, policy, metrics.Failed)
	case splitbrain.AlertRefused:
		w.metrics.SplitBrainEnded(t.resource, policy, metrics.Refused)
	}
	w.alerts.send(t, a)
}

// commandText is what a person would run, in one line.
func commandText(s splitbrain.Status) string {
	var parts []string
	for _, c := range s.Commands {
		parts = append(parts, "on "+c.Node+": "+strings.Join(c.Commands, "; "))
	}
	return strings.Join(parts, " | ")
}

// evidenceText is what both sides had said when it was decided.
func evidenceText(own splitbrain.Evidence, peer *splitbrain.Evidence) string {
	list := []splitbrain.Evidence{own}
	if peer != nil {
		list = append(list, *peer)
	}
	var parts []string
	for _, e := range list {
		var text strings.Builder
		fmt.Fprintf(&text, "%s %s promoted %s mounted %s", e.Node, e.Role, e.Promoted, e.Mounted)
		for _, v := range e.Volumes {
			fmt.Fprintf(&text, ", volume %d %s gi %s:%s changed %d bytes", v.Volume, v.Disk, v.Identifiers.Current, v.Identifiers.Bitmap, v.ChangedBytes)
		}
		parts = append(parts, text.String())
	}
	return strings.Join(parts, " | ")
}

// tellSystemd feeds the watchdog and says in one line how things are.
func (w *owner) tellSystemd(now time.Time) {
	if w.o.Watchdog > 0 && now.Sub(w.watchdog) >= w.o.Watchdog {
		w.watchdog = now
		w.o.Notify("WATCHDOG=1")
	}
	if s := w.summary(); s != w.told {
		w.told = s
		w.o.Notify("STATUS=" + s)
	}
}

// summary is the state of things in a line.
func (w *owner) summary() string {
	var parts []string
	switch {
	case !w.known:
		parts = append(parts, "looking at DRBD")
	case !w.up:
		parts = append(parts, "DRBD is not followed: "+fmt.Sprint(w.down))
	case len(w.state.Resources) == 1:
		parts = append(parts, "following 1 resource")
	default:
		parts = append(parts, fmt.Sprintf("following %d resources", len(w.state.Resources)))
	}
	for _, t := range w.sorted() {
		if st := t.machine.Status(); st.Phase != splitbrain.PhaseNone {
			text := "split brain of " + t.String() + ": " + string(st.Phase)
			if st.Refusal != "" {
				text += " (" + string(st.Refusal) + ")"
			}
			parts = append(parts, text)
		}
	}
	if w.settings.broken != "" {
		parts = append(parts, "the configuration cannot be used: "+w.settings.broken)
	}
	slices.Sort(parts[1:])
	return strings.Join(parts, "; ")
}
