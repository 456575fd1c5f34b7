package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/option"
	"github.com/spacei/drbdnfs/pkg/nfs"
	"github.com/spacei/drbdnfs/pkg/snapshot"
)

// drbd judges the versions, the helper and the handler.
func (j *judge) drbd() {
	if d := j.DRBD; d != nil {
		if d.Problem != "" {
			j.here("drbd-utils", "DRBD", d.Problem)
		}
		if d.Helper == drbd.No {
			j.here("usermode-helper", "DRBD kernel module", "usermode_helper is disabled")
		}
	}
	if h := j.Handler; h != nil && *h != option.SplitBrainHandler {
		found := "it runs " + line(*h)
		if *h == "" {
			found = "none is set"
		}
		j.here("drbd-handler", "split-brain handler", found)
	}
}

// rule is what an option of DRBD must be.
type rule struct{ id, option, want string }

var rules = []rule{
	{"drbd-protocol", "protocol", "C"},
	{"drbd-primaries", "allow-two-primaries", "no"},
	{"drbd-after-sb", "after-sb-0pri", "disconnect"},
	{"drbd-after-sb", "after-sb-1pri", "disconnect"},
	{"drbd-after-sb", "after-sb-2pri", "disconnect"},
	{"drbd-flushes", "disk-flushes", "yes"},
	{"drbd-flushes", "md-flushes", "yes"},
	{"drbd-auto-promote", "auto-promote", "no"},
}

// options judges what is in force in the kernel, whoever has set it. An option
// that a version does not have is not there.
func (j *judge) options() {
	name := j.Config.Resource.Name
	for _, r := range rules {
		for _, got := range j.Options[r.option] {
			if got != r.want {
				j.here(r.id, "DRBD resource "+name, fmt.Sprintf("%s is %s", r.option, line(got)), "RESOURCE", name)
			}
		}
	}
}

// snapshots judges what is kept of discarded data.
func (j *judge) snapshots() {
	if j.Kept == nil {
		return
	}
	for _, s := range *j.Kept {
		thing, word := "snapshot "+s.Name, []string{"NAME", s.Name}
		switch {
		case s.State == snapshot.Invalid, s.State == snapshot.Unfinished:
			j.here("snapshot-invalid", thing, string(s.State), word...)
		case s.UsedPercent >= roomPercent:
			j.here("snapshot-full", thing, fmt.Sprintf("%.1f %% of its room are used", s.UsedPercent), word...)
		default:
			found := "kept"
			if !s.Made.IsZero() {
				found = fmt.Sprintf("made %s, %d days ago", s.Made.UTC().Format("2006-01-02"), int(j.Now.Sub(s.Made)/day))
			}
			j.here("snapshot-kept", thing, found, word...)
		}
	}
}

// storage judges room.
func (j *judge) storage() {
	if j.Room != nil && j.Room.Missing != "" {
		j.here("snapshot-room", "volume group "+j.Config.Storage.VolumeGroup, j.Room.Missing)
	}
	v := j.Volume
	if v == nil {
		return
	}
	for _, x := range []struct {
		what        string
		total, free int64
	}{{"bytes", v.Size, v.Free}, {"inodes", v.Inodes, v.InodesFree}} {
		if x.total <= 0 {
			continue
		}
		if used := 100 - 100*float64(x.free)/float64(x.total); used > fullPercent {
			j.here("volume-full", j.Config.Filesystem.Mount, fmt.Sprintf("%.1f %% of the %s are used", used, x.what))
		}
	}
}

// nfs judges the state directory, and the server's ports and times.
func (j *judge) nfs() {
	if j.State != nil {
		j.stateLink()
	}
	if j.Ports != nil {
		j.ports()
	}
	t, c := j.Times, j.Config.NFS
	if t != nil && t.Lease != c.LeaseTime.D() {
		j.here("nfs-times", "NFSv4 lease time", fmt.Sprintf("%v in the kernel, %v in the file", t.Lease, c.LeaseTime.D()))
	}
	if t != nil && t.Grace != c.GraceTime.D() {
		j.here("nfs-times", "NFSv4 grace time", fmt.Sprintf("%v in the kernel, %v in the file", t.Grace, c.GraceTime.D()))
	}
}

func (j *judge) stateLink() {
	found := ""
	switch p := j.State.Place; {
	case p == nfs.PlaceDirectory && !j.State.Mounted:
		j.here("state-fresh", nfs.Dir, "a directory")
	case p == nfs.PlaceDirectory:
		found = "it is a directory of this node although the volume is mounted"
	case p == nfs.PlaceLocal && j.State.Mounted:
		found = "it leads to this node's own copy although the volume is mounted"
	case p == nfs.PlaceVolume && !j.State.Mounted:
		found = "it leads to the volume, which is not mounted here"
	case p == nfs.PlaceForeign:
		found = "it is neither the node's directory nor a link of drbdnfs"
	case p == nfs.PlaceMissing:
		found = "it is missing: its first start was cut off"
	case p == nfs.PlaceAbsent:
		found = "it is missing, as if nfs-utils were not installed"
	}
	if found != "" {
		j.here("state-link", nfs.Dir, found)
	}
}

// ports compares what the portmapper has with the file. A helper that is not
// registered at all is the group's own monitor's concern.
func (j *judge) ports() {
	p := j.Config.NFS.Ports
	for _, want := range []struct {
		name     string
		program  int
		tcp, udp int
	}{
		{"rpc.mountd", 100005, p.Mountd, p.Mountd},
		{"rpc.statd", 100024, p.Statd, p.Statd},
		{"lockd", 100021, p.LockdTCP, p.LockdUDP},
	} {
		configured := map[string]int{"tcp": want.tcp, "udp": want.udp, "tcp6": want.tcp, "udp6": want.udp}
		var wrong []string
		for _, got := range *j.Ports {
			n := configured[got.Protocol]
			text := fmt.Sprintf("%d/%s instead of %d", got.Port, got.Protocol, n)
			if got.Program == want.program && n != 0 && got.Port != n && !slices.Contains(wrong, text) {
				wrong = append(wrong, text)
			}
		}
		if wrong != nil {
			j.here("nfs-ports", want.name, strings.Join(wrong, ", "))
		}
	}
}

// services judges units, ports that are blocked, SELinux and the metrics.
func (j *judge) services() {
	if b := j.Block; b != nil && b.There && b.Action == "" {
		j.here("ports-blocked", "nft table inet drbdnfs", "it is there", "GROUP", j.Config.Pacemaker.Group)
	}
	if u := j.Units; u != nil {
		for _, name := range u.Failed {
			j.here("unit-failed", name, "failed", "UNIT", name)
		}
		if u.Boot != "loaded" {
			j.here("boot-unit", bootUnit, u.Boot)
		}
	}
	if s := j.SELinux; s != nil {
		if s.NoTool {
			j.here("selinux-unseen", "SELinux", "ausearch is not installed")
		}
		for _, d := range s.Denials {
			j.here("selinux-denied", "SELinux", d)
		}
	}
	if m := j.Metrics; m != nil && m.Problem != "" {
		j.here("metrics-port", "drbdnfsd on "+m.Address, m.Problem)
	}
}
