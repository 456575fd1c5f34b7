package node

import (
	"encoding/xml"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Ensure that the table of ports is what the package's firewalld services open.
func TestServicePorts(t *testing.T) {
	for service, got := range servicePorts {
		data, err := os.ReadFile("../../../packaging/rpm/firewalld/" + service + ".xml")
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Ports []struct {
				Protocol string `xml:"protocol,attr"`
				Port     string `xml:"port,attr"`
			} `xml:"port"`
		}
		if err := xml.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, p := range doc.Ports {
			want = append(want, p.Port+"/"+p.Protocol)
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); diff != "" {
			t.Errorf("%s (-xml +table):\n%s", service, diff)
		}
	}
}

// Ensure that a filter counts as rejecting DRBD only when LVM would reject every
// name of a DRBD device by it.
func TestRejects(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules []string
		want  bool
	}{
		{"none", nil, false},
		{"LVM's default", []string{"a|.*|"}, false},
		{"ours", []string{filterRule}, true},
		{"ours behind another", []string{"r|^/dev/cdrom|", filterRule, "a|.*|"}, true},
		{"only some", []string{"a|^/dev/sda|", "r|.*|"}, true},
		{"accepted before", []string{"a|.*|", filterRule}, false},
		{"the devices, not their links", []string{`r|^/dev/drbd[0-9]+$|`}, false},
		{"brackets", []string{"r(^/dev/drbd)"}, true},
		{"other delimiters", []string{`r#/dev/drbd#`}, true},
		{"broken", []string{"r|", filterRule}, false},
		{"a pattern that is none", []string{"r|(|", filterRule}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := rejects(tt.rules, drbdNames); got != tt.want {
				t.Errorf("rejects = %v", got)
			}
		})
	}
}

// Ensure that a port is found in the ranges that firewalld makes.
func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		outer, inner string
		want         bool
	}{
		{"2049/tcp", "2049/tcp", true},
		{"2049/tcp", "2049/udp", false},
		{"32771-32776/tcp", "32773/tcp", true},
		{"32771-32776/tcp", "32777/tcp", false},
		{"7000-7050/tcp", "7000-7100/tcp", false},
		{"x/tcp", "1/tcp", false},
	} {
		if got := covers(tt.outer, tt.inner); got != tt.want {
			t.Errorf("covers(%s, %s) = %v", tt.outer, tt.inner, got)
		}
	}
}
