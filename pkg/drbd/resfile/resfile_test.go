package resfile_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/option"
	"github.com/spacei/drbdnfs/pkg/drbd/resfile"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// with returns a configuration of n diskful nodes after each change.
func with(n int, changes ...func(*config.Config)) *config.Config {
	c := &config.Config{
		Storage:  config.Storage{Manager: "drbdadm", VolumeGroup: "drbdpool"},
		Resource: config.Resource{Name: "res0", Minor: 1000, Port: 7000, DRBD: option.Defaults()},
		Fencing:  config.Fencing{Mode: config.FencingSTONITH},
	}
	c.Resource.DRBD["quorum"] = "off"
	for i := range n {
		c.Nodes = append(c.Nodes, config.Node{Name: fmt.Sprintf("drbdtest%d", i+1), Address: fmt.Sprintf("192.168.2.%d", 61+i)})
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

// options sets pairs of name and value.
func options(pairs ...string) func(*config.Config) {
	return func(c *config.Config) {
		for i := 0; i < len(pairs); i += 2 {
			c.Resource.DRBD[pairs[i]] = pairs[i+1]
		}
	}
}

func mode(word string, pairs ...string) func(*config.Config) {
	return func(c *config.Config) {
		c.Fencing.Mode = word
		options(pairs...)(c)
	}
}

func ipv6(c *config.Config) {
	for i := range c.Nodes {
		c.Nodes[i].Address = fmt.Sprintf("fd00:2::%d", 61+i)
	}
}

func tieBreaker(c *config.Config) { c.Nodes[2].Diskless = true }

// handlers are what fencing mode resource-and-stonith asks for.
var handlers = []string{
	"fencing", "resource-and-stonith",
	"fence-peer", "/usr/lib/drbd/crm-fence-peer.9.sh", "unfence-peer", "/usr/lib/drbd/crm-unfence-peer.9.sh",
}

var quorum = []string{"quorum", "majority", "on-no-quorum", "io-error"}

// Ensure that each kind of configuration becomes the file that drbdadm of
// drbd-utils 9.22 has been seen to take, for each version of DRBD.
func TestRender(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    *config.Config
		v9   bool
	}{
		{"9-two", with(2), true},
		{"9-three", with(3), true},
		{"9-tie-breaker", with(3, tieBreaker, mode(config.FencingQuorum, quorum...)), true},
		{"9-ipv6", with(2, ipv6), true},
		{"9-resource-and-stonith", with(2, mode(config.FencingDRBD, handlers...)), true},
		{"9-none", with(2, mode(config.FencingNone)), true},
		{"9-quoted", with(2, options("cram-hmac-alg", "sha256", "shared-secret", "a b;c", "cpu-mask", "ff,ff")), true},
		{"8.4-two", with(2), false},
		{"8.4-ipv6", with(2, ipv6), false},
		{"8.4-resource-and-stonith", with(2, mode(config.FencingDRBD, handlers...)), false},
		{"8.4-none", with(2, mode(config.FencingNone)), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := maps.Clone(tt.c.Resource.DRBD)
			got, err := resfile.Render(tt.c, tt.v9)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got, resfile.Header) {
				t.Error("no header")
			}
			if diff := cmp.Diff(before, tt.c.Resource.DRBD); diff != "" {
				t.Errorf("the configuration was changed:\n%s", diff)
			}
			file := filepath.Join("testdata", tt.name+".res")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
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
		})
	}
}

// Ensure that what a DRBD cannot do, or a file cannot hold, is an error that
// says so.
func TestRenderRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    *config.Config
		v9   bool
		says string
	}{
		{"three nodes on 8.4", with(3), false, "DRBD 8.4 replicates between two nodes, the configuration has 3"},
		{"diskless on 8.4", with(2, func(c *config.Config) { c.Nodes[1].Diskless = true }), false, "drbdtest2 is one"},
		{"quorum on 8.4", with(2, mode(config.FencingQuorum, quorum...)), false, `asks for quorum majority (fencing.mode is "drbd-quorum")`},
		{"TLS on 8.4", with(2, options("tls", "yes")), false, "DRBD 8.4 has no tls"},
		{"both handlers on 8.4", with(2, options("unfence-peer", "/a", "after-resync-target", "/b")), false, "leave one out"},
		{"unknown option", with(2, options("c-max-speed", "1")), true, `no option "c-max-speed"`},
		{"two lines", with(2, options("cpu-mask", "1\n2")), true, "resource.drbd.cpu-mask: a value is one line"},
		{"quote", with(2, options("shared-secret", `a"b`)), true, "without quotes"},
		{"empty value", with(2, options("cpu-mask", "")), true, "not empty"},
		{"no address", with(2, func(c *config.Config) { c.Nodes[1].Address = "node2" }), true, "node[1].address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := resfile.Render(tt.c, tt.v9)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an error with %q", err, tt.says)
			}
			if got != "" {
				t.Errorf("wrote %q", got)
			}
		})
	}
}

// Ensure that another file is recognised by the resource, minor or port that it
// shares, and not by a comment or a longer number.
func TestConflict(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"nothing", "resource res1 {\n device minor 1001;\n on a { address 10.0.0.1:7001; } }", ""},
		{"empty", "", ""},
		{"resource", "resource \"res0\" { }", "defines resource res0 too"},
		{"resource without quotes", "resource res0{", "defines resource res0 too"},
		{"longer name", "resource res00 { }", ""},
		{"minor", "resource r { volume 0 { device minor 1000; } }", "uses minor 1000 too"},
		{"device with minor", "resource r { device /dev/drbd_r minor 1000; }", "uses minor 1000 too"},
		{"device", "resource r { device /dev/drbd1000; }", "uses minor 1000 too"},
		{"longer minor", "resource r { device /dev/drbd10001; }", ""},
		{"port", "resource r { on a { address ipv4 10.0.0.1:7000; } }", "uses port 7000 too"},
		{"IPv6 port", "resource r { on a { address ipv6 [fd00::1]:7000; } }", "uses port 7000 too"},
		{"longer port", "resource r { on a { address ipv4 10.0.0.1:17000; } }", ""},
		{"comment", "# resource res0 { device /dev/drbd1000; }", ""},
		{"our own", render(t), "defines resource res0 too"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := resfile.Conflict(with(2), tt.file); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func render(t *testing.T) string {
	t.Helper()
	text, err := resfile.Render(with(2), true)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
