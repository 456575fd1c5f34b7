package check_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/check"
	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// stage is one of setup's, that sees one thing.
type stage struct {
	look func(ctx context.Context) ([]setup.Item, error)
}

func (stage) Name() string                                     { return setup.Host }
func (s stage) Look(ctx context.Context) ([]setup.Item, error) { return s.look(ctx) }
func (stage) LookRemove(context.Context) ([]setup.Item, error) { return nil, nil }
func nothing(context.Context) ([]setup.Item, error)            { return nil, nil }
func tool(out string) func(host.Cmd) (string, error) {
	return func(host.Cmd) (string, error) { return out, nil }
}

func answer(body string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		go func() {
			buf := make([]byte, 4096)
			_, _ = b.Read(buf)
			_, _ = io.WriteString(b, body)
			_ = b.Close()
		}()
		return a, nil
	}
}

const published = `name="drbdnfs-node" host="drbdtest1" value=""` + "\n"

// newNode is a node with its tools on which the group serves.
func newNode(t *testing.T) (*hosttest.Host, check.Options) {
	t.Helper()
	h := hosttest.New(t)
	h.Name = "drbdtest1"
	cfg := parse(t)
	h.Modules["drbd"] = true
	h.SetFile("/proc/drbd", "version: 9.1.23 (api:2/proto:86-121)\n")
	h.SetFile("/sys/module/drbd/parameters/usermode_helper", "drbdadm\n")
	h.SetFile("/sys/fs/selinux/enforce", "1")
	h.SetFile("/etc/corosync/corosync.conf", "totem {\n version: 2\n cluster_name: nfs_cluster\n transport: knet\n}\nquorum {\n two_node: 1\n}\nnodelist {\n node {\n name: drbdtest2\n nodeid: 2\n ring0_addr: 192.168.2.62\n }\n}\n")
	h.SetFile("/proc/fs/nfsd/nfsv4leasetime", "30\n")
	h.SetFile("/proc/fs/nfsd/nfsv4gracetime", "30\n")
	h.Tool("attrd_updater", tool(published))
	h.Tool("crm_mon", tool(`<pacemaker-result><summary><current_dc present="true" name="drbdtest1" with_quorum="true"/></summary>
<nodes><node name="drbdtest1" online="true"/><node name="drbdtest2" online="true"/></nodes></pacemaker-result>`))
	h.Tool("cibadmin", tool(`<cib><configuration><constraints><rsc_location id="cli-prefer-nfs-clone"/></constraints></configuration></cib>`))
	h.Tool("stonith_admin", tool(`<pacemaker-result><list/></pacemaker-result>`))
	h.Tool("corosync-cfgtool", func(c host.Cmd) (string, error) {
		return "LINK ID 0 udp\n\tstatus:\n\t\tnodeid: 2:\tdisconnected\n", hosttest.Exit(c, 1, "")
	})
	h.Tool("drbdadm", func(c host.Cmd) (string, error) {
		if slices.Contains(c.Args, "--version") {
			return "DRBDADM_VERSION_CODE=0x091b00\n", nil
		}
		return "handlers {\n split-brain \"/usr/lib/drbdnfs/drbdnfs-handler split-brain\";\n}\n", nil
	})
	h.Tool("lvs", tool(`{"report":[{"lv":[]}]}`))
	h.Tool("systemctl", func(c host.Cmd) (string, error) {
		if c.Args[0] == "show" {
			return "LoadState=loaded\n", nil
		}
		return "rpcbind.service loaded failed failed RPC\n", nil
	})
	h.Tool("ausearch", func(c host.Cmd) (string, error) { return "", hosttest.Exit(c, 1, "<no matches>") })
	h.Tool("ping", tool("TS: \t192.168.2.61\t100000 absolute\n\t192.168.2.62\t2500\n\t192.168.2.62\t0\n\t192.168.2.61\t-2500\n"))
	h.Tool("df", tool("1B-blocks Avail Inodes IFree\n100 5 100 50\n"))
	h.Tool("rpcinfo", tool("100005 3 tcp 20048 mountd\n"))
	return h, check.Options{
		Machine: h, Config: cfg, Self: "drbdtest1", Version: "0.1.0", Stages: []setup.Stage{stage{nothing}},
		Dial: answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
	}
}

// run looks in a bubble of time.
func run(t *testing.T, o check.Options) (r check.Report, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r = check.Run(t.Context(), o)
		took = time.Since(began)
	})
	return r, took
}

func ids(r check.Report) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.ID)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

// Ensure that every source finds what its tool says.
func TestRun(t *testing.T) {
	_, o := newNode(t)
	r, _ := run(t, o)
	const want = "clock-skew constraint-cli corosync-link fence-untested node-silent state-fresh unit-failed"
	if got := ids(r); got != want {
		t.Errorf("found %s, want %s: %+v", got, want, r.Findings)
	}
	if r.Node != "drbdtest1" || r.Errors+r.Warnings+r.Notes != len(r.Findings) {
		t.Errorf("%+v", r)
	}
}

// Ensure that what is looked at on the node that serves is looked at there alone.
func TestRunServing(t *testing.T) {
	h, o := newNode(t)
	h.SetMount("/dev/drbd1000", "/home/nfs")
	r, _ := run(t, o)
	for _, id := range []string{"volume-full", "nfs-ports", "state-link"} {
		if !strings.Contains(" "+ids(r)+" ", " "+id+" ") {
			t.Errorf("%s is not found among %s", id, ids(r))
		}
	}
}

// Ensure that each source that fails or hangs is a finding and keeps nobody
// else from looking, and that nothing takes longer than its bound.
func TestRunFaults(t *testing.T) {
	for _, tt := range []struct{ op, thing string }{
		{"pacemaker.query", "what the nodes say of themselves"},
		{"check.crm_mon", "Pacemaker"},
		{"check.cib", "Pacemaker's configuration"},
		{"check.fencing", "history of fencing"},
		{"check.links", "corosync's links"},
		{"drbd.version", "DRBD's versions"},
		{"check.units", "units"},
		{"check.denials", "SELinux"},
		{"check.volume", "volume"},
		{"check.ports", "NFS ports"},
		{"snapshot.lvs", "snapshots"},
	} {
		t.Run(tt.op, func(t *testing.T) {
			h, o := newNode(t)
			h.SetMount("/dev/drbd1000", "/home/nfs")
			h.Fail(tt.op, errors.New("boom"))
			failed, _ := run(t, o)
			seen(t, failed, tt.thing, "boom")
			h.Clear()
			h.Hang(tt.op)
			hung, took := run(t, o)
			seen(t, hung, tt.thing, "no answer")
			if took > check.SourceLimit+2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// seen looks for a finding that a thing could not be looked at.
func seen(t *testing.T, r check.Report, thing, says string) {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f check.Finding) bool { return f.Thing == thing && (f.ID == "unseen" || f.ID == "cluster-down") })
	if i < 0 || !strings.Contains(r.Findings[i].Found, says) && !strings.Contains(r.Findings[i].Found, "does not answer") {
		t.Errorf("no word that %q was not seen (%s): %+v", thing, says, r.Findings)
	}
}

// Ensure that a stage of setup that never comes back is left behind.
func TestRunStuck(t *testing.T) {
	_, o := newNode(t)
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		o.Stages = []setup.Stage{stage{func(context.Context) ([]setup.Item, error) { <-release; return nil, nil }}}
		began := time.Now()
		r := check.Run(t.Context(), o)
		close(release)
		seen(t, r, "stage host of setup", "no answer within 10s")
		if took := time.Since(began); took > check.SourceLimit+2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// Ensure that tools that are not there are not taken for all being well.
func TestRunBare(t *testing.T) {
	h, o := newNode(t)
	for _, name := range []string{"ausearch", "ping"} {
		h.Tool(name, func(host.Cmd) (string, error) { return "", host.ErrNotInstalled })
	}
	o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") }
	r, _ := run(t, o)
	seen(t, r, "clocks", host.ErrNotInstalled.Error())
	for _, id := range []string{"selinux-unseen", "metrics-port"} {
		if !strings.Contains(" "+ids(r)+" ", " "+id+" ") {
			t.Errorf("%s is not found among %s", id, ids(r))
		}
	}
}

// Ensure that an unhealthy daemon is told apart from one that is well, and that a
// diskless node is not asked for what it never has.
func TestRunMetricsDiskless(t *testing.T) {
	_, o := newNode(t)
	o.Dial = answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	o.Config.Nodes[0].Diskless = true
	r, _ := run(t, o)
	i := slices.IndexFunc(r.Findings, func(f check.Finding) bool { return f.ID == "metrics-port" })
	if i < 0 || !strings.Contains(r.Findings[i].Found, "503") {
		t.Errorf("found %+v", r.Findings)
	}
	if strings.Contains(ids(r), "state-") {
		t.Errorf("a diskless node was asked for NFS state: %s", ids(r))
	}
	o.Config.Metrics.Listen = config.ListenOff
	if r, _ := run(t, o); strings.Contains(ids(r), "metrics-port") {
		t.Error("metrics that are off are missed")
	}
}
