package cluster_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/cluster"
	"github.com/spacei/drbdnfs/pkg/setup/corosync"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const cibFile = "/var/lib/pacemaker/cib/cib.xml"

// packaged is the essence of Debian's corosync.conf.
const packaged = "totem {\n\tversion: 2\n\tcluster_name: debian\n}\nnodelist {\n\tnode {\n\t\tname: node1\n\t\tnodeid: 1\n\t\tring0_addr: 127.0.0.1\n\t}\n}\n"

const (
	emptyCIB = `<cib><configuration><crm_config/><nodes><node id="1" uname="node1"/></nodes><resources/><constraints/></configuration><status/></cib>`
	usedCIB  = `<cib><configuration><crm_config/><nodes/><resources><primitive id="web"/></resources><constraints/></configuration></cib>`
)

func token(c *config.Config) *config.Config {
	c.Corosync.Token = config.Duration(2 * time.Second)
	return c
}

func links(c *config.Config) *config.Config {
	c.Nodes[0].SecondAddress, c.Nodes[1].SecondAddress = "10.0.0.61", "10.0.0.62"
	return c
}

func qdevice(c *config.Config) *config.Config {
	c.Corosync.QDevice = config.QDevice{Host: "192.168.2.70", Algorithm: "ffsplit"}
	return c
}

// unencrypted is a file as a person writes it.
func unencrypted(c *config.Config) string {
	return strings.NewReplacer("    crypto_cipher: aes256\n", "", "    crypto_hash: sha256\n", "").Replace(corosync.Render(c))
}

// scene is a node as setup may find it.
type scene struct {
	name string
	self string
	pcs  bool
	c    *config.Config
	set  func(w *world)
}

func without(text, line string) string { return strings.ReplaceAll(text, line, "") }

var scenes = []scene{
	{"new-pcs-first", "drbdtest1", true, pair(), (*world).pcsAnswers},
	{"new-pcs-first-links-token", "drbdtest1", true, token(links(pair())), (*world).pcsAnswers},
	{"new-pcs-second", "drbdtest2", true, pair(), func(w *world) { w.setSecret(); w.pcsAnswers() }},
	{"new-pcs-second-no-secret", "drbdtest2", true, pair(), nil},
	{"new-first", "drbdtest1", false, pair(), (*world).pcsAnswers},
	{"new-second", "drbdtest2", false, pair(), func(w *world) { w.setSecret(); w.pcsAnswers() }},
	{"new-qdevice", "drbdtest1", true, qdevice(pair()), (*world).pcsAnswers},
	{"packaged", "drbdtest1", true, pair(), func(w *world) {
		w.form(packaged)
		w.SetFile(cibFile, emptyCIB)
		w.pcsAnswers()
	}},
	{"packaged-used", "drbdtest1", true, pair(), func(w *world) { w.form(packaged); w.SetFile(cibFile, usedCIB) }},
	{"cib-left", "drbdtest1", false, pair(), func(w *world) { w.SetFile(cibFile, emptyCIB); w.pcsAnswers() }},
	{"cib-left-used", "drbdtest1", false, pair(), func(w *world) { w.SetFile(cibFile, usedCIB) }},
	{"no-hacluster", "drbdtest1", true, pair(), func(w *world) { w.SetFile("/etc/passwd", "root:x:0:0::/root:/bin/sh\n") }},
	{"secret-exposed", "drbdtest1", true, pair(), func(w *world) { w.SetFile(config.DefaultSecretFile, "x\n") }},
	{"file-gone", "drbdtest1", true, pair(), func(w *world) { w.active["corosync.service"] = true }},
	{"file-broken", "drbdtest1", true, pair(), func(w *world) { w.SetFile(corosync.Path, "totem {\n") }},
	{"formed", "drbdtest1", true, pair(), func(w *world) { w.form(corosync.Render(w.c)) }},
	{"formed-by-hand", "drbdtest1", false, pair(), func(w *world) { w.form(unencrypted(w.c)) }},
	{"formed-stopped", "drbdtest1", false, pair(), func(w *world) {
		w.form(corosync.Render(w.c))
		clear(w.active)
		clear(w.online)
		w.pcsAnswers()
	}},
	{"formed-peer-offline", "drbdtest1", true, pair(), func(w *world) {
		w.form(corosync.Render(w.c))
		w.online["drbdtest2"], w.listening["192.168.2.62"] = false, true
		w.pcsAnswers()
	}},
	{"formed-peer-lost", "drbdtest1", true, pair(), func(w *world) { w.form(corosync.Render(w.c)); w.online["drbdtest2"] = false }},
	{"formed-peer-lost-no-pcs", "drbdtest1", false, pair(), func(w *world) { w.form(corosync.Render(w.c)); w.online["drbdtest2"] = false }},
	{"formed-not-installed", "drbdtest1", false, pair(), func(w *world) {
		w.form(corosync.Render(w.c))
		w.Tool("systemctl", func(host.Cmd) (string, error) { return "Id=corosync.service\nLoadState=not-found\n", nil })
	}},
	{"formed-peer-offline-second", "drbdtest2", true, pair(), func(w *world) { w.form(corosync.Render(w.c)); w.online["drbdtest1"] = false }},
	{"token-pcs-first", "drbdtest1", true, token(pair()), func(w *world) { w.form(corosync.Render(pair())) }},
	{"token-pcs-second", "drbdtest2", true, token(pair()), func(w *world) { w.form(corosync.Render(pair())) }},
	{"token", "drbdtest2", false, token(pair()), func(w *world) { w.form(unencrypted(pair())) }},
	{"token-not-loaded", "drbdtest1", true, token(pair()), func(w *world) {
		w.form(corosync.Render(w.c))
		w.loaded["totem.token"] = "3000"
	}},
	{"two-node-missing", "drbdtest1", true, pair(), func(w *world) { w.form(without(corosync.Render(w.c), "    two_node: 1\n")) }},
	{"other-cluster-pcs", "drbdtest1", true, pair(), func(w *world) { w.form(strings.Replace(corosync.Render(w.c), "nfs_cluster", "web", 1)) }},
	{"other-cluster", "drbdtest1", false, pair(), func(w *world) { w.form(strings.Replace(corosync.Render(w.c), "nfs_cluster", "web", 1)) }},
	{"other-nodes-pcs", "drbdtest1", true, pair(), func(w *world) { w.form(strings.Replace(corosync.Render(w.c), "drbdtest2", "tokyo", 1)) }},
	{"other-nodes", "drbdtest1", false, pair(), func(w *world) { w.form(strings.Replace(corosync.Render(w.c), "drbdtest2", "tokyo", 1)) }},
	{"other-address", "drbdtest1", true, links(pair()), func(w *world) {
		w.form(strings.Replace(corosync.Render(pair()), "192.168.2.62", "10.9.9.9", 1))
	}},
	{"qdevice-missing-pcs", "drbdtest1", true, qdevice(pair()), func(w *world) { w.form(corosync.Render(pair())) }},
	{"qdevice-missing-second", "drbdtest2", true, qdevice(pair()), func(w *world) { w.form(corosync.Render(pair())) }},
	{"qdevice-down", "drbdtest1", false, qdevice(pair()), func(w *world) { w.form(corosync.Render(w.c)) }},
	{"qdevice", "drbdtest1", true, qdevice(pair()), func(w *world) {
		w.form(corosync.Render(w.c))
		w.active["corosync-qdevice.service"] = true
	}},
	{"qdevice-extra", "drbdtest1", true, pair(), func(w *world) { w.form(corosync.Render(qdevice(pair()))) }},
}

func (s scene) world(t *testing.T) *world {
	w := newWorld(t, s.self, s.pcs, s.c)
	if s.set != nil {
		s.set(w)
	}
	return w
}

// text is a plan as a person could read it.
func text(items []setup.Item) string {
	var b strings.Builder
	for _, it := range items {
		fmt.Fprintf(&b, "%-6s %s: %s\n", it.Action, it.Object, it.Detail)
		if it.Why != "" {
			fmt.Fprintf(&b, "       why: %s\n", it.Why)
		}
		if it.Key != "" {
			fmt.Fprintf(&b, "       key: %s\n", it.Key)
		}
	}
	return b.String()
}

func refused(items []setup.Item) bool {
	for _, it := range items {
		if it.Action == setup.Refuse {
			return true
		}
	}
	return false
}

// Ensure that each scene gives the recorded plan and, when it is applied, the
// recorded commands, that Look runs nothing but what looks, and that after it
// there is nothing left to do.
func TestScenes(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := s.world(t)
				items := w.look()
				got := text(items)
				for _, c := range w.Commands() {
					if !strings.HasPrefix(c, "systemctl show ") && !strings.HasPrefix(c, "crm_mon ") && !strings.HasPrefix(c, "corosync-cmapctl ") {
						t.Errorf("Look runs %q", c)
					}
				}
				for _, it := range items {
					checkItem(t, it)
				}
				if !refused(items) {
					seen := len(w.Commands())
					if err := w.apply(t.Context()); err != nil {
						t.Fatal(err)
					}
					got += "\n" + commands(w.Commands()[seen:])
					w.quiet()
				}
				golden(t, s.name, got)
			})
		})
	}
}

// commands are those that change something, or wait, once each in a row.
func commands(argv []string) string {
	var b strings.Builder
	last := ""
	for _, c := range argv {
		if c != last && !strings.HasPrefix(c, "systemctl show ") && !strings.HasPrefix(c, "corosync-cmapctl ") {
			fmt.Fprintln(&b, "$ "+c)
		}
		last = c
	}
	return b.String()
}

func checkItem(t *testing.T, it setup.Item) {
	t.Helper()
	switch it.Action {
	case setup.Make, setup.Change, setup.Await:
		if it.Do == nil {
			t.Errorf("%s %s has nothing to do", it.Action, it.Object)
		}
	default:
		if it.Do != nil {
			t.Errorf("%s %s does something", it.Action, it.Object)
		}
	}
	if (it.Action == setup.Refuse || it.Action == setup.Warn) && it.Why == "" {
		t.Errorf("%s %s does not say what to do", it.Action, it.Object)
	}
	if it.Object == "" || it.Detail == "" {
		t.Errorf("an item without words: %+v", it)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// Ensure that removal takes nothing away and says how a person would.
func TestLookRemove(t *testing.T) {
	for _, s := range []scene{find(t, "formed"), find(t, "formed-by-hand"), find(t, "new-pcs-first")} {
		w := s.world(t)
		w.setSecret()
		items, err := w.stage().LookRemove(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "remove-"+s.name, text(items))
		for _, it := range items {
			if it.Action != setup.Keep || it.Do != nil || it.Why == "" {
				t.Errorf("%s: %+v", s.name, it)
			}
		}
	}
}

// Ensure that what cannot be looked at is an error and nothing is guessed.
func TestLookFails(t *testing.T) {
	for _, tt := range []struct{ scene, what string }{
		{"formed", "setup.cluster-units"},
		{"formed", "read " + corosync.Path},
		{"cib-left", "read " + cibFile},
		{"new-first", "read /etc/passwd"},
	} {
		w := find(t, tt.scene).world(t)
		w.Fail(tt.what, fs.ErrPermission)
		for _, look := range []func(context.Context) ([]setup.Item, error){w.stage().Look, w.stage().LookRemove} {
			if items, err := look(t.Context()); err == nil {
				t.Errorf("%s fails: %v", tt.what, items)
			}
		}
	}
}

// Ensure that the stage has its name, and that its defaults work.
func TestNew(t *testing.T) {
	w := newWorld(t, "drbdtest1", true, pair())
	s := cluster.New(cluster.Options{Machine: w, Config: w.c, Self: "drbdtest1"})
	if s.Name() != setup.Cluster {
		t.Errorf("Name is %q", s.Name())
	}
	if _, err := s.Look(t.Context()); err != nil {
		t.Error(err)
	}
}

// Ensure that the nodes and the coordinator are read from what a real crm_mon
// printed, and that other text is no cluster that works.
func TestCrmMon(t *testing.T) {
	recorded, err := os.ReadFile(filepath.Join("testdata", "crm_mon-2.1.5.xml"))
	if err != nil {
		t.Fatal(err)
	}
	pending := strings.Replace(string(recorded), `online="true" standby="false" standby_onfail="false" maintenance="false" pending="false"`,
		`online="true" standby="false" standby_onfail="false" maintenance="false" pending="true"`, 1)
	for _, tt := range []struct{ name, xml, want string }{
		{"recorded", string(recorded), "keep   membership of drbdtest1, drbdtest2: online, coordinator drbdtest2"},
		{"pending", pending, "await  membership of drbdtest1: drbdtest1 is not online yet"},
		{
			"no coordinator", strings.Replace(string(recorded), `current_dc present="true"`, `current_dc present="false"`, 1),
			"await  membership of drbdtest1: Pacemaker elects its coordinator",
		},
		{"other text", "crm_mon: not XML", "await  membership of drbdtest1: drbdtest1 is not online yet"},
	} {
		w := find(t, "formed-by-hand").world(t)
		w.Tool("crm_mon", func(host.Cmd) (string, error) { return tt.xml, nil })
		if got := text(w.look()); !strings.Contains(got, tt.want) {
			t.Errorf("%s: want %q in\n%s", tt.name, tt.want, got)
		}
	}
}
