package resources_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/resources"
)

// cluster is a Pacemaker whose programs a machine has. A patch is, between its
// tools, the whole new CIB with the version that it was made from.
type cluster struct {
	*hosttest.Host
	mu          sync.Mutex
	doc         *etree.Document
	stopped     bool
	old         int                       // that many patches come too late
	onOld       func(doc *etree.Document) // what somebody else does then
	patches     int
	quorumAfter int  // that many patches meet no quorum
	lose        bool // patches are accepted and forgotten
	mode        map[string]os.FileMode
	verify      func(doc string) string // errors
	simulate    func(doc string) string // actions
	mon         func() string
	monCalled   int
}

func newCluster(t *testing.T, file string) *cluster {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := cib.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	w := &cluster{Host: hosttest.New(t), doc: doc, mode: map[string]os.FileMode{}}
	w.verify = func(string) string { return "" }
	w.simulate = func(string) string { return "" }
	w.mon = func() string { return monitor("Promoted", "Unpromoted", "", "") }
	w.Tool("cibadmin", w.locked(w.cibadmin))
	w.Tool("crm_verify", w.locked(w.crmVerify))
	w.Tool("crm_simulate", w.locked(w.crmSimulate))
	w.Tool("crm_diff", w.locked(w.crmDiff))
	w.Tool("crm_mon", w.locked(w.crmMon))
	return w
}

func (w *cluster) locked(f func(c host.Cmd) (string, error)) func(c host.Cmd) (string, error) {
	return func(c host.Cmd) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.stopped && (c.Name == "cibadmin" || c.Name == "crm_mon") {
			return "", hosttest.Exit(c, 102, "Could not connect to the CIB: Transport endpoint is not connected")
		}
		return f(c)
	}
}

func (w *cluster) version() string {
	root := w.doc.Root()
	return root.SelectAttrValue("epoch", "") + "." + root.SelectAttrValue("num_updates", "")
}

func (w *cluster) cibadmin(c host.Cmd) (string, error) {
	if c.Args[0] == "--query" {
		return w.doc.WriteToString()
	}
	w.patches++
	if w.patches <= w.quorumAfter {
		return "", hosttest.Exit(c, 106, "Call cib_apply_diff failed (-202): Local partition does not have quorum")
	}
	if w.old > 0 {
		w.old--
		if w.onOld != nil {
			w.onOld(w.doc)
		}
		return "", hosttest.Exit(c, 103, "Call cib_apply_diff failed (-205): Update was older than existing configuration")
	}
	from, text, _ := strings.Cut(string(c.Stdin), "\n")
	if from != w.version() {
		return "", hosttest.Exit(c, 103, "Call cib_apply_diff failed (-205): Update was older than existing configuration")
	}
	if w.lose {
		return "", nil
	}
	doc, err := cib.Parse([]byte(text))
	if err != nil {
		return "", hosttest.Exit(c, 65, err.Error())
	}
	w.doc = doc
	return "", nil
}

func (w *cluster) crmVerify(c host.Cmd) (string, error) {
	if text := w.verify(string(c.Stdin)); text != "" {
		return "", hosttest.Exit(c, 78, text)
	}
	return "", nil
}

func (w *cluster) crmSimulate(c host.Cmd) (string, error) {
	return "<pacemaker-result><actions>" + w.simulate(string(c.Stdin)) + "</actions></pacemaker-result>", nil
}

func (w *cluster) crmDiff(c host.Cmd) (string, error) {
	before, ok := w.File(c.Args[1])
	after, too := w.File(c.Args[3])
	if !ok || !too {
		return "", hosttest.Exit(c, 66, "no such file")
	}
	for _, p := range []string{"/run/drbdnfs", "/run/drbdnfs/setup-cib", c.Args[1], c.Args[3]} {
		if st, err := w.Lstat(p); err == nil {
			w.mode[p] = st.Mode().Perm()
		}
	}
	doc, err := cib.Parse([]byte(before))
	if err != nil {
		return "", hosttest.Exit(c, 65, err.Error())
	}
	root := doc.Root()
	return root.SelectAttrValue("epoch", "") + "." + root.SelectAttrValue("num_updates", "") + "\n" + after, hosttest.Exit(c, 1, "")
}

func (w *cluster) crmMon(host.Cmd) (string, error) {
	w.monCalled++
	return w.mon(), nil
}

// monitor is what crm_mon prints for the group on two nodes; role "" is stopped.
func monitor(role1, role2, cloneAttr, more string) string {
	instance := func(role, node string) string {
		if role == "" {
			return ""
		}
		role, pending, _ := strings.Cut(role, " ")
		return fmt.Sprintf(`<resource id="nfs" role="%s" pending="%s"><node name="%s"/></resource>`, role, pending, node)
	}
	return `<pacemaker-result><summary><current_dc present="true" with_quorum="true"/><cluster_options maintenance-mode="false"/></summary>` +
		`<nodes><node name="drbdtest1" online="true"/><node name="drbdtest2" online="true"/></nodes>` +
		`<resources><clone id="nfs-clone" managed="true" ` + cloneAttr + `>` + instance(role1, "drbdtest1") + instance(role2, "drbdtest2") +
		`</clone></resources>` + more + `</pacemaker-result>`
}

// failed is crm_mon's section about failed actions.
func failed(nodes ...string) string {
	out := "<failures>"
	for _, n := range nodes {
		out += `<failure op_key="nfs_start_0" node="` + n + `" exitstatus="error" exitreason="no &amp;apos;device&amp;apos; on ` + n + `" task="start"/>`
	}
	return out + "</failures>"
}

// change lets somebody else edit the cluster's CIB.
func (w *cluster) change(edit func(root *etree.Element)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	edit(w.doc.Root())
}

func (w *cluster) stage(self string, c *config.Config) *resources.Stage {
	return resources.New(resources.Options{Machine: w.Host, Config: c, Self: self})
}

// progress keeps what is waited for.
type progress struct{ texts []string }

func (p *progress) Waiting(what string) {
	if n := len(p.texts); n == 0 || p.texts[n-1] != what {
		p.texts = append(p.texts, what)
	}
}

func (p *progress) Fraction(float64, string) {}

// run does the items in turn.
func run(t *testing.T, items []setup.Item, p setup.Progress) error {
	t.Helper()
	for _, it := range items {
		if (it.Action == setup.Make || it.Action == setup.Change || it.Action == setup.Drop || it.Action == setup.Await) != (it.Do != nil) {
			t.Errorf("item %s (%s) and its Do do not fit", it.Object, it.Action)
		}
		if it.Do == nil {
			continue
		}
		if err := it.Do(context.Background(), p); err != nil {
			return err
		}
	}
	return nil
}

func look(t *testing.T, s *resources.Stage) []setup.Item {
	t.Helper()
	items, err := s.Look(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// short is an item for comparison.
func short(items []setup.Item) []string {
	var out []string
	for _, it := range items {
		out = append(out, string(it.Action)+" "+it.Object+": "+it.Detail)
	}
	return out
}

func example() *config.Config {
	return &config.Config{
		Nodes:      []config.Node{{Name: "drbdtest1"}, {Name: "drbdtest2"}},
		Resource:   config.Resource{Name: "res0"},
		Filesystem: config.Filesystem{Type: "xfs", Mount: "/home/nfs"},
		NFS: config.NFS{
			Versions: []string{"3", "4.1", "4.2"}, Threads: 128,
			LeaseTime: config.Duration(30 * time.Second), GraceTime: config.Duration(30 * time.Second),
			Ports: config.Ports{Mountd: 32773, Statd: 32771, StatdOutgoing: 32772, LockdTCP: 32774, LockdUDP: 32775},
		},
		Exports: []config.Export{{
			Path: "/home/nfs/user-data", Clients: []string{"192.168.2.0/24"}, Options: []string{"rw", "sync", "no_root_squash"},
		}},
		VIPs: []config.VIP{{Address: "192.168.2.63/24", Interface: "ens3"}},
		Pacemaker: config.Pacemaker{
			Group: "nfs", Stickiness: 200, MigrationThreshold: 3, FailureTimeout: config.Duration(300 * time.Second),
			MonitorInterval: config.Duration(10 * time.Second),
		},
		Fencing: config.Fencing{Mode: config.FencingNone, AcceptSplitBrain: true},
	}
}
