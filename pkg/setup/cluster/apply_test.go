package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup/corosync"
)

// changing are the scenes in which something is done.
var changing = []string{
	"new-pcs-first", "new-pcs-second", "new-first", "packaged", "cib-left", "formed-stopped", "token-pcs-first", "token", "token-not-loaded",
	"two-node-missing",
}

func find(t *testing.T, name string) scene {
	t.Helper()
	for _, s := range scenes {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no scene %s", name)
	return scene{}
}

// ops are the labels of the calls of a whole apply.
func ops(t *testing.T, s scene) map[string]int {
	t.Helper()
	count := map[string]int{}
	synctest.Test(t, func(t *testing.T) {
		w := s.world(t)
		w.Action(t.Context(), func(ctx context.Context) {
			if err := w.apply(ctx); err != nil {
				t.Error(err)
			}
		})
		for _, op := range w.Ops() {
			count[op]++
		}
	})
	return count
}

// Ensure that an apply that is killed at any call is continued by the next one,
// which then leaves nothing to do.
func TestKilled(t *testing.T) {
	for _, name := range changing {
		s := find(t, name)
		t.Run(name, func(t *testing.T) {
			for op, n := range ops(t, s) {
				for nth := 1; nth <= min(n, 3); nth++ {
					for _, when := range []hosttest.When{hosttest.Before, hosttest.During, hosttest.After} {
						synctest.Test(t, func(t *testing.T) { killed(t, s, op, nth, when) })
					}
				}
			}
		})
	}
}

func killed(t *testing.T, s scene, op string, nth int, when hosttest.When) {
	w := s.world(t)
	w.Kill(op, nth, when)
	var err error
	if !w.Action(t.Context(), func(ctx context.Context) { err = w.apply(ctx) }) {
		t.Fatalf("%s was not killed at %s %d: %v", s.name, op, nth, err)
	}
	w.Clear()
	if err := w.apply(t.Context()); err != nil {
		t.Errorf("killed %s %s %d: the next apply: %v", when, op, nth, err)
		return
	}
	w.quiet()
	if f, err := w.Lstat("/etc/corosync/authkey"); err == nil && f.Mode().Perm() != 0o400 {
		t.Errorf("killed %s %s: authkey has mode %v", when, op, f.Mode())
	}
}

// tolerated are calls that may fail without the apply failing: what cannot be
// seen is not judged, or is looked at again.
var tolerated = map[string]bool{"setup.cluster-members": true, "setup.corosync-cmap": true, "setup.pcs-sync": true}

// Ensure that each call that fails makes the apply say so, and that the next
// apply succeeds.
func TestFaults(t *testing.T) {
	for _, name := range changing {
		s := find(t, name)
		t.Run(name, func(t *testing.T) {
			for op := range ops(t, s) {
				synctest.Test(t, func(t *testing.T) {
					w := s.world(t)
					w.FailOnce(op, syscall.EIO)
					err := w.apply(t.Context())
					if (err == nil) != tolerated[op] {
						t.Errorf("%s fails: the apply's error is %v", op, err)
					}
					if err := w.apply(t.Context()); err != nil {
						t.Errorf("after %s failed: %v", op, err)
					}
					w.quiet()
				})
			}
		})
	}
}

// Ensure that the password is neither among the arguments nor in anything that
// was said, and reaches chpasswd and pcs on their standard input.
func TestPasswordHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := find(t, "new-pcs-first")
		w := s.world(t)
		if err := w.apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		p := w.secret().HAClusterPassword()
		if w.password != p || w.stdin["pcs host auth"] != p+"\n" {
			t.Errorf("hacluster has %q, pcs was given %q", w.password, w.stdin["pcs host auth"])
		}
		mark, _ := w.File("/var/lib/drbdnfs/hacluster")
		for _, said := range append(append(w.Commands(), w.waited...), mark) {
			if strings.Contains(said, p) {
				t.Errorf("shows the password: %s", said)
			}
		}
		if st, err := w.Lstat("/var/lib/drbdnfs/hacluster"); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("mark file: %v, %v", st, err)
		}
	})
}

// Ensure that without pcs two nodes with the same secret write the same keys and
// the same file, with the owners that corosync and Pacemaker ask for.
func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newWorld(t, "drbdtest1", false, pair())
		a.setSecret()
		text, _ := a.File(config.DefaultSecretFile)
		b := newWorld(t, "drbdtest2", false, pair())
		if err := b.MkdirAll("test", "/etc/drbdnfs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := b.WriteFileAtomic("test", config.DefaultSecretFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b.SetFile("/etc/corosync/authkey", "another cluster's")
		for _, w := range []*world{a, b} {
			w.pcsAnswers()
			if err := w.apply(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for file, want := range map[string]string{
			corosync.Path: "-rw-r--r-- 0:0", "/etc/corosync/authkey": "-r-------- 0:0", "/etc/pacemaker/authkey": "-rw-r----- 0:189",
			"/etc/pacemaker": "drwxr-x--- 0:189",
		} {
			x, _ := a.File(file)
			y, _ := b.File(file)
			if x != y {
				t.Errorf("%s differs between the nodes", file)
			}
			st, err := b.Lstat(file)
			if err != nil {
				t.Fatal(err)
			}
			uid, gid, _ := b.Owner(file)
			if got := fmt.Sprintf("%v %d:%d", st.Mode(), uid, gid); got != want {
				t.Errorf("%s is %s, want %s", file, got, want)
			}
		}
		if old, _ := b.File("/etc/corosync/authkey.before-drbdnfs"); old != "another cluster's" {
			t.Errorf("the key that was there is gone: %q", old)
		}
	})
}

// Ensure that what is set aside is kept, beside what was set aside earlier.
func TestAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := find(t, "packaged").world(t)
		w.SetFile(corosync.Path+".before-drbdnfs", "older")
		if err := w.apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]string{
			corosync.Path + ".before-drbdnfs":               "older",
			corosync.Path + ".before-drbdnfs-2":             packaged,
			"/var/lib/pacemaker/cib.before-drbdnfs/cib.xml": emptyCIB,
		} {
			if got, _ := w.File(file); got != want {
				t.Errorf("%s holds %q, want %q", file, got, want)
			}
		}
	})
}

// Ensure that every wait ends with its context and says what was missing.
func TestWaitsEnd(t *testing.T) {
	peers := func(w *world) { w.listening["192.168.2.62"] = true }
	tests := []struct {
		name, scene string
		set         func(w *world)
		want        string
	}{
		{"pcsd", "new-pcs-first", func(*world) {}, "drbdtest2: run drbdnfs setup apply there (no pcsd at 192.168.2.62:2224)"},
		{"password", "new-pcs-first", peers, "drbdtest2: Username and/or password is incorrect"},
		{"first node", "new-pcs-second", func(*world) {}, "wait for drbdtest1 to form cluster nfs_cluster"},
		{"members", "formed-peer-offline", func(*world) {}, "drbdtest2: run drbdnfs setup apply there"},
		{"coordinator", "formed-peer-offline", func(w *world) { w.allOnline(); w.dc = "" }, "Pacemaker elects its coordinator"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := find(t, tt.scene).world(t)
				w.others = func(string) {}
				tt.set(w)
				err := w.apply(t.Context())
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
					t.Errorf("error is %v, want the deadline and %q", err, tt.want)
				}
				if len(w.waited) == 0 {
					t.Error("nothing was said while waiting")
				}
			})
		})
	}
}

// Ensure that logging in is tried rarely: sites lock accounts after wrong
// passwords.
func TestAuthRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := find(t, "new-pcs-first").world(t)
		w.others = func(string) {}
		w.listening["192.168.2.62"] = true
		if err := w.apply(t.Context()); err == nil {
			t.Fatal("it worked without the other node")
		}
		n := 0
		for _, c := range w.Commands() {
			if strings.HasPrefix(c, "pcs host auth") {
				n++
			}
		}
		if n < 3 || n > 10 {
			t.Errorf("%d attempts in %v", n, limit)
		}
	})
}

// Ensure that a node that answers too slowly is asked again, and not for ever.
func TestSlowNode(t *testing.T) {
	const said = "Error: drbdtest2: Connection timeout (Operation timed out after 60000 milliseconds with 0 bytes received)"
	for _, tt := range []struct {
		name        string
		slow, tries int
		text        string
	}{
		{"once", 1, 2, ""},
		{"twice", 2, 3, ""},
		{"always", 9, 3, "drbdtest2: Connection timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := find(t, "new-pcs-first").world(t)
				tries := 0
				w.Tool("pcs", func(c host.Cmd) (string, error) {
					if c.Args[1] == "setup" {
						if tries++; tries <= tt.slow {
							return "", hosttest.Exit(c, 1, said)
						}
					}
					return w.pcs(c)
				})
				err := w.apply(t.Context())
				if tries != tt.tries || (err == nil) != (tt.text == "") || err != nil && !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%d tries, want %d; error %v", tries, tt.tries, err)
				}
			})
		})
	}
}

// Ensure that a node that an earlier, cut-off "pcs cluster setup" has not
// reached is sent corosync.conf once, after a while.
func TestResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := find(t, "formed-peer-offline").world(t)
		start := time.Now()
		w.others = func(string) {
			w.online["drbdtest2"] = time.Since(start) > 4*time.Minute
		}
		if err := w.apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := strings.Count(strings.Join(w.Commands(), "\n"), "pcs cluster sync corosync")
		if got != 1 {
			t.Errorf("sent %d times, want once", got)
		}
	})
}

// Ensure that all that pcs complains of is shown, not its last line alone.
func TestPCSError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := find(t, "new-pcs-first").world(t)
		answers := w.others
		w.others = func(what string) {
			answers(what)
			if what == "pcs cluster setup" {
				w.SetFile(cibFile, usedCIB)
			}
		}
		err := w.apply(t.Context())
		for _, want := range []string{"The host seems to be in a cluster already", "Enforcing this will destroy", "pcs cluster destroy"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want one with %q", err, want)
			}
		}
	})
}

// Ensure that a cluster that came to be since the plan was made is not formed
// again or cleared away, and another one's name is noticed.
func TestFormedMeanwhile(t *testing.T) {
	for _, name := range []string{"new-pcs-first", "new-pcs-second", "new-first", "packaged"} {
		for _, other := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := find(t, name).world(t)
				w.setSecret()
				items := w.look()
				conf := corosync.Render(w.c)
				if other {
					conf = strings.Replace(conf, "nfs_cluster", "web", 1)
				}
				w.form(conf)
				for _, it := range items {
					if it.Object != "cluster nfs_cluster" && it.Object != "unused cluster" {
						continue
					}
					err := it.Do(t.Context(), w)
					if wrong := other && it.Object == "cluster nfs_cluster"; (err != nil) != wrong {
						t.Errorf("%s: %s: error is %v", name, it.Object, err)
					}
				}
				if got, _ := w.File(corosync.Path); got != conf || !w.active["corosync.service"] {
					t.Errorf("%s: the cluster was touched: %s", name, got)
				}
			})
		}
	}
}

// Ensure that a setting whose place in the file is not understood, or that
// corosync does not take, is an error with what to do.
func TestChangeNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := find(t, "token")
		w := s.world(t)
		w.Tool("corosync-cfgtool", func(host.Cmd) (string, error) { return "", nil })
		if err := w.apply(t.Context()); err == nil || !strings.Contains(err.Error(), `totem.token is "", not 2000`) {
			t.Errorf("error is %v", err)
		}
		s = find(t, "token-pcs-first")
		w = s.world(t)
		w.Tool("pcs", func(host.Cmd) (string, error) { return "", nil })
		if err := w.apply(t.Context()); err == nil || !strings.Contains(err.Error(), "pcs cluster config update ended well") {
			t.Errorf("error is %v", err)
		}
	})
}
