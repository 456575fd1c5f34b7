package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	sddbus "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// Unit is a transient service: systemd supervises it, it lives in its own
// control group, survives the end of the action that started it, and leaves
// no file behind.
type Unit struct {
	Name        string // with suffix, "drbdnfs-daemons.service"
	Description string // one line for systemctl
	// Commands are absolute programs with their arguments. More than one is
	// only possible with Oneshot.
	Commands [][]string
	// Oneshot runs the commands one after the other; the start is done when
	// the last has ended, and the unit with the daemons that they left in its
	// control group stays active until it is stopped (Type=oneshot with
	// RemainAfterExit). Otherwise the one command is the service, and the
	// start is done when it runs (Type=simple).
	Oneshot bool
	Before  []string // units that are stopped before this one at shutdown
	NoWait  bool     // do not wait for the start job to end
}

// execCommand is one entry of the ExecStart property on D-Bus (a(sasb)).
type execCommand struct {
	Path             string
	Args             []string
	UncleanIsFailure bool
}

func (u Unit) properties() []sddbus.Property {
	var commands []execCommand
	for _, argv := range u.Commands {
		commands = append(commands, execCommand{Path: argv[0], Args: argv})
	}
	kind := "simple"
	if u.Oneshot {
		kind = "oneshot"
	}
	props := []sddbus.Property{
		sddbus.PropDescription(u.Description),
		prop("ExecStart", commands),
		sddbus.PropType(kind),
		sddbus.PropRemainAfterExit(u.Oneshot),
		prop("KillMode", "control-group"),
		prop("TimeoutStopUSec", uint64(stopTimeout.Microseconds())),
		prop("CollectMode", "inactive-or-failed"),
		// No Conflicts with shutdown.target: at shutdown these end when
		// Pacemaker, which stops first, tells them to.
		prop("DefaultDependencies", false),
		prop("Environment", []string{"LC_ALL=C"}),
	}
	if len(u.Before) > 0 {
		props = append(props, sddbus.PropBefore(u.Before...))
	}
	return props
}

// alone is the job mode of transient units. They are stopped after Pacemaker at
// shutdown ([Unit.Before]); with the usual mode "replace" a stop that Pacemaker
// itself asks for, while it is being stopped, would wait for that order too, and
// Pacemaker for it. "ignore-dependencies" lets such a job run at once, and a job
// that waits already (systemd: job_merge_into_installed).
const alone = "ignore-dependencies"

// stopTimeout is how long a transient unit may take to end after SIGTERM
// before systemd kills its control group.
const stopTimeout = 3 * time.Second

// cgroupRoots are where a unit's control group is, by hierarchy: unified
// (Debian 12, EL9), hybrid, and version 1 (EL8).
var cgroupRoots = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"}

// withSystemd connects to systemd's private socket, which needs root and no
// message bus daemon.
func withSystemd(ctx context.Context, fn func(*sddbus.Conn) error) error {
	conn, err := sddbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connect to systemd: %w", err)
	}
	defer conn.Close()
	return fn(conn)
}

// StartTransient starts u and, unless u.NoWait, waits until systemd calls the
// start done. A unit of that name that is loaded already, running or failed,
// is stopped first.
func (h *Host) StartTransient(ctx context.Context, op string, u Unit) error {
	err := withSystemd(ctx, func(conn *sddbus.Conn) error {
		err := startTransient(ctx, conn, u)
		var dbusErr dbus.Error
		if errors.As(err, &dbusErr) && dbusErr.Name == "org.freedesktop.systemd1.UnitExists" {
			if err := stopUnit(ctx, conn, u.Name); err != nil {
				return err
			}
			err = startTransient(ctx, conn, u)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: start %s: %w", op, u.Name, err)
	}
	return nil
}

func startTransient(ctx context.Context, conn *sddbus.Conn, u Unit) error {
	props := u.properties()
	if u.NoWait {
		_, err := conn.StartTransientUnitContext(ctx, u.Name, alone, props, nil)
		return err
	}
	return await(ctx, u.Name, func(done chan<- string) (int, error) {
		return conn.StartTransientUnitContext(ctx, u.Name, alone, props, done)
	})
}

func prop(name string, value any) sddbus.Property {
	return sddbus.Property{Name: name, Value: dbus.MakeVariant(value)}
}

// await runs a job and turns its result into an error.
func await(ctx context.Context, name string, job func(chan<- string) (int, error)) error {
	done := make(chan string, 1)
	if _, err := job(done); err != nil {
		return err
	}
	select {
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("systemd job ended as %q: see journalctl -u %s", result, name)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// StopUnit stops the transient unit name and waits until it is gone. It does not
// wait for units that systemd would stop before, so that an action of Pacemaker
// can stop it while Pacemaker is being stopped. A unit that is not loaded is no
// error.
func (h *Host) StopUnit(ctx context.Context, op, name string) error {
	err := withSystemd(ctx, func(conn *sddbus.Conn) error { return stopUnit(ctx, conn, name) })
	if err != nil {
		return fmt.Errorf("%s: stop %s: %w", op, name, err)
	}
	return nil
}

func stopUnit(ctx context.Context, conn *sddbus.Conn, name string) error {
	err := await(ctx, name, func(done chan<- string) (int, error) {
		return conn.StopUnitContext(ctx, name, alone, done)
	})
	if isNoSuchUnit(err) {
		return nil
	}
	if err == nil {
		err = conn.ResetFailedUnitContext(ctx, name)
		if isNoSuchUnit(err) {
			err = nil
		}
	}
	return err
}

func isNoSuchUnit(err error) bool {
	var dbusErr dbus.Error
	return errors.As(err, &dbusErr) && dbusErr.Name == "org.freedesktop.systemd1.NoSuchUnit"
}

// StartUnit starts the installed unit name and waits for it.
func (h *Host) StartUnit(ctx context.Context, op, name string) error {
	err := withSystemd(ctx, func(conn *sddbus.Conn) error {
		return await(ctx, name, func(done chan<- string) (int, error) {
			return conn.StartUnitContext(ctx, name, "replace", done)
		})
	})
	if err != nil {
		return fmt.Errorf("%s: start %s: %w", op, name, err)
	}
	return nil
}

// UnitProcesses lists the processes of a system service by reading its
// control group: no D-Bus, no fork. A unit that is not running has none.
func (h *Host) UnitProcesses(name string) []int {
	for _, root := range cgroupRoots {
		data, err := os.ReadFile(root + "/system.slice/" + name + "/cgroup.procs")
		if err != nil {
			continue
		}
		var pids []int
		for f := range strings.FieldsSeq(string(data)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
		return pids
	}
	return nil
}
