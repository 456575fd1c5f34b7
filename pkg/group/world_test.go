package group_test

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/group"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/vip"
)

var _ group.System = (*hosttest.Host)(nil)

var errInjected = errors.New("injected")

const vip4 = "192.168.2.63"

// config is the group of the node that hosttest.New makes.
func config() group.Config {
	exports, err := nfs.ParseExports("/home/nfs/user-data 192.168.2.0/24(rw,sync)", "res0")
	if err != nil {
		panic(err)
	}
	ports, err := nfs.ParsePorts(nfs.DefaultPorts)
	if err != nil {
		panic(err)
	}
	return group.Config{
		Instance: "nfs", Resource: "res0", Dir: "/home/nfs", FSType: "xfs", StateDir: "/home/nfs/var/lib/nfs",
		Exports: exports, DRBDDown: group.DownAuto,
		VIPs: []vip.VIP{{Prefix: netip.MustParsePrefix(vip4 + "/24"), Interface: "ens3"}},
		Server: nfs.ServerConfig{
			Threads: 8, Scope: "res0", Lease: 30 * time.Second, Grace: 30 * time.Second,
			Versions: nfs.Versions{V3: true, V41: true, V42: true}, Ports: ports,
		},
	}
}

// open returns the group as a new action finds it.
func open(t *testing.T, h *hosttest.Host, change ...func(*group.Options)) *group.Group {
	t.Helper()
	o := group.Options{
		System: h, Config: config(), Params: map[string]string{"drbd_resource": "res0"},
		Program: "/usr/lib/ocf/resource.d/spacei/drbdnfs",
	}
	for _, fn := range change {
		fn(&o)
	}
	g, err := group.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// on runs fn with a new node in a bubble in which time is fake.
func on(t *testing.T, fn func(t *testing.T, h *hosttest.Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { fn(t, hosttest.New(t)) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve brings the node to where clients are served.
func serve(t *testing.T, h *hosttest.Host) *group.Group {
	t.Helper()
	must(t, open(t, h).Start(t.Context()))
	g := open(t, h)
	must(t, g.Up(t.Context()))
	if !h.Serves() {
		t.Fatalf("up, and does not serve: %v", h.Leftovers())
	}
	return g
}
