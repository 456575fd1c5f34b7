package drbdadm_test

import (
	"strings"
	"testing"
)

// set changes a node without anything.
func set(f func(*world)) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) { f(w) }
}

// after changes a node on which everything was made.
func after(f func(*world)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) { made(t, w); f(w) }
}

func down(w *world) { w.up = false }

var lookTests = []struct {
	name  string
	scene func(*testing.T, *world)
	want  string // one of the lines
}{
	{"no volume group", set(func(w *world) { w.group = false }), "later logical volume drbdpool/res0: volume group drbdpool is not there yet"},
	{"volume group too small", set(func(w *world) { w.free = 1 << 30 }), "refuse logical volume drbdpool/res0: 1G with DRBD's metadata need 1074790400 bytes, volume group drbdpool has 1073741824 free"},
	{"volume of somebody", set(func(w *world) { w.size, w.content = 2<<30, "ext4" }), "refuse logical volume drbdpool/res0: exists, was not made by setup, and holds ext4"},
	{"blank volume of somebody", set(func(w *world) { w.size = 2 << 30 }), "refuse logical volume drbdpool/res0: exists, was not made by setup, and holds nothing"},
	{"DRBD volume of somebody", set(func(w *world) { w.size, w.meta = 2<<30, "v09" }), "refuse logical volume drbdpool/res0: exists, was not made by setup, and holds drbd v09"},
	{"volume taken over", after(func(w *world) { w.tags = "other" }), "keep logical volume drbdpool/res0: holds the resource already"},
	{"volume too small", after(func(w *world) { w.size = 1 << 30 }), "refuse logical volume drbdpool/res0: has 1073741824 bytes, 1G with DRBD's metadata need 1074790400"},
	{"volume larger", after(func(w *world) { w.size = 2 << 30 }), "keep logical volume drbdpool/res0: 2147483648 bytes"},
	{"volume not wiped", after(func(w *world) { w.tags, w.up = "drbdnfs,drbdnfs-new", false }), "change logical volume drbdpool/res0: an earlier run was cut off before old signatures were wiped"},

	{"file of somebody", set(func(w *world) { w.SetFile(resFile, "resource res0 {}") }), "refuse /etc/drbd.d/res0.res: exists and was not made by setup"},
	{"file with another name", set(func(w *world) { w.SetFile("/etc/drbd.d/x.res", "resource res0 {}") }), "refuse /etc/drbd.d/res0.res: /etc/drbd.d/x.res defines resource res0 too"},
	{"same minor", set(func(w *world) { w.SetFile("/etc/drbd.d/x.res", "resource x { device minor 1000; }") }), "refuse /etc/drbd.d/res0.res: /etc/drbd.d/x.res uses minor 1000 too"},
	{"same port", set(func(w *world) { w.SetFile("/etc/drbd.d/x.res", "resource x { on a { address 1.2.3.4:7000; } }") }), "refuse /etc/drbd.d/res0.res: /etc/drbd.d/x.res uses port 7000 too"},
	{"another resource", set(func(w *world) { w.SetFile("/etc/drbd.d/x.res", "resource x { }") }), "make /etc/drbd.d/res0.res: for DRBD 9"},
	{"LINSTOR's", set(func(w *world) { w.SetFile("/var/lib/linstor.d/res0.res", "resource \"res0\" { }") }), "refuse /etc/drbd.d/res0.res: /var/lib/linstor.d/res0.res defines resource res0 too"},
	{"file differs", after(func(w *world) { w.edit("al-extents 3389", "al-extents 1") }), "change /etc/drbd.d/res0.res: -al-extents 1; +al-extents 3389;"},
	{"file differs, StandAlone", after(func(w *world) { w.edit("al-extents 3389", "al-extents 1"); w.connection = "StandAlone" }), "refuse /etc/drbd.d/res0.res: has to change (-al-extents 1; +al-extents 3389;), and a connection of the resource is StandAlone"},
	{"file not applied", after(func(w *world) { data, _ := w.ReadFile(resFile); w.SetFile(trial, string(data)) }), "change /etc/drbd.d/res0.res: the kernel has not got all of it, an earlier run was cut off"},

	{"file system where metadata should be", after(func(w *world) { w.up, w.meta, w.content = false, "", "ext4" }), "refuse DRBD metadata of res0: /dev/drbdpool/res0 holds ext4"},
	{"metadata of 8.4", after(func(w *world) { w.up, w.meta = false, "v08" }), "refuse DRBD metadata of res0: /dev/drbdpool/res0 has metadata v08, this kernel's DRBD writes v09"},

	{"down with data", after(func(w *world) { down(w); w.content = "xfs" }), "keep DRBD resource res0: down: Pacemaker brings it up"},
	{"down with data, good copy", after(func(w *world) { down(w); w.content = "xfs" }), "keep first good copy of res0: the volume has a file system"},
	{"down without file system", after(down), "make DRBD resource res0: bring it up"},
	{"detached", after(func(w *world) { w.disk = "Diskless" }), "refuse DRBD resource res0: is up without its disk"},
	{"half up", after(func(w *world) { w.disk, w.gi = "Diskless", "0000000000000004" }), "change DRBD resource res0: is half up, an earlier run was cut off"},
	{"half up without connection", after(func(w *world) { w.connection, w.gi = "", "0000000000000004" }), "change DRBD resource res0: is half up, an earlier run was cut off"},
	{"StandAlone", after(func(w *world) { w.connection = "StandAlone" }), "warn DRBD resource res0: is up and has given up the connection to a peer"},

	{"Inconsistent with a history", after(func(w *world) { w.disk = "Inconsistent"; w.connection = "Connecting" }), "refuse first good copy of res0: the disk is Inconsistent and no node with good data is connected (local disk Inconsistent, peer drbdtest2 Connecting)"},
	{"peer has it", after(func(w *world) { w.disk, w.peer = "Inconsistent", "UpToDate" }), "keep first good copy of res0: a peer has it, this node synchronises from it"},
	{"left Primary", after(func(w *world) { w.role = "Primary" }), "change first good copy of res0: this node is still Primary, an earlier run was cut off"},
	{"Primary and in use", after(func(w *world) { w.role, w.content = "Primary", "xfs" }), "keep first good copy of res0: disk UpToDate"},
	{"blank", after(func(w *world) { w.disk, w.gi, w.connection = "Inconsistent", "0000000000000004", "Connecting" }), "await first good copy of res0: the others are synchronised from drbdtest1, whose volume is blank: what they hold is overwritten"},
}

// Ensure that what is found decides: kept, changed, or refused with what is
// there. Nothing is done for a refusal.
func TestLook(t *testing.T) {
	for _, tt := range lookTests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.scene(t, w)
			before := len(w.changes())
			s := w.stage(conf(), "drbdtest1")
			items, err := s.Look(t.Context())
			lines := plan(t, items, err)
			if !strings.Contains("\n"+strings.Join(lines, "\n")+"\n", "\n"+tt.want+"\n") {
				t.Errorf("no line %q in\n%s", tt.want, strings.Join(lines, "\n"))
			}
			if strings.HasPrefix(tt.want, "refuse") {
				if _, err := w.apply(t.Context(), s); err == nil || len(w.changes()) != before {
					t.Errorf("a refused plan was applied: %v, %q", err, w.changes()[before:])
				}
			}
		})
	}
}
