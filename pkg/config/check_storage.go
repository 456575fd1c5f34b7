package config

import (
	"fmt"
	"strings"
)

// Limits of DRBD and LINSTOR.
const (
	minSize     = 64 * mebi
	maxMinor    = 1<<20 - 1
	maxResource = 48
)

func isLVMName(s string) bool {
	return s != "" && len(s) <= 127 && alnum(s, "+_.-") && s[0] != '-' && s != "." && s != ".."
}

// isLINSTORName is LINSTOR's rule for resources and storage pools.
func isLINSTORName(s string) bool {
	return len(s) >= 2 && len(s) <= maxResource && alnum(s, "_-") && !strings.ContainsAny(s[:1], "0123456789-")
}

func (k *checker) checkStorage() {
	s := k.c.Storage
	k.oneOf("storage.manager", s.Manager, ManagerLINSTOR, ManagerDRBDADM, ManagerNone)
	k.oneOf("storage.driver", s.Driver, DriverLVM, DriverLVMThin)
	if s.Controller != k.c.First().Name {
		k.node("storage.controller", s.Controller)
	}
	if !isLVMName(s.VolumeGroup) {
		k.add("storage.volume_group", "not a name for LVM", "write letters, digits and + _ . -, not - first")
	}
	if !isLINSTORName(s.Pool) {
		k.add("storage.pool", "not a name for LINSTOR", "write 2 to 48 letters, digits, - and _, with a letter first")
	}
	switch {
	case s.Driver == DriverLVMThin && s.ThinPool == "":
		k.add("storage.thin_pool", "not set, but the driver is lvmthin", "write the name of the thin pool in the volume group")
	case s.Driver == DriverLVM && s.ThinPool != "":
		k.add("storage.thin_pool", "the driver is lvm", `take it out, or write driver = "lvmthin"`)
	case s.ThinPool != "" && !isLVMName(s.ThinPool):
		k.add("storage.thin_pool", "not a name for LVM", "write letters, digits and + _ . -, not - first")
	}
}

func (k *checker) checkResource() {
	r := k.c.Resource
	switch {
	case strings.EqualFold(r.Name, "all"):
		k.add("resource.name", "names every resource to drbdadm", "write another name, such as res0")
	case k.c.Storage.Manager == ManagerLINSTOR && !isLINSTORName(r.Name):
		k.add("resource.name", "not a name for LINSTOR", "write 2 to 48 letters, digits, - and _, with a letter first")
	case len(r.Name) > maxResource || !alnum(r.Name, "_.-") || strings.HasPrefix(r.Name, "-") || strings.HasPrefix(r.Name, "."):
		k.add("resource.name", "not a name for DRBD", "write at most 48 letters, digits, and _ . -, with a letter or digit first")
	}
	k.checkSize(r.Size)
	k.within("resource.minor", r.Minor, 0, maxMinor)
	k.resourcePort(r.Port)
	if len(k.c.Diskful()) > 0 {
		k.diskful("resource.source", r.Source, "name a node that holds data")
	}
}

func (k *checker) checkSize(size Size) {
	switch {
	case size == 0 && !k.places.has("resource.size"):
		k.add("resource.size", "not set", "write the size of the volume, such as 500G or 6T")
	case size < minSize:
		k.add("resource.size", "below 64M", "write the size of the volume, such as 500G or 6T")
	case size%kibi != 0:
		k.add("resource.size", "not whole KiB", "write it as 500G or 6T")
	}
}

// resourcePort checks that nothing else of the group has DRBD's port.
func (k *checker) resourcePort(port int) {
	k.within("resource.port", port, 1, 65535)
	taken := map[int]string{111: "rpcbind", 2049: "NFS"}
	for _, p := range k.c.NFS.Ports.list() {
		taken[p.port] = "nfs.ports." + p.key
	}
	if by, ok := taken[port]; ok {
		k.add("resource.port", "taken by "+by, "write another port, such as 7000")
	}
}

func (k *checker) checkFilesystem() {
	f := k.c.Filesystem
	if !alnum(f.Type, "_") {
		k.add("filesystem.type", "not the type of a file system", `write a type such as "xfs"`)
	}
	k.directory("filesystem.mount", f.Mount)
	if !alnum(f.MountOptions, "_=,.:-/") {
		k.add("filesystem.mount_options", "not mount options", "write options separated by commas, without spaces")
	}
	for i, o := range f.MkfsOptions {
		switch at := index("filesystem.mkfs_options", i); {
		case o == "":
			k.add(at, "empty", "take it out")
		case forces(o):
			k.add(at, "would overwrite what is on the volume", "take it out: setup makes file systems on blank volumes only")
		}
	}
}

// forces reports whether an argument of mkfs is -f, -F or --force, alone or
// among other letters that take no value.
func forces(o string) bool {
	if strings.HasPrefix(o, "--") {
		return strings.HasPrefix("--force", o) && len(o) > 2
	}
	letters, ok := strings.CutPrefix(o, "-")
	for _, r := range letters {
		if !ok || !strings.ContainsRune("fFqKNVvSjDc", r) {
			return false
		}
		if r == 'f' || r == 'F' {
			return true
		}
	}
	return false
}

// port is one of the NFSv3 helpers' ports: its key, and what pkg/nfs and the
// agent call it.
type port struct {
	key, name string
	port      int
}

func (p Ports) list() []port {
	return []port{
		{"mountd", "mountd", p.Mountd},
		{"statd", "statd", p.Statd},
		{"statd_outgoing", "statd-outgoing", p.StatdOutgoing},
		{"lockd_tcp", "lockd-tcp", p.LockdTCP},
		{"lockd_udp", "lockd-udp", p.LockdUDP},
	}
}

func (p port) String() string { return fmt.Sprintf("%s=%d", p.name, p.port) }
