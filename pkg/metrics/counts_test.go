package metrics_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/metrics"
)

// expect compares some series; a negative value means: not shown.
func expect(t *testing.T, w *world, want map[string]float64) {
	t.Helper()
	got := series(t, w)
	for s, v := range want {
		if g, ok := got[s]; v < 0 && ok || v >= 0 && (!ok || g != v) {
			t.Errorf("%s = %v, shown %v; want %v", s, g, ok, v)
		}
	}
}

// Ensure that metrics without a source are refused.
func TestNewWithoutSource(t *testing.T) {
	if _, err := metrics.New(metrics.Options{}); err == nil {
		t.Error("no error")
	}
}

// Ensure that what an alert will ask for is there, as 0, before it happens.
func TestStartsAtZero(t *testing.T) {
	w := newWorld(t, managed)
	w.snap = &metrics.Snapshot{
		Policies: map[string]string{"res0": "keep-node"},
		Groups:   []metrics.Group{{Name: "nfs", Exports: -1}},
	}
	expect(t, w, map[string]float64{
		"drbdnfs_events2_restarts_total":                                                                  0,
		"drbdnfs_events2_parse_errors_total":                                                              0,
		`drbdnfs_events2_lines_total{object="helper"}`:                                                    0,
		`drbdnfs_helper_calls_total{helper="split-brain",name="res0"}`:                                    0,
		`drbdnfs_split_brain_detected_total{name="res0"}`:                                                 0,
		`drbdnfs_split_brain_last_detected_timestamp_seconds{name="res0"}`:                                0,
		`drbdnfs_split_brain_resolutions_total{name="res0",policy="keep-node",result="resolved"}`:         0,
		`drbdnfs_split_brain_resolutions_total{name="res0",policy="keep-node",result="failed"}`:           0,
		`drbdnfs_split_brain_resolutions_total{name="res0",policy="keep-node",result="refused"}`:          0,
		`drbdnfs_agent_actions_total{action="promote",group="nfs",rc="0"}`:                                0,
		`drbdnfs_agent_action_duration_seconds_count{action="promote"}`:                                   0,
		`drbdnfs_agent_last_action_timestamp_seconds{action="promote",group="nfs"}`:                       -1,
		`drbdnfs_alerts_total{sink="webhook"}`:                                                            0,
		`drbdnfs_alerts_failures_total{sink="command"}`:                                                   0,
		`drbdnfs_exports{group="nfs"}`:                                                                    -1,
		`drbdnfs_nfsd_threads`:                                                                            -1,
		`drbdnfs_split_brain_resolutions_total{name="res0",policy="discard-secondary",result="resolved"}`: -1,
	})
}

// Ensure that everything that happens is counted where it belongs.
func TestCounts(t *testing.T) {
	w := newWorld(t, managed)
	at := time.Unix(1700000000, 500e6)
	w.Events2Restarted()
	w.Events2ParseError()
	w.Events2Line(drbd.ObjectDevice, at)
	w.Events2Line(drbd.ObjectDevice, at.Add(time.Second))
	w.HelperCalled("res0", "fence-peer")
	w.SplitBrainDetected("res0", at)
	w.SplitBrainDetected("res0", at.Add(-time.Hour)) // told late, by the kernel's log
	w.SplitBrainEnded("res0", "manual", metrics.Refused)
	w.AgentAction("nfs", "promote", 0, 3*time.Second, at)
	w.AgentAction("nfs", "promote", 1, 70*time.Second, at.Add(time.Minute))
	w.ConfigLoaded(true, at)
	w.ConfigLoaded(false, at.Add(time.Minute))
	w.AlertSent("command", true)
	w.AlertSent("command", false)
	expect(t, w, map[string]float64{
		"drbdnfs_events2_restarts_total":                                                      1,
		"drbdnfs_events2_parse_errors_total":                                                  1,
		`drbdnfs_events2_lines_total{object="device"}`:                                        2,
		`drbdnfs_events2_lines_total{object="resource"}`:                                      0,
		"drbdnfs_events2_last_event_timestamp_seconds":                                        1700000001.5,
		`drbdnfs_helper_calls_total{helper="fence-peer",name="res0"}`:                         1,
		`drbdnfs_split_brain_detected_total{name="res0"}`:                                     2,
		`drbdnfs_split_brain_last_detected_timestamp_seconds{name="res0"}`:                    1700000000.5,
		`drbdnfs_split_brain_resolutions_total{name="res0",policy="manual",result="refused"}`: 1,
		`drbdnfs_agent_actions_total{action="promote",group="nfs",rc="0"}`:                    1,
		`drbdnfs_agent_actions_total{action="promote",group="nfs",rc="1"}`:                    1,
		`drbdnfs_agent_last_action_timestamp_seconds{action="promote",group="nfs"}`:           1700000060.5,
		`drbdnfs_agent_action_duration_seconds_sum{action="promote"}`:                         73,
		`drbdnfs_agent_action_duration_seconds_bucket{action="promote",le="5"}`:               1,
		`drbdnfs_agent_action_duration_seconds_bucket{action="promote",le="120"}`:             2,
		"drbdnfs_config_last_reload_successful":                                               0,
		"drbdnfs_config_last_reload_success_timestamp_seconds":                                1700000000.5,
		`drbdnfs_alerts_total{sink="command"}`:                                                2,
		`drbdnfs_alerts_failures_total{sink="command"}`:                                       1,
	})
}

// Ensure that the time of a split brain survives a restart of the daemon: it
// is in the record of the snapshot.
func TestLastDetectedFromRecord(t *testing.T) {
	w := diverged(t)
	restarted := newWorld(t, managed)
	restarted.snap = w.snap
	expect(t, restarted, map[string]float64{
		`drbdnfs_split_brain_last_detected_timestamp_seconds{name="res0"}`:        float64(found.Unix()),
		`drbdnfs_split_brain_detected_total{name="res0"}`:                         0,
		`drbdnfs_split_brain{conn_name="drbdtest1",name="res0",peer_node_id="0"}`: 1,
	})
}

// Ensure that no word from outside makes more series than there are words.
func TestBoundedLabels(t *testing.T) {
	w := newWorld(t, managed)
	w.snap = &metrics.Snapshot{Policies: map[string]string{"res0": "discard-everything"}}
	for i := range 100 {
		w.HelperCalled("res0", fmt.Sprintf("helper-%d", i))
		w.HelperCalled(fmt.Sprintf("res-%d", i), "split-brain") // not managed
		w.SplitBrainDetected(fmt.Sprintf("res-%d", i), found)
		w.SplitBrainEnded(fmt.Sprintf("res-%d", i), "manual", metrics.Failed)
		w.Events2Line(drbd.Object(fmt.Sprintf("object-%d", i)), found)
		w.AgentAction(fmt.Sprintf("group-%d", i), "start", 0, time.Second, found)
		w.AgentAction("group-0", fmt.Sprintf("action-%d", i), 0, time.Second, found)
		w.AgentAction("group-0", "start", 1000+i, time.Second, found)
		w.AlertSent(fmt.Sprintf("sink-%d", i), true)
		w.SplitBrainEnded("res0", fmt.Sprintf("policy-%d", i), metrics.Failed)
	}
	w.AgentAction("group-0", "monitor", 191, time.Second, found)
	expect(t, w, map[string]float64{
		`drbdnfs_helper_calls_total{helper="other",name="res0"}`:                            100,
		`drbdnfs_events2_lines_total{object="other"}`:                                       100,
		`drbdnfs_agent_actions_total{action="start",group="other",rc="0"}`:                  100 - metrics.MaxGroups,
		`drbdnfs_agent_actions_total{action="other",group="group-0",rc="0"}`:                100,
		`drbdnfs_agent_actions_total{action="start",group="group-0",rc="other"}`:            100,
		`drbdnfs_agent_actions_total{action="monitor",group="group-0",rc="191"}`:            1,
		`drbdnfs_alerts_total{sink="other"}`:                                                100,
		`drbdnfs_split_brain_resolutions_total{name="res0",policy="other",result="failed"}`: 100,
		`drbdnfs_discard_policy_info{name="res0",policy="other"}`:                           1,
	})
	for s := range series(t, w) {
		if strings.Contains(s, `name="res-`) {
			t.Errorf("%s is shown", s)
		}
	}
}

// Ensure that the scope decides what is shown and counted, and that counts go
// with their resource, but not those of a managed one that is down.
func TestScope(t *testing.T) {
	up := parse(t,
		"exists resource name:res0 role:Secondary suspended:no may_promote:no promotion_score:1",
		"exists resource name:pvc-1 role:Secondary suspended:no may_promote:no promotion_score:1",
		"exists connection name:pvc-1 peer-node-id:1 conn-name:b connection:Connected role:Primary")
	w := newWorld(t, managed)
	w.snap = &metrics.Snapshot{DRBD: up, Policies: map[string]string{"pvc-1": "manual"}}
	w.HelperCalled("res0", "split-brain")
	w.HelperCalled("pvc-1", "split-brain")
	const res0, pvc1 = `drbdnfs_helper_calls_total{helper="split-brain",name="res0"}`, `drbdnfs_helper_calls_total{helper="split-brain",name="pvc-1"}`
	const pvcLink = `drbdnfs_split_brain{conn_name="b",name="pvc-1",peer_node_id="1"}`
	const pvcPolicy = `drbdnfs_discard_policy_info{name="pvc-1",policy="manual"}`
	expect(t, w, map[string]float64{
		res0: 1, pvc1: -1, pvcLink: -1, pvcPolicy: -1, `drbd_resource_suspended{name="pvc-1"}`: -1, "drbd_resource_resources": 2,
	})

	w.SetScope(metrics.Scope{Managed: []string{"res0"}, All: true})
	w.HelperCalled("pvc-1", "split-brain")
	expect(t, w, map[string]float64{res0: 1, pvc1: 1, pvcLink: 0, pvcPolicy: 1, `drbd_resource_suspended{name="pvc-1"}`: 0})

	gone := drbd.NewState() // not read to its end: nothing is gone yet
	w.snap = &metrics.Snapshot{DRBD: gone}
	series(t, w)
	w.snap = &metrics.Snapshot{DRBD: up}
	expect(t, w, map[string]float64{res0: 1, pvc1: 1})

	gone.Complete = true
	w.snap = &metrics.Snapshot{DRBD: gone}
	expect(t, w, map[string]float64{res0: 1, pvc1: -1})
	w.snap = &metrics.Snapshot{DRBD: up}
	expect(t, w, map[string]float64{res0: 1, pvc1: 0})
}

// Ensure that a split brain on record is shown although its connection is
// gone, once, and beside the connections that have none.
func TestSplitBrainOfNoConnection(t *testing.T) {
	w := newWorld(t, managed)
	w.snap = &metrics.Snapshot{
		DRBD: parse(t,
			"exists resource name:res0 role:Secondary suspended:no may_promote:no promotion_score:1",
			"exists connection name:res0 peer-node-id:2 conn-name:c connection:Connected role:Primary"),
		SplitBrains: map[metrics.Peer]metrics.SplitBrain{
			{Resource: "res0", NodeID: 1, Connection: "b"}:  {Found: true, Phase: "held"},
			{Resource: "pvc-1", NodeID: 1, Connection: "b"}: {Found: true, Phase: "held"},
		},
	}
	expect(t, w, map[string]float64{
		`drbdnfs_split_brain{conn_name="b",name="res0",peer_node_id="1"}`:                    1,
		`drbdnfs_split_brain_phase{conn_name="b",name="res0",peer_node_id="1",phase="held"}`: 1,
		`drbdnfs_split_brain{conn_name="c",name="res0",peer_node_id="2"}`:                    0,
		`drbdnfs_split_brain_phase{conn_name="c",name="res0",peer_node_id="2",phase="none"}`: 1,
		`drbdnfs_split_brain{conn_name="b",name="pvc-1",peer_node_id="1"}`:                   -1,
	})
}

// Ensure that the steps of a group are shown only where it is active.
func TestGroupSteps(t *testing.T) {
	w := newWorld(t, managed)
	g := metrics.Group{Name: "nfs", Active: true, Steps: map[string]bool{"vip": false}}
	w.snap = &metrics.Snapshot{Groups: []metrics.Group{g}}
	expect(t, w, map[string]float64{`drbdnfs_group_active{group="nfs"}`: 1, `drbdnfs_group_step_ok{group="nfs",step="vip"}`: 0})
	g.Active = false
	w.snap = &metrics.Snapshot{Groups: []metrics.Group{g}}
	expect(t, w, map[string]float64{`drbdnfs_group_active{group="nfs"}`: 0, `drbdnfs_group_step_ok{group="nfs",step="vip"}`: -1})
}
