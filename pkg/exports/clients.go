package exports

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
)

// v4client is an NFSv4 client of the kernel with what it holds.
type v4client struct {
	info
	held []held
}

func (c v4client) version() string {
	if c.minor == "" {
		return "4"
	}
	return "4." + c.minor
}

func (c v4client) count(kind string) int {
	n := 0
	for _, h := range c.held {
		if h.kind == kind {
			n++
		}
	}
	return n
}

// clients joins what is known of each machine. A connection belongs to the NFSv4
// client of its address; beside that one, what has mounted by NFSv3 has the other
// connections of the address.
func clients(v4 []v4client, rmtab []mounted, peers []netip.AddrPort) []Client {
	var list []Client
	left := slices.Clone(peers)
	take := func(match func(netip.AddrPort) bool) int {
		before := len(left)
		left = slices.DeleteFunc(left, match)
		return before - len(left)
	}
	for _, c := range v4 {
		one := Client{
			Address: hostOf(c.address), Name: c.name, Version: c.version(), Status: c.status, Mounted: []string{},
			Opens: c.count("open"), Locks: c.count("lock"), Delegations: c.count("deleg"),
		}
		if c.renewed >= 0 {
			one.RenewedAgo = &c.renewed
		}
		one.Connections = take(func(p netip.AddrPort) bool { return p.String() == c.address })
		list = append(list, one)
	}
	for _, m := range rmtab {
		i := slices.IndexFunc(list, func(c Client) bool { return c.Address == m.client && c.Version == "3" })
		if i < 0 {
			i = len(list)
			of := func(p netip.AddrPort) bool { return p.Addr().Unmap().String() == m.client }
			list = append(list, Client{Address: m.client, Version: "3", Connections: take(of), Mounted: []string{}})
		}
		if !slices.Contains(list[i].Mounted, m.path) {
			list[i].Mounted = append(list[i].Mounted, m.path)
		}
	}
	for _, p := range left {
		addr := p.Addr().Unmap().String()
		i := slices.IndexFunc(list, func(c Client) bool { return c.Address == addr })
		if i < 0 {
			i = len(list)
			list = append(list, Client{Address: addr, Mounted: []string{}})
		}
		list[i].Connections++
	}
	slices.SortStableFunc(list, func(a, b Client) int {
		return cmp.Or(compareHosts(a.Address, b.Address), cmp.Compare(a.Version, b.Version))
	})
	return list
}

// compareHosts orders addresses as addresses and names behind them.
func compareHosts(a, b string) int {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	switch {
	case errX == nil && errY == nil:
		return x.Compare(y)
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return cmp.Compare(a, b)
}

// locks lists what NFSv4 clients hold, and the locks on the volume that belong to
// nobody among them. command names the process of a lock.
func locks(v4 []v4client, table []locked, major, minor int, command func(pid int) string) []Lock {
	list := []Lock{}
	for _, c := range v4 {
		for _, h := range c.held {
			list = append(list, Lock{
				Client: hostOf(c.address), Version: c.version(), Kind: h.kind, Access: h.access, Deny: h.deny, File: cmp.Or(h.file, inode(h.inode)),
			})
		}
	}
	for _, l := range table {
		if l.major != uint64(major) || l.minor != uint64(minor) { //nolint:gosec // device numbers are not negative
			continue
		}
		one := Lock{Kind: "lock", File: inode(l.inode), Range: l.start + "-" + l.end}
		if one.Access = "write"; l.access == "READ" {
			one.Access = "read"
		}
		switch command(l.pid) {
		case "nfsd": // an NFSv4 client's, which is in its states
			continue
		case "lockd":
			one.Version = "3"
		}
		list = append(list, one)
	}
	return list
}

func inode(number string) string {
	if _, err := strconv.ParseUint(number, 10, 64); err == nil || number != "" {
		return "inode " + number
	}
	return "not known"
}
