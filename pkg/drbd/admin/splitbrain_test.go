package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
)

const (
	split9  = "split-9"
	split84 = "split-8.4"
)

// withPeer is a resource of DRBD 9 as Status would return it, StandAlone.
func withPeer(name string, minors ...int) *drbd.Resource {
	r := named(name, false, minors...)
	r.Connections = map[int]*drbd.Connection{1: {PeerNodeID: 1, Name: "drbdtest2", State: drbd.ConnStandAlone}}
	return r
}

const (
	giSurvivor = "AF7C863BC4779AFD:B8602D562BDDA7F6:0000000000000000:0000000000000000:1:1:1:1:0:0:0:0:0:0:0:1"
	giVictim   = "D43295DEF6F52C8E:B8602D562BDDA7F6:0C0D482C236BEE8E:0000000000000000:1:1:0:1:0:0:0:0:0:0:0:1"
	giPrimary4 = "AF7C863BC4779AFD:B8602D562BDDA7F6:0000000000000000:0000000000000000:1:1:1:0:0:0:0"
	giSecond4  = "D43295DEF6F52C8E:B8602D562BDDA7F6:0C0D482C236BEE8E:0000000000000000:1:1:0:0:0:0:0"
)

// Ensure that the identifiers of all volumes come from the kernel, by what each
// kernel goes by, and that a volume without any is told.
func TestGI(t *testing.T) {
	for _, tt := range []struct {
		name, kernel string
		r            *drbd.Resource
		peer         string
		argv         []string
		want         map[int]string
		is           error
		code         int
	}{
		{
			"two volumes", split9, withPeer("res0", 1000, 1001), "drbdtest2",
			[]string{"drbdsetup get-gi res0 1 0", "drbdsetup get-gi res0 1 1"},
			map[int]string{0: giSurvivor, 1: giVictim},
			nil, 0,
		},
		{"detached", split9, withPeer("bare", 1000), "drbdtest2", []string{"drbdsetup get-gi bare 1 0"}, nil, admin.ErrDetached, 1},
		{"diskless and connected", split9, withPeer("dry", 1000), "drbdtest2", []string{"drbdsetup get-gi dry 1 0"}, nil, admin.ErrDetached, 1},
		{"being attached", split9, withPeer("half", 1000), "drbdtest2", []string{"drbdsetup get-gi half 1 0"}, nil, admin.ErrDetached, 0},
		{"peer that went", split9, withPeer("gone", 1000), "drbdtest2", []string{"drbdsetup get-gi gone 1 0"}, nil, admin.ErrUnknownConnection, 10},
		{"kernel that does not answer", split9, withPeer("odd", 1000), "drbdtest2", []string{"drbdsetup get-gi odd 1 0"}, nil, errAny, 20},
		{"unknown peer", split9, withPeer("res0", 1000), "drbdtest3", nil, nil, admin.ErrUnknownConnection, 0},
		{"no peer", split9, withPeer("res0", 1000), "", nil, nil, admin.ErrUnknownConnection, 0},
		{"no volume", split9, withPeer("res0"), "drbdtest2", nil, map[int]string{}, admin.ErrDetached, 0},
		{"bad name", split9, withPeer("all", 1000), "drbdtest2", nil, nil, admin.ErrName, 0},
		{
			"two volumes on 8.4", split84, named("res0", true, 0, 1), "peer",
			[]string{"drbdsetup get-gi 0", "drbdsetup get-gi 1"},
			map[int]string{0: giPrimary4, 1: giSecond4},
			nil, 0,
		},
		{"the only peer on 8.4", split84, named("res0", true, 0), "", []string{"drbdsetup get-gi 0"}, map[int]string{0: giPrimary4}, nil, 0},
		{"one of two detached on 8.4", split84, named("res0", true, 0, 7), "", []string{"drbdsetup get-gi 0", "drbdsetup get-gi 7"}, nil, admin.ErrDetached, 1},
		{"being attached on 8.4", split84, named("res0", true, 6), "", []string{"drbdsetup get-gi 6"}, nil, admin.ErrDetached, 0},
		{"minor that went on 8.4", split84, named("res0", true, 99), "", []string{"drbdsetup get-gi 99"}, nil, admin.ErrUnknownResource, 10},
		{"no minor on 8.4", split84, named("res0", true, drbd.Absent), "", nil, nil, admin.ErrUnknownResource, 0},
		{"other peer on 8.4", split84, named("res0", true, 0), "drbdtest2", nil, nil, admin.ErrUnknownConnection, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, tt.kernel)
			got, err := admin.New(n).GI(t.Context(), tt.r, tt.peer)
			if diff := cmp.Diff(tt.argv, n.calls(t)); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("identifiers (-want +got):\n%s", diff)
			}
			checkPeerError(t, err, tt.is, tt.code)
		})
	}
}

// Ensure that changes are counted in bytes, from where each kernel tells them of
// a StandAlone connection, and that a volume that counts nothing is told.
func TestChangedBytes(t *testing.T) {
	dump := func(res string) []string { return []string{"drbdsetup events2 --now --statistics " + res} }
	for _, tt := range []struct {
		name, kernel string
		r            *drbd.Resource
		peer         string
		argv         []string
		want         map[int]int64
		is           error
		code         int
	}{
		{"two volumes", split9, withPeer("res0"), "drbdtest2", dump("res0"), map[int]int64{0: 2144 << 10, 1: 0}, nil, 0},
		{"detached", split9, withPeer("bare"), "drbdtest2", dump("bare"), nil, admin.ErrDetached, 0},
		{"unknown peer", split9, withPeer("res0"), "drbdtest3", dump("res0"), nil, admin.ErrUnknownConnection, 0},
		{"volume that the peer has not", split9, withPeer("thin"), "drbdtest2", dump("thin"), nil, admin.ErrUnknownConnection, 0},
		{"down", split9, withPeer("down"), "drbdtest2", dump("down"), nil, admin.ErrUnknownResource, 0},
		{"kernel that does not answer", split9, withPeer("deaf"), "drbdtest2", dump("deaf"), nil, errAny, 20},
		{"bad name", split9, withPeer("--all"), "drbdtest2", nil, nil, admin.ErrName, 0},
		{"two volumes on 8.4", split84, named("res0", true, 0, 1), "peer", nil, map[int]int64{0: 2128 << 10, 1: 611272 << 10}, nil, 0},
		{"detached on 8.4", split84, named("res0", true, 0, 7), "", nil, nil, admin.ErrDetached, 0},
		{"unconfigured on 8.4", split84, named("res0", true, 8), "", nil, nil, admin.ErrDetached, 0},
		{"minor that went on 8.4", split84, named("res0", true, 9), "", nil, nil, admin.ErrUnknownResource, 0},
		{"no volume on 8.4", split84, named("res0", true), "", nil, map[int]int64{}, admin.ErrDetached, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, tt.kernel)
			got, err := admin.New(n).ChangedBytes(t.Context(), tt.r, tt.peer)
			if diff := cmp.Diff(tt.argv, n.calls(t)); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			checkPeerError(t, err, tt.is, tt.code)
		})
	}
	n := newNode(t, split84)
	n.files["/proc/drbd"] = ""
	if _, err := admin.New(n).ChangedBytes(t.Context(), named("res0", true, 0), ""); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("an unreadable /proc/drbd: %v", err)
	}
}

// checkPeerError is checkError with the failures of one connection.
func checkPeerError(t *testing.T, err, is error, code int) {
	t.Helper()
	checkError(t, err, is, code)
	for _, s := range []error{admin.ErrUnknownConnection, admin.ErrConnected, admin.ErrDiscardPrimary, admin.ErrDetached} {
		if errors.Is(err, s) && !errors.Is(s, is) {
			t.Errorf("%v is %v", err, s)
		}
	}
}

func disconnect(res, peer string) verb {
	return func(ctx context.Context, a *admin.Admin) error { return a.Disconnect(ctx, res, peer) }
}

func connect(res, peer string) verb {
	return func(ctx context.Context, a *admin.Admin) error { return a.Connect(ctx, res, peer) }
}

func discard(res, peer string) verb {
	return func(ctx context.Context, a *admin.Admin) error { return a.ConnectDiscard(ctx, res, peer) }
}

func withdraw(res, peer string) verb {
	return func(ctx context.Context, a *admin.Admin) error { return a.Withdraw(ctx, res, peer) }
}

// look is the command that shows the state of a connection.
func look(res string) string { return "drbdsetup events2 --now --statistics " + res }

var connectionTests = []struct {
	name, kernel string
	do           verb
	argv         []string
	is           error
	code         int
	reason       string
}{
	{"disconnect", split9, disconnect("res0", "drbdtest2"), []string{"drbdadm disconnect res0:drbdtest2"}, nil, 0, ""},
	{"disconnect from nobody", split9, disconnect("res0", "nobody"), []string{"drbdadm disconnect res0:nobody"}, admin.ErrUnknownConnection, 1, ""},
	{"disconnect from oneself", split9, disconnect("res0", "drbdtest1"), []string{"drbdadm disconnect res0:drbdtest1"}, admin.ErrUnknownConnection, 1, ""},
	{"disconnect what is not configured", split9, disconnect("away", "drbdtest2"), []string{"drbdadm disconnect away:drbdtest2"}, admin.ErrUnknownResource, 1, ""},
	{
		"disconnect what is not up", split9, disconnect("gone", "drbdtest2"),
		[]string{"drbdadm disconnect gone:drbdtest2"},
		admin.ErrUnknownConnection, 10, "Failure: (162) Invalid configuration request",
	},
	{"disconnect for want of data", split9, disconnect("held", "drbdtest2"), []string{"drbdadm disconnect held:drbdtest2"}, admin.ErrNoUpToDate, 17, ""},
	{"disconnect refused", split9, disconnect("lone", "drbdtest2"), []string{"drbdadm disconnect lone:drbdtest2"}, admin.ErrRefused, 11, ""},

	{"connect", split9, connect("res0", "drbdtest2"), []string{"drbdadm connect res0:drbdtest2"}, nil, 0, ""},
	{"connect what tries already", split9, connect("busy", "drbdtest2"), []string{"drbdadm connect busy:drbdtest2", look("busy")}, nil, 0, ""},
	{"connect what ends", split9, connect("slow", "drbdtest2"), []string{"drbdadm connect slow:drbdtest2", look("slow")}, admin.ErrConnected, 10, ""},
	{"connect what has just ended", split9, connect("race", "drbdtest2"), []string{"drbdadm connect race:drbdtest2", look("race")}, admin.ErrConnected, 10, ""},
	{
		"connect when nobody can tell", split9, connect("deaf", "drbdtest2"),
		[]string{"drbdadm connect deaf:drbdtest2", look("deaf")},
		admin.ErrConnected, 10, "Failure: (125) Device has a net-config (use disconnect first)",
	},
	{"connect to nobody", split9, connect("res0", "nobody"), []string{"drbdadm connect res0:nobody"}, admin.ErrUnknownConnection, 1, ""},
	{"connect what is not up", split9, connect("down", "drbdtest2"), []string{"drbdadm connect down:drbdtest2"}, admin.ErrUnknownResource, 10, ""},
	{"connect what the kernel has not", split9, connect("gone", "drbdtest2"), []string{"drbdadm connect gone:drbdtest2"}, admin.ErrUnknownConnection, 10, ""},

	{"discard", split9, discard("res0", "drbdtest2"), []string{"drbdadm connect --discard-my-data res0:drbdtest2"}, nil, 0, ""},
	{
		"discard on a Primary", split9, discard("primary", "drbdtest2"),
		[]string{"drbdadm connect --discard-my-data primary:drbdtest2"},
		admin.ErrDiscardPrimary, 10, "Failure: (123) --discard-my-data not allowed when primary.",
	},
	{
		"discard what is connected", split9, discard("busy", "drbdtest2"),
		[]string{"drbdadm connect --discard-my-data busy:drbdtest2", look("busy")},
		admin.ErrConnected, 10, "",
	},

	{
		"withdraw", split9, withdraw("res0", "drbdtest2"),
		[]string{"drbdadm del-peer res0:drbdtest2", "drbdadm new-peer res0:drbdtest2", "drbdadm new-path res0:drbdtest2"},
		nil, 0, "",
	},
	{
		"withdraw what was half withdrawn", split9, withdraw("gone", "drbdtest2"),
		[]string{"drbdadm del-peer gone:drbdtest2", "drbdadm new-peer gone:drbdtest2", "drbdadm new-path gone:drbdtest2"},
		nil, 0, "",
	},
	{"withdraw from nobody", split9, withdraw("res0", "nobody"), []string{"drbdadm del-peer res0:nobody"}, admin.ErrUnknownConnection, 1, ""},
	{"withdraw refused", split9, withdraw("held", "drbdtest2"), []string{"drbdadm del-peer held:drbdtest2"}, admin.ErrNoUpToDate, 17, ""},
	{"withdraw broken off", split9, withdraw("torn", "drbdtest2"), []string{"drbdadm del-peer torn:drbdtest2", "drbdadm new-peer torn:drbdtest2"}, errAny, 20, ""},
	{
		"withdraw without an address", split9, withdraw("taken", "drbdtest2"),
		[]string{"drbdadm del-peer taken:drbdtest2", "drbdadm new-peer taken:drbdtest2", "drbdadm new-path taken:drbdtest2"},
		errAny, 10, "",
	},

	{"disconnect on 8.4", split84, disconnect("res0", "peer"), []string{"drbdadm disconnect res0"}, nil, 0, ""},
	{"disconnect the only peer on 8.4", split84, disconnect("res0", ""), []string{"drbdadm disconnect res0"}, nil, 0, ""},
	{"disconnect what is StandAlone on 8.4", split84, disconnect("alone", ""), []string{"drbdadm disconnect alone", look("alone")}, nil, 0, ""},
	{"disconnect what the events dropped on 8.4", split84, disconnect("bare", ""), []string{"drbdadm disconnect bare", look("bare")}, nil, 0, ""},
	{"disconnect what has another address on 8.4", split84, disconnect("moved", ""), []string{"drbdadm disconnect moved", look("moved")}, admin.ErrUnknownConnection, 10, ""},
	{"disconnect what is down on 8.4", split84, disconnect("down", ""), []string{"drbdadm disconnect down", look("down")}, errDown, 10, ""},
	{"connect on 8.4", split84, connect("res0", "peer"), []string{"drbdadm connect res0"}, nil, 0, ""},
	{"connect what tries already on 8.4", split84, connect("busy", ""), []string{"drbdadm connect busy", look("busy")}, nil, 0, ""},
	{"connect with another's address on 8.4", split84, connect("alone", ""), []string{"drbdadm connect alone", look("alone")}, errAny, 10, ""},
	{"connect what is down on 8.4", split84, connect("down", ""), []string{"drbdadm connect down"}, admin.ErrUnknownResource, 10, ""},
	{"discard on 8.4", split84, discard("res0", "peer"), []string{"drbdadm connect --discard-my-data res0"}, nil, 0, ""},
	{"discard on a Primary on 8.4", split84, discard("primary", ""), []string{"drbdadm connect --discard-my-data primary"}, admin.ErrDiscardPrimary, 10, ""},
	{"discard what is connected on 8.4", split84, discard("busy", ""), []string{"drbdadm connect --discard-my-data busy", look("busy")}, admin.ErrConnected, 10, ""},
	{"withdraw on 8.4", split84, withdraw("res0", "peer"), []string{"drbdadm disconnect res0"}, nil, 0, ""},
}

// errDown is what a resource that is down looks like to DRBD 8.4, which finds
// the connection by its addresses.
var errDown = fmt.Errorf("%w, %w", admin.ErrUnknownConnection, admin.ErrUnknownResource)

// Ensure that each verb runs the right commands on either kernel, that what is
// done already is no error, and that each failure is told apart.
func TestConnections(t *testing.T) {
	for _, tt := range connectionTests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, tt.kernel)
			err := tt.do(t.Context(), admin.New(n))
			if diff := cmp.Diff(tt.argv, n.calls(t)); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if errors.Is(tt.is, errDown) {
				if !errors.Is(err, admin.ErrUnknownConnection) || !errors.Is(err, admin.ErrUnknownResource) {
					t.Errorf("got %v", err)
				}
				return
			}
			checkPeerError(t, err, tt.is, tt.code)
			if got := admin.Reason(err); tt.reason != "" && got != tt.reason {
				t.Errorf("reason %q, want %q", got, tt.reason)
			}
		})
	}
}

// Ensure that refusing to discard a Primary's data counts as a refusal.
func TestDiscardPrimaryIsRefused(t *testing.T) {
	if !errors.Is(admin.ErrDiscardPrimary, admin.ErrRefused) {
		t.Error("ErrDiscardPrimary is not ErrRefused")
	}
}

// Ensure that nothing runs for a peer or a resource that drbdadm would take for
// something else, and without the module.
func TestConnectionNamesAreChecked(t *testing.T) {
	verbs := map[string]func(res, peer string) verb{"disconnect": disconnect, "connect": connect, "discard": discard, "withdraw": withdraw}
	for name, do := range verbs {
		for _, tt := range []struct {
			kernel, res, peer string
			is                error
		}{
			{split9, "all", "drbdtest2", admin.ErrName},
			{split9, "--force", "drbdtest2", admin.ErrName},
			{split9, "res0", "", admin.ErrUnknownConnection},
			{split9, "res0", "drbdtest2/0", admin.ErrUnknownConnection},
			{split9, "res0", "drbdtest2 res1", admin.ErrUnknownConnection},
			{split9, "res0", "a:b", admin.ErrUnknownConnection},
			{split84, "all", "", admin.ErrName},
			{split84, "res0", "drbdtest2", admin.ErrUnknownConnection},
		} {
			n := newNode(t, tt.kernel)
			if err := do(tt.res, tt.peer)(t.Context(), admin.New(n)); !errors.Is(err, tt.is) {
				t.Errorf("%s %s:%s on %s: %v, want %v", name, tt.res, tt.peer, tt.kernel, err, tt.is)
			}
			if got := n.calls(t); got != nil {
				t.Errorf("%s %s:%s ran %q", name, tt.res, tt.peer, got)
			}
		}
		n := newNode(t, split9)
		delete(n.files, "/proc/drbd")
		if err := do("res0", "drbdtest2")(t.Context(), admin.New(n)); !errors.Is(err, admin.ErrModuleNotLoaded) || n.calls(t) != nil {
			t.Errorf("%s without the module: %v, ran %q", name, err, n.calls(t))
		}
	}
}

// Ensure that a ctx that has ended ends each verb.
func TestConnectionsEndWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := admin.New(newNode(t, split9))
	_, giErr := a.GI(ctx, withPeer("res0", 1000), "drbdtest2")
	_, changedErr := a.ChangedBytes(ctx, withPeer("res0", 1000), "drbdtest2")
	for name, err := range map[string]error{
		"gi": giErr, "changed": changedErr,
		"disconnect": a.Disconnect(ctx, "res0", "drbdtest2"), "connect": a.Connect(ctx, "res0", "drbdtest2"),
		"discard": a.ConnectDiscard(ctx, "res0", "drbdtest2"), "withdraw": a.Withdraw(ctx, "res0", "drbdtest2"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzChangedBytes84 ensures that no /proc/drbd makes a count that is none.
func FuzzChangedBytes84(f *testing.F) {
	for _, kernel := range []string{old, split84} {
		text, err := os.ReadFile(filepath.Join("testdata", kernel, "proc-drbd"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("0:\n ds:UpToDate/ oos:-1\n oos:99999999999999999999")
	f.Fuzz(func(t *testing.T, text string) {
		n := node{files: map[string]string{"/proc/drbd": text}}
		changed, err := admin.New(n).ChangedBytes(t.Context(), named("res0", true, 0), "")
		if n, ok := changed[0]; ok != (err == nil) || n < 0 || n%1024 != 0 {
			t.Errorf("%v, %v", changed, err)
		}
	})
}
