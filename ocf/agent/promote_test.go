package agent_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/splitbrain/marker"
)

// Ensure that a promotion that cannot succeed says why, changes nothing that it
// does not take back, and does not wait for what waiting does not mend.
func TestPromoteRefused(t *testing.T) {
	tests := []struct {
		name   string
		scene  func(w *world)
		code   ocf.Code
		reason string
		within time.Duration
	}{
		{"DRBD is down", func(w *world) { w.takeDown() }, ocf.NotRunning, "DRBD resource res0 is not up", 0},
		{"another NFS server", func(w *world) { w.SetForeignNFSD(8) }, ocf.ErrGeneric, "systemctl disable --now nfs-server", 0},
		{"another file system", func(w *world) { w.SetMount("/dev/sdb1", volume) }, ocf.ErrGeneric, "umount the other file system", 0},
		{"victim of a split brain", func(w *world) { w.SetFile(marker.Path("res0"), ""); w.DRBD.LosePeer() }, ocf.ErrGeneric, "split brain", 0},
		{"no UpToDate data", func(w *world) { w.DRBD.Disk = "Outdated"; w.DRBD.LosePeer() }, ocf.ErrGeneric, "Need access to UpToDate data", 0},
		{"peer is Primary", func(w *world) { w.DRBD.PeerRole = "Primary" }, ocf.ErrGeneric, "Multiple primaries not allowed", 20 * time.Second},
		{"no quorum", func(w *world) { w.DRBD.Quorum = false }, ocf.ErrGeneric, "No quorum", 20 * time.Second},
		{"damaged file system", func(w *world) { w.DRBD.Damaged = true }, ocf.ErrGeneric, "nothing was repaired", time.Second},
		{"wrong type", func(w *world) { w.params["fstype"] = "ext4" }, ocf.ErrGeneric, "no valid file system", time.Second},
		{"read-only", func(w *world) { w.params["mount_options"] = "ro" }, ocf.ErrGeneric, "mount table does not show it", time.Second},
		{"export that is not there", func(w *world) { w.params["exports"] = volume + "/gone *(rw)" }, ocf.ErrGeneric, "make the directory /home/nfs/gone", time.Second},
		{"address of another machine", func(w *world) { w.Neighbours[netip.MustParseAddr(vip4)] = true }, ocf.ErrGeneric, "52:54:00:ff:00:01 answers for it", time.Second},
		{"address elsewhere on this node", func(w *world) { w.SetAddress("ens4", vip4+"/32") }, ocf.ErrGeneric, "already configured elsewhere", time.Second},
		{"no such interface", func(w *world) { w.params["vips"] = vip4 + "/24@eth7" }, ocf.ErrGeneric, "no such network interface", time.Second},
		{"interface is off", func(w *world) { w.Links[1].Up = false }, ocf.ErrGeneric, "ip link set ens3 up", time.Second},
		{"nfsdcld does not watch", func(w *world) { w.NFSD.NoWatch = true }, ocf.ErrGeneric, "not ready", timeout("promote")},
		{"program gone", func(w *world) { delete(w.Programs, "nfsdcld") }, ocf.ErrInstalled, "nfsdcld", time.Second},
		{"mountd does not start", func(w *world) { w.Spawn("rpc.mountd", "cwd", "/") }, ocf.ErrGeneric, "see journalctl -u drbdnfs-daemons.service", time.Second},
		{"server does not answer", func(w *world) { w.On("nfs.threads", func() { w.NFSD.Stuck = true }) }, ocf.ErrGeneric, "does not answer", timeout("promote")},
		{"state is a file", func(w *world) { w.onVolume(func() { w.SetFile(stateDir, "") }) }, ocf.ErrGeneric, "is not a directory", time.Second},
		{"I/O is suspended", func(w *world) { w.act("promote"); w.Kill9("rpc.mountd"); w.Suspend("fencing") }, ocf.ErrGeneric, "DRBD I/O is suspended (fencing)", 20 * time.Second},
		{"parameters", func(w *world) { w.params["vips"] = "nfs.example.org/24" }, ocf.ErrConfigured, "is not an IP address", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.started(t)
				tt.scene(w)
				before := w.leftBesidesAddress()
				w.want(t, "promote", tt.code)
				w.wantReason(t, tt.reason)
				if w.took > tt.within {
					t.Errorf("took %v, want at most %v", w.took, tt.within)
				}
				w.NFSD.Stuck = false
				if left := w.leftBesidesAddress(); !slices.Equal(left, before) && tt.name != "server does not answer" {
					t.Errorf("left: %v; before: %v", left, before)
				}
			})
		})
	}
}

// leftBesidesAddress is Leftovers without the address: a promotion that fails
// takes it away, whoever put it there.
func (w *world) leftBesidesAddress() []string {
	return slices.DeleteFunc(w.Leftovers(), func(s string) bool { return s == "address "+vip4 })
}

// takeDown takes DRBD down as an administrator does.
func (w *world) takeDown() { w.DRBD.Up = false }

// onVolume runs fn while the volume is mounted by somebody.
func (w *world) onVolume(fn func()) {
	role := w.DRBD.Role
	w.DRBD.Role = "Primary"
	w.SetDir(volume, 0, 0)
	if err := w.Mount(context.Background(), "test", w.DRBD.Device(), volume, "xfs", ""); err != nil {
		panic(err)
	}
	fn()
	if err := w.Unmount(context.Background(), "test", volume); err != nil {
		panic(err)
	}
	w.DRBD.Role = role
}

// Ensure that what DRBD refuses for the moment is tried again.
func TestPromoteWaitsForDRBD(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.started(t)
		w.DRBD.PeerRole = "Primary"
		tries := 0
		w.On("drbd.primary", func() {
			if tries++; tries == 10 {
				w.DRBD.LosePeer() // the peer's death was noticed
			}
		})
		w.want(t, "promote", ocf.Success)
		if !w.Serves() || tries < 10 {
			t.Errorf("serves: %v after %d tries", w.Serves(), tries)
		}
	})
}

// Ensure that the first promotion makes the volume's state out of the node's
// own, without rpc_pipefs, and that later ones keep what is there but the table
// of exports.
func TestPromoteSeedsState(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.SetFile("/var/lib/nfs/nfsdcld/main.sqlite", "clients")
		w.promoted(t)
		if got, _ := w.File(stateDir + "/nfsdcld/main.sqlite"); got != "clients" {
			t.Errorf("nfsdcld's data on the volume: %q", got)
		}
		if w.Resolve(stateDir+"/rpc_pipefs") != "" {
			t.Error("rpc_pipefs was copied")
		}
		w.SetFile(stateDir+"/nfsdcld/main.sqlite", "newer")
		w.SetFile(stateDir+"/etab", "/srv/old\t*(rw)\n")
		w.want(t, "demote", ocf.Success)
		w.SetDir("/var/lib/nfs/statd/sm", 996, 996) // rpc.statd's account has another number here
		w.want(t, "promote", ocf.Success)
		if got, _ := w.File("/var/lib/nfs/nfsdcld/main.sqlite"); got != "newer" {
			t.Errorf("nfsdcld's data: %q", got)
		}
		if etab, _ := w.File("/var/lib/nfs/etab"); strings.Contains(etab, "/srv/old") || !strings.Contains(etab, volume+"/user-data\t192.168.2.0/24(") {
			t.Errorf("exports: %q", etab)
		}
		if uid, gid, _ := w.Owner(stateDir + "/statd/sm"); uid != 996 || gid != 996 {
			t.Errorf("rpc.statd's directory belongs to %d:%d", uid, gid)
		}
	})
}

// Ensure that the server is set up as the parameters say, before its threads
// start, and that nfsdcld is there first.
func TestPromoteConfiguresServer(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		w.params["nfs_versions"], w.params["lease_time"], w.params["grace_time"] = "3 4.1", "20s", "45s"
		w.params["server_scope"] = "storage"
		w.promoted(t)
		for path, want := range map[string]string{
			"/proc/fs/nfsd/versions":            "-2 +3 +4 -4.0 +4.1 -4.2",
			"/proc/fs/nfsd/nfsv4leasetime":      "20",
			"/proc/fs/nfsd/nfsv4gracetime":      "45",
			"/proc/sys/fs/nfs/nlm_grace_period": "50",
			"/proc/sys/fs/nfs/nlm_tcpport":      "32774",
			"/proc/sys/fs/nfs/nlm_udpport":      "32775",
			"/proc/fs/lockd/nlm_end_grace":      "Y",
		} {
			if got := w.Control(path); got != want {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
		}
		if w.NFSD.Threads != 8 || w.NFSD.Scope != "storage" || !w.NFSD.Tracked {
			t.Errorf("threads %d, scope %q, clients tracked: %v", w.NFSD.Threads, w.NFSD.Scope, w.NFSD.Tracked)
		}
	})
}

// Ensure that clients with NFSv3 locks get their grace period, and are told to
// reclaim only when they can reach the server; and that those with connections
// are tickled.
func TestPromoteTellsClients(t *testing.T) {
	on(t, func(t *testing.T, w *world) {
		rich(t, w, "promote")
		w.On("nfs.notify", func() {
			if w.Blocked != nil {
				t.Error("clients are told to reclaim while the ports are blocked")
			}
		})
		before := w.Control("/proc/fs/lockd/nlm_end_grace")
		if err := w.WriteFile("test", "/proc/fs/lockd/nlm_end_grace", []byte("N")); err != nil || before != "Y" {
			t.Fatal(before, err)
		}
		w.want(t, "promote", ocf.Success)
		if got := w.Control("/proc/fs/lockd/nlm_end_grace"); got != "N" {
			t.Error("the grace period was ended although a client has locks")
		}
		if !slices.Contains(w.Notified, "client99") {
			t.Errorf("notified: %v", w.Notified)
		}
		var remotes []string
		for _, s := range w.Tickled {
			remotes = append(remotes, s.Remote.String())
		}
		slices.Sort(remotes)
		if want := []string{"192.168.2.98:702", "192.168.2.99:701"}; !slices.Equal(remotes, want) {
			t.Errorf("tickled %v, want %v", remotes, want)
		}
		if !slices.Contains(w.Announced, vip4) || !slices.Contains(w.Announced, "fd00:2::63") {
			t.Errorf("announced: %v", w.Announced)
		}
	})
}

// Ensure that a promotion repairs what is missing of one, and that it gives way
// to nothing of nfs-utils that it can replace.
func TestPromoteCompletes(t *testing.T) {
	tests := []struct {
		name  string
		scene func(w *world)
	}{
		{"daemon killed", func(w *world) { w.Kill9("rpc.mountd") }},
		{"address gone", func(w *world) { w.DropAddress(vip4) }},
		{"export gone", func(w *world) { w.SetFile(stateDir+"/etab", "") }},
		{"threads killed", func(w *world) { w.SetThreads(0) }},
		{"demoted, rpc.statd of nfs-utils", func(w *world) { w.act("demote"); w.SetService("rpc-statd.service", "rpc.statd") }},
		{"demoted, rpcbind gone", func(w *world) { w.act("demote"); w.Kill9("rpcbind") }},
		{"demoted, device Primary", func(w *world) { w.act("demote"); w.DRBD.Role = "Primary" }},
		{"demoted, listening sockets left", func(w *world) { w.act("demote"); _ = w.AddNFSDListeners("test", 2049) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.promoted(t)
				tt.scene(w)
				w.want(t, "promote", ocf.Success)
				w.hasReached(t, "promote")
				if !slices.Contains(w.Units(), "rpcbind.service") {
					t.Error("no rpcbind")
				}
				w.want(t, "stop", ocf.Success)
				w.clean(t)
				if back := slices.Contains(w.Units(), "rpc-statd.service"); back != strings.Contains(tt.name, "rpc.statd of") {
					t.Errorf("the node's own rpc.statd runs: %v", back)
				}
			})
		})
	}
}

// Ensure that each protocol version works without the other.
func TestPromoteVersions(t *testing.T) {
	tests := []struct {
		versions, daemons string
	}{
		{"3", "rpc.statd rpc.mountd"},
		{"4.2", "nfsdcld rpc.mountd"},
		{"3 4.0 4.1 4.2", "nfsdcld rpc.statd rpc.mountd"},
	}
	for _, tt := range tests {
		t.Run(tt.versions, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.params["nfs_versions"] = tt.versions
				w.Started = nil
				w.promoted(t)
				var got []string
				for _, argv := range w.Started {
					if name := argv[0][strings.LastIndex(argv[0], "/")+1:]; name != "rpc.idmapd" && name != "drbdnfs" {
						got = append(got, name)
					}
				}
				if strings.Join(got, " ") != tt.daemons {
					t.Errorf("started %v, want %s", got, tt.daemons)
				}
				w.want(t, "monitor", ocf.RunningPromoted)
				w.want(t, "stop", ocf.Success)
				w.clean(t)
			})
		})
	}
}
