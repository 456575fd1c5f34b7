package exports

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/nfs"
)

func export(client string, options ...string) nfs.Export {
	return nfs.Export{Path: "/home/nfs/a", Client: client, Options: append(options, "fsid=7")}
}

func entry(client string, options ...string) offered {
	return offered{path: "/home/nfs/a", client: client, options: append(options, "fsid=7")}
}

// Ensure that each disagreement between file, cluster and server has its state
// and says what to do.
func TestCompare(t *testing.T) {
	const net, other = "192.168.2.0/24", "10.0.0.0/8"
	rw := []nfs.Export{export(net, "rw", "sync")}
	for _, tt := range []struct {
		name          string
		file, cluster []nfs.Export
		table         []offered
		serving       bool
		want          []string
	}{
		{"offered", rw, rw, []offered{entry(net, "rw", "sync", "wdelay")}, true, []string{net + " offered"}},
		{"passive", rw, rw, nil, false, []string{net + " configured"}},
		{"cluster silent", rw, nil, []offered{entry(net, "rw", "sync")}, true, []string{net + " offered"}},
		{"missing", rw, rw, nil, true, []string{net + " missing: the server does not offer it; the next monitor mends that: journalctl -t drbdnfs"}},
		{"other options", rw, rw, []offered{entry(net, "ro", "sync")}, true, []string{net + " differs: the server offers it without rw"}},
		{
			"file changed",
			[]nfs.Export{export(net, "ro")},
			rw,
			[]offered{entry(net, "rw", "sync")},
			true,
			[]string{net + " not-applied: the file has ro,fsid=7: drbdnfs setup apply"},
		},
		{
			"added and removed",
			[]nfs.Export{export(other, "rw")},
			rw,
			[]offered{entry(net, "rw", "sync")},
			true,
			[]string{other + " not-applied: in the file alone: drbdnfs setup apply offers it", net + " not-applied: not in the file any more: drbdnfs setup apply withdraws it"},
		},
		{
			"foreign", rw, rw,
			[]offered{entry(net, "rw", "sync"), entry(other, "rw")},
			true,
			[]string{other + " foreign: not made by the group: exportfs -v", net + " offered"},
		},
		{
			"by name",
			[]nfs.Export{export("web1", "rw")},
			[]nfs.Export{export("web1", "rw")},
			[]offered{entry("web1.example.org", "rw")},
			true,
			[]string{"web1 offered"},
		},
		{"root by its other name", []nfs.Export{{Path: "/home/nfs/a", Client: "*", Options: []string{"fsid=root"}}}, nil, []offered{{path: "/home/nfs/a", client: "*", options: []string{"fsid=0"}}}, true, []string{"* offered"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, e := range compare(tt.file, tt.cluster, tt.table, nil, tt.serving) {
				s := e.Client + " " + string(e.State)
				if e.Detail != "" {
					s += ": " + e.Detail
				}
				got = append(got, s)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func ports(texts ...string) []netip.AddrPort {
	var list []netip.AddrPort
	for _, s := range texts {
		list = append(list, netip.MustParseAddrPort(s))
	}
	return list
}

// Ensure that each machine is one line for each protocol it uses, with its own
// connections, and that a kernel without a list of clients shows connections.
func TestClients(t *testing.T) {
	twelve := 12
	v4 := []v4client{{info: info{address: "192.168.2.64:992", name: "web", minor: "2", status: "confirmed", renewed: 12}, held: heldWant}}
	four := Client{
		Address: "192.168.2.64", Name: "web", Version: "4.2", Status: "confirmed", RenewedAgo: &twelve, Connections: 1, Mounted: []string{}, Opens: 1, Locks: 1, Delegations: 1,
	}
	three := Client{Address: "192.168.2.64", Version: "3", Connections: 1, Mounted: []string{"/home/nfs/a"}}
	rmtab := []mounted{{"192.168.2.64", "/home/nfs/a"}, {"192.168.2.64", "/home/nfs/a"}, {"web3", "/home/nfs/a"}}
	gone := Client{Address: "web3", Version: "3", Mounted: []string{"/home/nfs/a"}}
	for _, tt := range []struct {
		name  string
		v4    []v4client
		rmtab []mounted
		peers []netip.AddrPort
		want  []Client
	}{
		{"both protocols", v4, rmtab, ports("192.168.2.64:992", "192.168.2.64:900"), []Client{three, four, gone}},
		{"connections alone", nil, nil, ports("192.168.2.64:992", "192.168.2.64:900", "192.168.2.7:1"), []Client{
			{Address: "192.168.2.7", Connections: 1, Mounted: []string{}}, {Address: "192.168.2.64", Connections: 2, Mounted: []string{}},
		}},
		{"more connections of one client", v4, nil, ports("192.168.2.64:992", "192.168.2.64:993"), []Client{func() Client { c := four; c.Connections = 2; return c }()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, clients(tt.v4, tt.rmtab, tt.peers)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that locks of the volume alone are listed, those of NFSv4 once, and that
// one whose owner is not known says so.
func TestLocks(t *testing.T) {
	v4 := []v4client{{info: info{address: "192.168.2.64:992", minor: "2"}, held: heldWant[1:2]}}
	on := func(pid int, access string, minor uint64) locked {
		return locked{pid: pid, access: access, major: 147, minor: minor, inode: "131", start: "0", end: "EOF"}
	}
	command := func(pid int) string { return map[int]string{1: "nfsd", 2: "lockd"}[pid] }
	got := locks(v4, []locked{on(1, "WRITE", 1000), on(2, "READ", 1000), on(3, "WRITE", 1000), on(2, "WRITE", 1)}, 147, 1000, command)
	want := []Lock{
		{Client: "192.168.2.64", Version: "4.2", Kind: "lock", File: "home/a, b.txt"},
		{Version: "3", Kind: "lock", Access: "read", File: "inode 131", Range: "0-EOF"},
		{Kind: "lock", Access: "write", File: "inode 131", Range: "0-EOF"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
