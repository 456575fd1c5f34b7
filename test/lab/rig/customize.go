package rig

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// guestFile is a file that the lab writes into the image.
type guestFile struct {
	path string
	mode os.FileMode
	text string
}

// maskedUnits cost boot time and do nothing for the lab.
var maskedUnits = []string{
	"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
	"man-db.timer", "systemd-tmpfiles-clean.timer", "e2scrub_reap.service", "getty.target", "getty-static.service",
	"console-getty.service", "systemd-logind.service", "systemd-user-sessions.service", "systemd-update-utmp.service",
	"systemd-update-utmp-runlevel.service", "systemd-pstore.service", "systemd-pcrphase.service",
	"systemd-pcrphase-sysinit.service", "systemd-random-seed.service", "systemd-remount-fs.service",
	"systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "systemd-firstboot.service",
	"systemd-hwdb-update.service", "ldconfig.service", "systemd-journal-catalog-update.service",
	"systemd-update-done.service", "systemd-machine-id-commit.service", "systemd-ask-password-wall.path",
	"systemd-ask-password-console.path", "modprobe@drm.service", "modprobe@efi_pstore.service", "modprobe@configfs.service",
	"modprobe@dm_mod.service", "modprobe@loop.service", "modprobe@fuse.service", "sys-fs-fuse-connections.mount",
	"dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-mqueue.mount", "nfs-blkmap.service",
	"lvm2-monitor.service", "blk-availability.service",
}

// disabledUnits are not started at boot; the cluster or a person starts them.
var disabledUnits = []string{
	"nfs-server.service", "pcsd.service", "pcsd-ruby.service", "corosync.service", "pacemaker.service", "logd.service",
	"drbd.service", "nfs-blkmap.service", "e2scrub_reap.service",
}

// guestFiles are the lab's own files in the image; key is the lab's public key.
func guestFiles(key string) []guestFile {
	return []guestFile{
		{"etc/hosts", 0o644, "127.0.0.1 localhost\n192.168.2.61 drbdtest1\n192.168.2.62 drbdtest2\n192.168.2.63 nfs\n192.168.2.64 client\n"},
		{"root/.ssh/authorized_keys", 0o600, key},
		{"etc/ssh/sshd_config.d/lab.conf", 0o644, "UsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\nPrintMotd no\nMaxSessions 64\nMaxStartups 64\nClientAliveInterval 0\n"},
		// A name by MAC as well: udev would rename the interface that the
		// initramfs has named.
		{"etc/systemd/network/10-lab.link", 0o644, "[Match]\nMACAddress=52:54:00:02:02:61 52:54:00:02:02:62 52:54:00:02:02:64\n[Link]\nName=ens3\n"},
		{"etc/systemd/journald.conf.d/lab.conf", 0o644, "[Journal]\nStorage=persistent\nSyncIntervalSec=2s\nRateLimitIntervalSec=0\nForwardToSyslog=no\nAudit=no\n"},
		{"etc/systemd/system.conf.d/lab.conf", 0o644, "[Manager]\nDefaultTimeoutStartSec=180s\nShowStatus=no\n"},
		{"etc/systemd/coredump.conf.d/lab.conf", 0o644, "[Coredump]\nStorage=none\n"},
		{"etc/lvm/lvmlocal.conf", 0o644, "devices {\n\ttypes = [ \"virtblk\", 16 ]\n\tglobal_filter = [ \"a|^/dev/vdb|\", \"r|.*|\" ]\n}\n"},
		{"etc/sysctl.d/lab.conf", 0o644, "kernel.panic = 1\nkernel.panic_on_oops = 1\n"},
		{"etc/fstab", 0o644, ""},
		{"etc/hostname", 0o644, ""},
		// Empty, not absent: without the file systemd takes the boot for a first
		// boot and enables every unit by preset. The id is a kernel argument.
		{"etc/machine-id", 0o444, ""},
	}
}

// customize turns the unpacked packages into the lab's system.
func customize(ctx context.Context, rootfs, key string) error {
	for _, f := range guestFiles(key) {
		path := filepath.Join(rootfs, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(rootfs, "root/.ssh"), 0o700); err != nil {
		return err
	}
	for _, u := range disabledUnits {
		if err := removeWants(rootfs, u); err != nil {
			return err
		}
	}
	for _, u := range maskedUnits {
		path := filepath.Join(rootfs, "etc/systemd/system", u)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.Symlink("/dev/null", path); err != nil {
			return err
		}
	}
	// Stamps that say "caches are fresh", or the first boot rebuilds them.
	for _, p := range []string{"etc/.updated", "var/.updated"} {
		if err := os.WriteFile(filepath.Join(rootfs, p), nil, 0o644); err != nil {
			return err
		}
	}
	// The configuration that packages ship is not this cluster's.
	for _, p := range []string{"etc/corosync/corosync.conf", "var/lib/dbus/machine-id"} {
		if err := os.RemoveAll(filepath.Join(rootfs, p)); err != nil {
			return err
		}
	}
	if err := removeScripts(rootfs); err != nil {
		return err
	}
	if _, err := run(ctx, "chroot", rootfs, "ssh-keygen", "-A"); err != nil {
		return fmt.Errorf("ssh host keys: %w", err)
	}
	return nil
}

// initScripts are Debian's System V scripts beside the units. EL8 has none:
// with one, "systemctl enable" and "disable" run update-rc.d, which costs an
// emulated machine more than 10 s each, and "pcs cluster setup" its 60 s.
var initScripts = []string{"etc/init.d/*", "etc/rc[0-6S].d/*"}

// removeScripts removes the initScripts.
func removeScripts(rootfs string) error {
	for _, pattern := range initScripts {
		paths, err := filepath.Glob(filepath.Join(rootfs, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeWants removes the links by which targets start a unit.
func removeWants(rootfs, unit string) error {
	dir := filepath.Join(rootfs, "etc/systemd/system")
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		wants := strings.HasSuffix(filepath.Dir(path), ".wants") || strings.HasSuffix(filepath.Dir(path), ".requires")
		if wants && d.Name() == unit {
			return os.Remove(path)
		}
		return nil
	})
}
