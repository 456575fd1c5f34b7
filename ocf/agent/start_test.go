package agent_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/ocf/agent"
	"github.com/spacei/drbdnfs/pkg/host"
)

// Ensure that start refuses what cannot work, with the code that says how far
// the refusal goes, and changes nothing.
func TestStartRefused(t *testing.T) {
	tests := []struct {
		name   string
		scene  func(w *world)
		code   ocf.Code
		reason string
	}{
		{"required parameter missing", func(w *world) { delete(w.params, "vips") }, ocf.ErrConfigured, "vips is not set"},
		{"no promotable clone", func(w *world) { delete(w.meta, "promoted_max") }, ocf.ErrConfigured, "pcs resource promotable nfs"},
		{"no clone", func(w *world) { w.meta = map[string]string{"on_node": "drbdtest1"} }, ocf.ErrConfigured, "pcs resource promotable nfs"},
		{"two promoted", func(w *world) { w.meta["promoted_max"] = "2" }, ocf.ErrConfigured, "promoted-max=1, it is 2"},
		{"two promoted, old name", func(w *world) { delete(w.meta, "promoted_max"); w.meta["master_max"] = "2" }, ocf.ErrConfigured, "it is 2"},
		{"two promoted per node", func(w *world) { w.meta["promoted_node_max"] = "2" }, ocf.ErrConfigured, "promoted-node-max=1"},
		{"two per node", func(w *world) { w.meta["clone_node_max"] = "2" }, ocf.ErrConfigured, "clone-node-max=1"},
		{"globally unique", func(w *world) { w.meta["globally_unique"] = "true" }, ocf.ErrConfigured, "globally-unique=false"},
		{"second group", func(w *world) { w.SetFile(runDir+"/other.json", "{}") }, ocf.ErrArgs, "one group per node: other is started here"},
		{"program missing", func(w *world) { delete(w.Programs, "rpc.mountd"); delete(w.Programs, "sm-notify") }, ocf.ErrInstalled, "rpc.mountd, sm-notify"},
		{"nothing installed", func(w *world) { w.Bare() }, ocf.ErrInstalled, "drbdadm"},
		{"DRBD not configured", func(w *world) { w.DRBD.Configured = false }, ocf.ErrInstalled, "not defined in your config"},
		{"DRBD configuration broken", func(w *world) { w.DRBD.Broken = true }, ocf.ErrInstalled, "Parse error"},
		{"rpc_pipefs below the state", func(w *world) { w.SetFile("/etc/nfs.conf", "[general]\n") }, ocf.ErrGeneric, "set pipefs-directory=/run/rpc_pipefs"},
		{"state mounted", func(w *world) { w.SetMount("/dev/sdb1", "/var/lib/nfs") }, ocf.ErrGeneric, "is mounted there"},
		{"state of somebody else", func(w *world) {
			w.Delete("/var/lib/nfs")
			w.SetDir("/srv/nfs", 0, 0)
			w.SetLink("/var/lib/nfs", "/srv/nfs")
		}, ocf.ErrGeneric, `leads to "/srv/nfs": not made by drbdnfs`},
		{"two states", func(w *world) { w.SetDir("/var/lib/nfs.local", 0, 0) }, ocf.ErrGeneric, "are both directories"},
		{"no nfsd", func(w *world) { delete(w.Modules, "nfsd") }, ocf.ErrGeneric, "Module nfsd not found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				tt.scene(w)
				nfs := w.Resolve("/var/lib/nfs")
				w.want(t, "start", tt.code)
				w.wantReason(t, tt.reason)
				if now := w.Resolve("/var/lib/nfs"); now != nfs && now != "/var/lib/nfs.local" {
					t.Errorf("/var/lib/nfs led to %q, now to %q", nfs, now)
				}
				if w.DRBD.Up || w.NFSD.Threads > 0 {
					t.Errorf("DRBD up: %v, threads: %d", w.DRBD.Up, w.NFSD.Threads)
				}
				w.Violations() // the scene's own
			})
		})
	}
}

// histories are what a node can have behind it when it is started.
var histories = []struct {
	name  string
	scene func(w *world)
}{
	{"fresh", func(*world) {}},
	{"called by hand", func(w *world) { clear(w.meta) }},
	{"Pacemaker 2.0", func(w *world) { delete(w.meta, "promoted_max"); w.meta["master_max"] = "1" }},
	{"without RENAME_EXCHANGE", func(w *world) { w.NoExchange = true }},
	{"state with the link of the procedure", func(w *world) {
		w.SetDir("/var/lib/nfs_/statd/sm", 29, 29)
		w.Delete("/var/lib/nfs")
		w.SetLink("/var/lib/nfs", "/home/nfs/var/lib/nfs") // dangles while the volume is not mounted
	}},
	{"DRBD up", func(w *world) { w.SetUp() }},
	{"DRBD up, peer gone", func(w *world) { w.DRBD.LosePeer() }},
	{"DRBD up, standing alone", func(w *world) { w.DRBD.LosePeer(); w.DRBD.Connection = "StandAlone" }},
	{"DRBD being brought up by LINSTOR", func(w *world) {
		w.SetFile("/var/lib/linstor.d/res0.res", "")
		w.SetService("linstor-satellite.service", "java")
		w.Modules["drbd"] = true
		looks := 0
		w.On("drbd.status", func() {
			if looks++; looks == 5 {
				w.DRBD.Up = true
			}
		})
	}},
	{"LINSTOR that does not bring it up", func(w *world) {
		w.SetFile("/var/lib/linstor.d/res0.res", "")
		w.SetService("linstor-satellite.service", "java")
	}},
	{"idmapd of nfs-utils", func(w *world) { w.SetService("nfs-idmapd.service", "rpc.idmapd") }},
	{"Primary without anything", func(w *world) { w.SetUp(); w.DRBD.Role = "Primary" }},
	{"address left", func(w *world) { w.SetAddress("ens3", vip4+"/24") }},
	{"port block left", func(w *world) {
		w.SetFile(runDir+"/nfs.json", `{"params":{"drbd_resource":"res0"}}`)
		w.Blocked = &host.Block{}
	}},
	{"volume mounted by somebody", func(w *world) {
		w.SetUp()
		w.DRBD.Role = "Primary"
		w.SetDir(volume, 0, 0)
		_ = w.Mount(context.Background(), "test", w.DRBD.Device(), volume, "xfs", "")
	}},
}

// Ensure that start ends ready to be promoted on nodes of every history.
func TestStart(t *testing.T) {
	for _, tt := range histories {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				tt.scene(w)
				w.Violations() // the scene's own
				w.want(t, "start", ocf.Success)
				if w.NoExchange {
					w.Violations() // there is an instant without the path then
				}
				w.hasReached(t, "start")
				if st, err := w.Lstat("/var/lib/nfs"); err != nil || st.IsDir() || w.Resolve("/var/lib/nfs") != "/var/lib/nfs.local" {
					t.Errorf("/var/lib/nfs leads to %q", w.Resolve("/var/lib/nfs"))
				}
				w.want(t, "promote", ocf.Success)
				w.hasReached(t, "promote")
			})
		})
	}
}

// Ensure that a node whose state directory is gone gets one that works.
func TestStartWithoutState(t *testing.T) {
	for _, distribution := range []func(w *world){func(*world) {}, func(w *world) { w.Debian() }} {
		on(t, func(t *testing.T, w *world) {
			distribution(w)
			w.Delete("/var/lib/nfs")
			w.promoted(t)
			w.want(t, "stop", ocf.Success)
		})
	}
}

// Ensure that start takes down what a dead cluster has left, unless it serves:
// then it is adopted, and only then.
func TestStartOverLeftovers(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		w.Parent = "300@1" // a new cluster on the same boot
		w.want(t, "start", ocf.Success)
		if !w.Serves() {
			t.Error("a group that serves was disturbed")
		}
		w.Kill9("rpc.mountd")
		w.want(t, "start", ocf.Success)
		w.hasReached(t, "start")
	})
}

// Ensure that a notification does nothing wrong wherever it comes.
func TestNotify(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.meta["notify_type"] = "post"
		w.want(t, "notify", ocf.Success)
		set := w.params
		w.params = nil
		w.want(t, "notify", ocf.Success)
		w.params = set
		w.Fail("drbd.status", errInjected)
		w.SetUp()
		w.want(t, "notify", ocf.Success)
	})
}

// Ensure that reload-agent applies exports and threads to a running group
// without a gap, and that a stop without parameters then knows them.
func TestReload(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.params["exports"] = volume + "/user-data 192.168.2.0/24(rw) 10.0.0.0/8(ro)"
		w.promoted(t)
		w.params["exports"] = volume + "/user-data 192.168.2.0/24(rw,no_root_squash)\n" + volume + "/more-data *(ro)"
		w.params["nfs_threads"] = "32"
		w.want(t, "reload-agent", ocf.Success)
		etab, _ := w.File("/var/lib/nfs/etab")
		for _, want := range []string{"/user-data\t192.168.2.0/24(rw,no_root_squash,fsid=", "/more-data\t*(ro,fsid="} {
			if !strings.Contains(etab, volume+want) {
				t.Errorf("etab has no %q:\n%s", want, etab)
			}
		}
		if strings.Contains(etab, "10.0.0.0/8") || w.NFSD.Threads != 32 {
			t.Errorf("threads %d, etab:\n%s", w.NFSD.Threads, etab)
		}
		ops := w.Ops()
		if i, j := slices.Index(ops, "nfs.export"), slices.Index(ops, "nfs.unexport"); i < 0 || j < i {
			t.Errorf("exports are withdrawn first: %v", ops)
		}
		w.want(t, "monitor", ocf.RunningPromoted)
		w.want(t, "reload-agent", ocf.Success)
		w.params = nil
		w.want(t, "stop", ocf.Success)
		w.clean(t)
	})
}

// Ensure that reload-agent adds a service address and takes one away, together
// with the connections to it, while the others stay; and that each of its calls
// may fail once.
func TestReloadAddresses(t *testing.T) {
	const second, third = "192.168.2.64", "10.0.0.64"
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		w.params["vips"] = vip4 + "/24@ens3 " + second + "/24@ens3"
		w.FailOnce("vip.add", errInjected)
		w.want(t, "reload-agent", ocf.ErrGeneric)
		w.want(t, "reload-agent", ocf.Success)
		w.want(t, "monitor", ocf.RunningPromoted)

		old := netip.MustParseAddrPort(second + ":2049")
		w.Sockets = append(w.Sockets, host.TCPSocket{Local: old, Remote: netip.MustParseAddrPort("192.168.2.70:800")})
		w.params["vips"] = vip4 + "/24@ens3 " + third + "/24@ens4"
		for _, op := range []string{"vip.delete", "peers.destroy", "vip.add", "record.write"} {
			w.FailOnce(op, errInjected)
			w.want(t, "reload-agent", ocf.ErrGeneric)
			w.wantReason(t, "injected")
		}
		w.want(t, "reload-agent", ocf.Success)
		var have []string
		for _, a := range w.Addrs {
			have = append(have, a.Prefix.Addr().String())
		}
		if slices.Contains(have, second) || !slices.Contains(have, third) || !slices.Contains(have, vip4) {
			t.Errorf("addresses %v, want %s and %s without %s", have, vip4, third, second)
		}
		if len(w.Sockets) != 0 {
			t.Errorf("connections %v stay", w.Sockets)
		}
		w.want(t, "monitor", ocf.RunningPromoted)
		w.Neighbours[netip.MustParseAddr(second)] = true
		w.params["vips"] = vip4 + "/24@ens3 " + second + "/24@ens3"
		w.want(t, "reload-agent", ocf.ErrGeneric)
		w.wantReason(t, "in use by another machine")
	})
}

// Ensure that a reload that fails can be repeated, and that one of a group that
// does not serve only remembers the parameters.
func TestReloadElsewhere(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.started(t)
		w.params["exports"] = volume + "/more-data *(ro)"
		w.want(t, "reload-agent", ocf.Success)
		w.clean(t)
		w.want(t, "promote", ocf.Success)
		w.params["exports"] = volume + "/user-data *(ro)"
		for _, op := range []string{"nfs.export", "nfs.unexport", "record.write"} {
			w.FailOnce(op, errInjected)
			w.want(t, "reload-agent", ocf.ErrGeneric)
			w.wantReason(t, "injected")
		}
		w.want(t, "reload-agent", ocf.Success)
		if etab, _ := w.File("/var/lib/nfs/etab"); strings.Contains(etab, "more-data") {
			t.Errorf("etab:\n%s", etab)
		}
		w.params["exports"] = "none"
		w.want(t, "reload-agent", ocf.ErrConfigured)
	})
}

// Ensure that fault points can name every step, each once, and nothing else.
func TestStepNames(t *testing.T) {
	for _, action := range []string{"promote", "demote"} {
		names := agent.StepNames(action)
		slices.Sort(names)
		if len(names) < 9 || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("%s: %v", action, names)
		}
	}
	on(t, func(t *testing.T, w *world) {
		w.started(t)
		for _, text := range []string{"", "promote", "demote mount before", "promote mount between", "promote elsewhere before"} {
			w.SetFile(agent.FaultPointPath, text)
			w.want(t, "promote", ocf.Success)
			w.want(t, "demote", ocf.Success)
			if _, there := w.File(agent.FaultPointPath); there == (text == "demote mount before") && w.killed {
				t.Errorf("%q: killed", text)
			}
		}
	})
}

// Ensure that the announcer repeats what a promotion has announced, and ends
// with the address; and that only known tasks run in the background.
func TestBackground(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.promoted(t)
		w.clients(t)
		a := w.agent()
		if err := a.Background(t.Context(), "save-peers", "nfs"); err != nil {
			t.Fatal(err)
		}
		if text, _ := w.File(stateDir + "/drbdnfs-peers"); !strings.Contains(text, vip4+":2049 192.168.2.99:701\n") {
			t.Errorf("saved: %q", text)
		}
		w.Announced, w.Tickled = nil, nil
		if err := a.Background(t.Context(), "announce", "nfs"); err != nil {
			t.Fatal(err)
		}
		if len(w.Announced) != 5 || len(w.Tickled) != 10 {
			t.Errorf("announced %d times, %d tickles", len(w.Announced), len(w.Tickled))
		}
		w.DropAddress(vip4)
		w.Announced = nil
		if err := a.Background(t.Context(), "announce", "nfs"); err != nil || len(w.Announced) > 0 {
			t.Errorf("without the address: announced %v, %v", w.Announced, err)
		}
		w.Reboot()
		if err := a.Background(t.Context(), "restore-state", "boot"); err != nil || w.Resolve("/var/lib/nfs") != "/var/lib/nfs.local" {
			t.Errorf("after a boot /var/lib/nfs leads to %q, %v", w.Resolve("/var/lib/nfs"), err)
		}
		for _, bad := range [][2]string{{"dance", "nfs"}, {"announce", "other"}} {
			if err := a.Background(t.Context(), bad[0], bad[1]); err == nil {
				t.Errorf("%v: no error", bad)
			}
		}
		if agent.IsBackground("monitor") || !agent.IsBackground("announce") || !agent.IsBackground("save-peers") || !agent.IsBackground("restore-state") {
			t.Error("wrong background tasks")
		}
	})
}
