package nfs

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// kernel is the kernel's NFS server with systemd: its files are a map, and
// what happens to it is a list.
type kernel struct {
	files   map[string]string
	mounts  []host.Mount
	calls   []string
	fails   map[string]error // by the beginning of the call
	threads int
	lingers time.Duration // how long threads take to end
	endAt   time.Time
	units   map[string][]int
	comms   map[int]string
	watches time.Time // when nfsdcld watches its pipe
	deaf    []syscall.Signal
	lastPID int
	signals []string
	start   time.Time
	noProgs []string
}

func newKernel() *kernel {
	return &kernel{
		files: map[string]string{
			confPath:     "[general]\npipefs-directory=/run/rpc_pipefs\n",
			procPortlist: "\n", procThreads: "0\n",
		},
		fails: map[string]error{}, units: map[string][]int{}, comms: map[int]string{}, lastPID: 100, start: time.Now(),
	}
}

func (k *kernel) call(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	k.calls = append(k.calls, text)
	for prefix, err := range k.fails {
		if strings.HasPrefix(text, prefix) {
			return err
		}
	}
	return nil
}

func missing(op, p string) error { return &fs.PathError{Op: op, Path: p, Err: fs.ErrNotExist} }

func (k *kernel) ReadFile(p string) ([]byte, error) {
	k.settle()
	if pid, ok := strings.CutSuffix(strings.TrimPrefix(p, "/proc/"), "/comm"); ok {
		if n, _ := strconv.Atoi(pid); k.comms[n] != "" {
			return []byte(k.comms[n] + "\n"), nil
		}
		return nil, missing("open", p)
	}
	if strings.HasSuffix(p, "/fdinfo/5") && !k.watches.IsZero() && !time.Now().Before(k.watches) {
		return []byte("pos:\t0\ninotify wd:1 ino:2 sdev:3\n"), nil
	}
	text, ok := k.files[p]
	if !ok {
		return nil, missing("open", p)
	}
	return []byte(text), nil
}

// settle ends the threads whose time has come.
func (k *kernel) settle() {
	if !k.endAt.IsZero() && !time.Now().Before(k.endAt) {
		k.threads, k.endAt = 0, time.Time{}
		k.files[procThreads], k.files[procPortlist] = "0\n", "\n"
	}
}

func (k *kernel) ReadDir(p string) ([]string, error) {
	if strings.HasSuffix(p, "/fdinfo") {
		return []string{"0", "5"}, nil
	}
	return nil, missing("open", p)
}

func (k *kernel) Stat(p string) (fs.FileInfo, error) { return nil, missing("stat", p) }

func (k *kernel) WriteFile(op, p string, data []byte) error {
	if err := k.call("%s: %s to %s", op, strings.TrimSpace(string(data)), path.Base(p)); err != nil {
		return err
	}
	if p == procThreads {
		n, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil {
			return syscall.EINVAL
		}
		k.setThreads(n)
	}
	return nil
}

func (k *kernel) setThreads(n int) {
	if n == 0 {
		k.endAt = time.Now().Add(k.lingers)
		k.settle()
		return
	}
	k.threads, k.files[procThreads] = n, strconv.Itoa(n)+"\n"
}

func (k *kernel) MkdirAll(op, p string, perm fs.FileMode) error {
	return k.call("%s: %s %o", op, p, perm)
}

func (k *kernel) Mounts() ([]host.Mount, error) { return k.mounts, k.fails["mounts"] }

func (k *kernel) Mount(_ context.Context, op, source, dir, fstype, options string) error {
	return k.call("%s: %s on %s type %s (%s)", op, source, dir, fstype, options)
}

func (k *kernel) Run(_ context.Context, c host.Cmd) (host.Result, error) {
	return host.Result{}, k.call("%s: %s %s", c.Op, c.Name, strings.Join(c.Args, " "))
}

func (k *kernel) AddNFSDListeners(op string, port int) error {
	k.files[procPortlist] = "tcp " + strconv.Itoa(port) + "\n"
	return k.call("%s: %d", op, port)
}

func (k *kernel) StartNFSDThreads(op string, threads int, scope string) error {
	k.setThreads(threads)
	return k.call("%s: %d as %s", op, threads, scope)
}

func (k *kernel) RPCNull(_ context.Context, addr netip.AddrPort, program, vers uint32) error {
	return k.call("null: %s program %d version %d", addr, program, vers)
}

func (k *kernel) LookPath(name string) (string, error) {
	if slices.Contains(k.noProgs, name) {
		return "", fmt.Errorf("%s: %w", name, host.ErrNotInstalled)
	}
	return "/usr/sbin/" + name, nil
}

func (k *kernel) StartTransient(_ context.Context, op string, u host.Unit) error {
	var commands []string
	for _, c := range u.Commands {
		commands = append(commands, strings.Join(c, " "))
	}
	if err := k.call("%s: %s: %s", op, u.Name, strings.Join(commands, "; ")); err != nil {
		return err
	}
	k.units[u.Name] = nil
	for _, c := range u.Commands {
		k.spawn(u.Name, path.Base(c[0]))
	}
	return nil
}

// spawn starts a process in a unit.
func (k *kernel) spawn(unit, comm string) int {
	k.lastPID++
	k.units[unit] = append(k.units[unit], k.lastPID)
	k.comms[k.lastPID] = comm
	return k.lastPID
}

func (k *kernel) StopUnit(_ context.Context, op, name string) error {
	for _, pid := range k.units[name] {
		delete(k.comms, pid)
	}
	delete(k.units, name)
	return k.call("%s: %s", op, name)
}

func (k *kernel) UnitProcesses(name string) []int { return k.units[name] }

func (k *kernel) Signal(op string, pid int, sig syscall.Signal) error {
	k.signals = append(k.signals, fmt.Sprintf("%s to %s after %v", sig, k.comms[pid], time.Since(k.start)))
	if slices.Contains(k.deaf, sig) {
		return nil
	}
	for unit, pids := range k.units {
		k.units[unit] = slices.DeleteFunc(slices.Clone(pids), func(p int) bool { return p == pid })
	}
	delete(k.comms, pid)
	return k.fails[op]
}
