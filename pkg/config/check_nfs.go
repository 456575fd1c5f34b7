package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/vip"
)

// Limits of the agent (ocf/agent/params.go).
const (
	second     = Duration(time.Second)
	minute     = 60 * second
	hour       = 60 * minute
	minLease   = 10 * second
	maxThreads = 4096
	maxScope   = 64
)

func (k *checker) checkNFS() {
	n := k.c.NFS
	if len(n.Versions) == 0 {
		k.add("nfs.versions", "no version", "name at least one of 3, 4.0, 4.1, 4.2")
	}
	for i, v := range n.Versions {
		if _, err := nfs.ParseVersions(v); err != nil || strings.ContainsAny(v, " ,\t") {
			k.add(index("nfs.versions", i), "not a version of NFS", `write one of "3", "4.0", "4.1", "4.2"`)
		}
	}
	k.within("nfs.threads", n.Threads, 1, maxThreads)
	k.between("nfs.lease_time", n.LeaseTime, minLease, hour)
	k.between("nfs.grace_time", n.GraceTime, minLease, hour)
	if n.GraceTime < n.LeaseTime && !k.has("nfs.lease_time") {
		key := "nfs.grace_time"
		if !k.places.has(key) {
			key = "nfs.lease_time"
		}
		k.add(key, fmt.Sprintf("grace_time %v is shorter than lease_time %v", n.GraceTime, n.LeaseTime),
			"write a grace_time that is not shorter: clients could not reclaim their locks in time")
	}
	if !alnum(n.Scope, "_.:-") || len(n.Scope) > maxScope {
		k.add("nfs.scope", "not a name for a server scope", "write at most 64 letters, digits, and . _ : -")
	}
	k.checkStateDir(n.StateDir, k.c.Filesystem.Mount)
	k.checkPorts()
}

func (k *checker) checkStateDir(dir, mount string) {
	const key = "nfs.state_dir"
	if dir != "" && k.directory(key, dir) && !k.has("filesystem.mount") && !below(dir, mount) {
		k.add(key, "not below filesystem.mount "+mount, "write a directory on the volume, which moves with it")
	}
}

func (k *checker) checkPorts() {
	var texts []string
	ports := k.c.NFS.Ports.list()
	slices.SortStableFunc(ports, func(a, b port) int { // so that what the file has is blamed, not a default
		return cmp.Compare(k.places.at["nfs.ports."+a.key].offset, k.places.at["nfs.ports."+b.key].offset)
	})
	for _, p := range ports {
		_, err := nfs.ParsePorts(strings.Join(append(texts, p.String()), " "))
		if err != nil {
			k.addError("nfs.ports."+p.key, strings.TrimPrefix(err.Error(), "ports: "), "write another port from 1 to 65535")
			continue
		}
		texts = append(texts, p.String())
	}
}

// StateDir is where the NFS state is on the volume.
func (c *Config) StateDir() string {
	if c.NFS.StateDir != "" {
		return c.NFS.StateDir
	}
	return path.Join(c.Filesystem.Mount, "var/lib/nfs")
}

func (k *checker) checkExports() {
	if len(k.c.Exports) == 0 {
		k.add("export", "not set", "describe each directory below a line [[export]]")
	}
	for i, e := range k.c.Exports {
		at := index("export", i)
		if k.set(at+".path", e.Path, "write a directory below the mount") && k.directory(at+".path", e.Path) {
			k.exportPath(at+".path", e.Path)
		}
		if len(e.Clients) == 0 {
			k.add(at+".clients", "no client", `write who may mount it, as ["192.168.2.0/24"]`)
		}
		for j, c := range e.Clients {
			k.exportClient(index(at+".clients", j), c)
		}
		for j, o := range e.Options {
			k.exportOption(index(at+".options", j), o)
		}
		k.exportFSID(at+".fsid", e.FSID)
		k.exportOwner(at, e)
	}
	if !slices.ContainsFunc(k.list, func(p Problem) bool { return strings.HasPrefix(p.Key, "export[") }) {
		k.exportsTogether()
	}
}

func (k *checker) exportPath(at, dir string) {
	mount, state := k.c.Filesystem.Mount, k.c.StateDir()
	switch {
	case strings.ContainsAny(dir, `"\`):
		k.add(at, "a quote or backslash in the path", "rename the directory")
	case k.has("filesystem.mount"): // whatever the path is, it is said there
	case dir != mount && !below(dir, mount):
		k.add(at, "not below filesystem.mount "+mount, "write a directory on the volume, which moves with it")
	case dir == state || below(dir, state) || below(state, dir):
		k.add(at, "holds or is the NFS state "+state, "export a directory beside it: clients must not reach the state")
	}
}

// exportClient checks one client with the rules of the agent.
func (k *checker) exportClient(at, client string) {
	const remedy = "write an address, a network such as 192.168.2.0/24, a host name, @netgroup or *"
	if client == "" || strings.ContainsAny(client, " \t\r\n();\"#,") {
		k.add(at, "not a client", remedy)
		return
	}
	if _, err := nfs.ParseExports("/x "+client+"(rw)", "x"); err != nil {
		k.addError(at, inner(err), remedy)
	}
}

func (k *checker) exportOption(at, option string) {
	_, err := nfs.ParseExports("/x *("+option+")", "x")
	switch {
	case strings.HasPrefix(option, "fsid="):
		k.add(at, "fsid among the options", "write it as the key fsid of the export")
	case err != nil || option == "" || strings.ContainsAny(option, " \t\r\n,();\"#"):
		k.add(at, "not an option", `write one option of exports(5) in each text, as ["rw", "sync"]`)
	}
}

func (k *checker) exportFSID(at, id string) {
	if id == "" {
		return
	}
	_, err := strconv.ParseUint(id, 10, 32)
	hex := strings.ReplaceAll(id, "-", "")
	isUUID := len(hex) == 32 && strings.Trim(strings.ToLower(hex), "0123456789abcdef") == ""
	if err != nil && id != "root" && !isUUID {
		k.add(at, "not a file system id", "write a number below 4294967296 or a UUID, or take it out")
	}
}

func (k *checker) exportOwner(at string, e Export) {
	user, group, hasGroup := strings.Cut(e.Owner, ":")
	if e.Owner != "" && (user == "" || !alnum(user, "_.$-") || !alnum(group, "_.$-") || hasGroup && group == "") {
		k.add(at+".owner", "not an owner", "write user or user:group, as names or numbers")
	}
	if e.Mode != "" && (len(e.Mode) < 3 || len(e.Mode) > 4 || strings.Trim(e.Mode, "01234567") != "") {
		k.add(at+".mode", "not an octal mode", `write three or four digits from 0 to 7, as "0755"`)
	}
}

// exportsTogether finds exports that are right one by one and not together.
func (k *checker) exportsTogether() {
	all := *k.c
	for i, e := range k.c.Exports {
		all.Exports = k.c.Exports[:i+1]
		_, err := nfs.ParseExports(all.ExportsText(), k.c.Resource.Name)
		if err == nil {
			continue
		}
		key, remedy := index("export", i)+".clients", "name each client once for each directory"
		if strings.Contains(err.Error(), "fsid") {
			key, remedy = index("export", i)+".fsid", "take fsid out, or give each directory its own"
		}
		if e.FSID == "" && strings.HasSuffix(key, ".fsid") {
			key = index("export", i) + ".path"
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "exports: "), ": ")
		k.add(key, text, remedy)
		return
	}
}

// addError is add for the text of an error, which may bring a remedy of its own
// behind a colon.
func (k *checker) addError(key, text, remedy string) {
	if head, tail, ok := strings.Cut(text, ": "); ok {
		text, remedy = head, tail
	}
	k.add(key, text, remedy)
}

// inner is the text of the innermost error.
func inner(err error) string {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || u.Unwrap() == nil {
			return err.Error()
		}
		err = u.Unwrap()
	}
}

func (k *checker) checkVIPs() {
	if len(k.c.VIPs) == 0 {
		k.add("vip", "not set", "describe each service address below a line [[vip]]")
	}
	seen := map[netip.Addr]string{}
	for i, v := range k.c.VIPs {
		at := index("vip", i)
		if _, err := vip.Parse("192.0.2.1/24@" + v.Interface); v.Interface != "" &&
			(err != nil || strings.ContainsAny(v.Interface, ", ")) {
			k.add(at+".interface", "not the name of an interface", `write a name such as "ens3"`)
		}
		if k.set(at+".address", v.Address, "write it with the prefix length of its network, as 192.168.2.63/24") {
			k.vipAddress(at+".address", v, seen)
		}
	}
}

func (k *checker) vipAddress(at string, v VIP, seen map[netip.Addr]string) {
	vips, err := vip.Parse(v.Address)
	if err != nil || len(vips) != 1 || strings.ContainsAny(v.Address, "@, ") {
		text := "not one address"
		if err != nil && !strings.ContainsAny(v.Address, "@, ") {
			text = inner(err)
		}
		k.addError(at, text, "write an address with the prefix length of its network, as 192.168.2.63/24")
		return
	}
	p := vips[0].Prefix
	first, dup := seen[p.Addr()]
	seen[p.Addr()] = at
	switch {
	case p.IsSingleIP():
		k.add(at, "a network of one address", "write the prefix length of its network, such as /24")
	case dup:
		k.add(at, "the same address as "+first, "take one out")
	default:
		k.vipAndNodes(at, v, p)
	}
}

// vipAndNodes checks a service address against the addresses of the nodes.
func (k *checker) vipAndNodes(at string, v VIP, p netip.Prefix) {
	for _, n := range k.c.Nodes {
		for _, text := range []string{n.Address, n.SecondAddress} {
			if a, err := netip.ParseAddr(text); err == nil && a == p.Addr() {
				k.add(at, "the address of node "+n.Name, "write an address that no machine has")
			}
		}
		a, err := netip.ParseAddr(n.Address)
		if err == nil && v.Interface == "" && !n.Diskless && !p.Contains(a) {
			k.add(at, fmt.Sprintf("%s of node %s is in another network", a, n.Name),
				`name the interface that has to carry it, as interface = "ens3"`)
		}
	}
}
