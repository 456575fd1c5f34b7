package exports

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/nfs"
)

// Report is what was seen.
type Report struct {
	Node string `json:"node"`
	// Serving tells whether this node has the volume mounted and runs threads of
	// the NFS server.
	Serving bool `json:"serving"`
	// Active are the nodes on which Pacemaker has the group promoted; empty when
	// there is none or the cluster could not be asked.
	Active  []string `json:"active"`
	Exports []Export `json:"exports"`
	Clients []Client `json:"clients"` // of a node that serves
	Locks   []Lock   `json:"locks"`   // likewise: what clients hold, opens and delegations too
	// Unknown says what could not be seen, and why.
	Unknown []string `json:"unknown"`
}

// State is how an export is.
type State string

// The states of an export. On a node that does not serve there is only
// Configured, or one that the file and the cluster disagree about.
const (
	Offered    State = "offered"     // the server offers it as configured
	Configured State = "configured"  // in the configuration; this node does not serve
	NotApplied State = "not-applied" // the file has it in another way than the cluster, or not
	Missing    State = "missing"     // the cluster has it and the server does not
	Differs    State = "differs"     // the server offers it with other options
	Foreign    State = "foreign"     // the server offers it and the configuration does not have it
)

// Export is one directory for one client or network.
type Export struct {
	Path    string   `json:"path"`
	Client  string   `json:"client"`
	Options []string `json:"options"` // without fsid
	FSID    string   `json:"fsid"`
	State   State    `json:"state"`
	Detail  string   `json:"detail,omitempty"` // what differs, and what to do
	// Asked tells whether the kernel has this export in its own table: it gets
	// there with the first request of a client.
	Asked bool `json:"asked"`
}

// Client is a machine that uses the server: one of NFSv4 that the kernel knows, or
// one that is seen by its connections and by what it has mounted.
type Client struct {
	Address     string   `json:"address"`
	Name        string   `json:"name,omitempty"`          // NFSv4: what it calls itself
	Version     string   `json:"version,omitempty"`       // "4.2", "3"; "" is not known
	Status      string   `json:"status,omitempty"`        // NFSv4: confirmed, courtesy
	RenewedAgo  *int     `json:"renewed_ago_s,omitempty"` // NFSv4: seconds since it renewed its lease
	Connections int      `json:"connections"`             // established, to the service addresses
	Mounted     []string `json:"mounted"`                 // NFSv3: directories it has asked mountd for and not given back
	Opens       int      `json:"opens"`                   // NFSv4
	Locks       int      `json:"locks"`                   // NFSv4: files that it has locks on
	Delegations int      `json:"delegations"`             // NFSv4
}

// Lock is something that a client holds.
type Lock struct {
	Client  string `json:"client"`            // "" is not known
	Version string `json:"version,omitempty"` // "4.2", "3"; "" is not known
	Kind    string `json:"kind"`              // lock, open, deleg, layout
	Access  string `json:"access,omitempty"`  // "rw", "r-"; of NFSv3 read or write
	Deny    string `json:"deny,omitempty"`
	File    string `json:"file"`            // the end of its path, or its inode
	Range   string `json:"range,omitempty"` // NFSv3: first and last byte
}

// compare lists the exports of the file, the cluster and the server. cluster is
// nil when it could not be asked; the file then stands for it.
func compare(file, cluster []nfs.Export, table, kernel []offered, serving bool) []Export {
	asked := cluster != nil
	if !asked {
		cluster = file
	}
	var list []Export
	for _, want := range cluster {
		e := row(want)
		e.State = Configured
		in, known := find(file, want)
		switch {
		case !known:
			e.State, e.Detail = NotApplied, "not in the file any more: drbdnfs setup apply withdraws it"
		case !sameOptions(in.Options, want.Options):
			e.State, e.Detail = NotApplied, "the file has "+strings.Join(in.Options, ",")+": drbdnfs setup apply"
		}
		if serving {
			e.serve(want, table)
		}
		list = append(list, e)
	}
	for _, in := range file {
		if _, known := find(cluster, in); asked && !known {
			e := row(in)
			e.State, e.Detail = NotApplied, "in the file alone: drbdnfs setup apply offers it"
			list = append(list, e)
		}
	}
	for _, o := range table {
		other := nfs.Export{Path: o.path, Client: o.client, Options: o.options}
		if _, known := find(cluster, other); serving && !known && !named(cluster, o) {
			e := row(other)
			e.State, e.Detail = Foreign, "not made by the group: exportfs -v"
			list = append(list, e)
		}
	}
	for i := range list {
		list[i].Asked = slices.ContainsFunc(kernel, func(o offered) bool { return o.path == list[i].Path && o.client == list[i].Client })
	}
	slices.SortStableFunc(list, func(a, b Export) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Client, b.Client)) })
	return list
}

// serve compares the export with what the server offers.
func (e *Export) serve(want nfs.Export, table []offered) {
	i := slices.IndexFunc(table, func(o offered) bool { return o.path == want.Path && o.client == want.Client })
	switch {
	case i < 0 && !slices.ContainsFunc(table, func(o offered) bool { return o.path == want.Path && isName(want.Client) }):
		e.State, e.Detail = Missing, "the server does not offer it; the next monitor mends that: journalctl -t drbdnfs"
	case i >= 0 && len(lacking(want.Options, table[i].options)) > 0:
		e.State, e.Detail = Differs, "the server offers it without "+strings.Join(lacking(want.Options, table[i].options), ",")
	case e.State == Configured:
		e.State = Offered
	}
}

// row is the export as it is shown.
func row(x nfs.Export) Export {
	e := Export{Path: x.Path, Client: x.Client, Options: []string{}}
	for _, o := range x.Options {
		if id, ok := strings.CutPrefix(o, "fsid="); ok {
			e.FSID = id
		} else {
			e.Options = append(e.Options, o)
		}
	}
	return e
}

func find(list []nfs.Export, x nfs.Export) (nfs.Export, bool) {
	i := slices.IndexFunc(list, func(e nfs.Export) bool { return e.Path == x.Path && e.Client == x.Client })
	if i < 0 {
		return nfs.Export{}, false
	}
	return list[i], true
}

// named reports whether an entry of the table can come from an export for a host
// name, which exportfs may store in another form.
func named(list []nfs.Export, o offered) bool {
	return slices.ContainsFunc(list, func(e nfs.Export) bool { return e.Path == o.path && isName(e.Client) })
}

func isName(client string) bool { return !strings.ContainsAny(client, "/*?@") }

func sameOptions(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// lacking are the options of want that a table does not have. The table has every
// option spelled out; security flavours are written in a way of its own.
func lacking(want, have []string) []string {
	var out []string
	for _, o := range want {
		name, _, _ := strings.Cut(o, "=")
		if name != "sec" && !slices.Contains(have, o) && !slices.Contains(have, alias[o]) {
			out = append(out, o)
		}
	}
	return out
}

// alias are options that exportfs writes in another way.
var alias = map[string]string{"fsid=root": "fsid=0", "fsid=0": "fsid=root", "no_auth_nlm": "insecure_locks", "auth_nlm": "secure_locks"}
