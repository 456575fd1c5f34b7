package hosttest

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/spacei/drbdnfs/pkg/host"
)

// drbdMajor is DRBD's block major number.
const drbdMajor = 147

// DRBD is the module with one resource of one volume and one peer. Words are
// DRBD's own. The states are those that come when the resource is up.
type DRBD struct {
	Resource   string
	Minor      int
	Kernel84   bool // the module is 8.4
	Configured bool // the resource is in the configuration of this host
	Broken     bool // the configuration cannot be parsed
	AutoPromo  bool // auto-promote: opening the device makes the node Primary

	Up              bool
	Half            bool // only the resource and its volume: drbdadm up was killed
	Role            string
	Disk            string
	Connection      string
	Replication     string
	PeerRole        string
	PeerDisk        string
	Quorum          bool
	Suspended       string // change it by Host.Suspend
	ForceIOFailures bool
	HeldOpen        bool // somebody beside the mount has the device open
	Damaged         bool // the file system on it cannot be mounted

	opened   int  // mounts
	autoRole bool // Primary only as long as it is open
	volume   *node
}

func newDRBD() *DRBD {
	d := &DRBD{
		Resource: "res0", Minor: 1000, Configured: true,
		Role: "Secondary", Disk: "UpToDate", Connection: "Connected", Replication: "Established",
		PeerRole: "Secondary", PeerDisk: "UpToDate", Quorum: true, Suspended: "no",
		volume: newDir(0o755),
	}
	d.volume.entries["user-data"] = newDir(0o755)
	d.volume.entries["more-data"] = newDir(0o755)
	return d
}

// LosePeer is the peer's death as this node sees it.
func (d *DRBD) LosePeer() {
	d.Connection, d.Replication, d.PeerRole, d.PeerDisk = "Connecting", "Off", "Unknown", "DUnknown"
}

// Device is the path of the block device.
func (d *DRBD) Device() string { return "/dev/drbd" + strconv.Itoa(d.Minor) }

func (d *DRBD) down() {
	d.Up, d.Role, d.opened, d.autoRole, d.ForceIOFailures = false, "Secondary", 0, false, false
}

// open is a mount.
func (d *DRBD) open(fstype string) error {
	switch {
	case !d.Up:
		return syscall.ENXIO
	case d.Role != "Primary" && !d.AutoPromo:
		return syscall.EMEDIUMTYPE
	case fstype != "xfs":
		return syscall.EINVAL
	case d.Damaged:
		return syscall.EUCLEAN
	}
	if d.Role != "Primary" {
		d.Role, d.autoRole = "Primary", true
	}
	d.opened++
	return nil
}

// close is the end of a mount.
func (d *DRBD) close() {
	d.opened--
	if d.opened > 0 {
		return
	}
	d.ForceIOFailures = false
	if d.autoRole {
		d.Role, d.autoRole = "Secondary", false
	}
}

func (d *DRBD) version() string {
	if d.Kernel84 {
		return "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: F73C670A7EC572DB9CF3E5B\n"
	}
	return "version: 9.1.23 (api:2/proto:86-121)\nTransports (api:18): tcp (9.1.23)\n"
}

// statistics of drbdsetup events2 that nobody here looks at.
const (
	deviceStats = " size:614344 read:4946 written:695778 al-writes:3 bm-writes:10 upper-pending:0 lower-pending:0 al-suspended:no blocked:no"
	peerStats   = " resync-suspended:no received:0 sent:0 out-of-sync:0 pending:0 unacked:0"
)

// dump is what "drbdsetup events2 --now --statistics" prints.
func (d *DRBD) dump() string {
	if !d.Up {
		return "exists -\n"
	}
	if d.Half {
		half := *d
		half.Half, half.Disk, half.Connection, half.Replication, half.PeerDisk = false, "Diskless", "StandAlone", "Off", "DUnknown"
		return half.dump()
	}
	if d.Kernel84 {
		return d.dump84()
	}
	var b strings.Builder
	peer := "name:" + d.Resource + " peer-node-id:1 conn-name:drbdtest2"
	fmt.Fprintf(&b, "exists resource name:%s role:%s suspended:%s force-io-failures:%s write-ordering:flush may_promote:no promotion_score:10101\n",
		d.Resource, d.Role, d.Suspended, yesNo(d.ForceIOFailures))
	fmt.Fprintf(&b, "exists connection %s connection:%s role:%s congested:no ap-in-flight:0 rs-in-flight:0\n", peer, d.Connection, d.PeerRole)
	fmt.Fprintf(&b, "exists device name:%s volume:0 minor:%d backing_dev:/dev/drbdpool/%s_00000 disk:%s client:no quorum:%s%s\n",
		d.Resource, d.Minor, d.Resource, d.Disk, yesNo(d.Quorum), deviceStats)
	fmt.Fprintf(&b, "exists peer-device %s volume:0 replication:%s peer-disk:%s peer-client:no%s\n", peer, d.Replication, d.PeerDisk, peerStats)
	fmt.Fprintf(&b, "exists path %s local:ipv4:192.168.2.61:7000 peer:ipv4:192.168.2.62:7000 established:%s\n", peer, yesNo(d.Connection == "Connected"))
	b.WriteString("exists -\n")
	return b.String()
}

// dump84 prints no connection once it is StandAlone, as that kernel does.
func (d *DRBD) dump84() string {
	var b strings.Builder
	peer := "name:" + d.Resource + " peer-node-id:0 conn-name:peer"
	fmt.Fprintf(&b, "exists resource name:%s role:%s suspended:%s write-ordering:flush\n", d.Resource, d.Role, d.Suspended)
	if d.Connection != "StandAlone" {
		fmt.Fprintf(&b, "exists connection %s connection:%s role:%s congested:no\n", peer, d.Connection, d.PeerRole)
	}
	fmt.Fprintf(&b, "exists device name:%s volume:0 minor:%d disk:%s%s\n", d.Resource, d.Minor, d.Disk, deviceStats)
	if d.Connection != "StandAlone" {
		fmt.Fprintf(&b, "exists peer-device %s volume:0 replication:%s peer-disk:%s%s\n", peer, d.Replication, d.PeerDisk, peerStats)
	}
	b.WriteString("exists -\n")
	return b.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// refusal is how drbdsetup and drbdadm say no.
type refusal struct {
	code int
	text string
}

// drbdsetup is one run of that program.
func (h *Host) drbdsetup(args []string) (string, *refusal) {
	d := h.DRBD
	if !h.Modules["drbd"] {
		return "", &refusal{20, "Could not stat /proc/drbd: No such file or directory"}
	}
	last := args[len(args)-1]
	target := d.Resource
	if d.Kernel84 && args[0] != "events2" && args[0] != "down" {
		target = strconv.Itoa(d.Minor)
	}
	switch {
	case args[0] == "events2" && last == d.Resource:
		return d.dump(), nil
	case args[0] == "events2":
		return "exists -\n", nil
	case args[0] == "down" && (last != d.Resource || !d.Up):
		return "", nil
	case last != target || !d.Up:
		return "", &refusal{10, last + ": Failure: (158) Unknown resource"}
	}
	switch strings.Join(args[:len(args)-1], " ") {
	case "primary":
		return "", d.primary(last)
	case "secondary":
		return "", d.secondary(last)
	case "secondary --force":
		if !d.Kernel84 {
			h.forceSecondary()
			return "", nil
		}
	case "down":
		return "", d.takeDown(last)
	}
	return "", &refusal{20, "drbdsetup: invalid command or option: " + strings.Join(args, " ")}
}

func (d *DRBD) primary(name string) *refusal {
	fail := func(code int, text string) *refusal {
		return &refusal{code, name + ": State change failed: " + text}
	}
	switch {
	case d.Role == "Primary":
		d.autoRole = false
		return nil
	case d.PeerRole == "Primary":
		return fail(11, "(-1) Multiple primaries not allowed by config")
	case !d.Quorum:
		return fail(11, "(-27) No quorum")
	case d.Half, d.Disk != "UpToDate" && (d.PeerDisk != "UpToDate" || d.Replication == "Off"):
		return fail(17, "(-2) Need access to UpToDate data")
	}
	d.Role = "Primary"
	return nil
}

func (d *DRBD) secondary(name string) *refusal {
	if d.opened > 0 || d.HeldOpen {
		return &refusal{11, name + ": State change failed: (-12) Device is held open by someone"}
	}
	d.Role = "Secondary"
	return nil
}

// forceSecondary fails all I/O from now on until the device is closed.
func (h *Host) forceSecondary() {
	h.DRBD.Role = "Secondary"
	h.DRBD.ForceIOFailures = h.DRBD.opened > 0
	h.resume()
}

func (d *DRBD) takeDown(name string) *refusal {
	if r := d.secondary(name); r != nil {
		return r
	}
	d.down()
	return nil
}

// drbdadm is one run of that program.
func (h *Host) drbdadm(args []string) (string, *refusal) {
	d, verb, name := h.DRBD, args[0], args[1]
	switch {
	case d.Broken:
		return "", &refusal{10, "/etc/drbd.d/" + name + ".res:3: Parse error: '}' expected, but got 'EOF'"}
	case !d.Configured || name != d.Resource:
		return "", &refusal{1, "'" + name + "' not defined in your config (for this host)."}
	}
	switch verb {
	case "sh-dev":
		return d.Device() + "\n", nil
	case "up":
		if d.Up {
			return "", &refusal{10, name + ": Failure: (161) Resource already exists"}
		}
		h.Modules["drbd"] = true
		d.Up, d.Half = true, h.half
		return "", nil
	case "adjust":
		h.Modules["drbd"] = true
		d.Up, d.Half = true, false
		return "", nil
	case "down":
		if !d.Up {
			return "", nil
		}
		return "", d.takeDown(name)
	}
	return "", &refusal{1, "drbdadm: Unknown command '" + verb + "'"}
}

// SetUp brings the resource up, as LINSTOR or an administrator does.
func (h *Host) SetUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Modules["drbd"] = true
	h.DRBD.Up = true
}

// exitError is what host.Host makes of a refusal.
func exitError(c host.Cmd, r *refusal) error {
	return &host.ExitError{Op: c.Op, Argv: append([]string{c.Name}, c.Args...), Code: r.code, Stderr: r.text}
}
