package cib_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/cib"
	"github.com/spacei/drbdnfs/pkg/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// example is the procedure's configuration.
func example() *config.Config {
	return &config.Config{
		Cluster: "nfs_cluster",
		Nodes: []config.Node{
			{Name: "drbdtest1", Address: "192.168.2.61"},
			{Name: "drbdtest2", Address: "192.168.2.62"},
		},
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

// with returns the example with changes.
func with(changes ...func(*config.Config)) *config.Config {
	c := example()
	for _, change := range changes {
		change(c)
	}
	return c
}

func fenced(c *config.Config) {
	c.Fencing = config.Fencing{Mode: config.FencingSTONITH, Devices: []config.FenceDevice{
		{Name: "ipmi1", Agent: "fence_ipmilan", Targets: []string{"drbdtest1"}, Level: 1, Parameters: map[string]string{
			"ip": "10.0.0.1", "username": "admin", "password": "very-secret",
		}},
		{Name: "ipmi2", Agent: "fence_ipmilan", Targets: []string{"drbdtest2"}, Level: 1, Parameters: map[string]string{
			"ip": "10.0.0.2", "username": "admin", "password": "very-secret",
		}},
	}}
}

func levels(c *config.Config) {
	fenced(c)
	c.Fencing.Mode = config.FencingDRBD
	c.Fencing.Timeout = config.Duration(90 * time.Second)
	c.Fencing.Devices = append(c.Fencing.Devices, config.FenceDevice{
		Name: "pdu", Agent: "fence_apc", Targets: []string{"drbdtest1", "drbdtest2"}, Level: 2,
		Parameters: map[string]string{"ip": "10.0.0.9", "pcmk_host_map": "drbdtest1:1;drbdtest2:2"},
	})
}

func quorum(c *config.Config) { c.Fencing = config.Fencing{Mode: config.FencingQuorum} }

func third(c *config.Config) {
	c.Nodes = append(c.Nodes, config.Node{Name: "drbdtest3", Address: "192.168.2.64"})
}

func tieBreaker(c *config.Config) {
	third(c)
	c.Nodes[2].Diskless = true
}

func everything(c *config.Config) {
	c.VIPs = append(c.VIPs, config.VIP{Address: "fd00:2::63/64", Interface: "ens3"})
	c.Exports[0].Clients = append(c.Exports[0].Clients, "fd00:2::/64")
	c.Exports = append(c.Exports, config.Export{Path: "/home/nfs/more data", Clients: []string{"*"}, Options: []string{"ro"}, FSID: "7"})
	c.Pacemaker.Notify, c.Pacemaker.Preferred, c.Pacemaker.NoQuorumPolicy = true, "drbdtest1", "demote"
	c.Pacemaker.Alert = config.Alert{Path: "/usr/libexec/drbdnfs/alert", Recipient: "/run/alert.sock", Timeout: config.Duration(10 * time.Second)}
	c.Filesystem.MountOptions, c.NFS.StateDir, c.NFS.Scope, c.NFS.Threads = "noatime", "/home/nfs/state", "files", 16
	c.NFS.LeaseTime, c.NFS.GraceTime = config.Duration(90*time.Second), config.Duration(100*time.Second)
	c.NFS.Versions, c.NFS.Ports.Mountd = []string{"4.2"}, 20048
}

// configurations are those with a golden file.
var configurations = map[string]*config.Config{
	"none":            example(),
	"quorum":          with(tieBreaker, quorum),
	"stonith":         with(fenced),
	"stonith-three":   with(fenced, third),
	"fence-peer":      with(levels),
	"everything":      with(everything),
	"everything-more": with(levels, everything, tieBreaker),
}

// Ensure that a configuration is always printed as the same CIB, which is that
// of its golden file.
func TestPrint(t *testing.T) {
	for name, c := range configurations {
		t.Run(name, func(t *testing.T) {
			golden(t, "print-"+name+".xml", cib.Print(c))
		})
	}
}

// Ensure that two names that make the same id are told, in a comment.
func TestPrintSameID(t *testing.T) {
	got := cib.Print(with(fenced, func(c *config.Config) { c.Pacemaker.Group = "drbdnfs-ipmi1" }))
	want := "<!-- the id \"drbdnfs-ipmi1\" is taken by something else in the CIB: set pacemaker.group to another name -->\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
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
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func parse(t *testing.T, text string) *etree.Document {
	t.Helper()
	doc, err := cib.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func load(t *testing.T, file string) *etree.Document {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

func text(t *testing.T, doc *etree.Document) string {
	t.Helper()
	s, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// merge merges twice and makes sure that the second time does nothing, and that
// what was given stays as it is.
func merge(t *testing.T, doc *etree.Document, c *config.Config) (*etree.Document, []cib.Change) {
	t.Helper()
	before := text(t, doc)
	out, changes, err := cib.Merge(doc, c)
	if err != nil {
		t.Fatal(err)
	}
	if text(t, doc) != before {
		t.Error("Merge has changed its argument")
	}
	again, more, err := cib.Merge(out, c)
	if err != nil {
		t.Fatal(err)
	}
	more = slices.DeleteFunc(more, func(ch cib.Change) bool { return ch.Kind == cib.Drift })
	if len(more) > 0 {
		t.Errorf("a second merge changes %+v", more)
	}
	if diff := cmp.Diff(text(t, out), text(t, again)); diff != "" {
		t.Errorf("a second merge differs (-first +second):\n%s", diff)
	}
	return out, changes
}

func lines(changes []cib.Change) []string {
	var out []string
	for _, ch := range changes {
		line := string(ch.Kind) + " " + ch.Object + ": " + ch.Detail
		if ch.Interrupts != "" {
			line += " (" + ch.Interrupts + ")"
		}
		out = append(out, line)
	}
	return out
}

// documents are the CIBs that every configuration is merged into.
var documents = []string{
	"empty-debian-2.1.5.xml", "empty-el8-2.1.7.xml", "empty-3.5.xml", "pcs-0.10.xml", "pcs-0.11.xml", "master.xml", "foreign.xml",
}

// Ensure that every configuration can be merged into every CIB, that a second
// merge changes nothing, and that what is foreign survives as it was.
func TestMergeTwice(t *testing.T) {
	for _, file := range documents {
		for name, c := range configurations {
			t.Run(file+"/"+name, func(t *testing.T) {
				doc := load(t, file)
				out, changes := merge(t, doc, c)
				if len(changes) == 0 && name != "none" {
					t.Error("nothing has changed")
				}
				checkForeign(t, doc, out)
			})
		}
	}
}

// checkForeign fails the test when an object that is not the group's has
// changed.
func checkForeign(t *testing.T, before, after *etree.Document) {
	t.Helper()
	have := map[string]int{}
	for _, el := range after.FindElements("/cib/*/*/*") {
		have[render(t, el)]++
	}
	for _, el := range before.FindElements("/cib/*/*/*") {
		id := el.SelectAttrValue("id", "")
		ours := el.Tag == "cluster_property_set" || strings.HasPrefix(id, "nfs") || strings.HasPrefix(id, "drbdnfs-")
		if !ours && have[render(t, el)] == 0 {
			t.Errorf("%s %s was changed or removed", el.Tag, id)
		}
	}
}

// render returns an element as text.
func render(t *testing.T, el *etree.Element) string {
	t.Helper()
	doc := etree.NewDocumentWithRoot(el.Copy())
	doc.WriteSettings.CanonicalAttrVal = true
	return text(t, doc)
}
