package node_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// sight is what a machine that differs from newWorld's looks like to the stage.
type sight struct {
	name                string
	change              func(w *world)
	action              setup.Action
	object, key, detail string
}

func check(t *testing.T, tests []sight) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.change(w)
			expect(t, w.look(t), tt.action, tt.object, tt.key, tt.detail)
			if c := w.changes(); c != nil {
				t.Errorf("looking ran %q", c)
			}
		})
	}
}

func status(uid string) func(w *world) {
	return func(w *world) { w.SetFile("/proc/self/status", "Uid:\t0\t"+uid+"\t0\t0\n") }
}

func osRelease(text string) func(w *world) {
	return func(w *world) { w.SetFile("/etc/os-release", text) }
}

// Ensure that what no program can repair is seen, and said with a remedy.
func TestPreflight(t *testing.T) {
	check(t, []sight{
		{"another name", func(w *world) { w.Name = "drbdtest1.space-i.com" }, setup.Refuse, "node name", "", "drbdtest1.space-i.com"},
		{"not root", func(w *world) {
			status("1000")(w)
			w.Fail("setup.host.vgs", syscall.EPERM)
		}, setup.Refuse, "user", "", "not run as root"},
		{"EL 9", osRelease("ID=rocky\nVERSION_ID=9.4\n"), setup.Keep, "operating system", "", "rocky 9.4"},
		{"Debian 12", osRelease("ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"), setup.Keep, "operating system", "", "Debian GNU/Linux 12"},
		{"EL 10", osRelease("ID=almalinux\nVERSION_ID=10.0\n"), setup.Warn, "operating system", "", "almalinux 10.0"},
		{"no os-release", func(w *world) { w.Delete("/etc/os-release") }, setup.Warn, "operating system", "", "unknown"},
		{"SELinux", func(w *world) { w.SetFile("/sys/fs/selinux/enforce", "1") }, setup.Keep, "SELinux", "", "enforcing"},
		{"SELinux permissive", func(w *world) { w.SetFile("/sys/fs/selinux/enforce", "0") }, setup.Keep, "SELinux", "", "permissive"},
		{"no programs", func(w *world) { delete(w.Programs, "corosync"); delete(w.Programs, "mkfs.xfs") }, setup.Refuse, "programs", "", "not installed: corosync, mkfs.xfs"},
		{"no clock", func(w *world) {
			w.Tool("timedatectl", func(host.Cmd) (string, error) { return "NTPSynchronized=no\n", nil })
		}, setup.Warn, "clock", "", "not synchronised"},
		{"no module", func(w *world) { w.module = "" }, setup.Refuse, "DRBD kernel module", "", "none for this kernel"},
		{"an old module", func(w *world) { w.module = "8.3.16" }, setup.Refuse, "DRBD kernel module", "", "8.3.16"},
		{"8.4 with LINSTOR", func(w *world) { w.module = "8.4.11" }, setup.Refuse, "DRBD kernel module", "storage.manager", "8.4.11"},
		{"8.4 with drbdadm", func(w *world) { w.module = "8.4.11"; w.drbdadm() }, setup.Keep, "DRBD kernel module", "", "8.4.11"},
		{"8.4 with drbdadm, transport", func(w *world) { w.module = "8.4.11"; w.drbdadm() }, setup.Make, "/etc/modules-load.d/drbdnfs.conf", "", "loads drbd at boot"},
		{"8.4 with a tie-breaker", func(w *world) { w.module = "8.4.11"; w.tieBreaker() }, setup.Refuse, "DRBD kernel module", "node[2].diskless", "diskless"},
		{"8.4 with three nodes", func(w *world) { w.module = "8.4.11"; w.tieBreaker() }, setup.Refuse, "DRBD kernel module", "node", "the file has 3"},
	})
}

func (w *world) drbdadm() {
	w.replace("manager = \"linstor\"\ncontroller = \"drbdtest1\"\n", "manager = \"drbdadm\"\n")
}

func (w *world) tieBreaker() {
	w.replace("[host]", "[[node]]\nname = \"drbdtest3\"\naddress = \"192.168.2.64\"\ndiskless = true\n[host]")
	w.dns["drbdtest3"], w.dns["192.168.2.64"] = []string{"192.168.2.64"}, []string{"drbdtest3"}
}

// Ensure that a machine that is no node of the file sees that and nothing else.
func TestUnknownNode(t *testing.T) {
	w := newWorld(t)
	w.replace(`name = "drbdtest1"`, `name = "drbdtest9"`)
	w.replace(`controller = "drbdtest1"`, `controller = "drbdtest9"`)
	items := w.look(t)
	expect(t, items, setup.Refuse, "node name", "", "none of the file's nodes")
	if len(items) != 1 || !strings.Contains(items[0].Why, "drbdtest9, drbdtest2") {
		t.Errorf("items:\n%s", render(items))
	}
}

// Ensure that addresses, names and packet sizes are compared with the machine.
func TestNetwork(t *testing.T) {
	check(t, []sight{
		{"not this node's address", func(w *world) { w.replace("192.168.2.61", "192.168.2.71") }, setup.Refuse, "address 192.168.2.71", "node[0].address", "192.168.2.61/24 on ens3"},
		{"no such interface", func(w *world) { w.replace(`"ens3"`, `"eth0"`) }, setup.Refuse, "service address", "vip[0].interface", "ens3, ens4"},
		{"not in the interface's network", func(w *world) { w.replace(`"ens3"`, `"ens4"`) }, setup.Refuse, "service address", "vip[0].address", "no network on ens4"},
		{"any interface", func(w *world) { w.replace("interface = \"ens3\"\n", "") }, setup.Keep, "service address", "vip[0].address", "on ens3"},
		{"the service runs here", func(w *world) { w.SetAddress("ens3", "192.168.2.63/24") }, setup.Keep, "service address", "vip[0].address", "in 192.168.2.0/24 on ens3"},
		{"small packets only", func(w *world) { w.lossy = true }, setup.Warn, "path to drbdtest2", "", "1500 bytes"},
		{"no answer", func(w *world) {
			w.Tool("ping", func(c host.Cmd) (string, error) { return "", hosttest.Exit(c, 1, "") })
		}, setup.Warn, "path to drbdtest2", "", "not tested"},
		{"another entry in hosts", func(w *world) { w.SetFile("/etc/hosts", "127.0.1.1 drbdtest1\n") }, setup.Refuse, "/etc/hosts", "node[0].address", "line 1 gives drbdtest1 another address"},
		{"damaged marks", func(w *world) { w.SetFile("/etc/hosts", "# drbdnfs begin\n") }, setup.Refuse, "/etc/hosts", "", "once each"},
		{"unknown, and not to be written", func(w *world) { w.replace("hosts_file = true", "hosts_file = false") }, setup.Refuse, "name drbdtest2", "node[1].address", "does not lead"},
		{"no way back", func(w *world) { delete(w.dns, "192.168.2.61") }, setup.Warn, "name drbdtest1", "node[0].address", "does not lead back"},
		{"DNS says otherwise", func(w *world) {
			w.replace("hosts_file = true", "hosts_file = false")
			w.dns["drbdtest2"] = []string{"10.0.0.62"}
		}, setup.Warn, "name drbdtest2", "node[1].address", "leads to 10.0.0.62, not to 192.168.2.62"},
	})
}

// Ensure that a device is used only when nothing whatsoever is on it.
func TestDevice(t *testing.T) {
	refused := func(name, detail string, change func(w *world)) sight {
		return sight{name, change, setup.Refuse, "device /dev/vda3", "node[0].device", detail}
	}
	check(t, []sight{
		refused("missing", "not there", func(w *world) { w.Delete("/dev/vda3") }),
		refused("a file system", "signature xfs", func(w *world) { w.probe = "TYPE=xfs\nUSAGE=filesystem\nPART_ENTRY_SCHEME=gpt\n" }),
		refused("a partition table", "partition table gpt", func(w *world) { w.probe = "PTTYPE=gpt\n" }),
		refused("ambivalent", "more than one kind", func(w *world) { w.probe = "ambivalent" }),
		refused("a file system by udev", "not empty: ext4", func(w *world) { w.lsblk = `, "fstype": "ext4"` }),
		refused("an array's member", "linux_raid_member", func(w *world) { w.lsblk = `, "fstype": "linux_raid_member"` }),
		refused("mounted", "mounted on /srv", func(w *world) { w.lsblk = `, "fstype": null, "mountpoint": "/srv"` }),
		refused("mounted, by the kernel's word", "mounted on /", func(w *world) {
			w.replace("/dev/vda3", "/dev/sda1")
			w.SetFile("/dev/sda1", "")
		}).at("device /dev/sda1"),
		refused("with partitions", "part /dev/vda3p1", func(w *world) { w.lsblk = `, "children": [{"name": "/dev/vda3p1", "type": "part", "size": "1"}]` }),
		refused("read-only, new lsblk", "read-only", func(w *world) { w.lsblk = `, "ro": true` }),
		refused("read-only, old lsblk", "read-only", func(w *world) { w.lsblk = `, "ro": "1"` }),
		refused("held", "in use by dm-3", func(w *world) { w.SetDir("/sys/class/block/vda3/holders/dm-3", 0, 0) }),
		refused("swap", "in use as swap", func(w *world) { w.SetFile("/proc/swaps", "Filename Type\n/dev/vda3 partition 1 0 -2\n") }),
		refused("another group's", "volume group rootvg", func(w *world) { w.pvs["/dev/vda3"] = "rootvg" }),
		refused("a physical volume that LVM does not show", "LVM2_member", func(w *world) { w.probe = "TYPE=LVM2_member\n" }),
		refused("no device at all", "cannot be examined", func(w *world) {
			w.Tool("lsblk", func(c host.Cmd) (string, error) {
				return "", hosttest.Exit(c, 32, "lsblk: /dev/vda3: not a block device")
			})
		}),
		refused("unreadable", "cannot be examined", func(w *world) {
			w.Tool("blkid", func(c host.Cmd) (string, error) {
				return "", hosttest.Exit(c, 2, "error: /dev/vda3: Input/output error")
			})
		}),
		{"too small", func(w *world) { w.size = 6 * tib }, setup.Refuse, "device /dev/vda3", "resource.size", "a volume of 6T needs 6.01 TiB"},
		{"just large enough", func(w *world) { w.size = 6*tib + 6*tib/1000 + 40<<20 }, setup.Make, "volume group drbdpool", "node[0].device", "from /dev/vda3"},
		{"numbers and false", func(w *world) { w.lsblk = `, "size": 7696581394432, "ro": false, "fstype": null, "mountpoint": null` }, setup.Make, "volume group drbdpool", "", "from /dev/vda3"},
		{"left by a killed run", func(w *world) { w.pvs["/dev/vda3"] = "" }, setup.Make, "volume group drbdpool", "", "unused physical volume"},
		{"by a link of udev", func(w *world) {
			w.replace("/dev/vda3", "/dev/disk/by-id/x")
			w.SetDir("/dev/disk/by-id", 0, 0)
			w.SetLink("/dev/disk/by-id/x", "../../vda3")
		}, setup.Make, "volume group drbdpool", "", "from /dev/disk/by-id/x"},
	})
}

func (s sight) at(object string) sight {
	s.object = object
	return s
}

// Ensure that a volume group that is there is used as it is, or refused.
func TestVolumeGroup(t *testing.T) {
	with := func(dev string, g group) func(w *world) {
		return func(w *world) {
			w.pvs[dev] = "drbdpool"
			w.groups["drbdpool"] = &g
		}
	}
	thin := func(change func(w *world)) func(w *world) {
		return func(w *world) {
			w.replace(`volume_group = "drbdpool"`, "volume_group = \"drbdpool\"\ndriver = \"lvmthin\"\nthin_pool = \"thin\"")
			change(w)
		}
	}
	check(t, []sight{
		{"made by hand", with("/dev/vda3", group{size: 7 * tib}), setup.Keep, "volume group drbdpool", "storage.volume_group", "7.00 TiB free"},
		{"on another device", with("/dev/vdb", group{size: 7 * tib}), setup.Refuse, "volume group drbdpool", "node[0].device", "/dev/vda3 is not one of its physical volumes"},
		{"too full", with("/dev/vda3", group{size: 7 * tib, used: 2 * tib}), setup.Refuse, "volume group drbdpool", "resource.size", "5.00 TiB free"},
		{"full of our volume", with("/dev/vda3", group{size: 7 * tib, used: 6 * tib, lvs: []volume{{"res0_00000", "linear", 6 * tib}}}), setup.Keep, "volume group drbdpool", "", "1.00 TiB free"},
		{"neither device nor group", func(w *world) { w.replace("device = \"/dev/vda3\"\n", "") }, setup.Refuse, "volume group drbdpool", "storage.volume_group", "no device is named"},
		{"a thin pool to make", thin(with("/dev/vda3", group{size: 7 * tib})), setup.Make, "thin pool drbdpool/thin", "storage.thin_pool", "6.65 TiB"},
		{"a thin pool", thin(with("/dev/vda3", group{size: 8 * tib, lvs: []volume{{"thin", "thin-pool", 7 * tib}}})), setup.Keep, "thin pool drbdpool/thin", "storage.thin_pool", "7.00 TiB"},
		{"a small thin pool", thin(with("/dev/vda3", group{size: 8 * tib, lvs: []volume{{"thin", "thin-pool", tib}}})), setup.Warn, "thin pool drbdpool/thin", "resource.size", "1.00 TiB, less than"},
		{"no thin pool of that name", thin(with("/dev/vda3", group{size: 8 * tib, lvs: []volume{{"thin", "linear", tib}}})), setup.Refuse, "thin pool drbdpool/thin", "storage.thin_pool", "linear"},
	})
	w := newWorld(t)
	thin(func(*world) {})(w)
	if err := w.apply(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	if want := "lvcreate --type thin-pool --extents 95%FREE --addtag drbdnfs --name thin drbdpool"; !slices.Contains(w.changes(), want) {
		t.Errorf("no %q in %q", want, w.changes())
	}
}

// Ensure that a device that is filled between plan and apply is left alone.
func TestDeviceFilledMeanwhile(t *testing.T) {
	w := newWorld(t)
	for _, it := range w.look(t) {
		if it.Object == "volume group drbdpool" {
			w.probe = "TYPE=xfs\n"
			if err := it.Do(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "not empty any more: signature xfs") {
				t.Errorf("error %v", err)
			}
		}
	}
	if c := w.changes(); c != nil {
		t.Errorf("ran %q", c)
	}
}

// Ensure that what would hold or start something beside the group is seen.
func TestSystem(t *testing.T) {
	serving := func(w *world) {
		w.units["drbdnfs-daemons.service"] = &unit{"loaded", "active", ""}
		w.SetFile("/proc/fs/nfsd/threads", "8\n")
	}
	check(t, []sight{
		{"a filter that rejects", func(w *world) {
			w.SetFile("/etc/lvm/lvmlocal.conf", `devices { global_filter = [ "a|/dev/sd|", "r/.*/" ] }`)
		}, setup.Keep, "LVM filter", "", "rejects /dev/drbd*"},
		{"a filter that does not", func(w *world) { w.SetFile("/etc/lvm/lvmlocal.conf", `devices { global_filter = [ "r|/dev/cdrom|" ] }`) }, setup.Warn, "LVM filter", "", "r|/dev/cdrom|"},
		{"a devices file", func(w *world) {
			w.SetFile("/etc/lvm/devices/system.devices", "")
			w.Tool("lvmconfig", func(host.Cmd) (string, error) { return "use_devicesfile=1\n", nil })
		}, setup.Keep, "LVM filter", "", "devices file"},
		{"another multipath file", func(w *world) { w.SetFile("/etc/multipath/conf.d/drbdnfs.conf", "blacklist {}\n") }, setup.Refuse, "/etc/multipath/conf.d/drbdnfs.conf", "", "not made by setup"},
		{"rpc_pipefs elsewhere", func(w *world) { w.SetFile("/etc/nfs.conf", "[general]\npipefs-directory=/var/lib/rpc_pipefs\n") }, setup.Keep, "/etc/nfs.conf", "", "/var/lib/rpc_pipefs"},
		{"a drop-in of nfs.conf", func(w *world) {
			w.SetFile("/etc/nfs.conf.d/x.conf", "[general]\npipefs-directory=/var/lib/nfs/rpc_pipefs\n")
		}, setup.Refuse, "/etc/nfs.conf", "", "/etc/nfs.conf.d/x.conf"},
		{"nfs-server runs", func(w *world) { w.units["nfs-server.service"].active = "active" }, setup.Change, "nfs-server.service", "", "stopped, and not"},
		{"nfs-server serves", func(w *world) {
			w.units["nfs-server.service"].active = "active"
			w.SetFile("/var/lib/nfs/etab", "/srv\t*(rw)\n")
		}, setup.Refuse, "nfs-server.service", "", "/srv"},
		{"exports that are not served", func(w *world) { w.SetFile("/etc/exports", "# x\n/srv *(rw)\n") }, setup.Warn, "/etc/exports", "", "/srv"},
		{"exports of the volume", func(w *world) { w.SetFile("/etc/exports.d/a.exports", "/home/nfs/user-data *(rw)\n") }, setup.Refuse, "/etc/exports", "filesystem.mount", "/home/nfs/user-data"},
		{"somebody's threads", func(w *world) { w.SetFile("/proc/fs/nfsd/threads", "8\n") }, setup.Refuse, "kernel NFS server", "", "neither"},
		{"the group's threads", func(w *world) {
			serving(w)
			w.units["nfs-server.service"].file = "disabled"
		}, setup.Keep, "nfs-server.service", "", "not running"},
		{"the group's threads, nfs-server enabled", serving, setup.Change, "nfs-server.service", "", "not started at boot"},
		{"the group beside nfs-server", func(w *world) {
			serving(w)
			w.units["nfs-server.service"].active = "active"
		}, setup.Warn, "nfs-server.service", "", "beside the group"},
		{"no daemon", func(w *world) { delete(w.units, "drbdnfsd.service") }, setup.Refuse, "drbdnfsd.service", "split_brain.policy", "not installed"},
		{"no satellite", func(w *world) { delete(w.units, "linstor-satellite.service") }, setup.Refuse, "linstor-satellite.service", "storage.manager", "not installed"},
		{"a masked satellite", func(w *world) { w.units["linstor-satellite.service"].load = "masked" }, setup.Refuse, "linstor-satellite.service", "storage.manager", "masked"},
		{"a second controller", func(w *world) {
			w.replace(`controller = "drbdtest1"`, `controller = "drbdtest2"`)
			w.units["linstor-controller.service"].active = "active"
		}, setup.Refuse, "linstor-controller.service", "storage.controller", "drbdtest2"},
		{"a file as mount point", func(w *world) { w.SetFile("/home/nfs", "") }, setup.Refuse, "mount point /home/nfs", "filesystem.mount", "a file"},
		{"a link as mount point", func(w *world) { w.SetLink("/home/nfs", "/srv") }, setup.Refuse, "mount point /home/nfs", "filesystem.mount", "a symbolic link"},
		{"a full mount point", func(w *world) { w.SetFile("/home/nfs/x", "") }, setup.Warn, "mount point /home/nfs", "filesystem.mount", "1 entries"},
	})
}

// Ensure that a node without data is left without what only data needs.
func TestDiskless(t *testing.T) {
	w := newWorld(t)
	w.tieBreaker()
	w.text = strings.NewReplacer("drbdtest1", "drbdtest3", "drbdtest3", "drbdtest1", "2.61", "2.64", "2.64", "2.61").Replace(w.text)
	w.replace(`controller = "drbdtest3"`, `controller = "drbdtest1"`)
	for _, p := range []string{"exportfs", "mkfs.xfs", "rpc.mountd"} {
		delete(w.Programs, p)
	}
	golden(t, "diskless.txt", render(w.look(t)))
}

// Ensure that the old rpc_pipefs is unmounted when nobody uses it.
func TestOldPipefs(t *testing.T) {
	for _, used := range []bool{false, true} {
		w := newWorld(t)
		w.Modules["nfsd"] = true
		if err := w.Mount(t.Context(), "test.mount", "sunrpc", "/var/lib/nfs/rpc_pipefs", "rpc_pipefs", ""); err != nil {
			t.Fatal(err)
		}
		w.Tool("systemctl", func(c host.Cmd) (string, error) {
			if c.Args[0] == "stop" {
				return "", w.Unmount(t.Context(), "test.umount", "/var/lib/nfs/rpc_pipefs")
			}
			return w.systemctl(c)
		})
		if used {
			w.SetFile("/var/lib/nfs/rpc_pipefs/gssd", "")
			w.Spawn("rpc.gssd", "fd 3", "/var/lib/nfs/rpc_pipefs/gssd")
			expect(t, w.look(t), setup.Warn, "rpc_pipefs on /var/lib/nfs/rpc_pipefs", "", "in use by rpc.gssd")
			continue
		}
		expect(t, w.look(t), setup.Drop, "rpc_pipefs on /var/lib/nfs/rpc_pipefs", "", "unmounted")
		if err := w.apply(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(w.changes(), "systemctl stop var-lib-nfs-rpc_pipefs.mount") {
			t.Errorf("ran %q", w.changes())
		}
	}
}

// Ensure that the end of the context ends a look.
func TestContext(t *testing.T) {
	w := newWorld(t)
	w.Hang("setup.host.vgs")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.stage(t).Look(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// Ensure that files that are replaced get the label that SELinux wants.
func TestLabels(t *testing.T) {
	w := newWorld(t)
	w.SetFile("/sys/fs/selinux/enforce", "1")
	if err := w.apply(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"/etc/hosts", "/etc/nfs.conf", "/etc/lvm/lvmlocal.conf"} {
		if !slices.Contains(w.changes(), "restorecon "+f) {
			t.Errorf("%s was not labelled: %q", f, w.changes())
		}
	}
}

// Ensure that a name stays in /etc/hosts once it is there, and follows the file.
func TestHostsFollow(t *testing.T) {
	w := newWorld(t)
	if err := w.apply(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	w.replace("192.168.2.62", "192.168.2.72")
	expect(t, w.look(t), setup.Change, "/etc/hosts", "host.hosts_file", "192.168.2.72 drbdtest2")
	if err := w.apply(t.Context(), t); err != nil {
		t.Fatal(err)
	}
	if text, _ := w.File("/etc/hosts"); !strings.Contains(text, "192.168.2.72 drbdtest2") || strings.Contains(text, "2.62") {
		t.Errorf("hosts: %q", text)
	}
	w.replace("hosts_file = true", "hosts_file = false")
	expect(t, w.look(t), setup.Keep, "/etc/hosts", "host.hosts_file", "what setup wrote stays: 192.168.2.72 drbdtest2")
}

// Ensure that the server does not start by Debian's name either.
func TestDebianServer(t *testing.T) {
	const link = "/etc/systemd/system/multi-user.target.wants/nfs-kernel-server.service"
	w := newWorld(t)
	w.units["nfs-server.service"].file = "disabled"
	w.units["nfs-kernel-server.service"] = &unit{"loaded", "inactive", "enabled"}
	w.SetLink(link, "/lib/systemd/system/nfs-server.service")
	stuck := true
	w.Tool("systemctl", func(c host.Cmd) (string, error) {
		if strings.Join(c.Args, " ") == "disable nfs-kernel-server.service" && !stuck {
			w.Delete(link)
		}
		return w.systemctl(c)
	})
	if err := w.apply(t.Context(), t); err == nil || !strings.Contains(err.Error(), "left "+link) {
		t.Errorf("error %v", err)
	}
	stuck = false
	if err := w.apply(t.Context(), t); err != nil {
		t.Error(err)
	}
}
