package splitbrain

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

func TestStatusCommands(t *testing.T) {
	v := Verdict{Victim: "beta", Survivor: "alpha", Reason: "r"}
	for name, tt := range map[string]struct {
		got  []Commands
		want string
	}{
		"two nodes, on the survivor":   {commands(v, "r0", "beta", "alpha", false), "beta: drbdadm disconnect r0; drbdadm secondary r0; drbdadm connect --discard-my-data r0 | alpha: drbdadm disconnect r0; drbdadm connect r0"},
		"three nodes, on the survivor": {commands(v, "r0", "beta", "alpha", true), "beta: drbdadm disconnect r0:alpha; drbdadm secondary r0; drbdadm connect --discard-my-data r0:alpha | alpha: drbdadm disconnect r0:beta; drbdadm connect r0:beta"},
		"three nodes, on the victim":   {commands(v, "r0", "alpha", "beta", true), "beta: drbdadm disconnect r0:alpha; drbdadm secondary r0; drbdadm connect --discard-my-data r0:alpha | alpha: drbdadm disconnect r0:beta; drbdadm connect r0:beta"},
		"not decided":                  {commands(Verdict{}, "r0", "beta", "alpha", true), "the node whose data is discarded: drbdadm disconnect r0:PEER; drbdadm secondary r0; drbdadm connect --discard-my-data r0:PEER | the node whose data is kept: drbdadm disconnect r0:PEER; drbdadm connect r0:PEER"},
	} {
		var sides []string
		for _, c := range tt.got {
			sides = append(sides, c.Node+": "+strings.Join(c.Commands, "; "))
		}
		if got := strings.Join(sides, " | "); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
	}
}

func TestStateOf(t *testing.T) {
	conn := func(name string, repl drbd.ReplicationState, client drbd.Tri) *drbd.Connection {
		return &drbd.Connection{Name: name, State: drbd.ConnConnected, PeerDevices: map[int]*drbd.PeerDevice{0: {Replication: repl, PeerClient: client}}}
	}
	r := &drbd.Resource{
		Name: "r0", Role: drbd.RolePrimary, Devices: map[int]*drbd.Device{0: {Disk: drbd.DiskUpToDate}},
		Connections: map[int]*drbd.Connection{
			1: conn("beta", drbd.ReplEstablished, drbd.No), 2: conn("gamma", drbd.ReplEstablished, drbd.Yes), 3: conn("delta", drbd.ReplOff, drbd.No),
		},
	}
	want := StateChanged{At: noon, Role: drbd.RolePrimary, Connection: drbd.ConnConnected, Live: true, Disks: []Disk{{0, drbd.DiskUpToDate}}, Peers: 2, OtherNodes: 1}
	if diff := cmp.Diff(want, StateOf(r, 1, noon)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want.Live, want.OtherNodes = false, 1
	if diff := cmp.Diff(want, StateOf(r, 3, noon)); diff != "" {
		t.Errorf("Connected is not live (-want +got):\n%s", diff)
	}
	r.Connections, r.Kernel84 = nil, true
	if got := StateOf(r, 0, noon).Connection; got != drbd.ConnStandAlone {
		t.Errorf("8.4 without a connection: %q", got)
	}
	if got := StateOf(nil, 1, noon); !reflect.DeepEqual(got, StateChanged{At: noon}) {
		t.Errorf("a resource that is down: %+v", got)
	}
}
