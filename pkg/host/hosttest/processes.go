package hosttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Process is one process of the machine.
type Process struct {
	PID      int
	Command  string
	Stubborn bool // SIGTERM does not end it
	Immortal bool // no signal ends it: it waits in the kernel
	open     []openFile
	unit     string
}

// openFile is what a process holds, with the mount that it is on.
type openFile struct {
	what  string
	path  string
	mount int
}

// maxComm is how much of a program's name the kernel keeps.
const maxComm = 15

// Spawn starts a process that has path open, in the way that what says: "cwd",
// "fd 7". It returns the process for the test to change.
func (h *Host) Spawn(command, what, path string) *Process {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.spawn(command)
	h.setup(h.hold(p, what, path))
	return p
}

func (h *Host) spawn(command string) *Process {
	h.lastPID++
	p := &Process{PID: h.lastPID, Command: command[:min(len(command), maxComm)]}
	h.procs[p.PID] = p
	return p
}

func (h *Host) hold(p *Process, what, path string) error {
	l, err := h.find(path, true)
	if err != nil {
		return err
	}
	p.open = append(p.open, openFile{what, l.path, l.mount.ID})
	return nil
}

// Find returns a process called command, nil when there is none, for the test
// to change.
func (h *Host) Find(command string) *Process {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.procs {
		if p.Command == command {
			return p
		}
	}
	return nil
}

// Alive reports whether process pid runs.
func (h *Host) Alive(pid int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.procs[pid] != nil
}

// Kill9 ends all processes that are called command, as somebody with kill -9
// does.
func (h *Host) Kill9(command string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.procs {
		if p.Command == command {
			h.end(p)
		}
	}
}

func (h *Host) end(p *Process) {
	delete(h.procs, p.PID)
	if u := h.units[p.unit]; u != nil {
		u.pids = slices.DeleteFunc(u.pids, func(pid int) bool { return pid == p.PID })
		if len(u.pids) == 0 && !u.remain {
			delete(h.units, p.unit)
		}
	}
}

// holders lists the processes on m, by PID.
func (h *Host) holders(m *mounted) []host.Holder {
	var list []host.Holder
	for _, pid := range slices.Sorted(maps.Keys(h.procs)) {
		p := h.procs[pid]
		i := slices.IndexFunc(p.open, func(o openFile) bool { return o.mount == m.ID })
		if i >= 0 {
			list = append(list, host.Holder{PID: pid, Command: p.Command, What: p.open[i].what, Path: p.open[i].path})
		}
	}
	return list
}

// Holders lists the processes that have something open on the mount mountID.
func (h *Host) Holders(ctx context.Context, mountID int, _ string) ([]host.Holder, error) {
	return look(ctx, h, "holders", func() ([]host.Holder, error) {
		i := slices.IndexFunc(h.mounts, func(m *mounted) bool { return m.ID == mountID })
		if i < 0 {
			return nil, nil
		}
		return h.holders(h.mounts[i]), nil
	})
}

// Signal sends sig to process pid. A process that is neither on the volume nor
// one of the group's own is not to be signalled, nor is the cluster itself:
// that is a violation.
func (h *Host) Signal(op string, pid int, sig syscall.Signal) error {
	return h.do(noContext, op, func() error {
		p := h.procs[pid]
		if p == nil {
			return nil
		}
		m := h.volumeMount()
		onVolume := m != nil && slices.ContainsFunc(p.open, func(o openFile) bool { return h.onOrAbove(o.mount, m.ID) })
		if !onVolume && !strings.HasPrefix(p.unit, "drbdnfs-") {
			h.violate("%s sent to %s[%d], which is not on the volume", sig, p.Command, p.PID)
		}
		if p.PID == 1 || strings.HasPrefix(p.Command, "pacemaker") || strings.HasPrefix(p.Command, "corosync") {
			h.violate("%s sent to %s[%d], without which the node is lost", sig, p.Command, p.PID)
		}
		if !p.Immortal && (sig == syscall.SIGKILL || !p.Stubborn) {
			h.end(p)
		}
		return nil
	})
}

// onOrAbove reports whether mount id is base or lies on it.
func (h *Host) onOrAbove(id, base int) bool {
	for id != base {
		i := slices.IndexFunc(h.mounts, func(m *mounted) bool { return m.ID == id })
		if i < 0 || h.mounts[i].Parent == id {
			return false
		}
		id = h.mounts[i].Parent
	}
	return true
}

// unit is a systemd service with its processes.
type unit struct {
	pids   []int
	remain bool // stays when its processes are gone
}

// startService starts an installed unit with one process.
func (h *Host) startService(name, command string) {
	p := h.spawn(command)
	p.unit = name
	h.units[name] = &unit{pids: []int{p.PID}}
}

// SetService starts the installed unit name, which is somebody else's, with a
// process called command.
func (h *Host) SetService(name, command string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.startService(name, command)
}

// Units lists the units that are active.
func (h *Host) Units() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.units))
}

// UnitProcesses lists the processes of unit name.
func (h *Host) UnitProcesses(name string) []int {
	pids, _ := look(noContext, h, "unit "+name, func() ([]int, error) {
		if u := h.units[name]; u != nil {
			return slices.Clone(u.pids), nil
		}
		return nil, nil
	})
	return pids
}

// services are the units of packages that can be started, with their programs.
var services = map[string]string{
	"rpcbind.service": "rpcbind", "rpc-statd.service": "rpc.statd", "nfs-idmapd.service": "rpc.idmapd",
	"nfs-mountd.service": "rpc.mountd", "nfsdcld.service": "nfsdcld",
}

// StartUnit starts the installed unit name.
func (h *Host) StartUnit(ctx context.Context, op, name string) error {
	return h.do(ctx, op, func() error {
		command := services[name]
		if !h.Programs[command] {
			return fmt.Errorf("%s: start %s: Unit %s not found", op, name, name)
		}
		if h.units[name] == nil {
			h.startService(name, command)
		}
		return nil
	})
}

// StopUnit stops unit name. A unit that is not there is no error.
func (h *Host) StopUnit(ctx context.Context, op, name string) error {
	return h.do(ctx, op, func() error { return wrap(op, h.stopUnit(name)) })
}

func (h *Host) stopUnit(name string) error {
	u := h.units[name]
	if u == nil {
		return nil
	}
	for _, pid := range slices.Clone(u.pids) {
		if h.procs[pid].Immortal {
			return fmt.Errorf("systemd job ended as %q: see journalctl -u %s", "failed", name)
		}
		h.end(h.procs[pid])
	}
	delete(h.units, name)
	return nil
}

// StartTransient runs the commands of u, after stopping a unit of that name.
func (h *Host) StartTransient(ctx context.Context, op string, u host.Unit) error {
	return h.do(ctx, op, func() error {
		if err := h.stopUnit(u.Name); err != nil {
			return wrap(op, err)
		}
		h.units[u.Name] = &unit{remain: u.Oneshot}
		for _, argv := range u.Commands {
			h.Started = append(h.Started, slices.Clone(argv))
			if err := h.exec(u.Name, argv); err != nil {
				_ = h.stopUnit(u.Name)
				if u.NoWait {
					return nil
				}
				return fmt.Errorf("%s: start %s: systemd job ended as %q: see journalctl -u %s", op, u.Name, "failed", u.Name)
			}
		}
		if len(h.units[u.Name].pids) == 0 && !u.Oneshot {
			delete(h.units, u.Name)
		}
		return nil
	})
}

// process is what /proc/PID shows of a process: its name, and whether it
// watches a directory.
func (h *Host) process(pid int, file string) *node {
	p := h.procs[pid]
	if p == nil {
		return nil
	}
	watch := "pos:\t0\nflags:\t02004000\nmnt_id:\t15\n"
	if p.Command == "nfsdcld" && !h.NFSD.NoWatch {
		watch += "inotify wd:1 ino:2 sdev:2c mask:3c0\n"
	}
	switch file {
	case "":
		return newDir(0o555)
	case "comm":
		return &node{mode: 0o444, data: []byte(p.Command + "\n")}
	case "fdinfo":
		d := newDir(0o500)
		d.entries["0"], d.entries["4"] = &node{mode: 0o444}, &node{mode: 0o444}
		return d
	case "fdinfo/0":
		return &node{mode: 0o444, data: []byte("pos:\t0\n")}
	case "fdinfo/4":
		return &node{mode: 0o444, data: []byte(watch)}
	}
	return nil
}

func pidOf(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
