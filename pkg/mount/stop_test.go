package mount_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// stop runs Stop with a deadline on a machine whose clock stands still unless
// somebody waits.
func stop(t *testing.T, timeout time.Duration, prepare func(*machine), check func(*machine, error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine()
		prepare(m)
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		check(m, m.filesystem().Stop(ctx))
	})
}

// expectFree checks that nothing of ours is mounted any more.
func expectFree(t *testing.T, m *machine, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	for _, x := range m.mounts {
		if x.Major == ourMajor && x.Minor == ourMinor {
			t.Errorf("%s is still mounted", x.Dir)
		}
	}
}

func expectCalls(t *testing.T, m *machine, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, m.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func expectSignals(t *testing.T, p *process, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, p.signals); diff != "" {
		t.Errorf("signals to %s (-want +got):\n%s", p.Holder, diff)
	}
}

// Ensure that a free file system is unmounted at once.
func TestStop(t *testing.T) {
	stop(t, time.Minute, func(m *machine) { m.ours() }, func(m *machine, err error) {
		expectFree(t, m, err)
		expectCalls(t, m, "umount /home/nfs after 0s")
	})
}

// Ensure that what is not ours stays: nothing, a foreign file system, or
// anything at all when there is no device.
func TestStopLeaves(t *testing.T) {
	tests := map[string]func(*machine){
		"nothing":         func(*machine) {},
		"foreign":         func(m *machine) { m.add(1, 8, 2, directory) },
		"without device":  func(m *machine) { m.noDevice = true; m.ours() },
		"a foreign below": func(m *machine) { m.add(1, 8, 2, directory+"/x") },
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			stop(t, time.Minute, prepare, func(m *machine, err error) {
				if err != nil {
					t.Error(err)
				}
				expectCalls(t, m)
			})
		})
	}
}

// Ensure that everything on our file system goes, the last first, wherever our
// device is mounted.
func TestStopEverywhere(t *testing.T) {
	stop(t, time.Minute, func(m *machine) {
		ours := m.ours()
		m.add(ours, 8, 2, directory+"/backup")
		m.add(1, ourMajor, ourMinor, "/mnt/again")
		m.add(1, 8, 3, "/srv")
	}, func(m *machine, err error) {
		expectFree(t, m, err)
		expectCalls(t, m, "umount /mnt/again after 0s", "umount /home/nfs/backup after 0s", "umount /home/nfs after 0s")
		if len(m.mounts) != 2 {
			t.Errorf("left: %+v", m.mounts)
		}
	})
}

// Ensure that another file system on top of ours, on the same directory, goes
// with it.
func TestStopStacked(t *testing.T) {
	stop(t, time.Minute, func(m *machine) { m.add(m.ours(), 8, 2, directory) }, func(m *machine, err error) {
		expectFree(t, m, err)
	})
}

// Ensure that what lets go by itself within a moment is not signalled.
func TestStopKernelLetsGo(t *testing.T) {
	var p *process
	stop(t, time.Minute, func(m *machine) {
		p = m.hold(m.ours(), 500, "udevd")
		p.endsAt = m.start.Add(250 * time.Millisecond)
	}, func(m *machine, err error) {
		expectFree(t, m, err)
		expectCalls(t, m, "umount /home/nfs after 300ms")
		expectSignals(t, p)
	})
}

// Ensure that a process that holds the file system gets SIGTERM once, and
// SIGKILL when that does not end it.
func TestStopSignals(t *testing.T) {
	var polite, slow, deaf *process
	stop(t, time.Minute, func(m *machine) {
		id := m.ours()
		polite = m.hold(id, 500, "cat")
		slow = m.hold(id, 501, "mysqld")
		slow.endAfter = time.Second
		deaf = m.hold(id, 502, "trap", syscall.SIGTERM)
	}, func(m *machine, err error) {
		expectFree(t, m, err)
		expectSignals(t, polite, "terminated after 300ms")
		expectSignals(t, slow, "terminated after 300ms")
		expectSignals(t, deaf, "terminated after 300ms", "killed after 2.4s")
		expectCalls(t, m, "umount /home/nfs after 2.5s")
		for _, name := range []string{"pid=500", "command=mysqld", "signal=killed"} {
			if !strings.Contains(m.log.String(), name) {
				t.Errorf("the log does not say %s:\n%s", name, &m.log)
			}
		}
	})
}

// Ensure that the processes without which the node would be lost are never
// signalled, and that the error names them.
func TestStopSpares(t *testing.T) {
	var spared []*process
	stop(t, 4950*time.Millisecond, func(m *machine) {
		id := m.ours()
		for pid, command := range map[int]string{
			1: "init", self: "ocf-drbdnfs", 600: "pacemakerd", 601: "pacemaker-execd", 602: "corosync",
			603: "systemd-journal", 604: "systemd",
		} {
			spared = append(spared, m.hold(id, pid, command))
		}
	}, func(m *machine, err error) {
		checkText(t, err, "held by", "corosync[602] (cwd /home/nfs)", "init[1]")
		if !errors.Is(err, syscall.EBUSY) {
			t.Errorf("error %v is not EBUSY", err)
		}
		for _, p := range spared {
			expectSignals(t, p)
		}
		if got := time.Since(m.start); got != 4950*time.Millisecond {
			t.Errorf("gave up after %v", got)
		}
	})
}

// Ensure that processes on somebody else's file system are never signalled,
// even when it lies on ours.
func TestStopForeignBelow(t *testing.T) {
	var other, ours *process
	stop(t, 4950*time.Millisecond, func(m *machine) {
		id := m.ours()
		other = m.hold(m.add(id, 8, 2, directory+"/backup"), 700, "rsync")
		ours = m.hold(id, 701, "bash")
	}, func(_ *machine, err error) {
		if !errors.Is(err, syscall.EBUSY) {
			t.Errorf("error %v is not EBUSY", err)
		}
		checkText(t, err, "rsync[700]")
		expectSignals(t, other)
		expectSignals(t, ours, "terminated after 300ms")
	})
}

// Ensure that the error names who holds the file system also when the time
// ends between the last look for them and the last attempt.
func TestStopEndsBetweenAttempts(t *testing.T) {
	stop(t, time.Second, func(m *machine) {
		m.hold(m.ours(), 1, "init")
		m.lookFor = 350 * time.Millisecond
	}, func(_ *machine, err error) {
		checkText(t, err, "held by init[1]")
		if !errors.Is(err, syscall.EBUSY) {
			t.Errorf("error %v is not EBUSY", err)
		}
	})
}

// Ensure that the error says where to look when no process is to blame.
func TestStopHeldByKernel(t *testing.T) {
	stop(t, 2950*time.Millisecond, func(m *machine) { m.ours(); m.kernel = m.start.Add(time.Hour) }, func(_ *machine, err error) {
		checkText(t, err, "no process holds it", "loop devices, swap, containers", "device or resource busy")
	})
}

// Ensure that failures to look or to signal do not end the attempt.
func TestStopGoesOn(t *testing.T) {
	var p *process
	stop(t, 4950*time.Millisecond, func(m *machine) {
		p = m.hold(m.ours(), 500, "cat")
		p.endsAt = m.start.Add(4 * time.Second)
		m.signalErr, m.holderErr = syscall.EPERM, errAny
	}, func(m *machine, err error) {
		expectFree(t, m, err)
		expectSignals(t, p, "terminated after 300ms", "killed after 2.4s")
		for _, text := range []string{"something else", "operation not permitted"} {
			if !strings.Contains(m.log.String(), text) {
				t.Errorf("the log does not say %q", text)
			}
		}
	})
}

// Ensure that an error that waiting does not mend ends Stop at once.
func TestStopOtherError(t *testing.T) {
	stop(t, time.Minute, func(m *machine) { m.ours(); m.umountErr = syscall.EPERM }, func(m *machine, err error) {
		if !errors.Is(err, syscall.EPERM) || time.Since(m.start) != 0 {
			t.Errorf("%v after %v", err, time.Since(m.start))
		}
	})
}
