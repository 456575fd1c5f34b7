package switchover_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/config"
)

// How long the agents of the fake cluster take.
const (
	demoteTime  = time.Second
	promoteTime = 2 * time.Second
	stopTime    = time.Second
)

var errKilled = errors.New("the program was killed")

// cluster is a Pacemaker of two nodes whose state is its CIB, and a machine of
// it. Its scheduler knows promotion scores, rules for the promoted role, standby
// and nodes that are away; its agents take time.
type cluster struct {
	begin    func() // of the scheduler
	mu       sync.Mutex
	doc      *etree.Document
	pending  map[string]string // by node
	offline  map[string]bool
	failures []string // crm_mon's elements
	vip      string   // the node that answers
	locked   bool
	dead     bool
	cancel   context.CancelFunc
	argv     []string
	drbd     string // what drbdsetup prints
	quorum   bool
	evidence string

	failPromote map[string]int // that many promotions fail
	onPromote   func()         // as one begins
	hang        map[string]bool
	fail        map[string]error
	killAt      int // that change kills the program, before it is made
	killAfter   bool
	stuck       bool // agents never end
	changes     int
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	data, err := os.ReadFile("testdata/cib-two-nodes.xml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := cib.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{
		doc: doc, vip: "drbdtest1", pending: map[string]string{}, offline: map[string]bool{}, quorum: true,
		failPromote: map[string]int{}, hang: map[string]bool{}, fail: map[string]error{}, drbd: connected,
	}
}

// connected is what drbdsetup prints on drbdtest1 while all is well.
const connected = `exists resource name:res0 role:Primary suspended:no
exists connection name:res0 peer-node-id:1 conn-name:drbdtest2 connection:Connected role:Secondary
exists device name:res0 volume:0 minor:1000 disk:UpToDate quorum:yes
exists peer-device name:res0 peer-node-id:1 conn-name:drbdtest2 volume:0 replication:Established peer-disk:UpToDate
exists -
`

// configuration is that of the fake cluster.
func configuration(t *testing.T) *config.Config {
	t.Helper()
	text := strings.NewReplacer(`mode = ""`, "mode = \"none\"\naccept_split_brain = true").Replace(config.Example())
	c, err := config.Parse("drbdnfs.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c.Resource.Name = "res0"
	return c
}

// serve runs the scheduler until ctx ends.
func (w *cluster) serve(ctx context.Context) {
	for ctx.Err() == nil {
		w.mu.Lock()
		act := w.next()
		w.mu.Unlock()
		if act != nil && !w.stuck {
			act()
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// now is a copy of the CIB, for looking at it while the scheduler runs.
func (w *cluster) now() *etree.Document {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.doc.Copy()
}

// next is what the cluster does next, nil for nothing.
func (w *cluster) next() func() {
	active, want := active(w.doc), w.schedule(w.doc)
	for _, n := range []string{"drbdtest1", "drbdtest2"} {
		running := task(w.doc, n) != "stop"
		switch {
		case n == active && n != want && w.offline[n]:
			return func() { w.set(n, "stop", 0, nil) }
		case n == active && n != want:
			return func() { w.set(n, "demote", demoteTime, func() { w.vip = "" }) }
		case standby(w.doc, n) && running:
			return func() { w.set(n, "stop", stopTime, nil) }
		case !standby(w.doc, n) && !running && !w.offline[n]:
			return func() { w.set(n, "start", stopTime, nil) }
		}
	}
	if active == "" && want != "" && task(w.doc, want) != "stop" {
		return func() { w.promote(want) }
	}
	return nil
}

func (w *cluster) set(node, op string, takes time.Duration, before func()) {
	w.mu.Lock()
	w.pending[node] = map[string]string{"demote": "Demoting", "stop": "Stopping", "start": "Starting"}[op]
	if before != nil {
		before()
	}
	w.mu.Unlock()
	time.Sleep(takes)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[node] = ""
	w.record(node, op, takes)
}

func (w *cluster) record(node, op string, took time.Duration) {
	el := state(w.doc, node).FindElement(".//lrm_rsc_op")
	el.CreateAttr("operation", op)
	el.CreateAttr("exec-time", strconv.FormatInt(took.Milliseconds(), 10))
	el.CreateAttr("last-rc-change", strconv.FormatInt(time.Now().Unix(), 10))
}

func (w *cluster) promote(node string) {
	w.mu.Lock()
	w.pending[node] = "Promoting"
	hook := w.onPromote
	w.mu.Unlock()
	if hook != nil {
		hook()
	}
	time.Sleep(promoteTime)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[node] = ""
	switch {
	case w.offline[node]:
	case w.failPromote[node] > 0:
		w.failPromote[node]--
		w.failures = append(w.failures, fmt.Sprintf(`<failure op_key="nfs_promote_0" node="%s" exitstatus="error" exitreason="mount /home/nfs: \x1b[31mno such device" exitcode="1" call="%d" last-rc-change="%s" task="promote"/>`,
			node, len(w.failures), time.Now().UTC().Format("2006-01-02 15:04:05Z")))
		w.record(node, "demote", promoteTime)
	default:
		w.record(node, "promote", promoteTime)
		w.vip = node
	}
}

// schedule is the node that a CIB wants promoted.
func (w *cluster) schedule(doc *etree.Document) string {
	best, most := "", 0
	now := active(doc)
	for _, n := range []string{"drbdtest1", "drbdtest2"} {
		if w.offline[n] || standby(doc, n) {
			continue
		}
		if s := score(doc, n) + rules(doc, n); s > most || s == most && n == now {
			best, most = n, s
		}
	}
	return best
}

func state(doc *etree.Document, node string) *etree.Element {
	return doc.FindElement("./cib/status/node_state[@uname='" + node + "']")
}

func task(doc *etree.Document, node string) string {
	return state(doc, node).FindElement(".//lrm_rsc_op").SelectAttrValue("operation", "")
}

func active(doc *etree.Document) string {
	for _, n := range []string{"drbdtest1", "drbdtest2"} {
		if task(doc, n) == "promote" {
			return n
		}
	}
	return ""
}

func scoreElement(doc *etree.Document, node string) *etree.Element {
	return state(doc, node).FindElement(".//nvpair[@name='master-nfs']")
}

func score(doc *etree.Document, node string) int {
	v := scoreElement(doc, node)
	if v == nil {
		return -1
	}
	n, _ := strconv.Atoi(v.SelectAttrValue("value", ""))
	return n
}

func standby(doc *etree.Document, node string) bool {
	v := doc.FindElement("./cib/configuration/nodes/node[@uname='" + node + "']/instance_attributes/nvpair[@name='standby']")
	return v != nil && v.SelectAttrValue("value", "") == "on"
}

// rules are the scores of the constraints that hold now.
func rules(doc *etree.Document, node string) int {
	sum := 0
	for _, r := range doc.FindElements("./cib/configuration/constraints/rsc_location/rule") {
		x := r.FindElement("./expression[@attribute='#uname']")
		if x == nil || x.SelectAttrValue("value", "") != node {
			continue
		}
		if d := r.FindElement("./date_expression"); d != nil {
			end, err := time.Parse("2006-01-02 15:04:05Z", d.SelectAttrValue("end", ""))
			if err != nil || !time.Now().Before(end) {
				continue
			}
		}
		if s := r.SelectAttrValue("score", ""); s == "-INFINITY" {
			sum -= 1_000_000
		} else {
			n, _ := strconv.Atoi(s)
			sum += n
		}
	}
	return sum
}
