package nfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// daemonSystem is what Daemons needs of the machine.
type daemonSystem interface {
	fileReader
	LookPath(name string) (string, error)
	StartTransient(ctx context.Context, op string, u host.Unit) error
	StopUnit(ctx context.Context, op, name string) error
	UnitProcesses(name string) []int
	Signal(op string, pid int, sig syscall.Signal) error
}

// Units in which the daemons run. They are transient and our own, not those of
// nfs-utils: those pull each other and the whole server in (nfs-mountd is
// bound to nfs-server), take their options from files that an administrator
// owns, and leave no way to order them. One unit for all that belongs to a
// promotion, because making a unit costs systemd more than starting a daemon.
const (
	DaemonsUnit = "drbdnfs-daemons.service"
	IDMapdUnit  = "drbdnfs-idmapd.service"
	// StatdUnit is where rpc.statd runs for the length of a demotion that found
	// it dead.
	StatdUnit = "drbdnfs-statd.service"
)

const statd = "rpc.statd"

// PacemakerUnit is the unit before which ours are ordered, so that systemd
// stops them after it.
const PacemakerUnit = "pacemaker.service"

// daemon is one of the programs that the kernel's NFS server needs beside it.
type daemon struct {
	program string
	args    []string
	// foreign is the unit of nfs-utils for the same program. Two of them
	// cannot run on one node.
	foreign string
}

// Daemons are the programs beside the kernel's NFS server that use the state
// directory: nfsdcld for NFSv4 (which clients may reclaim), rpc.statd for NFSv3
// (locks), rpc.mountd always (it answers the kernel's questions about exports).
type Daemons struct {
	sys  daemonSystem
	list []daemon
	v4   bool
}

// NewDaemons returns the daemons that versions v need. It does nothing yet.
func NewDaemons(sys daemonSystem, v Versions, p Ports) *Daemons {
	d := &Daemons{sys: sys, v4: v.V4()}
	if v.V4() {
		d.list = append(d.list, daemon{program: "nfsdcld", foreign: "nfsdcld.service"})
	}
	if v.V3 {
		args := []string{"--no-notify"}
		args = appendPort(args, "--port", p.Statd)
		args = appendPort(args, "--outgoing-port", p.StatdOutgoing)
		d.list = append(d.list, daemon{program: statd, args: args, foreign: "rpc-statd.service"})
	}
	args := appendPort(nil, "--port", p.Mountd)
	if !v.V3 {
		args = append(args, "--no-nfs-version", "3")
	}
	d.list = append(d.list, daemon{program: "rpc.mountd", args: args, foreign: "nfs-mountd.service"})
	return d
}

func appendPort(args []string, flag string, port int) []string {
	if port == 0 {
		return args
	}
	return append(args, flag, strconv.Itoa(port))
}

// Programs lists what Start runs, with rpc.idmapd where StartIDMapd does.
func (d *Daemons) Programs() []string {
	var out []string
	for _, x := range d.list {
		out = append(out, x.program)
	}
	if d.v4 {
		out = append(out, "rpc.idmapd")
	}
	return out
}

// readyPoll is how often a daemon that systemd calls started is asked whether
// it is.
const readyPoll = 10 * time.Millisecond

// Foreign lists the units of nfs-utils that run one of the daemons: a node that
// mounts NFSv3 itself has a rpc.statd. They hold the node's own state, and
// there can be only one of each, so they have to be stopped before Start.
func (d *Daemons) Foreign() []string {
	var out []string
	for _, x := range d.list {
		if len(d.sys.UnitProcesses(x.foreign)) > 0 {
			out = append(out, x.foreign)
		}
	}
	return out
}

// Start starts the daemons in their order and returns when they are ready.
// When all run already it does nothing; when some do, all are started anew.
func (d *Daemons) Start(ctx context.Context) error {
	if len(d.Missing()) == 0 {
		return nil
	}
	if err := d.stopSpareStatd(ctx); err != nil {
		return err
	}
	if err := d.startUnit(ctx, "nfs.daemons.start", DaemonsUnit, d.list); err != nil {
		return err
	}
	return d.await(ctx)
}

// startUnit starts some of the daemons, one after the other, in a unit.
func (d *Daemons) startUnit(ctx context.Context, op, name string, list []daemon) error {
	unit := host.Unit{
		Name:        name,
		Description: "drbdnfs: daemons of the highly available NFS server",
		Oneshot:     true,
		Before:      []string{PacemakerUnit},
	}
	for _, x := range list {
		path, err := d.sys.LookPath(x.program)
		if err != nil {
			return err
		}
		unit.Commands = append(unit.Commands, append([]string{path}, x.args...))
	}
	return d.sys.StartTransient(ctx, op, unit)
}

func (d *Daemons) await(ctx context.Context) error {
	for {
		missing := d.Missing()
		if len(missing) == 0 && d.v4 && !d.watchesPipe() {
			missing = []string{"nfsdcld does not watch for the kernel's pipe"}
		}
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("see journalctl -u %s: not ready: %s: %w", DaemonsUnit, strings.Join(missing, ", "), ctx.Err())
		case <-time.After(readyPoll):
		}
	}
}

// Missing lists the programs that do not run. It reads the unit's control
// group and the names of its processes, nothing else.
func (d *Daemons) Missing() []string {
	running, _ := d.running() // what cannot be looked at is not known to run
	var out []string
	for _, x := range d.list {
		if len(running[x.program]) == 0 {
			out = append(out, x.program)
		}
	}
	return out
}

// Running reports whether anything is left in the daemons' units.
func (d *Daemons) Running() bool {
	return len(d.sys.UnitProcesses(DaemonsUnit)) > 0 || len(d.sys.UnitProcesses(StatdUnit)) > 0
}

// running maps the names of the unit's processes to their PIDs. The error says
// that there is a process whose name is not known; the map holds the others.
func (d *Daemons) running() (map[string][]int, error) {
	out := map[string][]int{}
	var errs []error
	for _, pid := range d.sys.UnitProcesses(DaemonsUnit) {
		comm, err := d.sys.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended just now
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		name := strings.TrimSpace(string(comm))
		out[name] = append(out[name], pid)
	}
	return out, errors.Join(errs...)
}

// watchesPipe reports whether nfsdcld waits for the kernel's pipe. It goes to
// the background before it opens its data base and before it watches the
// directory in which the kernel makes the pipe when the server starts; the
// watch shows in fdinfo (nfs-utils utils/nfsdcld/nfsdcld.c cld_pipe_init).
func (d *Daemons) watchesPipe() bool {
	running, _ := d.running()
	for _, pid := range running["nfsdcld"] {
		dir := "/proc/" + strconv.Itoa(pid) + "/fdinfo"
		names, err := d.sys.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, n := range names {
			if data, err := d.sys.ReadFile(dir + "/" + n); err == nil && strings.Contains(string(data), "inotify wd:") {
				return true
			}
		}
	}
	return false
}

// How long rpc.statd may take to end: it can hang in a name look-up. It keeps
// nothing in memory that matters, its lists are files.
const (
	statdTermTime = time.Second
	statdKillTime = 3 * time.Second
)

// EnsureStatd makes sure that rpc.statd runs, in a unit of its own when it has
// to be started; Stop ends that too. When the server's threads end, lockd tells
// rpc.statd to forget each client, and waits a minute for every answer that
// does not come (Linux fs/lockd/mon.c nsm_unmonitor).
func (d *Daemons) EnsureStatd(ctx context.Context) error {
	running, err := d.running()
	if err != nil || len(running[statd]) > 0 {
		return err
	}
	for _, x := range d.list {
		if x.program == statd {
			return d.startUnit(ctx, "nfs.statd.start", StatdUnit, []daemon{x})
		}
	}
	return nil
}

func (d *Daemons) stopSpareStatd(ctx context.Context) error {
	if len(d.sys.UnitProcesses(StatdUnit)) == 0 {
		return nil
	}
	return d.sys.StopUnit(ctx, "nfs.statd.end", StatdUnit)
}

// StopStatd ends rpc.statd alone, by SIGTERM and then SIGKILL, and waits up to
// three seconds until it is gone. It keeps rpc.statd's list of clients where
// [State.RetireLockClients] could not: lockd makes rpc.statd forget them.
func (d *Daemons) StopStatd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statdKillTime)
	defer cancel()
	start := time.Now()
	for {
		running, err := d.running()
		pids := running[statd]
		if err != nil {
			return fmt.Errorf("look for rpc.statd: %w", err)
		}
		if len(pids) == 0 {
			return nil
		}
		sig := syscall.SIGTERM
		if time.Since(start) > statdTermTime {
			sig = syscall.SIGKILL
		}
		var errs []error
		for _, pid := range pids {
			errs = append(errs, d.sys.Signal("nfs.statd.stop", pid, sig))
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("rpc.statd does not end: %w", ctx.Err())
		case <-time.After(readyPoll):
		}
	}
}

// Stop ends the daemons' units and waits until they are gone. None is success.
func (d *Daemons) Stop(ctx context.Context) error {
	return errors.Join(d.stopSpareStatd(ctx), d.sys.StopUnit(ctx, "nfs.daemons.stop", DaemonsUnit))
}

// StartIDMapd starts rpc.idmapd, which translates names of NFSv4 owners, where
// versions need it and neither we nor nfs-utils run it already. It keeps no
// state, so it belongs to the start action and not to a promotion.
func (d *Daemons) StartIDMapd(ctx context.Context) error {
	if !d.v4 || len(d.sys.UnitProcesses(IDMapdUnit)) > 0 || len(d.sys.UnitProcesses("nfs-idmapd.service")) > 0 {
		return nil
	}
	path, err := d.sys.LookPath("rpc.idmapd")
	if err != nil {
		return err
	}
	return d.sys.StartTransient(ctx, "nfs.idmapd.start", host.Unit{
		Name:        IDMapdUnit,
		Description: "drbdnfs: rpc.idmapd for the highly available NFS server",
		Commands:    [][]string{{path, "-S"}},
		Oneshot:     true,
		Before:      []string{PacemakerUnit},
	})
}

// StopIDMapd ends rpc.idmapd, if it is ours.
func (d *Daemons) StopIDMapd(ctx context.Context) error {
	if len(d.sys.UnitProcesses(IDMapdUnit)) == 0 {
		return nil
	}
	return d.sys.StopUnit(ctx, "nfs.idmapd.stop", IDMapdUnit)
}
