package rig

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// guestPackages is what the image holds. Names are Debian 12's.
var guestPackages = []string{
	"systemd", "systemd-sysv", "dbus", "udev", "kmod",
	"iproute2", "iputils-arping", "iputils-ping", "procps", "psmisc", "lsof",
	"pacemaker", "pacemaker-cli-utils", "corosync", "pcs", "resource-agents",
	"drbd-utils", "lvm2", "xfsprogs",
	"nfs-kernel-server", "nfs-common", "rpcbind",
	"iptables", "nftables", "conntrack",
	"python3", "rpm", "jq", "openssh-server", "libxml2-utils", "tcpdump", "strace", "acl",
}

// imageSizeMiB is the size of the root file system; it is sparse.
const imageSizeMiB = 3072

//go:embed files/init
var initScript string

// Image is a base image that all checkouts of a machine share.
type Image struct {
	Dir string
	// Kernel is the release of the kernel in it, for example 6.1.0-9-cloud-amd64.
	Kernel string
}

func (i Image) path(name string) string { return filepath.Join(i.Dir, name) }

// RootFS returns the base image of the root file system (raw, never written to).
func (i Image) RootFS() string { return i.path("root.img") }

// imageKey identifies the inputs of the image. A change of any of them gives
// another key and so another image.
func imageKey() string {
	h := sha256.New()
	for _, p := range guestPackages {
		fmt.Fprintln(h, p)
	}
	fmt.Fprintln(h, imageSizeMiB, initScript, os.Getenv("LAB_MIRROR"))
	fmt.Fprintln(h, strings.Join(maskedUnits, " "), strings.Join(disabledUnits, " "), strings.Join(initModules, " "))
	fmt.Fprintln(h, strings.Join(initScripts, " "))
	for _, f := range guestFiles("KEY") {
		fmt.Fprintln(h, f.path, f.mode, f.text)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// loadImage finds a complete image of the present inputs without building one.
func (r *Rig) loadImage() bool {
	img := Image{Dir: filepath.Join(r.Root, "images", imageKey())}
	kernel, err := os.ReadFile(img.path("complete"))
	if err != nil {
		return false
	}
	img.Kernel = strings.TrimSpace(string(kernel))
	r.image = img
	return true
}

// EnsureImage finds or builds the image. Another checkout that builds it at the
// same time is waited for; half-built images of earlier runs are removed.
func (r *Rig) EnsureImage(ctx context.Context) error {
	images := filepath.Join(r.Root, "images")
	if err := os.MkdirAll(images, 0o700); err != nil {
		return err
	}
	unlock, err := r.lock(ctx, filepath.Join(images, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if r.loadImage() {
		return nil
	}
	dir := filepath.Join(images, imageKey())
	tmp := dir + ".building"
	if err := r.pruneImages(); err != nil {
		return err
	}
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	kernel, err := r.buildImage(ctx, Image{Dir: tmp})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, "complete"), []byte(kernel+"\n"), 0o600); err != nil {
		return err
	}
	r.image = Image{Dir: dir, Kernel: kernel}
	return os.Rename(tmp, dir)
}

// pruneImages removes half-built images and those that no checkout's machine
// is based on. The caller holds the lock of the images.
func (r *Rig) pruneImages() error {
	used := map[string]bool{}
	marks, err := filepath.Glob(filepath.Join(r.Root, "*", "vm", "*", "image"))
	if err != nil {
		return err
	}
	for _, m := range marks {
		if b, err := os.ReadFile(m); err == nil {
			used[strings.TrimSpace(string(b))] = true
		}
	}
	entries, err := os.ReadDir(filepath.Join(r.Root, "images"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || used[e.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(r.Root, "images", e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// lock takes an exclusive lock on a file, polling so that ctx can end the wait.
func (r *Rig) lock(ctx context.Context, path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	said := false
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !said {
			r.Log.Printf("waiting for another lab that holds %s", path)
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// sshKey is the private key that the image's root accepts.
func (i Image) sshKey() string { return i.path("id_ed25519") }

// buildImage makes rootfs, kernel, initramfs and disk image in img.Dir and
// returns the kernel's release.
func (r *Rig) buildImage(ctx context.Context, img Image) (string, error) {
	rootfs := img.path("rootfs")
	err := r.Log.Step("building the image: Debian 12 root file system (mmdebstrap)", 60*time.Second, func() error {
		return r.debootstrap(ctx, rootfs)
	})
	if err != nil {
		return "", err
	}
	if _, err := run(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "drbdnfs-lab", "-f", img.sshKey()); err != nil {
		return "", err
	}
	key, err := os.ReadFile(img.sshKey() + ".pub")
	if err != nil {
		return "", err
	}
	if err := customize(ctx, rootfs, string(key)); err != nil {
		return "", err
	}
	kernel, err := takeKernel(rootfs, img)
	if err != nil {
		return "", err
	}
	if err := buildInitramfs(ctx, rootfs, kernel, img); err != nil {
		return "", fmt.Errorf("initramfs: %w", err)
	}
	err = r.Log.Step("building the image: ext4", 10*time.Second, func() error {
		if err := os.WriteFile(img.RootFS(), nil, 0o600); err != nil {
			return err
		}
		if err := os.Truncate(img.RootFS(), imageSizeMiB<<20); err != nil {
			return err
		}
		_, err := run(ctx, "mkfs.ext4", "-q", "-F", "-d", rootfs, "-L", "labroot", "-E", "lazy_itable_init=0", "-m", "0", img.RootFS())
		return err
	})
	if err != nil {
		return "", err
	}
	return kernel, os.RemoveAll(rootfs)
}

// kernelHook fetches the newest cloud kernel with the target's own apt and keeps
// its modules and image, without running its maintainer scripts.
const kernelHook = `chroot "$1" sh -ec '
cd /tmp
name=$(apt-cache depends linux-image-cloud-amd64 | sed -n "s/^ *Depends: \(linux-image-[0-9].*\)/\1/p" | head -n 1)
apt-get -q -o APT::Sandbox::User=root download "$name"
dpkg-deb -x linux-image-*.deb kernel
mkdir -p /usr/lib/modules
cp -a kernel/lib/modules/. /usr/lib/modules/
cp kernel/boot/vmlinuz-* /boot/
rm -rf kernel linux-image-*.deb
for release in /usr/lib/modules/*; do depmod "${release##*/}"; done'`

func (r *Rig) debootstrap(ctx context.Context, rootfs string) error {
	argv := []string{
		"mmdebstrap", "--variant=minbase", "--quiet",
		"--include=" + strings.Join(guestPackages, ","),
		`--aptopt=APT::Install-Recommends "false"`,
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--customize-hook=" + kernelHook,
		"bookworm", rootfs,
	}
	if mirror := os.Getenv("LAB_MIRROR"); mirror != "" {
		argv = append(argv, mirror)
	}
	_, err := run(ctx, argv...)
	return err
}

// takeKernel copies the kernel image out of the root file system.
func takeKernel(rootfs string, img Image) (string, error) {
	found, err := filepath.Glob(filepath.Join(rootfs, "boot", "vmlinuz-*"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("want one kernel in %s/boot, have %v (%v)", rootfs, found, err)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(img.path("vmlinuz"), b, 0o600); err != nil {
		return "", err
	}
	return strings.TrimPrefix(filepath.Base(found[0]), "vmlinuz-"), nil
}
