package nfs

import (
	"fmt"
	"strconv"
	"strings"
)

// Port is the NFS port. Clients find it without asking, so it is fixed.
const Port = 2049

// Ports are the fixed ports of the NFSv3 helpers. 0 leaves the choice to the
// daemon or the kernel.
type Ports struct {
	Mountd        int
	Statd         int
	StatdOutgoing int
	LockdTCP      int
	LockdUDP      int
}

// DefaultPorts is the default of the ports parameter.
const DefaultPorts = "mountd=32773 statd=32771 statd-outgoing=32772 lockd-tcp=32774 lockd-udp=32775"

// ParsePorts reads a list such as "mountd=32773 statd=32771". A port that is
// not named is 0.
func ParsePorts(s string) (Ports, error) {
	var p Ports
	fields := map[string]*int{
		"mountd": &p.Mountd, "statd": &p.Statd, "statd-outgoing": &p.StatdOutgoing,
		"lockd-tcp": &p.LockdTCP, "lockd-udp": &p.LockdUDP,
	}
	seen := map[int]string{}
	for f := range strings.FieldsFuncSeq(s, isSeparator) {
		name, value, ok := strings.Cut(f, "=")
		dst := fields[name]
		if !ok || dst == nil {
			return p, fmt.Errorf("ports: %q is unknown: use mountd, statd, statd-outgoing, lockd-tcp, lockd-udp with =PORT", f)
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 65535 {
			return p, fmt.Errorf("ports: %s is no port: use 1 to 65535", f)
		}
		if n == Port || n == 111 {
			return p, fmt.Errorf("ports: %s is taken by NFS (2049) or rpcbind (111)", f)
		}
		// lockd may use one number for TCP and UDP; all others must differ.
		if other, dup := seen[n]; dup && !isLockdPair(name, other) {
			return p, fmt.Errorf("ports: %s and %s share port %d", other, name, n)
		}
		seen[n] = name
		*dst = n
	}
	return p, nil
}

func isLockdPair(a, b string) bool {
	return strings.HasPrefix(a, "lockd-") && strings.HasPrefix(b, "lockd-") && a != b
}
