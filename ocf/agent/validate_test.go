package agent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/ocf/agent"
)

// parameterTests are values, each with the others as they are in params.
var parameterTests = []struct {
	name, param, value string
	reason             string // empty: it is good
}{
	{"minimum", "log_level", "", ""},
	{"all given", "device", "/dev/drbd/by-res/res0/0", ""},
	{"resource missing", "drbd_resource", "", "drbd_resource is not set"},
	{"resource with a slash", "drbd_resource", "res0/0", "drbd_resource"},
	{"resource like an option", "drbd_resource", "-res", "drbd_resource"},
	{"resource all", "drbd_resource", "all", "names every resource"},
	{"device relative", "device", "drbd0", "is not an absolute path"},
	{"directory missing", "directory", " ", "directory is not set"},
	{"directory relative", "directory", "home/nfs", "directory"},
	{"directory root", "directory", "/.", "is the root directory"},
	{"fstype with a slash", "fstype", "xfs/4", "fstype"},
	{"mount options with a space", "mount_options", "noatime, nodev", "mount_options"},
	{"mount options", "mount_options", "noatime,logbsize=256k", ""},
	{"state elsewhere", "nfs_state_dir", "/srv/state", "is not below directory"},
	{"state is the directory", "nfs_state_dir", volume, "is not below directory"},
	{"state by its own name", "nfs_state_dir", volume + "/.state", ""},
	{"exports missing", "exports", "", "exports is not set"},
	{"exports elsewhere", "exports", "/srv *(rw)", "is not below directory"},
	{"exports the state", "exports", volume + "/var/lib/nfs *(rw)", "export a directory beside nfs_state_dir"},
	{"exports below the state", "exports", volume + "/var/lib/nfs/x *(rw)", "export a directory beside nfs_state_dir"},
	{"exports above the state", "exports", volume + " *(rw)", "export a directory beside nfs_state_dir"},
	{"exports without a client", "exports", volume + "/a", "has no client"},
	{"versions unknown", "nfs_versions", "3 5", `"5" is no version`},
	{"version 2", "nfs_versions", "2", `"2" is no version`},
	{"versions with commas", "nfs_versions", "3,4.2", ""},
	{"threads zero", "nfs_threads", "0", "nfs_threads"},
	{"threads many", "nfs_threads", "100000", "nfs_threads"},
	{"threads not a number", "nfs_threads", "many", "nfs_threads"},
	{"ports unknown", "ports", "nfs=2049", "ports"},
	{"ports shared", "ports", "mountd=1000 statd=1000", "share port 1000"},
	{"lease short", "lease_time", "5", "lease_time"},
	{"lease broken", "lease_time", "1500ms", "lease_time"},
	{"lease in minutes", "lease_time", "1m", "grace_time"},
	{"grace shorter than lease", "grace_time", "20s", "grace_time 20s is shorter than lease_time 30s"},
	{"scope with a space", "server_scope", "my scope", "server_scope"},
	{"scope long", "server_scope", strings.Repeat("s", 65), "server_scope"},
	{"vips missing", "vips", "", "vips is not set"},
	{"vip without prefix", "vips", vip4, "no prefix length"},
	{"drbd_down unknown", "drbd_down", "maybe", "is not one of auto, yes, no"},
	{"report_degraded", "report_degraded", "sometimes", "report_degraded"},
	{"log_level", "log_level", "loud", "log_level"},
	{"log level", "log_level", "debug", ""},
}

// Ensure that each parameter is checked, with a reason that names it, and that
// this needs no machine.
func TestValidateParameters(t *testing.T) {
	for _, tt := range parameterTests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				w.Bare()
				w.Violations()
				w.params[tt.param] = tt.value
				want := ocf.Success
				if tt.reason != "" {
					want = ocf.ErrConfigured
				}
				w.want(t, "validate-all", want)
				w.wantReason(t, tt.reason)
				if len(w.Ops())+len(w.Looks()) > 0 {
					t.Errorf("looked at the machine: %v %v", w.Ops(), w.Looks())
				}
			})
		})
	}
}

// Ensure that defaults are filled in.
func TestDefaults(t *testing.T) {
	c, err := agent.ParseParams("nfs", map[string]string{
		"drbd_resource": "res0", "directory": "/home/nfs/", "exports": "/home/nfs/d *(ro)", "vips": "192.168.2.63/24",
	})
	if err != nil {
		t.Fatal(err)
	}
	g := c.Group
	if g.Instance != "nfs" || g.Dir != "/home/nfs" || g.FSType != "xfs" || g.StateDir != "/home/nfs/var/lib/nfs" || g.DRBDDown != "auto" || g.Device != "" {
		t.Errorf("group: %+v", g)
	}
	if s := g.Server; s.Threads != 128 || s.Scope != "res0" || s.Lease != 30*time.Second || s.Grace != 30*time.Second ||
		s.Versions.String() != "3 4.1 4.2" || s.Ports.Mountd != 32773 {
		t.Errorf("server: %+v", s)
	}
	if c.ReportDegraded || c.LogLevel != 0 {
		t.Errorf("agent: %+v", c)
	}
}

// Ensure that validation of this machine finds what start would stumble over.
func TestValidateMachine(t *testing.T) {
	tests := []struct {
		name   string
		scene  func(w *world)
		code   ocf.Code
		reason string
	}{
		{"fresh", func(*world) {}, ocf.Success, ""},
		{"serving", func(w *world) { w.level = 0; w.act("start"); w.act("promote") }, ocf.Success, ""},
		{"program missing", func(w *world) { delete(w.Programs, "exportfs") }, ocf.ErrInstalled, "install what provides exportfs"},
		{"no promotable clone", func(w *world) { delete(w.meta, "promoted_max") }, ocf.ErrConfigured, "promotable"},
		{"no clone attributes at all", func(w *world) { clear(w.meta) }, ocf.Success, ""},
		{"module missing", func(w *world) { delete(w.Modules, "xfs") }, ocf.ErrInstalled, "install kernel module xfs"},
		{"resource unknown", func(w *world) { w.DRBD.Configured = false }, ocf.ErrInstalled, "drbdadm does not know res0"},
		{"DRBD configuration broken", func(w *world) { w.DRBD.Broken = true }, ocf.ErrInstalled, "broken DRBD configuration"},
		{"pipefs in the way", func(w *world) { w.Delete("/etc/nfs.conf") }, ocf.ErrInstalled, "pipefs-directory"},
		{"state of somebody else", func(w *world) { w.Delete("/var/lib/nfs"); w.SetLink("/var/lib/nfs", "/etc") }, ocf.ErrInstalled, "not made by drbdnfs"},
		{"nfs-server enabled", func(w *world) {
			w.SetLink("/etc/systemd/system/multi-user.target.wants/nfs-server.service", "/usr/lib/systemd/system/nfs-server.service")
		}, ocf.ErrInstalled, "systemctl disable nfs-server"},
		{"directory in /etc/exports", func(w *world) { w.SetFile("/etc/exports", "# ours\n\"/home/nfs/user-data\" *(rw)\n") }, ocf.ErrInstalled, "take /home/nfs/user-data out"},
		{"others in /etc/exports", func(w *world) { w.SetFile("/etc/exports", "# /home/nfs\n\n/srv *(rw)\n/home/nfs2 *(ro)\n") }, ocf.Success, ""},
		{"no /etc/exports", func(w *world) { w.Delete("/etc/exports") }, ocf.Success, ""},
		{"/etc/exports unreadable", func(w *world) { w.Fail("read /etc/exports", errInjected) }, ocf.ErrInstalled, "injected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			on(t, func(t *testing.T, w *world) {
				tt.scene(w)
				w.level = 10
				w.want(t, "validate-all", tt.code)
				w.wantReason(t, tt.reason)
				for _, op := range w.Ops() {
					if op != "validate.module" && op != "drbd.configured" {
						t.Errorf("validation did %s", op)
					}
				}
			})
		})
	}
}
