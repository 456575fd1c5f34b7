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

// lookName checks that this machine is a node of the configuration under the
// name by which DRBD and corosync will know it.
func (s *Stage) lookName() (setup.Item, error) {
	const object = "node name"
	name, err := s.m.Hostname()
	if err != nil {
		return setup.Item{}, fmt.Errorf("ask for the node's name: %w", err)
	}
	var names []string
	near := ""
	for _, n := range s.cfg.Nodes {
		names = append(names, n.Name)
		if strings.EqualFold(short(n.Name), short(name)) {
			near = n.Name
		}
	}
	why := "run setup on one of " + strings.Join(names, ", ") + ", or add this node to the file"
	if near != "" && near != name {
		why = "make them the same: hostnamectl set-hostname " + near + ", or name the node " + name + " in the file"
	}
	switch {
	case name != s.self:
		return refuse("", object, fmt.Sprintf("uname -n says %s, setup runs for %s", name, s.self), why), nil
	case s.index < 0:
		return refuse("", object, fmt.Sprintf("uname -n says %s, which is none of the file's nodes", name), why), nil
	}
	it := keep(object, "%s", name)
	it.Key = s.key("name")
	return it, nil
}

func short(name string) string {
	label, _, _ := strings.Cut(name, ".")
	return label
}

// lookSystem looks at who runs setup, which is the first item, and where.
func (s *Stage) lookSystem(context.Context) ([]setup.Item, error) {
	status, err := s.m.ReadFile("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("look who runs setup: %w", err)
	}
	user := keep("user", "root")
	if !root(string(status)) {
		user = refuse("", "user", "setup does not run as root", "run it with sudo")
	}
	system, err := s.lookOS()
	if err != nil {
		return nil, err
	}
	linux, err := s.lookSELinux()
	return []setup.Item{user, system, linux}, err
}

// root reads the effective user from /proc/self/status.
func root(status string) bool {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "Uid:" {
			return f[2] == "0"
		}
	}
	return false
}

func (s *Stage) lookOS() (setup.Item, error) {
	const object, tested = "operating system", "setup is made for EL 8 and 9 and for Debian 12: read the plan with care"
	data, err := s.m.ReadFile("/etc/os-release")
	if errors.Is(err, fs.ErrNotExist) {
		return warn(object, "unknown: there is no /etc/os-release", tested), nil
	}
	if err != nil {
		return setup.Item{}, err
	}
	v := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if k, x, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			v[k] = strings.Trim(x, `"'`)
		}
	}
	major, _, _ := strings.Cut(v["VERSION_ID"], ".")
	el := slices.Contains([]string{"rhel", "almalinux", "rocky", "centos", "ol"}, v["ID"]) || slices.Contains(strings.Fields(v["ID_LIKE"]), "rhel")
	name := v["PRETTY_NAME"]
	if name == "" {
		name = strings.TrimSpace(v["ID"] + " " + v["VERSION_ID"])
	}
	if el && (major == "8" || major == "9") || v["ID"] == "debian" && major == "12" {
		return keep(object, "%s", name), nil
	}
	return warn(object, name, tested), nil
}

func (s *Stage) lookSELinux() (setup.Item, error) {
	data, err := s.m.ReadFile("/sys/fs/selinux/enforce")
	if errors.Is(err, fs.ErrNotExist) {
		return keep("SELinux", "disabled"), nil
	}
	if err != nil {
		return setup.Item{}, err
	}
	if strings.TrimSpace(string(data)) == "1" {
		return keep("SELinux", "enforcing"), nil
	}
	return keep("SELinux", "permissive"), nil
}

// lookClock warns when the clocks of the nodes may differ: logs cannot be
// compared then, and LINSTOR's and corosync's messages mislead.
func (s *Stage) lookClock(ctx context.Context) ([]setup.Item, error) {
	const object = "clock"
	why := "set up chronyd: the nodes' logs can be compared only with one time"
	out, err := s.run(ctx, "setup.host.clock", "timedatectl", "show", "--property=NTPSynchronized")
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return []setup.Item{warn(object, "not known to be synchronised: "+err.Error(), why)}, nil
	case strings.TrimSpace(out) != "NTPSynchronized=yes":
		return []setup.Item{warn(object, "not synchronised", why)}, nil
	}
	return []setup.Item{keep(object, "synchronised")}, nil
}

// program is a program that has to be installed, with the packages it is in.
type program struct{ name, el, debian string }

// packages says where the programs come from.
var packages = []program{
	{"drbdadm", "drbd90-utils (ELRepo) or drbd-utils (LINBIT)", "drbd-utils"},
	{"drbdsetup", "drbd90-utils (ELRepo) or drbd-utils (LINBIT)", "drbd-utils"},
	{"exportfs", "nfs-utils", "nfs-kernel-server"},
	{"rpc.mountd", "nfs-utils", "nfs-kernel-server"},
	{"nfsdcld", "nfs-utils", "nfs-kernel-server"},
	{"rpc.idmapd", "nfs-utils", "nfs-common"},
	{"rpc.statd", "nfs-utils", "nfs-common"},
	{"sm-notify", "nfs-utils", "nfs-common"},
	{"rpcbind", "rpcbind", "rpcbind"},
	{"modprobe", "kmod", "kmod"},
	{"corosync", "corosync", "corosync"},
	{"pacemakerd", "pacemaker", "pacemaker"},
	{"cibadmin", "pacemaker-cli", "pacemaker-cli-utils"},
	{"crm_mon", "pacemaker-cli", "pacemaker-cli-utils"},
	{"crm_attribute", "pacemaker-cli", "pacemaker-cli-utils"},
	{"mkfs.xfs", "xfsprogs", "xfsprogs"},
	{"mkfs.ext4", "e2fsprogs", "e2fsprogs"},
	{"vgs", "lvm2", "lvm2"},
	{"lvmconfig", "lvm2", "lvm2"},
	{"lsblk", "util-linux", "util-linux"},
	{"blkid", "util-linux", "util-linux"},
	{"systemctl", "systemd", "systemd"},
	{"getent", "glibc-common", "libc-bin"},
}

// lookPrograms refuses to go on without the programs that setup and the agent
// run, all in one item.
func (s *Stage) lookPrograms(context.Context) ([]setup.Item, error) {
	versions, err := nfs.ParseVersions(strings.Join(s.cfg.NFS.Versions, " "))
	if err != nil {
		return nil, err
	}
	need := s.programs(versions)
	var missing, el, debian []string
	for _, name := range need {
		if s.has(name) {
			continue
		}
		missing = append(missing, name)
		for _, p := range packages {
			if p.name == name {
				el, debian = append(el, p.el), append(debian, p.debian)
			}
		}
	}
	if len(missing) == 0 {
		return []setup.Item{keep("programs", "all %d are installed", len(need))}, nil
	}
	return []setup.Item{refuse("", "programs", "not installed: "+strings.Join(missing, ", "), fmt.Sprintf(
		"install them: on EL %s; on Debian %s", join(el), join(debian),
	))}, nil
}

// programs lists what the configuration needs on this node.
func (s *Stage) programs(v nfs.Versions) []string {
	list := []string{"drbdadm", "drbdsetup", "modprobe", "corosync", "pacemakerd", "cibadmin", "crm_mon", "crm_attribute", "systemctl", "getent"}
	if s.node.Diskless {
		return list
	}
	list = append(list, "exportfs")
	list = append(list, nfs.NewDaemons(nil, v, nfs.Ports{}).Programs()...)
	if v.V3 {
		list = append(list, "sm-notify", "rpcbind")
	}
	return append(list, "mkfs."+s.cfg.Filesystem.Type, "vgs", "lvmconfig", "lsblk", "blkid")
}

// join lists each word once.
func join(words []string) string {
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ", ")
}
