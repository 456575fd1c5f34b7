package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// nfsServer is nfs-utils' own server; Debian's nfs-kernel-server is an alias.
const nfsServer = "nfs-server.service"

// debianServer is the name under which Debian's package may have enabled it; the
// agent refuses to start where either link is left.
const (
	debianServer = "nfs-kernel-server.service"
	debianLink   = "/etc/systemd/system/multi-user.target.wants/" + debianServer
)

// linked reports whether the server starts at boot by its Debian name.
func (s *Stage) linked() bool {
	_, err := s.m.Lstat(debianLink)
	return err == nil
}

// lookNFSServer keeps nfs-utils' own server from starting: the kernel has one
// server, and the group runs it. The agent does not use the unit, so an active
// one is not ours; but stopping it would end the group's threads as well.
func (s *Stage) lookNFSServer(ctx context.Context) ([]setup.Item, error) {
	if s.node.Diskless || !s.has("systemctl") {
		return nil, nil
	}
	u, err := s.unit(ctx, nfsServer)
	if err != nil {
		return nil, err
	}
	group, err := s.unit(ctx, nfs.DaemonsUnit)
	if err != nil {
		return nil, err
	}
	threads, err := s.threads()
	if err != nil {
		return nil, err
	}
	foreign := !group.active() && (u.active() || threads) // a server that is not the group's
	exports, err := s.exports(foreign)
	if err != nil {
		return nil, err
	}
	switch {
	case group.active() && u.active():
		return []setup.Item{warn(nfsServer, "it counts as running beside the group: stopping it would stop the group", "move the group to another node, then systemctl disable --now "+nfsServer)}, nil
	case foreign && s.replace && u.active():
		return s.lookReplaced(u, exports), nil
	case foreign && len(exports) > 0:
		return []setup.Item{refuse("", nfsServer, "it serves exports of its own: "+strings.Join(exports, ", "), "move them to [[export]] or to another machine, empty /etc/exports and run systemctl disable --now "+nfsServer)}, nil
	case foreign && !u.active():
		return []setup.Item{refuse("", "kernel NFS server", "it runs, started neither by the group nor by "+nfsServer, "find out who started it, then rpc.nfsd 0")}, nil
	}
	items := s.lookExports(exports)
	if !u.active() && !u.enabled() && !s.linked() {
		return append(items, keep(nfsServer, "not running, not started at boot")), nil
	}
	detail := "not started at boot"
	if u.active() {
		detail = "stopped, and " + detail
	}
	return append(items, setup.Item{
		Object: nfsServer, Action: setup.Change, Detail: detail, Why: "the kernel has one NFS server, and the group runs it",
		Do: s.disableServer,
	}), nil
}

// disableServer looks again at whose server it is: between the plan and now the
// group may have started here.
func (s *Stage) disableServer(ctx context.Context, p setup.Progress) error {
	group, err := s.unit(ctx, nfs.DaemonsUnit)
	if err != nil {
		return err
	}
	u, err := s.unit(ctx, nfsServer)
	if err != nil {
		return err
	}
	if group.active() && u.active() {
		return errors.New("the group has started here: move it to another node before " + nfsServer + " is stopped")
	}
	if err := s.disable(nfsServer, u.active())(ctx, p); err != nil || !s.linked() {
		return err
	}
	if err := s.change(ctx, "setup.host.disable", "systemctl", "disable", debianServer); err != nil {
		return fmt.Errorf("disable %s: %w", debianServer, err)
	}
	if s.linked() {
		return fmt.Errorf("systemctl disable left %s", debianLink)
	}
	return nil
}

// lookExports looks at exports that nobody serves yet.
func (s *Stage) lookExports(exports []string) []setup.Item {
	if len(exports) == 0 {
		return nil
	}
	for _, dir := range exports {
		if s.onVolume(dir) {
			if s.replace && !slices.ContainsFunc(exports, func(d string) bool { return !s.onVolume(d) }) {
				return []setup.Item{{
					Object: exportsFile, Action: setup.Change, Detail: "renamed to " + exportsAside, Why: "the agent exports what is in [[export]]",
					Do: func(context.Context, setup.Progress) error { return s.SetExportsAside() },
				}}
			}
			return []setup.Item{refuse("filesystem.mount", "/etc/exports", dir+" is on the volume: systemd would mount it at boot", "take it out: the agent exports what is in [[export]]")}
		}
	}
	return []setup.Item{warn("/etc/exports", "names "+strings.Join(exports, ", ")+", which will not be served", "write them as [[export]], or take them out")}
}

// exports lists the directories of /etc/exports and /etc/exports.d, and with
// inForce those of the table of what is exported now.
func (s *Stage) exports(inForce bool) ([]string, error) {
	files := []string{"/etc/exports"}
	list, err := s.m.ReadDir("/etc/exports.d")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range list {
		if strings.HasSuffix(name, ".exports") {
			files = append(files, "/etc/exports.d/"+name)
		}
	}
	if inForce {
		files = append(files, nfs.Dir+"/etab")
	}
	var out []string
	for _, name := range files {
		data, err := s.m.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, exported(data)...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// exported lists the directories of a file of exports(5).
func exported(data []byte) []string {
	var out []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(f[0], "#") {
			out = append(out, strings.Trim(f[0], `"`))
		}
	}
	return out
}

// threads reports whether the kernel's server runs.
func (s *Stage) threads() (bool, error) {
	data, err := s.m.ReadFile("/proc/fs/nfsd/threads")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n := strings.TrimSpace(string(data))
	return n != "" && n != "0", nil
}
