package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseCrmMon(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "crm_mon-2.1.5-promoted.xml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseCrmMon(string(b))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Promoted("nfs"); !slices.Equal(got, []string{"drbdtest2"}) {
		t.Errorf("promoted on %v", got)
	}
	if got := s.Role("nfs", "drbdtest1"); got != "Unpromoted" {
		t.Errorf("drbdtest1 is %q", got)
	}
	if !s.Online("drbdtest1") || s.DC != "drbdtest2" {
		t.Errorf("nodes %+v, DC %q", s.Nodes, s.DC)
	}
	if active, err := whole(s, "nfs", nil); err != nil || active != "drbdtest2" {
		t.Errorf("whole = %q, %v", active, err)
	}
	if _, err := whole(s, "nfs", []string{"VIP"}); err == nil {
		t.Error("whole without the VIP")
	}
}

func TestWholeRefuses(t *testing.T) {
	node := func(name string) NodeState { return NodeState{Name: name, Online: true} }
	good := State{
		Nodes:     []NodeState{node("drbdtest1"), node("drbdtest2")},
		Instances: []Instance{{ID: "nfs", Role: "Promoted", Node: "drbdtest1"}, {ID: "nfs", Role: "Unpromoted", Node: "drbdtest2"}},
	}
	if _, err := whole(good, "nfs", nil); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*State)
	}{
		{"a node offline", func(s *State) { s.Nodes[1].Online = false }},
		{"a node unclean", func(s *State) { s.Nodes[1].Unclean = true }},
		{"two promoted", func(s *State) { s.Instances[1].Role = "Promoted" }},
		{"none promoted", func(s *State) { s.Instances[0].Role = "Unpromoted" }},
		{"peer stopped", func(s *State) { s.Instances = s.Instances[:1] }},
		{"failed", func(s *State) { s.Instances[0].Failed = true }},
		{"blocked", func(s *State) { s.Instances[1].Blocked = true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := State{Nodes: slices.Clone(good.Nodes), Instances: slices.Clone(good.Instances)}
			tt.change(&s)
			if _, err := whole(s, "nfs", nil); err == nil {
				t.Error("taken for whole")
			}
		})
	}
}

func TestTimeline(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "journal-takeover.json"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := parseJournal(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range Timeline(entries) {
		got = append(got, e.At.UTC().Format("15:04:05.000 ")+e.What)
	}
	want := []string{
		"07:09:20.001 corosync: token lost",
		"07:09:24.101 corosync: node declared lost",
		"07:09:35.009 nfs promote begins",
		"07:09:45.406 nfs promote ends",
		"07:09:50.000 nfs demote ends (error)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAgentParams(t *testing.T) {
	params, err := agentParams(OursCIB)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range params {
		got[p[0]] = p[1]
	}
	for _, name := range []string{"drbd_resource", "directory", "exports", "vips"} {
		if got[name] == "" {
			t.Errorf("no %s in %v", name, got)
		}
	}
	if env := AgentEnv(); !strings.Contains(env, "export OCF_RESKEY_vips='192.168.2.63/24@ens3'\n") {
		t.Errorf("environment:\n%s", env)
	}
	if q := shellQuote("it's"); q != `'it'\''s'` {
		t.Errorf("quoted %s", q)
	}
}

func TestResFile(t *testing.T) {
	for _, tt := range []struct {
		name, drbd9 string
		nodeID      bool
	}{{"8.4", "", false}, {"9", "/modules", true}} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := (&Cluster{DRBD9: tt.drbd9}).resFile("res0", 1000, 7000)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(text, "node-id"); got != tt.nodeID {
				t.Errorf("node-id: %v, want %v", got, tt.nodeID)
			}
			if !strings.Contains(text, "address 192.168.2.62:7000;") || !strings.Contains(text, "device minor 1000;") {
				t.Error(text)
			}
		})
	}
}

func TestSourceTime(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, at time.Time) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Unix(1700000000, 0)
	write("cmd/a/main.go", at)
	write("pkg/b/b.go", at.Add(time.Second))
	write("pkg/b/b_test.go", at.Add(time.Hour))
	write("docs/later.md", at.Add(time.Hour))
	got, err := sourceTime(dir)
	if err != nil || !got.Equal(at.Add(time.Second)) {
		t.Errorf("sourceTime = %s, %v", got, err)
	}
	write("dist/drbdnfs-1-1.el8.x86_64.rpm", at.Add(2*time.Second))
	if rpm, when := newestRPM(dir); filepath.Base(rpm) != "drbdnfs-1-1.el8.x86_64.rpm" || !when.After(got) {
		t.Errorf("newestRPM = %s %s", rpm, when)
	}
}
