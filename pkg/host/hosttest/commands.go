package hosttest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Run runs one of the programs that this machine knows.
func (h *Host) Run(ctx context.Context, c host.Cmd) (host.Result, error) {
	var res host.Result
	err := h.do(ctx, c.Op, func() error {
		tool := h.tools[c.Name]
		if !h.Programs[c.Name] && tool == nil {
			return fmt.Errorf("%s: %w", c.Name, host.ErrNotInstalled)
		}
		h.argv = append(h.argv, strings.Join(append([]string{c.Name}, c.Args...), " "))
		if tool != nil {
			h.mu.Unlock()
			defer h.mu.Lock()
			out, err := tool(c)
			res.Stdout = []byte(out)
			return err
		}
		out, no := h.command(c)
		res.Stdout = []byte(out)
		if no != nil {
			res.Stderr = []byte(no.text)
			return exitError(c, no)
		}
		return nil
	})
	return res, err
}

// Tool installs program name, or replaces the one that this machine knows: f
// prints and fails in its place, see [Exit]. It may change the machine.
func (h *Host) Tool(name string, f func(c host.Cmd) (stdout string, err error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tools[name] = f
}

// Exit is the failure of a tool with an exit code and what it says.
func Exit(c host.Cmd, code int, stderr string) error {
	return exitError(c, &refusal{code, stderr})
}

// Commands lists the programs that were run, each with its arguments, joined by
// spaces.
func (h *Host) Commands() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.argv)
}

func (h *Host) command(c host.Cmd) (string, *refusal) {
	switch c.Name {
	case "drbdsetup":
		return h.drbdsetup(c.Args)
	case "drbdadm":
		return h.drbdadm(c.Args)
	case "exportfs":
		return "", h.exportfs(c.Args)
	case "crm_attribute":
		return "", h.crmAttribute(c)
	case "modprobe":
		return "", h.modprobe(c.Args)
	}
	return "", &refusal{127, c.Name + ": unknown to package hosttest"}
}

// exportfs is "exportfs -i -o OPTIONS -- CLIENT:PATH..." or "exportfs -u --
// CLIENT:PATH". The table is written through /var/lib/nfs, as the real one is.
func (h *Host) exportfs(args []string) *refusal {
	args = slices.DeleteFunc(slices.Clone(args), func(s string) bool { return s == "--" })
	l, err := h.find("/var/lib/nfs/etab", true)
	if err != nil {
		return &refusal{1, "exportfs: can't open /var/lib/nfs/etab for reading"}
	}
	if err := h.awaitIO("exportfs", "/var/lib/nfs/etab"); err != nil {
		return &refusal{1, "exportfs: can't write /var/lib/nfs/etab"}
	}
	lines := slices.Collect(strings.Lines(string(l.node.data)))
	drop := func(dir, client string) bool {
		before := len(lines)
		lines = slices.DeleteFunc(lines, func(s string) bool { return strings.HasPrefix(s, dir+"\t"+client+"(") })
		return len(lines) < before
	}
	switch {
	case len(args) > 3 && args[0] == "-i" && args[1] == "-o":
		for _, target := range args[3:] {
			client, dir := cutTarget(target)
			if st, err := h.find(dir, true); err != nil || !st.node.mode.IsDir() {
				return &refusal{1, "exportfs: Failed to stat " + dir + ": No such file or directory"}
			}
			drop(dir, client)
			lines = append(lines, dir+"\t"+client+"("+args[2]+")\n")
		}
	case len(args) == 2 && args[0] == "-u":
		client, dir := cutTarget(args[1])
		if !drop(dir, client) {
			return &refusal{1, "exportfs: Could not find '" + args[1] + "' to unexport."}
		}
	default:
		return &refusal{1, "exportfs: invalid options"}
	}
	l.node.data = []byte(strings.Join(lines, ""))
	h.NFSD.holds = h.NFSD.holds || (h.NFSD.Threads > 0 && len(lines) > 0)
	return nil
}

func cutTarget(s string) (client, dir string) {
	i := strings.LastIndex(s, ":/")
	if i < 0 {
		return s, ""
	}
	return strings.NewReplacer("[", "", "]", "").Replace(s[:i]), s[i+1:]
}

// crmAttribute records the promotion score.
func (h *Host) crmAttribute(c host.Cmd) *refusal {
	if !slices.ContainsFunc(c.Env, func(kv string) bool { return strings.HasPrefix(kv, "OCF_RESOURCE_INSTANCE=") }) {
		return &refusal{1, "crm_attribute: no resource to set a promotion score for"}
	}
	i := slices.IndexFunc(c.Args, func(s string) bool { return s == "--update" || s == "--delete" })
	switch {
	case i < 0 || !slices.Contains(c.Args, "--promotion"):
		return &refusal{1, "crm_attribute: nothing to do"}
	case c.Args[i] == "--delete":
		h.Scores = append(h.Scores, "")
	default:
		h.Scores = append(h.Scores, c.Args[i+1])
	}
	return nil
}

func (h *Host) modprobe(args []string) *refusal {
	name := args[len(args)-1]
	if _, ok := h.Modules[name]; !ok {
		return &refusal{1, "modprobe: FATAL: Module " + name + " not found in directory /lib/modules/4.18.0"}
	}
	if args[0] != "--dry-run" {
		h.Modules[name] = true
	}
	return nil
}

// exec is one command of a transient unit: daemons stay, with what they open.
func (h *Host) exec(name string, argv []string) error {
	program := path.Base(argv[0])
	if !h.Programs[program] && path.Dir(argv[0]) == "/usr/sbin" {
		return fmt.Errorf("%s: %w", argv[0], host.ErrNotInstalled)
	}
	switch program {
	case "nfsdcld", "rpc.statd", "rpc.mountd", "rpc.idmapd":
		if program != "rpc.idmapd" && h.runs(program) {
			return fmt.Errorf("%s runs already", program)
		}
		p := h.daemon(name, program)
		return h.daemonFiles(p, program)
	case "sm-notify":
		h.notify(argv)
		return nil
	}
	if len(argv) > 1 && argv[1] == "announce" {
		h.daemon(name, program)
	}
	return nil
}

func (h *Host) daemon(unit, command string) *Process {
	p := h.spawn(command)
	p.unit = unit
	h.units[unit].pids = append(h.units[unit].pids, p.PID)
	return p
}

// daemonFiles opens what a daemon keeps open.
func (h *Host) daemonFiles(p *Process, program string) error {
	switch program {
	case "nfsdcld":
		if err := h.mkdirAll("/var/lib/nfs/nfsdcld", 0o755); err != nil {
			return err
		}
		db := "/var/lib/nfs/nfsdcld/main.sqlite"
		if _, err := h.find(db, true); err != nil {
			if err := h.put(db, &node{mode: 0o644}); err != nil {
				return err
			}
		}
		return h.hold(p, "fd 5", db)
	case "rpc.statd":
		return h.hold(p, "cwd", nfsDir+h.statd)
	}
	return nil
}

// notify is sm-notify: it moves the list of clients to sm.bak and reaches all
// of them.
func (h *Host) notify(argv []string) {
	dir := nfsDir + h.statd
	if i := slices.Index(argv, "-P"); i >= 0 {
		dir = argv[i+1]
	}
	for _, sub := range []string{"sm", "sm.bak"} {
		l, err := h.find(dir+"/"+sub, true)
		if err != nil {
			continue
		}
		h.Notified = append(h.Notified, slices.Sorted(maps.Keys(l.node.entries))...)
		clear(l.node.entries)
	}
}

// SetLockClient writes the NFSv3 client name into rpc.statd's list in dir,
// "/home/nfs/var/lib/nfs" or "/var/lib/nfs", as rpc.statd does when the client
// takes a lock; lockd remembers that rpc.statd watches it.
func (h *Host) SetLockClient(dir, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, err := h.find(dir+h.statd+"/sm", true)
	h.setup(err)
	l.node.entries[name] = &node{mode: fs.FileMode(0o600)}
	if h.NFSD.Threads > 0 {
		h.NFSD.monitored[name] = true
	}
}
