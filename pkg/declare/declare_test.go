package declare_test

import (
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/declare"
)

// parse reads the example, changed by pairs of old and new.
func parse(t *testing.T, replace ...string) *config.Config {
	t.Helper()
	text := strings.Replace(config.Example(), `mode = ""`, "mode = \"none\"\naccept_split_brain = true", 1)
	c, err := config.Parse("drbdnfs.toml", []byte(strings.NewReplacer(replace...).Replace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Ensure that the digest follows what the file means and not how it is written.
func TestDigest(t *testing.T) {
	base := declare.Digest(parse(t))
	for _, tt := range []struct {
		name    string
		replace []string
		same    bool
	}{
		{"again", nil, true},
		{"a comment", []string{`size = "6T"`, `size = "6T" # as ordered`}, true},
		{"a default written out", []string{`size = "6T"`, "size = \"6T\"\nname = \"res0\""}, true},
		{"another size", []string{`"6T"`, `"7T"`}, false},
		{"another client", []string{"192.168.2.0/24\"]", "192.168.3.0/24\"]"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := declare.Digest(parse(t, tt.replace...)); (got == base) != tt.same {
				t.Errorf("%s, the base is %s; want the same: %v", got, base, tt.same)
			}
		})
	}
}

// Ensure that what is published is read back, also by a version that knows less,
// and that nothing of it can reach a terminal as a command.
func TestMarshal(t *testing.T) {
	n := declare.Node{Version: "0.1.0", Config: "5d41", Problem: declare.Invalid, Secret: true, Kernel: "9.1.23", Utils: "9.27.0"}
	got, err := declare.Unmarshal(n.Marshal())
	if err != nil || got != n {
		t.Errorf("%+v, %v; want %+v", got, err, n)
	}
	got, err = declare.Unmarshal([]byte(`{"version":"9\u001b[31m","newer":[1]}`))
	if err != nil || got.Version != "9[31m" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := declare.Unmarshal([]byte("{")); err == nil || !strings.Contains(err.Error(), "says of itself") {
		t.Errorf("error %v", err)
	}
}
