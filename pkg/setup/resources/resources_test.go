package resources_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
)

const (
	empty = "../../cib/testdata/empty-debian-2.1.5.xml"
	made  = "../../cib/testdata/pcs-0.11.xml"
)

// Ensure that the first run makes everything with one patch, from the checked
// configuration, leaves no file, and that a second run finds nothing to do.
func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCluster(t, empty)
		w.mon = func() string {
			if w.patches == 0 {
				return monitor("", "", "", "")
			}
			return monitor("Promoted", "Unpromoted", "", "")
		}
		items := look(t, w.stage("drbdtest1", example()))
		want := []string{
			"make property stonith-enabled: false (default true)",
			"make property no-quorum-policy: ignore (default stop)",
			"make clone nfs-clone: ocf:spacei:drbdnfs on 2 nodes, one of them Promoted",
			"make location nfs-no-victim: nfs-clone is never Promoted where drbdnfsd discards data",
			"await group nfs: until it is Promoted on one node",
			"warn fencing: a cut link can split the data: both nodes would serve, and one of them loses what it wrote",
		}
		if diff := cmp.Diff(want, short(items)); diff != "" {
			t.Errorf("items (-want +got):\n%s", diff)
		}
		if err := run(t, items, &progress{}); err != nil {
			t.Fatal(err)
		}
		if w.patches != 1 || w.version() != "6.0" {
			t.Errorf("%d patches lead to version %s, want 1 and 6.0", w.patches, w.version())
		}
		checkFiles(t, w)
		want = []string{"keep group nfs in the CIB: as configured", "keep group nfs: Promoted on drbdtest1", want[5]}
		if diff := cmp.Diff(want, short(look(t, w.stage("drbdtest1", example())))); diff != "" {
			t.Errorf("items of the second run (-want +got):\n%s", diff)
		}
	})
}

// text is a document as XML.
func text(t *testing.T, doc *etree.Document) string {
	t.Helper()
	s, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkFiles fails the test unless the temporary files were for root alone and
// are gone.
func checkFiles(t *testing.T, w *cluster) {
	t.Helper()
	dir := "/run/drbdnfs/setup-cib"
	want := map[string]fs.FileMode{"/run/drbdnfs": 0o700, dir: 0o700, dir + "/before.xml": 0o600, dir + "/after.xml": 0o600}
	if diff := cmp.Diff(want, w.mode); diff != "" {
		t.Errorf("temporary files (-want +got):\n%s", diff)
	}
	if _, err := w.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

// Ensure that the programs run with these arguments, and that a run that finds
// nothing to do only looks.
func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCluster(t, made)
		c := example()
		_ = look(t, w.stage("drbdtest1", c))
		want := []string{"cibadmin --query", "crm_mon --one-shot --output-as=xml"}
		if diff := cmp.Diff(want, w.Commands()); diff != "" {
			t.Errorf("commands without a change (-want +got):\n%s", diff)
		}
		c.NFS.Threads = 64
		w.simulate = func(string) string { return `<rsc_action action="start" resource="nfs:0" node="drbdtest1"/>` }
		items := look(t, w.stage("drbdtest1", c))
		before := len(w.Commands())
		if err := items[0].Do(context.Background(), &progress{}); err != nil {
			t.Fatal(err)
		}
		simulate := "crm_simulate --run --xml-pipe --output-as=xml"
		want = []string{
			"cibadmin --query", "crm_verify --verbose --xml-pipe", simulate, simulate, "cibadmin --query",
			"crm_diff --original /run/drbdnfs/setup-cib/before.xml --new /run/drbdnfs/setup-cib/after.xml",
			"cibadmin --patch --xml-pipe", "cibadmin --query",
		}
		if diff := cmp.Diff(want, w.Commands()[before:]); diff != "" {
			t.Errorf("commands of a change (-want +got):\n%s", diff)
		}
		if items[0].Object != "primitive nfs" || items[0].Detail != "nfs_threads 128 → 64" || items[0].Interrupts != "" || items[0].Key != "nfs.threads" {
			t.Errorf("item %+v", items[0])
		}
	})
}

// Ensure that what somebody else changes at the same time survives, and that
// after five times the run ends with an error.
func TestConcurrentChange(t *testing.T) {
	for _, tt := range []struct {
		name    string
		old     int
		patches int
		text    string
	}{
		{"once", 1, 2, ""},
		{"four times", 4, 5, ""},
		{"five times", 5, 5, "5 times in a row"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newCluster(t, empty)
				items := look(t, w.stage("drbdtest1", example()))
				w.old = tt.old
				w.onOld = func(doc *etree.Document) {
					root := doc.Root()
					root.CreateAttr("epoch", root.SelectAttrValue("epoch", "")+"1")
					constraints := root.FindElement("configuration/constraints")
					constraints.CreateElement("rsc_location").CreateAttr("id", "drbd-fence-by-handler-"+root.SelectAttrValue("epoch", ""))
				}
				err := items[0].Do(context.Background(), &progress{})
				checkError(t, err, tt.text)
				if w.patches != tt.patches {
					t.Errorf("%d patches, want %d", w.patches, tt.patches)
				}
				if n := strings.Count(text(t, w.doc), "drbd-fence-by-handler-"); n != tt.old {
					t.Errorf("%d constraints of somebody else, want %d", n, tt.old)
				}
			})
		})
	}
}

// Ensure that a change of the configuration between the check and the patch is
// checked as well, and one of the status section is not.
func TestChangeDuringCheck(t *testing.T) {
	for _, tt := range []struct {
		attr     string
		verified int
	}{
		{"num_updates", 1}, {"epoch", 2},
	} {
		t.Run(tt.attr, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newCluster(t, empty)
				items := look(t, w.stage("drbdtest1", example()))
				verified := 0
				w.verify = func(string) string {
					if verified++; verified == 1 {
						w.doc.Root().CreateAttr(tt.attr, "77")
					}
					return ""
				}
				if err := items[0].Do(context.Background(), &progress{}); err != nil {
					t.Fatal(err)
				}
				if verified != tt.verified || w.patches != 1 {
					t.Errorf("verified %d times, %d patches, want %d and 1", verified, w.patches, tt.verified)
				}
			})
		})
	}
}

func checkError(t *testing.T, err error, text string) {
	t.Helper()
	switch {
	case text == "" && err != nil:
		t.Error(err)
	case text != "" && (err == nil || !strings.Contains(err.Error(), text)):
		t.Errorf("error %v does not say %q", err, text)
	}
}

// Ensure that a configuration that crm_verify refuses, or that would disturb
// something else, is refused with its text before anything is sent; what was
// wrong before is not our concern.
func TestRefuse(t *testing.T) {
	group := `resource="nfs:0" source="drbdtest1"/>`
	after := func(doc, text string) string {
		if strings.Contains(doc, "nfs-clone") {
			return text
		}
		return ""
	}
	for _, tt := range []struct {
		name     string
		verify   func(doc string) string
		simulate func(doc string) string
		want     string
	}{
		{"new error", func(doc string) string { return after(doc, "(x) \terror: no such agent") }, nil, "refuses the new configuration: no such agent"},
		{"no text", func(doc string) string { return after(doc, "broken") }, nil, "exit code 78: broken"},
		{"known error", func(string) string {
			return "Entity: line 7: element foo\n(x)\terror: line 9: Either configure STONITH"
		}, nil, ""},
		{"warnings", func(string) string { return "crm_verify: Warnings found during check: config may not be valid" }, nil, ""},
		{"foreign stop", nil, func(doc string) string {
			return after(doc, `<rsc_action action="stop" resource="web" node="drbdtest2"/>`)
		}, "disturb web (stop on drbdtest2)"},
		{"foreign move", nil, func(doc string) string {
			return after(doc, `<rsc_action action="move" resource="db:1" source="drbdtest1" dest="drbdtest2"/>`)
		}, "disturb db (move on drbdtest1)"},
		{"foreign stop anyway", nil, func(string) string { return `<rsc_action action="stop" resource="web" node="drbdtest2"/>` }, ""},
		{"foreign start", nil, func(doc string) string {
			return after(doc, `<rsc_action action="start" resource="web" node="drbdtest2"/>`)
		}, ""},
		{"blocked", nil, func(doc string) string {
			return after(doc, `<rsc_action action="stop" resource="web" node="drbdtest2" blocked="true"/>`)
		}, ""},
		{"ours", nil, func(doc string) string {
			return after(doc, `<rsc_action action="restart" `+group+`<rsc_action action="stop" resource="drbdnfs-ipmi1" node="drbdtest1"/>`)
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newCluster(t, empty)
				do := look(t, w.stage("drbdtest1", example()))[0].Do
				if tt.verify != nil {
					w.verify = tt.verify
				}
				if tt.simulate != nil {
					w.simulate = tt.simulate
				}
				items := look(t, w.stage("drbdtest1", example()))
				refused := len(items) == 1 && items[0].Action == setup.Refuse && strings.Contains(items[0].Detail, tt.want) && items[0].Do == nil
				if refused != (tt.want != "") {
					t.Errorf("items %q, want a refusal with %q", short(items), tt.want)
				}
				checkError(t, do(context.Background(), &progress{}), tt.want)
				if (w.patches == 0) != (tt.want != "") {
					t.Errorf("%d patches", w.patches)
				}
			})
		})
	}
}

// Ensure that one node applies: the one on which the group is Promoted, else the
// first one.
func TestWhoApplies(t *testing.T) {
	threads := func(c *config.Config) { c.NFS.Threads = 64 }
	export := func(c *config.Config) {
		c.Exports = append(c.Exports, config.Export{Path: "/home/nfs/new", Clients: []string{"*"}})
	}
	for _, tt := range []struct {
		name   string
		mon    string
		self   string
		change func(*config.Config)
		want   string
	}{
		{"first node", monitor("", "", "", ""), "drbdtest1", threads, "change primitive nfs: nfs_threads 128 → 64"},
		{"second node", monitor("", "", "", ""), "drbdtest2", threads, "other group nfs in the CIB: drbdtest1 does it"},
		{"first node, not active", monitor("Unpromoted", "Promoted", "", ""), "drbdtest1", threads, "other group nfs in the CIB: drbdtest2 does it"},
		{"second node, active", monitor("Slave", "Master", "", ""), "drbdtest2", threads, "change primitive nfs: nfs_threads 128 → 64"},
		{"export, active", monitor("Unpromoted", "Promoted", "", ""), "drbdtest2", export, "change primitive nfs: exports +/home/nfs/new *()"},
		{"export, not active", monitor("Unpromoted", "Promoted", "", ""), "drbdtest1", export, "refuse exports of the group nfs: run it on drbdtest2, which is active: /home/nfs/new must be on the volume first, which is mounted there"},
		{"nothing to do", monitor("Promoted", "", "", ""), "drbdtest2", func(*config.Config) {}, "other group nfs in the CIB: as configured"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newCluster(t, made)
			w.mon = func() string { return tt.mon }
			c := example()
			tt.change(c)
			if got := short(look(t, w.stage(tt.self, c)))[0]; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Ensure that drift is shown on every node and changed on none.
func TestDrift(t *testing.T) {
	for _, self := range []string{"drbdtest1", "drbdtest2"} {
		w := newCluster(t, made)
		w.change(func(root *etree.Element) {
			root.FindElement("//op[@name='stop']").CreateAttr("timeout", "soon")
		})
		items := look(t, w.stage(self, example()))
		want := "keep operation stop of nfs: timeout soon is not understood; the agent needs 120s"
		if !slices.Contains(short(items), want) {
			t.Errorf("%s: items %q lack %q", self, short(items), want)
		}
		if err := run(t, items, &progress{}); err != nil || w.patches > 0 {
			t.Errorf("%d patches, error %v", w.patches, err)
		}
	}
}

// Ensure that without a cluster there is one item for later, and that a name
// that is taken is refused.
func TestLookAtOther(t *testing.T) {
	w := newCluster(t, made)
	c := example()
	c.Fencing.Mode = config.FencingSTONITH
	w.stopped = true
	want := []string{"later group nfs in the CIB: Pacemaker does not run here yet"}
	if diff := cmp.Diff(want, short(look(t, w.stage("drbdtest1", c)))); diff != "" {
		t.Errorf("items without a cluster (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, short(look(t, (&cluster{Host: hosttest.New(t)}).stage("drbdtest1", c)))); diff != "" {
		t.Errorf("items without Pacemaker (-want +got):\n%s", diff)
	}
	w.stopped = false
	c.Resource.Name = "other"
	items := look(t, w.stage("drbdtest1", c))
	if len(items) != 1 || items[0].Action != setup.Refuse || !strings.Contains(items[0].Detail, "pcs resource remove nfs") {
		t.Errorf("items %q, want a refusal", short(items))
	}
}

// Ensure that each failing step ends the run with its error, leaves no file
// with secrets, and that the next run completes the work.
func TestFailingSteps(t *testing.T) {
	for _, op := range []string{
		"setup.cib.query", "setup.cib.verify", "setup.cib.simulate", "setup.cib.clean", "setup.cib.mkdir",
		"setup.cib.write", "setup.cib.diff", "setup.cib.patch",
	} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newCluster(t, empty)
				items := look(t, w.stage("drbdtest1", example()))
				broken := errors.New("broken")
				w.FailOnce(op, broken)
				if err := items[0].Do(context.Background(), &progress{}); !errors.Is(err, broken) {
					t.Errorf("error %v, want the injected one", err)
				}
				if err := items[0].Do(context.Background(), &progress{}); err != nil || w.patches != 1 {
					t.Errorf("the next run: %d patches, error %v", w.patches, err)
				}
				checkFiles(t, w)
			})
		})
	}
}

// Ensure that a run that is killed anywhere is continued by the next one.
func TestKilled(t *testing.T) {
	for _, op := range []string{"setup.cib.mkdir", "setup.cib.write", "setup.cib.diff", "setup.cib.patch", "setup.cib.clean"} {
		for _, when := range []hosttest.When{hosttest.Before, hosttest.During, hosttest.After} {
			t.Run(op+" "+string(when), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newCluster(t, empty)
					s := w.stage("drbdtest1", example())
					do := look(t, s)[0].Do
					w.Kill(op, 1, when)
					w.Action(context.Background(), func(ctx context.Context) { _ = do(ctx, &progress{}) })
					w.Clear()
					if err := run(t, look(t, s), &progress{}); err != nil {
						t.Fatal(err)
					}
					if items := look(t, s); items[0].Action != setup.Keep || w.patches != 1 {
						t.Errorf("after the next run: %q, %d patches", short(items), w.patches)
					}
				})
			})
		}
	}
}

// Ensure that the run waits for quorum, without which Pacemaker takes no patch,
// and ends when it does not come.
func TestNoQuorum(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refused int
		text    string
	}{
		{"comes", 20, ""}, {"never comes", 1 << 30, "context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newCluster(t, empty)
				items := look(t, w.stage("drbdtest1", example()))
				w.quorumAfter = tt.refused
				p := &progress{}
				checkError(t, items[0].Do(context.Background(), p), tt.text)
				if diff := cmp.Diff([]string{"the cluster has no quorum: start the other nodes"}, p.texts); diff != "" {
					t.Errorf("waited for (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Ensure that a patch that is accepted and has no effect is noticed.
func TestLostPatch(t *testing.T) {
	w := newCluster(t, empty)
	items := look(t, w.stage("drbdtest1", example()))
	w.lose = true
	checkError(t, items[0].Do(context.Background(), &progress{}), "the CIB does not have the change: property stonith-enabled")
}

// Ensure that an address that another machine has is refused before anything is
// touched, and that the group's own addresses are not asked for.
func TestTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCluster(t, made)
		w.Neighbours[netip.MustParseAddr("192.168.2.70")] = true
		w.Neighbours[netip.MustParseAddr("192.168.2.63")] = true // the peer, which serves
		c := example()
		c.VIPs = append(c.VIPs, config.VIP{Address: "192.168.2.70/24", Interface: "ens3"})
		want := []string{
			"refuse service address 192.168.2.70/24: 192.168.2.70 on ens3: address is in use by another machine: 52:54:00:ff:00:01 answers for it",
		}
		items := look(t, w.stage("drbdtest1", c))
		if diff := cmp.Diff(want, short(items)); diff != "" {
			t.Errorf("items (-want +got):\n%s", diff)
		}
		if items[0].Key != "vip[1].address" || w.patches != 0 {
			t.Errorf("key %q, %d patches", items[0].Key, w.patches)
		}
		clear(w.Neighbours)
		if items = look(t, w.stage("drbdtest1", c)); items[0].Action != setup.Change {
			t.Errorf("the free address: %v", short(items))
		}
		c.VIPs[1].Interface = "ens9"
		if items = look(t, w.stage("drbdtest1", c)); items[0].Action != setup.Refuse || !strings.Contains(items[0].Detail, "ens9") {
			t.Errorf("without its interface: %v", short(items))
		}
	})
}
