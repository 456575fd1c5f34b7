package notice_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/notice"
)

var when = time.Date(2026, 11, 23, 14, 7, 45, 123e6, time.UTC)

func action() notice.Notice {
	return notice.Notice{Node: "drbdtest1", When: when, Action: &notice.Action{
		Group: "nfs", Name: "monitor", Level: 10, Code: 8, DurationMS: 41,
	}}
}

func helper() notice.Notice {
	return notice.Notice{Node: "drbdtest1", When: when, Helper: &notice.Helper{
		Name: "split-brain", Resource: "res0", Volumes: []int{0}, Minors: []int{1000}, Peer: "drbdtest2", PeerNodeID: 1,
		PeerAddr: "ipv4:192.168.2.62", Connection: "Connecting", Backing: "/dev/drbdpool/res0_00000", Record: "x.json",
	}}
}

// Ensure that the bytes are the documented ones, since the agent and the daemon
// of two releases may meet during an update, and that they are read back.
func TestEncode(t *testing.T) {
	tests := []struct {
		name string
		n    notice.Notice
		want string
	}{
		{
			"action", action(),
			`{"version":1,"node":"drbdtest1","when":"2026-11-23T14:07:45.123Z",` +
				`"action":{"group":"nfs","name":"monitor","level":10,"rc":8,"duration_ms":41}}`,
		},
		{
			"helper", helper(),
			`{"version":1,"node":"drbdtest1","when":"2026-11-23T14:07:45.123Z",` +
				`"helper":{"name":"split-brain","resource":"res0","volumes":[0],"minors":[1000],"peer":"drbdtest2","peer_node_id":1,` +
				`"peer_address":"ipv4:192.168.2.62","connection":"Connecting","backing_device":"/dev/drbdpool/res0_00000","record":"x.json"}}`,
		},
		{
			"helper of which nothing is known",
			notice.Notice{When: when, Helper: &notice.Helper{Name: "out-of-sync", PeerNodeID: -1}},
			`{"version":1,"node":"","when":"2026-11-23T14:07:45.123Z","helper":{"name":"out-of-sync","resource":"","peer_node_id":-1}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := notice.Encode(tt.n)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(data)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			got, err := notice.Parse(data)
			tt.n.Version = 1
			if diff := cmp.Diff(tt.n, got); err != nil || diff != "" {
				t.Errorf("read back: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// Ensure that a notice that a reader would refuse for its length is not sent.
func TestEncodeTooLong(t *testing.T) {
	n := helper()
	n.Helper.Resource = strings.Repeat("r", notice.MaxSize)
	if data, err := notice.Encode(n); err == nil {
		t.Errorf("%d bytes", len(data))
	}
}

// Ensure that what is no notice is refused with a reason, and that a key of a
// later release is not.
func TestParse(t *testing.T) {
	tests := []struct{ name, data, err string }{
		{"action", `{"version":1,"action":{"group":"nfs","name":"start"}}`, ""},
		{"unknown key", `{"version":1,"steps":[],"action":{"group":"nfs","name":"start","x":1}}`, ""},
		{"helper", `{"version":1,"helper":{"name":"split-brain"}}`, ""},
		{"empty", ``, "malformed"},
		{"null", `null`, "version 0"},
		{"cut off", `{"version":1,"action":{"group":"n`, "malformed"},
		{"two", `{"version":1,"helper":{"name":"x"}}{}`, "malformed"},
		{"wrong type", `{"version":"1","helper":{"name":"x"}}`, "malformed"},
		{"later version", `{"version":2,"helper":{"name":"x"}}`, "version 2"},
		{"nothing", `{"version":1,"node":"n"}`, "0 pieces of news"},
		{"both", `{"version":1,"action":{"group":"nfs","name":"start"},"helper":{"name":"x"}}`, "2 pieces of news"},
		{"no group", `{"version":1,"action":{"name":"start"}}`, "without group"},
		{"no name", `{"version":1,"action":{"group":"nfs"}}`, "without group, name"},
		{"negative duration", `{"version":1,"action":{"group":"nfs","name":"start","duration_ms":-1}}`, "or duration"},
		{"order", `{"version":1,"order":{"resource":"res0","incident":"5f1c","victim":"drbdtest2","snapshot":"off"}}`, ""},
		{"an order about nobody", `{"version":1,"order":{"resource":"res0","incident":"5f1c","snapshot":"off"}}`, "without resource, incident, victim"},
		{"no helper's name", `{"version":1,"helper":{"resource":"r"}}`, "without a name"},
		{"too long", `{"version":1,"helper":{"name":"` + strings.Repeat("x", notice.MaxSize) + `"}}`, "more than 2048"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := notice.Parse([]byte(tt.data))
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}

// Ensure that no bytes crash the reader, and that what it takes holds its word:
// exactly one kind of news, small enough to be written again as it was.
func FuzzParse(f *testing.F) {
	for _, n := range []notice.Notice{action(), helper()} {
		data, err := notice.Encode(n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"version":1,"when":"0000-00-00","action":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := notice.Parse(data)
		if err != nil {
			return
		}
		kinds := 0
		for _, there := range []bool{n.Action != nil, n.Helper != nil, n.Lift != nil, n.Order != nil} {
			if there {
				kinds++
			}
		}
		if kinds != 1 {
			t.Fatalf("%q holds %d kinds of news", data, kinds)
		}
		again, err := notice.Encode(n)
		if err != nil {
			return // a character that takes more bytes when it is escaped
		}
		m, err := notice.Parse(again)
		if err != nil {
			t.Fatalf("%q is not read back: %v", again, err)
		}
		if third, err := notice.Encode(m); err != nil || string(third) != string(again) {
			t.Errorf("%q became %q, %v", again, third, err)
		}
	})
}
