package node_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// Ensure that a bare node is prepared by the commands that are expected and no
// others, that looking changes nothing, and that a second run has nothing to do.
func TestApply(t *testing.T) {
	w := newWorld(t)
	golden(t, "plan.txt", render(w.look(t)))
	if c := w.changes(); c != nil {
		t.Errorf("looking ran %q", c)
	}
	if err := w.apply(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	golden(t, "commands.txt", strings.Join(w.changes(), "\n")+"\n")
	var files strings.Builder
	for _, f := range []string{"/etc/hosts", "/etc/nfs.conf", "/etc/lvm/lvmlocal.conf", "/etc/multipath/conf.d/drbdnfs.conf", "/etc/modules-load.d/drbdnfs.conf"} {
		text, _ := w.File(f)
		files.WriteString("-- " + f + " --\n" + text)
	}
	golden(t, "files.txt", files.String())
	after := w.look(t)
	golden(t, "after.txt", render(after))
	for _, it := range after {
		if it.Do != nil || (it.Action != setup.Keep && it.Action != setup.Warn) {
			t.Errorf("left to do: %s %s", it.Action, it.Object)
		}
	}
}

// Ensure that removal takes back what was made, leaves what was not, and is done
// once.
func TestRemove(t *testing.T) {
	w := newWorld(t)
	before := map[string]string{}
	for _, f := range []string{"/etc/hosts", "/etc/nfs.conf", "/etc/lvm/lvmlocal.conf"} {
		before[f], _ = w.File(f)
	}
	w.rules["runtime public port=2049/tcp"] = true // somebody else's
	if err := w.apply(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	if n, err := w.remove(t.Context(), t); n != 9 || err != nil {
		t.Fatalf("removed %d, %v", n, err)
	}
	for f, want := range before {
		if got, _ := w.File(f); got != want {
			t.Errorf("%s is %q, was %q", f, got, want)
		}
	}
	for _, f := range []string{"/etc/multipath/conf.d/drbdnfs.conf", "/etc/modules-load.d/drbdnfs.conf"} {
		if text, ok := w.File(f); ok {
			t.Errorf("%s is left: %q", f, text)
		}
	}
	if len(w.groups) > 0 {
		t.Errorf("volume groups are left: %v", w.groups)
	}
	if diff := cmp.Diff(map[string]bool{"runtime public port=2049/tcp": true}, w.rules); diff != "" {
		t.Errorf("firewall rules (-want +got):\n%s", diff)
	}
	if n, err := w.remove(t.Context(), t); n != 0 || err != nil {
		t.Errorf("a second removal does %d things, %v", n, err)
	}
}

// Ensure that a removal that fails or is killed at any call says so, and that the
// next one does the rest.
func TestRemoveInterrupted(t *testing.T) {
	w := newWorld(t)
	if err := w.apply(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	w.Action(t.Context(), func(ctx context.Context) { _, _ = w.remove(ctx, t) })
	for _, op := range slices.Compact(slices.Sorted(slices.Values(w.Ops()))) {
		for name, fault := range map[string]func(w *world){
			"fails":         func(w *world) { w.FailOnce(op, syscall.EIO) },
			"killed before": func(w *world) { w.Kill(op, 1, hosttest.Before) },
			"killed after":  func(w *world) { w.Kill(op, 1, hosttest.After) },
		} {
			t.Run(op+" "+name, func(t *testing.T) {
				w := newWorld(t)
				if err := w.apply(t.Context(), t); err != nil {
					t.Fatal(err)
				}
				fault(w)
				var err error
				killed := w.Action(t.Context(), func(ctx context.Context) { _, err = w.remove(ctx, t) })
				if !killed && !errors.Is(err, syscall.EIO) {
					t.Errorf("error %v", err)
				}
				if _, err := w.remove(t.Context(), t); err != nil {
					t.Fatal(err)
				}
				if n, err := w.remove(t.Context(), t); n != 0 || err != nil || len(w.groups) > 0 || len(w.rules) > 0 {
					t.Errorf("left: %d things, %v, %v, %v", n, err, w.groups, w.rules)
				}
			})
		}
	}
}

// Ensure that a volume group with volumes, or of somebody else, is kept.
func TestRemoveVolumeGroup(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		group      group
	}{
		{"with a volume", "logical volumes in it: 1", group{size: tib, tags: "drbdnfs", lvs: []volume{{"res0_00000", "linear", 1}}}},
		{"without the tag", "not made by setup", group{size: tib, tags: "drbdnfs2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.groups["drbdpool"] = &tt.group
			items, err := w.stage(t).LookRemove(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			expect(t, items, setup.Keep, "volume group drbdpool", "", tt.want)
		})
	}
}

// operations are the labels of everything that a run changes.
func operations(t *testing.T) []string {
	t.Helper()
	w := newWorld(t)
	var err error
	w.Action(t.Context(), func(ctx context.Context) { err = w.apply(ctx, t) })
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var out []string
	for _, op := range w.Ops() {
		if !seen[op] {
			seen[op] = true
			out = append(out, op)
		}
	}
	return out
}

// Ensure that a run that is killed at any call is continued by the next one.
func TestKilled(t *testing.T) {
	for _, op := range operations(t) {
		for _, when := range []hosttest.When{hosttest.Before, hosttest.During, hosttest.After} {
			t.Run(op+" "+string(when), func(t *testing.T) {
				w := newWorld(t)
				w.Kill(op, 1, when)
				if !w.Action(t.Context(), func(ctx context.Context) { _ = w.apply(ctx, t) }) {
					t.Fatal("not killed")
				}
				if err := w.apply(t.Context(), t); err != nil {
					t.Fatal(err)
				}
				for _, it := range w.look(t) {
					if it.Do != nil {
						t.Errorf("left to do: %s %s", it.Action, it.Object)
					}
				}
				if g := w.groups["drbdpool"]; g == nil || g.tags != "drbdnfs" {
					t.Errorf("volume groups: %v", w.groups)
				}
			})
		}
	}
}

// Ensure that each change that fails is reported with what was being done, and
// that the next run does it.
func TestFailures(t *testing.T) {
	tolerated := map[string]bool{"setup.host.clock": true, "setup.host.ping": true} // questions whose answer may be missing
	for _, op := range operations(t) {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			w.Fail(op, syscall.EIO)
			err := w.apply(t.Context(), t)
			if (err == nil) != tolerated[op] {
				t.Errorf("error %v", err)
			}
			if err != nil && op != "setup.host.getent" && !errors.Is(err, syscall.EIO) {
				t.Errorf("error %v, want the call's", err)
			}
			w.Clear()
			if err := w.apply(t.Context(), t); err != nil {
				t.Error(err)
			}
		})
	}
}

// Ensure that a look that could not see something says so, rather than take it for
// missing.
func TestLookFailures(t *testing.T) {
	tolerated := map[string]bool{
		"stat /etc/lvm/devices/system.devices": true, // then the filter is looked at
		"read /etc/nfs.conf":                   true, // then it is read again to be changed, which fails
		"stat /proc/drbd":                      true,
		"stat /etc/systemd/system/multi-user.target.wants/nfs-kernel-server.service": true,
		// a service that cannot be seen is refused
		"stat /usr/lib/firewalld/services/drbdnfs-nfs.xml":     true,
		"stat /usr/lib/firewalld/services/drbdnfs-cluster.xml": true,
	}
	prepared := func(t *testing.T) *world {
		w := newWorld(t)
		if err := w.apply(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		w.units["drbdnfs-daemons.service"] = &unit{"loaded", "inactive", ""}
		w.SetFile("/proc/fs/nfsd/threads", "0\n")
		w.SetFile("/etc/exports.d/readme", "")
		w.SetFile("/etc/nfs.conf.d/x.conf", "[nfsd]\n")
		return w
	}
	for name, look := range map[string]func(w *world, ctx context.Context) ([]setup.Item, error){
		"Look":       func(w *world, ctx context.Context) ([]setup.Item, error) { return w.stage(t).Look(ctx) },
		"LookRemove": func(w *world, ctx context.Context) ([]setup.Item, error) { return w.stage(t).LookRemove(ctx) },
	} {
		w := prepared(t)
		w.Action(t.Context(), func(ctx context.Context) { _, _ = look(w, ctx) })
		for _, call := range slices.Compact(slices.Sorted(slices.Values(append(w.Looks(), w.Ops()...)))) {
			if strings.HasPrefix(call, "program ") || strings.HasSuffix(call, ".clock") || strings.HasSuffix(call, ".getent") || strings.HasSuffix(call, ".ping") || tolerated[call] {
				continue
			}
			t.Run(name+" "+call, func(t *testing.T) {
				w := prepared(t)
				w.Fail(call, syscall.EIO)
				if _, err := look(w, t.Context()); !errors.Is(err, syscall.EIO) {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}

// Ensure that a tool that says it succeeded is not believed.
func TestVerify(t *testing.T) {
	for _, tt := range []struct {
		name, tool string
		keep       []string // first arguments that still work
	}{
		{"vgcreate", "vgcreate", nil},
		{"firewall-cmd", "firewall-cmd", []string{"--state", "--get", "--list-all", "--permanent --zone=public --list-all", "--zone=public --list-all"}},
		{"systemctl", "systemctl", []string{"show", "daemon-reload"}},
		{"modprobe", "modprobe", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.lie(tt.tool, tt.keep)
			if err := w.apply(t.Context(), t); err == nil {
				t.Error("no error")
			}
		})
	}
}

// expect fails the test unless one of the items is as wanted.
func expect(t *testing.T, items []setup.Item, action setup.Action, object, key, detail string) {
	t.Helper()
	for _, it := range items {
		if it.Action == action && strings.Contains(it.Object, object) && (key == "" || it.Key == key) && strings.Contains(it.Detail, detail) {
			if action == setup.Refuse && (it.Why == "" || it.Do != nil) {
				t.Errorf("a refusal without remedy, or with Do: %+v", it)
			}
			return
		}
	}
	t.Errorf("no %s %q (%s) with %q in:\n%s", action, object, key, detail, render(items))
}
