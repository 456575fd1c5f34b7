package corosync_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/setup/corosync"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// ignoreBind leaves out what only Packaged looks at.
var ignoreBind = cmpopts.IgnoreUnexported(corosync.Conf{})

func pair() *config.Config {
	return &config.Config{
		Cluster: "nfs_cluster",
		Nodes: []config.Node{
			{Name: "drbdtest1", Address: "192.168.2.61"},
			{Name: "drbdtest2", Address: "192.168.2.62"},
		},
	}
}

func links(c *config.Config) *config.Config {
	c.Nodes[0].SecondAddress, c.Nodes[1].SecondAddress = "10.0.0.61", "10.0.0.62"
	return c
}

func token(c *config.Config) *config.Config {
	c.Corosync.Token = config.Duration(2 * time.Second)
	return c
}

func qdevice(c *config.Config, algorithm string) *config.Config {
	c.Corosync.QDevice = config.QDevice{Host: "192.168.2.70", Algorithm: algorithm}
	return c
}

func nodes(n int) *config.Config {
	c := &config.Config{Cluster: "large"}
	for i := range n {
		c.Nodes = append(c.Nodes, config.Node{Name: fmt.Sprintf("n%d", i+1), Address: fmt.Sprintf("192.168.2.%d", i+1), Diskless: i == n-1})
	}
	return c
}

func read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(t testing.TB, text string) *corosync.Conf {
	t.Helper()
	c, err := corosync.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Ensure that the written file is as recorded, that it reads as what was wanted,
// and that it differs from the configuration in nothing.
func TestRender(t *testing.T) {
	tests := []struct {
		name string
		c    *config.Config
	}{
		{"two-nodes", pair()},
		{"two-links-token", token(links(pair()))},
		{"qdevice-ffsplit", qdevice(pair(), "ffsplit")},
		{"qdevice-lms", qdevice(pair(), "lms")},
		{"three-nodes", nodes(3)},
		{"thirty-two-nodes", nodes(32)},
		{"ipv6", &config.Config{Cluster: "six", Nodes: []config.Node{{Name: "a", Address: "fd00::1"}, {Name: "b", Address: "fd00::2"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := corosync.Render(tt.c)
			file := filepath.Join("testdata", "render-"+tt.name+".conf")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(read(t, filepath.Base(file)), got); diff != "" {
				t.Errorf("Render (-want +got):\n%s", diff)
			}
			have, want := parse(t, got), corosync.Want(tt.c)
			if diff := cmp.Diff(want, have, ignoreBind); diff != "" {
				t.Errorf("Parse(Render) (-want +got):\n%s", diff)
			}
			if d := corosync.Compare(have, want); len(d) > 0 {
				t.Errorf("Compare found %v", d)
			}
			if have.Packaged() {
				t.Error("what was written counts as packaged")
			}
		})
	}
}

// Ensure that two nodes get two_node, and no other number and none with a quorum
// device, which corosync refuses together.
func TestTwoNode(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    *config.Config
		want bool
	}{
		{"two", pair(), true},
		{"three", nodes(3), false},
		{"two and device", qdevice(pair(), "lms"), false},
	} {
		if got := strings.Contains(corosync.Render(tt.c), "two_node: 1"); got != tt.want {
			t.Errorf("%s: two_node written: %v, want %v", tt.name, got, tt.want)
		}
		if strings.Contains(corosync.Render(tt.c), "wait_for_all") {
			t.Errorf("%s: wait_for_all is written", tt.name)
		}
	}
}

// Ensure that files of pcs, of a distribution and of a person are read.
func TestParse(t *testing.T) {
	tests := []struct {
		file string
		want *corosync.Conf
	}{
		{"pcs-0.10.18.conf", &corosync.Conf{
			Name: "nfs_cluster", Transport: "knet", Cipher: "aes256", Hash: "sha256", TwoNode: true,
			Nodes: []corosync.Node{
				{Name: "drbdtest1.space-i.com", ID: "1", Addresses: []string{"drbdtest1.space-i.com"}},
				{Name: "drbdtest2.space-i.com", ID: "2", Addresses: []string{"drbdtest2.space-i.com"}},
			},
		}},
		{"pcs-0.11.5-qdevice.conf", &corosync.Conf{
			Name: "nfs_cluster", Transport: "knet", Cipher: "aes256", Hash: "sha256", TokenMS: 2000,
			Nodes: []corosync.Node{
				{Name: "drbdtest1", ID: "1", Addresses: []string{"192.168.2.61", "10.0.0.61"}},
				{Name: "drbdtest2", ID: "2", Addresses: []string{"192.168.2.62", "10.0.0.62"}},
			},
			Device: &corosync.Device{Host: "192.168.2.70", Algorithm: "ffsplit"},
		}},
		{"hand-written.conf", &corosync.Conf{
			Name: "nfs_cluster", Transport: "knet", Cipher: "none", Hash: "none", TwoNode: true,
			Nodes: []corosync.Node{
				{Name: "drbdtest1", ID: "1", Addresses: []string{"192.168.2.61"}},
				{Name: "drbdtest2", ID: "2", Addresses: []string{"192.168.2.62"}},
			},
		}},
		{"udpu-secauth.conf", &corosync.Conf{
			Name: "old", Transport: "udpu", Cipher: "aes256", Hash: "sha256",
			Nodes: []corosync.Node{
				{Name: "192.168.2.61", ID: "1", Addresses: []string{"192.168.2.61"}},
				{Name: "192.168.2.62", ID: "2", Addresses: []string{"192.168.2.62"}},
				{Name: "192.168.2.63", ID: "3", Addresses: []string{"192.168.2.63"}},
			},
		}},
		{"debian-12-packaged.conf", &corosync.Conf{
			Name: "debian", Transport: "knet", Cipher: "none", Hash: "none",
			Nodes: []corosync.Node{{Name: "node1", ID: "1", Addresses: []string{"127.0.0.1"}}},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			got := parse(t, read(t, tt.file))
			if diff := cmp.Diff(tt.want, got, ignoreBind); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
			if packaged := tt.file == "debian-12-packaged.conf"; got.Packaged() != packaged {
				t.Errorf("Packaged is %v, want %v", got.Packaged(), packaged)
			}
		})
	}
}

// Ensure that the older example, an interface without nodes, counts as packaged,
// and that neither a cluster by multicast nor an empty file does.
func TestPackaged(t *testing.T) {
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"totem {\ncluster_name: debian\ninterface {\nbindnetaddr: 127.0.0.1\n}\n}\n", true},
		{"totem {\ncluster_name: debian\ninterface {\nbindnetaddr: 192.168.2.0\n}\n}\n", false},
		{"nodelist {\nnode {\nring0_addr: localhost\n}\n}\n", true},
		{"nodelist {\nnode {\nring0_addr: ::1\n}\n}\n", true},
		{"nodelist {\nnode {\nring0_addr: 127.0.0.1\n}\nnode {\nring0_addr: 127.0.0.2\n}\n}\n", false},
		{"totem {\ncluster_name: debian\n}\n", false},
		{"", false},
	} {
		if got := parse(t, tt.text).Packaged(); got != tt.want {
			t.Errorf("Packaged is %v, want %v, of\n%s", got, tt.want, tt.text)
		}
	}
}

// Ensure that a file that corosync would not read, or would read as something
// else, is refused with its line.
func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"open section", "totem {\nversion: 2\n", "section totem is not closed"},
		{"stray brace", "}\n", "corosync.conf:1: a brace closes no section"},
		{"text after brace", "totem {\nnode { name: a }\n}\n", "corosync.conf:2: text after the opening brace"},
		{"no name", "{\n}\n", "corosync.conf:1: a section has no name"},
		{"no colon", "totem {\nversion 2\n}\n", `corosync.conf:2: neither a section nor a setting: "version 2"`},
		{"token", "totem {\ntoken: 3s\n}\n", `token is "3s", not a number of milliseconds`},
		{"nested", strings.Repeat("a {\n", 40), "is nested more than 16 deep"},
	} {
		_, err := corosync.Parse(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// Ensure that each difference that matters is said in words, and nothing else.
func TestCompare(t *testing.T) {
	tests := []struct {
		name string
		have string // file in testdata, or text
		want *config.Config
		diff []string
	}{
		{"same", "pcs-0.11.5-qdevice.conf", qdevice(token(links(pair())), "ffsplit"), nil},
		{"hand-written", "hand-written.conf", pair(), []string{
			"corosync's traffic is not encrypted (cipher none, hash none), setup would use aes256 and sha256",
		}},
		{"no token asked for", "pcs-0.11.5-qdevice.conf", qdevice(links(pair()), "ffsplit"), nil},
		{"token", "hand-written.conf", token(pair()), []string{
			"corosync's traffic is not encrypted (cipher none, hash none), setup would use aes256 and sha256",
			"token is corosync's default, the configuration has 2000 ms",
		}},
		{"other names", "pcs-0.10.18.conf", pair(), []string{
			"drbdtest1 is in the configuration and not in the cluster",
			"drbdtest2 is in the configuration and not in the cluster",
			"drbdtest1.space-i.com is in the cluster and not in the configuration",
			"drbdtest2.space-i.com is in the cluster and not in the configuration",
		}},
		{"link and device", "pcs-0.11.5-qdevice.conf", token(pair()), []string{
			"the second link of drbdtest1 is 10.0.0.61, the configuration has none",
			"the second link of drbdtest2 is 10.0.0.62, the configuration has none",
			"the cluster's quorum device is 192.168.2.70 ffsplit, the configuration has none",
		}},
		{"all else", "totem {\ncluster_name: x\ntransport: udpu\n}\nnodelist {\n" +
			"node {\nname: drbdtest1\nring0_addr: 192.168.2.99\n}\nnode {\nname: drbdtest2\nring0_addr: drbdtest2\n}\n}\n", links(pair()), []string{
			"the cluster's name is x, the configuration has nfs_cluster",
			"the cluster's transport is udpu, the configuration has knet",
			"corosync reaches drbdtest1 at 192.168.2.99, the configuration has 192.168.2.61",
			"the second link of drbdtest1 is none, the configuration has 10.0.0.61",
			"the second link of drbdtest2 is none, the configuration has 10.0.0.62",
			"two_node is 0 and has to be 1",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.have
			if strings.HasSuffix(text, ".conf") {
				text = read(t, tt.have)
			}
			var got []string
			for _, d := range corosync.Compare(parse(t, text), corosync.Want(tt.want)) {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(tt.diff, got); diff != "" {
				t.Errorf("Compare (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that a setting is changed where it is, or added where it belongs, and
// that no other line changes.
func TestSet(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"change", "totem {\n\ttoken : 3000\n\tnode {\n\t\ttoken: 1\n\t}\n}\n", "totem {\n\ttoken: 2000\n\tnode {\n\t\ttoken: 1\n\t}\n}\n"},
		{"add", "# mine\nquorum {\n}\ntotem {\n\tversion: 2\n}\n", "# mine\nquorum {\n}\ntotem {\n\ttoken: 2000\n\tversion: 2\n}\n"},
		{"add to an empty one", "totem {\n}\n", "totem {\n    token: 2000\n}\n"},
		{"no section", "quorum {\n}\n", "quorum {\n}\n\ntotem {\n    token: 2000\n}\n"},
	} {
		if diff := cmp.Diff(tt.want, corosync.Set(tt.text, "totem", "token", "2000")); diff != "" {
			t.Errorf("%s: Set (-want +got):\n%s", tt.name, diff)
		}
	}
}

// Ensure that no text makes the parser fail otherwise than with an error, and
// that what it reads can be changed.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(files) == 0 {
		f.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		f.Add(read(f, filepath.Base(file)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := corosync.Parse(text)
		if err != nil {
			if c != nil {
				t.Error("an error and a result")
			}
			return
		}
		corosync.Compare(c, corosync.Want(pair()))
		changed := corosync.Set(text, "totem", "token", "1234")
		again, err := corosync.Parse(changed)
		if err != nil {
			t.Fatalf("Set made what cannot be read: %v\n%s", err, changed)
		}
		if again.TokenMS != 1234 || corosync.Value(changed, "totem", "token") != "1234" {
			t.Errorf("token is %d after Set:\n%s", again.TokenMS, changed)
		}
		again.TokenMS = c.TokenMS
		if diff := cmp.Diff(c, again, ignoreBind); diff != "" {
			t.Errorf("Set changed more (-before +after):\n%s", diff)
		}
	})
}
