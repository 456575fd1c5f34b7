package exports_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/exports"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/nfs"
)

// world is a machine with files, in memory.
type world struct {
	files   map[string]string
	dirs    map[string][]string
	frozen  string // a file whose read does not end before thaw
	thaw    chan struct{}
	mounts  []host.Mount
	sockets []host.TCPSocket
	runs    map[string]string // what programs print; one that is missing is not installed
}

func (w *world) Run(_ context.Context, c host.Cmd) (host.Result, error) {
	out, ok := w.runs[c.Name]
	if !ok {
		return host.Result{}, host.ErrNotInstalled
	}
	return host.Result{Stdout: []byte(out)}, nil
}

func (w *world) ReadFile(name string) ([]byte, error) {
	if name == w.frozen {
		<-w.thaw
	}
	if s, ok := w.files[name]; ok {
		return []byte(s), nil
	}
	return nil, os.ErrNotExist
}

func (w *world) ReadDir(name string) ([]string, error) {
	if d, ok := w.dirs[name]; ok {
		return d, nil
	}
	return nil, os.ErrNotExist
}
func (w *world) Mounts() ([]host.Mount, error) { return w.mounts, nil }
func (w *world) Hostname() (string, error)     { return "drbdtest1", nil }
func (w *world) TCPSockets(_ context.Context, local netip.Addr) ([]host.TCPSocket, error) {
	if w.sockets == nil {
		return nil, host.ErrNoSockDiag
	}
	return slices.DeleteFunc(slices.Clone(w.sockets), func(s host.TCPSocket) bool { return s.Local.Addr() != local }), nil
}

func recording(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func conf(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Parse("drbdnfs.toml", []byte(strings.ReplaceAll(config.Example(), `mode = ""`, "mode = \"none\"\naccept_split_brain = true")))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serving is a node of the example that serves one client by both protocols.
func serving(t *testing.T) *world {
	t.Helper()
	c := conf(t)
	client := netip.MustParseAddrPort("192.168.2.64:992")
	vip := netip.MustParsePrefix(c.VIPs[0].Address).Addr()
	etab := strings.ReplaceAll(recording(t, "etab-2.6.2.txt"), "FSID", nfs.FSID(c.Resource.Name, c.Exports[0].Path))
	return &world{
		files: map[string]string{
			"/proc/fs/nfsd/threads": "128\n", "/var/lib/nfs/etab": etab, "/proc/fs/nfsd/exports": recording(t, "exports-6.1.txt"),
			"/proc/fs/nfsd/clients/3/info": recording(t, "info-6.1-nfsv42.txt"), "/proc/fs/nfsd/clients/3/states": recording(t, "states-6.1.txt"),
			"/var/lib/nfs/rmtab": "192.168.2.64:/home/nfs/user-data:0x00000001\n",
			"/proc/locks":        "1: POSIX  ADVISORY  WRITE 55 93:3e8:620 0 EOF\n", "/proc/55/comm": "lockd\n",
		},
		dirs:    map[string][]string{"/proc/fs/nfsd/clients": {"3"}, "/var/lib/nfs/sm": {"192.168.2.64"}},
		mounts:  []host.Mount{{Dir: c.Filesystem.Mount, Major: 147, Minor: 1000}},
		sockets: []host.TCPSocket{{Local: netip.AddrPortFrom(vip, 2049), Remote: client}, {Local: netip.AddrPortFrom(vip, 22), Remote: client}},
		runs:    map[string]string{},
	}
}

func look(t *testing.T, w *world) exports.Report {
	t.Helper()
	r, err := exports.Look(t.Context(), w, conf(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// says reports whether one of the things that are not known has the words.
func says(r exports.Report, words string) bool {
	return slices.ContainsFunc(r.Unknown, func(s string) bool { return strings.Contains(s, words) })
}

// Ensure that a node that serves shows exports, clients and locks, also without a
// cluster to ask, which it says.
func TestLookServing(t *testing.T) {
	r := look(t, serving(t))
	if !r.Serving || len(r.Exports) != 1 || r.Exports[0].State != exports.Offered || !r.Exports[0].Asked {
		t.Errorf("exports are %+v", r.Exports)
	}
	if len(r.Clients) != 2 || r.Clients[0].Version != "3" || r.Clients[1].Version != "4.2" || r.Clients[1].Connections != 1 {
		t.Errorf("clients are %+v", r.Clients)
	}
	if len(r.Locks) != 5 || r.Locks[4].Version != "3" {
		t.Errorf("locks are %+v", r.Locks)
	}
	for _, words := range []string{"which node is active", "the cluster's exports", "clients that rpc.statd watches for locks: 192.168.2.64"} {
		if !says(r, words) {
			t.Errorf("it does not say %q: %q", words, r.Unknown)
		}
	}
}

// Ensure that the passive node lists the configuration and looks at no client,
// and that the cluster's exports are compared with the file's.
func TestLookPassive(t *testing.T) {
	w := serving(t)
	w.mounts = nil
	w.runs["cibadmin"] = `<resources><clone id="nfs-clone"><primitive id="nfs"><instance_attributes id="i"><nvpair id="n" name="exports" value="/home/nfs/other *(rw)"/></instance_attributes></primitive></clone></resources>`
	r := look(t, w)
	if r.Serving || len(r.Clients) != 0 || len(r.Locks) != 0 {
		t.Errorf("it saw clients: %+v", r)
	}
	var got []string
	for _, e := range r.Exports {
		got = append(got, e.Path+" "+string(e.State))
	}
	if diff := cmp.Diff([]string{"/home/nfs/other not-applied", "/home/nfs/user-data not-applied"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Ensure that everything that cannot be seen is said, and what can is shown.
func TestLookUnknown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(w *world)
		says  string
	}{
		{"no list of clients", func(w *world) { delete(w.dirs, "/proc/fs/nfsd/clients") }, "this kernel has no /proc/fs/nfsd/clients"},
		{"no sock_diag", func(w *world) { w.sockets = nil }, "cannot list TCP sockets"},
		{"no rmtab", func(w *world) { delete(w.files, "/var/lib/nfs/rmtab") }, "/var/lib/nfs/rmtab"},
		{"a garbled client", func(w *world) { w.files["/proc/fs/nfsd/clients/3/info"] = "x" }, "a client without an address"},
		{"a garbled state", func(w *world) { w.files["/proc/fs/nfsd/clients/3/states"] = "- x" }, "what NFSv4 client 192.168.2.64 holds"},
		{"a lock of nobody", func(w *world) { delete(w.files, "/proc/55/comm") }, "locks without a version"},
		{"no list of rpc.statd", func(w *world) { delete(w.dirs, "/var/lib/nfs/sm") }, "watches for locks: not known"},
		{"a CIB without the group", func(w *world) { w.runs["cibadmin"] = "<resources/>" }, "the cluster has no group nfs"},
		{"no CIB", func(w *world) { w.runs["cibadmin"] = "<" }, "no XML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := serving(t)
			tt.spoil(w)
			r := look(t, w)
			if !says(r, tt.says) {
				t.Errorf("it does not say %q: %q", tt.says, r.Unknown)
			}
			if !r.Serving || r.Exports[0].State != exports.Offered {
				t.Errorf("exports are not shown: %+v", r.Exports)
			}
		})
	}
}

// Ensure that a volume that holds back I/O does not hang the look.
func TestLookFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serving(t)
		w.frozen, w.thaw = "/var/lib/nfs/rmtab", make(chan struct{})
		defer close(w.thaw)
		if r := look(t, w); !says(r, "no answer within 2s") || len(r.Clients) != 1 {
			t.Errorf("got %+v, %q", r.Clients, r.Unknown)
		}
	})
}
