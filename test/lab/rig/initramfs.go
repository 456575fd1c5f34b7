package rig

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// initModules are loaded in the initramfs, each after what it depends on. ext4
// is built into Debian's cloud kernel.
var initModules = []string{"virtio_pci", "virtio_blk", "virtio_net", "virtio_rng"}

// applets are the busybox commands that the init script uses.
var applets = []string{"sh", "mount", "umount", "cat", "echo", "insmod", "ip", "sleep", "switch_root", "poweroff"}

// buildInitramfs writes img.Dir/initrd.img: busybox, the modules in their order
// of loading, and the init script.
func buildInitramfs(ctx context.Context, rootfs, kernel string, img Image) error {
	dir := img.path("initramfs")
	for _, d := range []string{"bin", "modules", "proc", "sys", "dev", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	defer os.RemoveAll(dir)
	modules := filepath.Join(rootfs, "usr/lib/modules", kernel)
	dep, err := os.ReadFile(filepath.Join(modules, "modules.dep"))
	if err != nil {
		return err
	}
	order, err := loadOrder(dep, initModules)
	if err != nil {
		return err
	}
	var list bytes.Buffer
	for _, m := range order {
		if err := copyFile(filepath.Join(modules, m), filepath.Join(dir, "modules", path.Base(m)), 0o644); err != nil {
			return err
		}
		fmt.Fprintln(&list, path.Base(m))
	}
	if err := os.WriteFile(filepath.Join(dir, "modules/order"), list.Bytes(), 0o644); err != nil {
		return err
	}
	if err := copyFile("/usr/bin/busybox", filepath.Join(dir, "bin/busybox"), 0o755); err != nil {
		return err
	}
	for _, a := range applets {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", a)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "init"), []byte(initScript), 0o755); err != nil {
		return err
	}
	_, err = run(ctx, "sh", "-c", `cd "$1" && find . | cpio -o -H newc --quiet | gzip -1 >"$2"`, "sh", dir, img.path("initrd.img"))
	return err
}

// loadOrder resolves names against the text of a modules.dep file and returns
// the modules' paths in an order in which insmod accepts them.
func loadOrder(dep []byte, names []string) ([]string, error) {
	deps := map[string][]string{} // path → paths, nearest dependency first
	byName := map[string]string{}
	sc := bufio.NewScanner(bytes.NewReader(dep))
	for sc.Scan() {
		file, needs, ok := strings.Cut(sc.Text(), ":")
		if !ok {
			continue
		}
		deps[file] = strings.Fields(needs)
		name, _, _ := strings.Cut(path.Base(file), ".")
		byName[strings.ReplaceAll(name, "-", "_")] = file
	}
	var order []string
	seen := map[string]bool{}
	var add func(file string)
	add = func(file string) {
		if seen[file] {
			return
		}
		seen[file] = true
		for _, d := range deps[file] {
			add(d)
		}
		order = append(order, file)
	}
	for _, n := range names {
		file, ok := byName[n]
		if !ok {
			return nil, fmt.Errorf("no module %s in modules.dep", n)
		}
		add(file)
	}
	return order, sc.Err()
}

func copyFile(from, to string, mode os.FileMode) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, mode)
}
