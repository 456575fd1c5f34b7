package switchover_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/switchover"
)

// healthy is a cluster of two in which a move is possible, seen from the node
// that serves.
func healthy(t *testing.T) switchover.Facts {
	t.Helper()
	node := func(name string) pacemaker.Node {
		return pacemaker.Node{Name: name, Online: true, Attributes: map[string]string{"master-nfs": "10000"}}
	}
	instance := func(role, name string) pacemaker.Instance {
		return pacemaker.Instance{Resource: "nfs", Role: role, Nodes: []string{name}}
	}
	return switchover.Facts{
		Self: "drbdtest1", Group: "nfs", Resource: "res0", Nodes: []string{"drbdtest1", "drbdtest2"}, LockHeld: true,
		DRBD: dump(t, connected), Now: time.Unix(1_700_000_000, 0),
		Cluster: pacemaker.Status{
			HasDC: true, Quorum: true, Nodes: []pacemaker.Node{node("drbdtest1"), node("drbdtest2")},
			Clones: []pacemaker.Clone{{ID: "nfs-clone", Instances: []pacemaker.Instance{instance("Promoted", "drbdtest1"), instance("Unpromoted", "drbdtest2")}}},
		},
	}
}

func dump(t *testing.T, text string) *drbd.Resource {
	t.Helper()
	st, err := events2.ReadDump(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return st.Resources["res0"]
}

// setFacts changes what was seen.
type setFacts = func(*testing.T, *switchover.Facts)

// drbdIs has DRBD print something else.
func drbdIs(old, now string) setFacts {
	return func(t *testing.T, f *switchover.Facts) { f.DRBD = dump(t, strings.ReplaceAll(connected, old, now)) }
}

// target changes the node that the service is to move to.
func target(set func(*pacemaker.Node)) setFacts {
	return func(_ *testing.T, f *switchover.Facts) { set(&f.Cluster.Nodes[1]) }
}

// against is what stands against a move.
type against struct {
	name  string
	node  string
	set   setFacts
	want  switchover.Code // "" for nothing
	force bool
	says  string
}

// data, nodes and the cluster can stand against a move.
var (
	dataCases = []against{
		{"all is well", "", nil, "", false, ""},
		{"disk Inconsistent", "", drbdIs("peer-disk:UpToDate", "peer-disk:Inconsistent"), switchover.NotUpToDate, false, "drbdtest2's disk of res0 is Inconsistent"},
		{"disk Outdated", "", drbdIs("peer-disk:UpToDate", "peer-disk:Outdated"), switchover.NotUpToDate, false, "Outdated"},
		{"disk unknown word", "", drbdIs("peer-disk:UpToDate", "peer-disk:Fine"), switchover.NotUpToDate, false, "Fine"},
		{"StandAlone", "", drbdIs("connection:Connected", "connection:StandAlone"), switchover.NotConnected, false, "StandAlone"},
		{"connecting", "", drbdIs("connection:Connected", "connection:Connecting"), switchover.NotConnected, false, "Connecting"},
		{"resync", "", drbdIs("replication:Established", "replication:SyncSource"), switchover.Syncing, false, "SyncSource"},
		{"no replication", "", drbdIs("replication:Established", "replication:Off"), switchover.NotConnected, false, "Off"},
		{"DRBD not seen, score good", "", func(_ *testing.T, f *switchover.Facts) { f.DRBD, f.Blind = nil, "not loaded" }, "", false, ""},
		{"DRBD not seen, score low", "", func(_ *testing.T, f *switchover.Facts) {
			f.DRBD, f.Cluster.Nodes[1].Attributes = nil, map[string]string{"master-nfs": "10"}
		}, switchover.NotUpToDate, false, "score 10"},
		{"no score", "", target(func(n *pacemaker.Node) { n.Attributes = nil }), switchover.NotUpToDate, false, "score 0"},
		{"victim", "", target(func(n *pacemaker.Node) { n.Attributes[cib.VictimAttribute("res0")] = "1" }), switchover.Victim, false, "discarded"},
		{"split brain, not seen from here", "", func(_ *testing.T, f *switchover.Facts) {
			f.DRBD, f.SplitBrains = nil, []switchover.SplitBrain{{Nodes: [2]string{"drbdtest1", "drbdtest2"}, Phase: "held"}}
		}, switchover.Split, false, "held"},
		{"split brain that is over", "", func(_ *testing.T, f *switchover.Facts) {
			f.SplitBrains = []switchover.SplitBrain{{Nodes: [2]string{"drbdtest1", "drbdtest2"}, Phase: "held"}}
		}, "", false, ""},
	}
	nodeCases = []against{
		{"offline", "", target(func(n *pacemaker.Node) { n.Online = false }), switchover.NodeAway, false, "offline"},
		{"unclean", "", target(func(n *pacemaker.Node) { n.Unclean = true }), switchover.NodeAway, false, "unclean"},
		{"joining", "", target(func(n *pacemaker.Node) { n.Pending = true }), switchover.NodeAway, false, "joining"},
		{"standby", "", target(func(n *pacemaker.Node) { n.Standby = true }), switchover.NodeAway, false, "standby"},
		{"maintenance", "", target(func(n *pacemaker.Node) { n.Maintenance = true }), switchover.NodeAway, false, "maintenance"},
		{"stopped there", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.Clones[0].Instances[1].Nodes = nil }, switchover.Stopped, false, "does not run"},
		{"failed there", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.Clones[0].Instances[1].Failed = true }, switchover.Stopped, false, "has failed"},
	}
	clusterCases = []against{
		{"no coordinator", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.HasDC = false }, switchover.NoCoordinator, false, "coordinator"},
		{"no quorum", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.Quorum = false }, switchover.NoQuorum, false, "quorum"},
		{"cluster maintenance", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.Maintenance = true }, switchover.Off, false, "maintenance"},
		{"disabled", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.Clones[0].Disabled = true }, switchover.Off, false, "target-role"},
		{"unmanaged", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.Clones[0].Unmanaged = true }, switchover.Off, false, "unmanaged"},
		{"busy", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.Clones[0].Instances[1].Pending = "Starting" }, switchover.Busy, false, "starting"},
		{"promoted nowhere", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.Clones[0].Instances[0].Role = "Unpromoted" }, switchover.Nowhere, false, "nowhere"},
		{"promoted twice", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.Clones[0].Instances[1].Role = "Master" }, switchover.Busy, false, "drbdtest1 and drbdtest2"},
		{"no such group", "", func(_ *testing.T, f *switchover.Facts) { f.Cluster.Clones = nil }, switchover.NotThere, false, "no resource nfs"},
		{"no such node", "drbdtest9", nil, switchover.NotAMember, false, `no node "drbdtest9"`},
		{"diskless", "arbiter", func(_ *testing.T, f *switchover.Facts) { f.Diskless = []string{"arbiter"} }, switchover.NoData, false, "diskless"},
		{"another move", "", func(_ *testing.T, f *switchover.Facts) {
			f.Hold = &switchover.Hold{Target: "drbdtest2", By: "drbdtest2", Until: f.Now.Add(time.Minute)}
		}, switchover.Held, true, "drbdtest2 is moving the service"},
		{"another move that ended by itself", "", func(_ *testing.T, f *switchover.Facts) {
			f.Hold = &switchover.Hold{Target: "drbdtest2", By: "drbdtest2", Until: f.Now.Add(-time.Minute)}
		}, "", false, ""},
	}
)

// Ensure that each thing that stands against a move is found by its name, and
// can be forced only where no data depend on it.
func TestDecideMove(t *testing.T) {
	for _, tt := range slices.Concat(dataCases, nodeCases, clusterCases) {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy(t)
			if tt.set != nil {
				tt.set(t, &f)
			}
			p := switchover.Decide(f, switchover.Request{Action: switchover.Move, Node: tt.node})
			if tt.want == "" {
				if len(p.Refusals) > 0 || !p.Moves() || p.To != "drbdtest2" {
					t.Fatalf("plan %+v", p)
				}
				return
			}
			i := slices.IndexFunc(p.Refusals, func(r switchover.Refusal) bool { return r.Code == tt.want })
			if i < 0 || p.Refusals[i].Force != tt.force || !strings.Contains(p.Refusals[i].Text, tt.says) {
				t.Fatalf("refusals %+v, want %s with %q", p.Refusals, tt.want, tt.says)
			}
			forced := switchover.Decide(f, switchover.Request{Action: switchover.Move, Node: tt.node, Force: true})
			if forced.Refused() == tt.force {
				t.Errorf("with force refused: %v", forced.Refused())
			}
		})
	}
}

// Ensure that with more nodes the target is named when it cannot be meant, and
// chosen when it can.
func TestDecideThree(t *testing.T) {
	f := healthy(t)
	f.Nodes = append(f.Nodes, "drbdtest3")
	f.Cluster.Nodes = append(f.Cluster.Nodes, pacemaker.Node{Name: "drbdtest3", Online: true, Attributes: map[string]string{"master-nfs": "1000"}})
	f.Cluster.Clones[0].Instances = append(f.Cluster.Clones[0].Instances, pacemaker.Instance{Resource: "nfs", Role: "Unpromoted", Nodes: []string{"drbdtest3"}})
	f.DRBD = nil
	p := switchover.Decide(f, switchover.Request{Action: switchover.Move})
	if len(p.Refusals) != 1 || p.Refusals[0].Code != switchover.Ambiguous || p.Refusals[0].Remedy != "name one: drbdnfs move drbdtest2" {
		t.Errorf("refusals %+v", p.Refusals)
	}
	f.Cluster.Nodes[1].Standby = true
	if p := switchover.Decide(f, switchover.Request{Action: switchover.Move}); p.To != "drbdtest3" || len(p.Refusals) > 0 {
		t.Errorf("plan %+v", p)
	}
}

// Ensure that failback goes to the preferred node, or where the history says the
// service was, and nowhere by a guess.
func TestDecideFailback(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	history := func(task string, when int64) map[string]switchover.Operation {
		return map[string]switchover.Operation{
			"drbdtest1": {Task: "promote", OK: true, When: at(100)}, "drbdtest2": {Task: task, OK: true, When: at(when)},
		}
	}
	for _, tt := range []struct {
		name      string
		preferred string
		history   map[string]switchover.Operation
		to        string
		nothing   bool
		refused   bool
	}{
		{"preferred", "drbdtest2", nil, "drbdtest2", false, false},
		{"preferred is here", "drbdtest1", nil, "drbdtest1", true, false},
		{"from the history", "", history("demote", 98), "drbdtest2", false, false},
		{"demoted later, for another reason", "", history("demote", 101), "drbdtest1", false, true},
		{"never served", "", history("start", 98), "drbdtest1", false, true},
		{"nothing is known", "", nil, "drbdtest1", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy(t)
			f.Preferred, f.History = tt.preferred, tt.history
			p := switchover.Decide(f, switchover.Request{Action: switchover.Failback})
			if p.To != tt.to || (p.Nothing != "") != tt.nothing || p.Refused() != tt.refused {
				t.Errorf("plan %+v", p)
			}
			if tt.refused && p.Refusals[0].Remedy != "name the node: drbdnfs move drbdtest2" {
				t.Errorf("refusals %+v", p.Refusals)
			}
		})
	}
}

// Ensure that a passive node goes into standby unless it has the only good data.
func TestDecideStandby(t *testing.T) {
	f := healthy(t)
	p := switchover.Decide(f, switchover.Request{Action: switchover.Standby, Node: "drbdtest2"})
	if p.Refused() || p.Moves() || !strings.Contains(strings.Join(p.Notes, " "), "on drbdtest1 alone") {
		t.Errorf("plan %+v", p)
	}
	f.DRBD = dump(t, strings.Replace(connected, "disk:UpToDate quorum", "disk:Inconsistent quorum", 1))
	p = switchover.Decide(f, switchover.Request{Action: switchover.Standby, Node: "drbdtest2", Force: true})
	if !p.Refused() || p.Refusals[0].Code != switchover.LastCopy {
		t.Errorf("the only good data: %+v", p)
	}
	p = switchover.Decide(f, switchover.Request{Action: switchover.Unstandby, Node: "nobody"})
	if !p.Refused() || p.Refusals[0].Remedy != "name one of drbdtest1, drbdtest2" {
		t.Errorf("no such node: %+v", p)
	}
}

// Ensure that what Pacemaker's scheduler foresees is refused, each with its way
// out, and that failed actions are forgotten when forced.
func TestForesee(t *testing.T) {
	const rule = `<rsc_location id="nfs-preferred" rsc="nfs-clone"><rule id="r" role="Promoted" score="%"><expression id="e" attribute="#uname" operation="eq" value="drbdtest1"/></rule></rsc_location>`
	failed := func(_ *testing.T, w *cluster) {
		v := state(w.doc, "drbdtest2").FindElement(".//instance_attributes").CreateElement("nvpair")
		v.CreateAttr("name", "fail-count-nfs#promote_0")
		v.CreateAttr("value", "INFINITY")
	}
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, w *cluster)
		want    switchover.Code
		force   bool
		says    string
	}{
		{"the old node is preferred", func(t *testing.T, w *cluster) { w.constrain(t, strings.Replace(rule, "%", "50", 1)) }, switchover.GoesBack, false, "constraint nfs-preferred"},
		{"a strong preference", func(t *testing.T, w *cluster) { w.constrain(t, strings.Replace(rule, "%", "99999", 1)) }, switchover.WontPromote, false, "would not promote"},
		{"another resource moves along", func(t *testing.T, w *cluster) { w.constrain(t, `<rsc_colocation id="c"/>`) }, switchover.Disturbs, true, "web (move on drbdtest1)"},
		{"it has failed there", failed, switchover.Failed, true, "too often on drbdtest2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			within(t, func(ctx context.Context, w *cluster) {
				tt.prepare(t, w)
				tr := &trial{w: w}
				tr.attempt(ctx, t, switchover.Request{Action: switchover.Move})
				if tr.err != nil || tr.ran || len(tr.plan.Refusals) != 1 {
					t.Fatalf("plan %+v, error %v", tr.plan, tr.err)
				}
				if r := tr.plan.Refusals[0]; r.Code != tt.want || r.Force != tt.force || !strings.Contains(r.Text, tt.says) {
					t.Errorf("refusal %+v", r)
				}
				if !tt.force {
					return
				}
				forced := &trial{w: w}
				forced.attempt(ctx, t, switchover.Request{Action: switchover.Move, Force: true})
				if forced.err != nil || forced.result.Active != "drbdtest2" {
					t.Errorf("forced: %+v, error %v\n%s", forced.result, forced.err, forced.out.String())
				}
				if tt.want == switchover.Failed && !slices.Contains(w.argv, "crm_resource --cleanup --resource nfs --node drbdtest2") {
					t.Errorf("never cleaned up: %v", w.argv)
				}
			})
		})
	}
}
