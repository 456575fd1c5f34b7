package exports

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
	Mounts() ([]host.Mount, error)
	TCPSockets(ctx context.Context, local netip.Addr) ([]host.TCPSocket, error)
	Hostname() (string, error)
}

var _ machine = (*host.Host)(nil)

const (
	clientsDir  = "/proc/fs/nfsd/clients"
	kernelTable = "/proc/fs/nfsd/exports"
	threadsFile = "/proc/fs/nfsd/threads"
	procLocks   = "/proc/locks"
	rmtabFile   = nfs.Dir + "/rmtab"
	statdDir    = nfs.Dir + "/sm"
)

// Limits of one look: at the cluster's programs, and at one file, which on a
// volume that holds back I/O does not answer.
const (
	askLimit  = 5 * time.Second
	readLimit = 2 * time.Second
)

// looker is one look.
type looker struct {
	m      machine
	c      *config.Config
	report *Report
}

// Look returns what the configuration asks for and what this node serves. It
// changes nothing and takes a few seconds at most. What cannot be seen is in the
// report; the only errors are a configuration that no exports can be made of, and
// a machine without a name.
func Look(ctx context.Context, m machine, c *config.Config) (Report, error) {
	self, err := m.Hostname()
	if err != nil {
		return Report{}, fmt.Errorf("ask for this node's name: %w", err)
	}
	file, err := nfs.ParseExports(c.ExportsText(), c.Resource.Name)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", c.At("export"), err)
	}
	r := Report{Node: self, Active: []string{}, Clients: []Client{}, Locks: []Lock{}, Unknown: []string{}}
	l := &looker{m: m, c: c, report: &r}
	l.active(ctx)
	cluster := l.cluster(ctx)
	mount, mounted := l.mount()
	r.Serving = mounted && l.threads() > 0
	var table, kernel []offered
	if r.Serving {
		table, kernel = parseTable(l.file(ctx, nfs.EtabPath)), parseTable(l.file(ctx, kernelTable))
		l.users(ctx, mount)
	}
	r.Exports = compare(file, cluster, table, kernel, r.Serving)
	return r, nil
}

func (l *looker) unknown(format string, args ...any) {
	l.report.Unknown = append(l.report.Unknown, fmt.Sprintf(format, args...))
}

// active asks Pacemaker who serves.
func (l *looker) active(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	st, err := pacemaker.Mon(ctx, l.m, "exports.crm_mon")
	if err != nil {
		l.unknown("which node is active: %v", err)
		return
	}
	l.report.Active = append(l.report.Active, st.Promoted(l.c.Pacemaker.Group)...)
}

// cluster returns the exports of the group in the CIB, nil when they are not
// known.
func (l *looker) cluster(ctx context.Context) []nfs.Export {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	res, err := l.m.Run(ctx, host.Cmd{Op: "exports.cibadmin", Name: "cibadmin", Args: []string{"--query", "--scope", "resources"}})
	if err != nil {
		l.unknown("the cluster's exports, so they are compared with the file: %v", err)
		return nil
	}
	text, err := parameter(res.Stdout, l.c.Pacemaker.Group)
	if err != nil {
		l.unknown("the cluster's exports, so they are compared with the file: %v", err)
		return nil
	}
	list, err := nfs.ParseExports(text, l.c.Resource.Name)
	if err != nil {
		l.unknown("the cluster's exports, so they are compared with the file: %v", err)
		return nil
	}
	return list
}

// parameter returns the parameter "exports" of the primitive called group.
func parameter(xml []byte, group string) (string, error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(xml); err != nil {
		return "", fmt.Errorf("cibadmin printed what is no XML: %w", err)
	}
	for _, p := range doc.FindElements("//primitive") {
		if p.SelectAttrValue("id", "") != group {
			continue
		}
		for _, nv := range p.FindElements("./instance_attributes/nvpair") {
			if nv.SelectAttrValue("name", "") == "exports" {
				return nv.SelectAttrValue("value", ""), nil
			}
		}
	}
	return "", fmt.Errorf("the cluster has no group %s: drbdnfs setup apply", group)
}

func (l *looker) mount() (host.Mount, bool) {
	mounts, err := l.m.Mounts()
	if err != nil {
		l.unknown("whether this node serves: %v", err)
	}
	for _, m := range slices.Backward(mounts) {
		if m.Dir == l.c.Filesystem.Mount {
			return m, true
		}
	}
	return host.Mount{}, false
}

func (l *looker) threads() int {
	data, err := l.m.ReadFile(threadsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.unknown("whether the NFS server runs: %v", err)
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return n
}

// file reads one file, for a bounded time: some are on the volume. The goroutine
// stays behind one that never answers, and ends with the program.
func (l *looker) file(ctx context.Context, name string) []byte {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	type read struct {
		data []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		data, err := l.m.ReadFile(name)
		done <- read{data, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			l.unknown("%s: %v", name, r.err)
		}
		return r.data
	case <-ctx.Done():
		l.unknown("%s: no answer within %s", name, readLimit)
		return nil
	}
}

// users looks at clients and locks.
func (l *looker) users(ctx context.Context, mount host.Mount) {
	v4 := l.v4clients()
	rmtab := parseRmtab(l.file(ctx, rmtabFile))
	l.report.Clients = append(l.report.Clients, clients(v4, rmtab, l.peers(ctx))...)
	l.report.Locks = locks(v4, parseLocks(l.file(ctx, procLocks)), mount.Major, mount.Minor, l.command)
	if slices.ContainsFunc(l.report.Locks, func(k Lock) bool { return k.Version == "3" }) {
		l.unknown("which client holds an NFSv3 lock: the kernel does not tell; clients that rpc.statd watches for locks: %s", l.watched())
	}
	if slices.ContainsFunc(l.report.Locks, func(k Lock) bool { return k.Version == "" }) {
		l.unknown("whose the locks without a version are: an NFSv3 client's (kernels before 5.1 show the client's process number) or a program's on this node")
	}
}

// v4clients are the NFSv4 clients of the kernel.
func (l *looker) v4clients() []v4client {
	names, err := l.m.ReadDir(clientsDir)
	if err != nil {
		l.unknown("NFSv4 clients and what they hold: this kernel has no %s, which came with Linux 5.3; connections are shown instead", clientsDir)
		return nil
	}
	var list []v4client
	for _, name := range names {
		data, err := l.m.ReadFile(path.Join(clientsDir, name, "info"))
		if err != nil {
			continue // it has gone meanwhile
		}
		in, err := parseInfo(data)
		if err != nil {
			l.unknown("NFSv4 client %s: %v", name, err)
			continue
		}
		c := v4client{info: in}
		if data, err := l.m.ReadFile(path.Join(clientsDir, name, "states")); err == nil {
			if c.held, err = parseStates(data); err != nil {
				l.unknown("what NFSv4 client %s holds: %v", hostOf(in.address), err)
			}
		}
		list = append(list, c)
	}
	return list
}

// peers are the far ends of the connections to the NFS port of the service
// addresses.
func (l *looker) peers(ctx context.Context) []netip.AddrPort {
	var list []netip.AddrPort
	for _, v := range l.c.VIPs {
		prefix, err := netip.ParsePrefix(v.Address)
		if err != nil {
			continue // checked by package config
		}
		sockets, err := l.m.TCPSockets(ctx, prefix.Addr())
		if err != nil {
			l.unknown("connections to %s: %v", prefix.Addr(), err)
		}
		for _, s := range sockets {
			if s.Local.Port() == nfs.Port {
				list = append(list, s.Remote)
			}
		}
	}
	return list
}

// command is the name of a process, "" when there is none.
func (l *looker) command(pid int) string {
	data, err := l.m.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// watched are the NFSv3 clients on rpc.statd's list.
func (l *looker) watched() string {
	names, err := l.m.ReadDir(statdDir)
	switch {
	case err != nil:
		return "not known (" + err.Error() + ")"
	case len(names) == 0:
		return "none"
	}
	for i := range names {
		names[i] = plain(names[i])
	}
	return strings.Join(names, ", ")
}
