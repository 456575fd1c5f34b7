package host

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"
)

// Ensure that systemd is told what it needs to keep daemons in one group, to
// end them after Pacemaker, and to leave nothing behind.
func TestUnitProperties(t *testing.T) {
	tests := []struct {
		name string
		unit Unit
		want []string
	}{
		{
			"daemons",
			Unit{
				Name: "drbdnfs-daemons.service", Description: "daemons", Oneshot: true, Before: []string{"pacemaker.service"},
				Commands: [][]string{{"/usr/sbin/nfsdcld"}, {"/usr/sbin/rpc.statd", "--port", "32771"}},
			},
			[]string{
				`Description = "daemons"`,
				`ExecStart = [["/usr/sbin/nfsdcld" ["/usr/sbin/nfsdcld"] false] ["/usr/sbin/rpc.statd" ["/usr/sbin/rpc.statd" "--port" "32771"] false]]`,
				`Type = "oneshot"`, `RemainAfterExit = true`,
				`KillMode = "control-group"`, `TimeoutStopUSec = 3000000`, `CollectMode = "inactive-or-failed"`,
				`DefaultDependencies = false`, `Environment = ["LC_ALL=C"]`, `Before = ["pacemaker.service"]`,
			},
		},
		{
			"one command",
			Unit{Name: "drbdnfs-announce.service", Commands: [][]string{{"/usr/libexec/x", "announce", "nfs"}}},
			[]string{
				`Description = ""`, `ExecStart = [["/usr/libexec/x" ["/usr/libexec/x" "announce" "nfs"] false]]`,
				`Type = "simple"`, `RemainAfterExit = false`,
				`KillMode = "control-group"`, `TimeoutStopUSec = 3000000`, `CollectMode = "inactive-or-failed"`,
				`DefaultDependencies = false`, `Environment = ["LC_ALL=C"]`,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range tt.unit.properties() {
				got = append(got, p.Name+" = "+plain(p.Value))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// plain is a value without its type.
func plain(v dbus.Variant) string {
	if commands, ok := v.Value().([]execCommand); ok {
		var out []string
		for _, c := range commands {
			out = append(out, fmt.Sprintf("[%q %q %v]", c.Path, c.Args, c.UncleanIsFailure))
		}
		return "[" + strings.Join(out, " ") + "]"
	}
	if s, ok := v.Value().([]string); ok {
		return fmt.Sprintf("%q", s)
	}
	if s, ok := v.Value().(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v.Value())
}

// Ensure that the processes of a unit are found in each of systemd's
// hierarchies of control groups.
func TestUnitProcesses(t *testing.T) {
	dir := t.TempDir()
	old := cgroupRoots
	t.Cleanup(func() { cgroupRoots = old })
	cgroupRoots = []string{dir + "/none", dir + "/v1", dir + "/v2"}
	for path, text := range map[string]string{
		"/v1/system.slice/a.service": "12\n13\n", "/v2/system.slice/b.service": "7\n", "/v2/system.slice/empty.service": "",
	} {
		if err := os.MkdirAll(dir+path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+path+"/cgroup.procs", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := New(nil)
	for unit, want := range map[string][]int{"a.service": {12, 13}, "b.service": {7}, "empty.service": nil, "none.service": nil} {
		if diff := cmp.Diff(want, h.UnitProcesses(unit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", unit, diff)
		}
	}
}

func TestIsNoSuchUnit(t *testing.T) {
	err := fmt.Errorf("stop: %w", dbus.Error{Name: "org.freedesktop.systemd1.NoSuchUnit"})
	if !isNoSuchUnit(err) || isNoSuchUnit(errors.New("x")) || isNoSuchUnit(nil) {
		t.Error("NoSuchUnit is not told from others")
	}
}
