package rig

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// hostTools maps a program that the lab runs on this machine to the Debian
// package that holds it.
var hostTools = []struct{ program, pkg string }{
	{"qemu-system-x86_64", "qemu-system-x86"},
	{"qemu-img", "qemu-utils"},
	{"mmdebstrap", "mmdebstrap"},
	{"busybox", "busybox-static"},
	{"cpio", "cpio"},
	{"ip", "iproute2"},
	{"ssh", "openssh-client"},
	{"ssh-keygen", "openssh-client"},
	{"mkfs.ext4", "e2fsprogs"},
	{"modinfo", "kmod"},
}

// EnsurePackages installs from Debian what the lab runs on this machine. It does
// nothing where all programs are there.
func (r *Rig) EnsurePackages(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root: it makes a network namespace and taps")
	}
	missing := missingPackages()
	if len(missing) == 0 {
		return nil
	}
	return r.Log.Step("installing "+strings.Join(missing, " "), 60*time.Second, func() error {
		install := append([]string{"apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends", "install"}, missing...)
		if _, err := run(ctx, install...); err == nil {
			return nil
		}
		if _, err := run(ctx, "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "update"); err != nil {
			return err
		}
		_, err := run(ctx, install...)
		return err
	})
}

func missingPackages() []string {
	var missing []string
	seen := map[string]bool{}
	for _, t := range hostTools {
		if hasProgram(t.program) || seen[t.pkg] {
			continue
		}
		seen[t.pkg] = true
		missing = append(missing, t.pkg)
	}
	return missing
}

// hasProgram looks in sbin too: a PATH without it is common under su.
func hasProgram(name string) bool {
	if _, err := exec.LookPath(name); err == nil {
		return true
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}
