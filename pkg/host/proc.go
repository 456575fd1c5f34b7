package host

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Holder is a process that keeps a mount busy.
type Holder struct {
	PID     int
	Command string // the kernel's comm, at most 15 bytes
	What    string // "cwd", "root", "exe", "fd 7", "map"
	Path    string // the file below the mount
}

// String is "smbd[1234] (cwd /home/nfs/x)".
func (p Holder) String() string {
	return fmt.Sprintf("%s[%d] (%s %s)", p.Command, p.PID, p.What, p.Path)
}

// Holders lists the processes that have something open on the mount with ID
// mountID at dir, ordered by PID, one entry each. Other file systems that are
// mounted below dir are not counted.
//
// It compares the link texts below /proc/PID with dir and, for open files,
// the mount ID in fdinfo; it never stats a file, so that a dead NFS mount
// cannot hang it. Kernel users (nfsd, loop devices, swap) are not processes
// and are not found.
func (h *Host) Holders(ctx context.Context, mountID int, dir string) ([]Holder, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var holders []Holder
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return holders, err
		}
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if what, path, ok := holds(filepath.Join("/proc", e.Name()), mountID, dir); ok {
			holders = append(holders, Holder{PID: pid, Command: command(pid), What: what, Path: path})
		}
	}
	slices.SortFunc(holders, func(a, b Holder) int { return cmp.Compare(a.PID, b.PID) })
	return holders, nil
}

func holds(proc string, mountID int, dir string) (what, path string, ok bool) {
	for _, link := range []string{"cwd", "root", "exe"} {
		if t, err := os.Readlink(proc + "/" + link); err == nil && below(t, dir) {
			return link, t, true
		}
	}
	fds, _ := os.ReadDir(proc + "/fd") // a process that ended holds nothing
	for _, fd := range fds {
		t, err := os.Readlink(proc + "/fd/" + fd.Name())
		if err != nil || !below(t, dir) {
			continue
		}
		if id, ok := mountIDOf(proc + "/fdinfo/" + fd.Name()); ok && id != mountID {
			continue
		}
		return "fd " + fd.Name(), t, true
	}
	maps, _ := os.ReadFile(proc + "/maps")
	for line := range bytes.Lines(maps) {
		if i := bytes.IndexByte(line, '/'); i >= 0 {
			if t := strings.TrimSpace(string(line[i:])); below(t, dir) {
				return "map", t, true
			}
		}
	}
	return "", "", false
}

func mountIDOf(fdinfo string) (int, bool) {
	data, err := os.ReadFile(fdinfo)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			id, err := strconv.Atoi(strings.TrimSpace(v))
			return id, err == nil
		}
	}
	return 0, false
}

func command(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(data))
}

// Signal sends sig to process pid. A process that is gone is no error.
func (h *Host) Signal(op string, pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("%s: signal %s to %d: %w", op, sig, pid, err)
	}
	return nil
}

// Self is this process: it is never signalled as a holder.
func (h *Host) Self() int { return os.Getpid() }

// KillSelf ends this process at once by SIGKILL, as Pacemaker does when an
// action exceeds its timeout. It does not return.
func (h *Host) KillSelf() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// ParentIdentity names the process that started this one in a way that a
// restart of it changes: PID and start time in clock ticks since boot. Under
// Pacemaker that is the executor, which is started anew with the cluster.
func (h *Host) ParentIdentity() string {
	ppid := os.Getppid()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", ppid))
	if err != nil {
		return strconv.Itoa(ppid)
	}
	// The command in parentheses may hold spaces; field 22 counts from its end.
	_, rest, _ := strings.Cut(string(stat[max(0, bytes.LastIndexByte(stat, ')')):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return strconv.Itoa(ppid)
	}
	return fmt.Sprintf("%d@%s", ppid, fields[19])
}
