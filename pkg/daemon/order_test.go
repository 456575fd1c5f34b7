package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/notice"
	"github.com/spacei/drbdnfs/pkg/splitbrain"
)

// between is the incident that both nodes show.
func (w *world) between() string {
	var e [2]splitbrain.Evidence
	for i, n := range w.nodes {
		values, err := n.owner.cluster.client.Query(w.t.Context(), splitbrain.Attribute(resource, "drbdtest1", "drbdtest2"))
		if err != nil {
			w.t.Error(err)
			return ""
		}
		if e[i], err = splitbrain.UnmarshalEvidence(string(values[n.Name])); err != nil {
			w.t.Error(err)
			return ""
		}
	}
	return splitbrain.Incident(e[0], e[1])
}

// order is a person's, on one node.
func (n *node) order(incident, victim, snapshot string) {
	o := notice.Notice{When: time.Now(), Order: &notice.Order{Resource: resource, Incident: incident, Victim: victim, Snapshot: snapshot}}
	n.ask(func(w *owner) { w.noticed(o) })
}

// Ensure that with the policy manual an order on either node resolves the split
// brain on both: the victim's data is in a snapshot, the other side's is kept.
func TestOrder(t *testing.T) {
	for kernel, v84 := range kernels {
		for given := range 2 {
			for victim := range 2 {
				w := newOrdered(t, v84, given, victim)
				want := [2]int{}
				want[victim] = 1
				if got := w.discards(t, true); got != want {
					t.Errorf("%s, order on drbdtest%d: discarded %v, want %v", kernel, given+1, got, want)
				}
				w.untouched(t)
			}
		}
	}
}

func newOrdered(t *testing.T, v84 bool, given, victim int) *world {
	t.Helper()
	return story(t, v84, automatic("manual"), func(w *world) {
		if victim == 0 {
			w.idle()
		}
		w.diverge(8*mib, 2*mib)
		w.sleep(15 * time.Minute) // a person takes his time
		n := w.nodes[given]
		n.order("5f1c5f1c5f1c5f1c", w.nodes[victim].Name, "required")
		w.sleep(time.Minute)
		if got := w.discards(t, true); got != [2]int{} || n.status().Refusal != splitbrain.RefusalOrderVoid {
			t.Errorf("an order for another split brain: discarded %v, %+v", got, n.status())
		}
		n.order(w.between(), w.nodes[victim].Name, "required")
		w.sleep(time.Minute)
		for _, n := range w.nodes {
			if s := n.status(); s.Phase != splitbrain.PhaseNone || n.side.conn != "Connected" {
				t.Errorf("%s is %s and ends with %+v", n.Name, n.side.conn, s)
			}
			if !strings.Contains(n.log.String(), "is over (ordered)") {
				t.Errorf("%s does not tell of the end:\n%s", n.Name, n.log.String())
			}
		}
	})
}

// Ensure that an order is only followed for the resource of the configuration,
// for a node of it, and where there is a split brain; and that the node in use
// never discards.
func TestOrderNotFollowed(t *testing.T) {
	w := story(t, false, automatic("manual"), func(w *world) {
		n := w.nodes[0]
		n.order("5f1c", "drbdtest2", "off")
		w.diverge(8*mib, 2*mib)
		w.sleep(time.Minute)
		id := w.between()
		n.order(id, "drbdtest3", "off")
		n.order(id, "drbdtest1", "off")
		w.sleep(time.Minute)
		if o := n.status().Order; o != (splitbrain.Order{}) {
			t.Errorf("order %+v", o)
		}
		n.ask(func(o *owner) {
			o.noticed(notice.Notice{Order: &notice.Order{Resource: "other", Incident: id, Victim: "drbdtest2", Snapshot: "off"}})
		})
	})
	if got := w.discards(t, true); got != [2]int{} {
		t.Errorf("discarded %v", got)
	}
	log := w.nodes[0].log.String()
	for _, text := range []string{"a person's order is not followed\" resource=res0 victim=drbdtest2", "it is in use there", "refusal=order-void", "is not the one of the configuration"} {
		if !strings.Contains(log, text) {
			t.Errorf("%q is not told:\n%s", text, log)
		}
	}
}
