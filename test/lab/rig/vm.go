package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// bootLimit bounds the time from QEMU's start to an answering sshd; three
// machines at once need about a minute on two cores without KVM.
const bootLimit = 5 * time.Minute

// Up makes packages, image, network and machines, keeping what is there and
// works. It returns when every machine answers ssh.
func (r *Rig) Up(ctx context.Context) error {
	if err := r.Prepare(ctx); err != nil {
		return err
	}
	var names []string
	for _, m := range Machines() {
		if !m.Spare && !r.usable(ctx, m) {
			names = append(names, m.Name)
		}
	}
	if len(names) == 0 {
		r.Log.Printf("machines: all up (%s)", r.accel)
		return nil
	}
	return r.Boot(ctx, names...)
}

// Prepare does everything that comes before the machines: packages, image,
// acceleration and network.
func (r *Rig) Prepare(ctx context.Context) error {
	for _, f := range []func(context.Context) error{r.EnsurePackages, r.EnsureImage, r.EnsureAccel, r.EnsureNetwork} {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return nil
}

// usable reports whether a machine runs on the present image and answers.
func (r *Rig) usable(ctx context.Context, m Machine) bool {
	if !r.Running(m.Name) || !r.onImage(m.Name) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := r.SSH(ctx, m.Name, "true")
	return err == nil
}

func (r *Rig) onImage(name string) bool {
	b, err := os.ReadFile(filepath.Join(r.vmDir(name), "image"))
	return err == nil && strings.TrimSpace(string(b)) == filepath.Base(r.image.Dir)
}

// HasDisks reports whether all the named machines have disks of the present image.
// It needs Prepare before.
func (r *Rig) HasDisks(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !r.onImage(name) })
}

// Blank ends the named machines and gives them new, empty disks.
func (r *Rig) Blank(ctx context.Context, names ...string) error {
	for _, name := range names {
		m, err := MachineByName(name)
		if err != nil {
			return err
		}
		if err := r.Kill(name); err != nil {
			return err
		}
		if err := r.newDisks(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// Boot starts the named machines (ending what hangs in their place, making disks
// where there are none for this image) and waits until they answer ssh.
func (r *Rig) Boot(ctx context.Context, names ...string) error {
	step := fmt.Sprintf("booting %s (%s)", strings.Join(names, ", "), r.accel)
	return r.Log.Step(step, 75*time.Second, func() error {
		g, ctx := errgroup.WithContext(ctx)
		for _, name := range names {
			g.Go(func() error {
				if err := r.Start(ctx, name); err != nil {
					return err
				}
				return r.WaitSSH(ctx, name)
			})
		}
		return g.Wait()
	})
}

// Start runs a machine's QEMU without waiting for the guest.
func (r *Rig) Start(ctx context.Context, name string) error {
	m, err := MachineByName(name)
	if err != nil {
		return err
	}
	if r.image.Dir == "" {
		if err := r.Prepare(ctx); err != nil {
			return err
		}
	}
	if err := r.Kill(name); err != nil {
		return err
	}
	if !r.onImage(name) {
		if err := r.newDisks(ctx, m); err != nil {
			return err
		}
	}
	// Raised priority: clusters take a machine that gets no processor time for a
	// dead one, and an emulated one is easily starved by a build beside it.
	argv := append([]string{"ip", "netns", "exec", r.Netns, "nice", "-n", "-10", "qemu-system-x86_64"}, r.qemuArgs(m)...)
	_, err = run(ctx, argv...)
	return err
}

func (r *Rig) newDisks(ctx context.Context, m Machine) error {
	dir := r.vmDir(m.Name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root := filepath.Join(dir, "root.qcow2")
	if _, err := run(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", r.image.RootFS(), root); err != nil {
		return err
	}
	if m.DataMiB > 0 {
		data := filepath.Join(dir, "data.raw")
		if err := os.WriteFile(data, nil, 0o600); err != nil {
			return err
		}
		if err := os.Truncate(data, int64(m.DataMiB)<<20); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "image"), []byte(filepath.Base(r.image.Dir)+"\n"), 0o600)
}

// qemuName marks the lab's processes in their command line.
func (r *Rig) qemuName(name string) string { return "drbdnfs-lab-" + r.id + "-" + name }

func (r *Rig) qemuArgs(m Machine) []string {
	dir, cpus := r.vmDir(m.Name), m.CPUs
	if r.NodeCPUs > 0 && m.DataMiB > 0 {
		cpus = r.NodeCPUs
	}
	args := append(r.accel.args(),
		"-name", r.qemuName(m.Name), "-machine", "pc", "-smp", strconv.Itoa(cpus), "-m", strconv.Itoa(m.MemoryMiB),
		"-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=utc,clock=host",
		"-kernel", r.image.path("vmlinuz"), "-initrd", r.image.path("initrd.img"), "-append", r.kernelArgs(m),
		"-chardev", "file,id=serial,append=on,path="+r.SerialLog(m.Name), "-serial", "chardev:serial",
		// Flushes reach the file for qcow2, whose metadata QEMU keeps in its own
		// memory; a raw file's writes are in the page cache when they are
		// acknowledged and survive a SIGKILL of QEMU without any flush.
		"-drive", "if=none,id=root,format=qcow2,cache=writeback,file="+filepath.Join(dir, "root.qcow2"),
		"-device", "virtio-blk-pci,drive=root",
		"-netdev", "tap,id=net,script=no,downscript=no,ifname="+r.tap(m),
		"-device", "virtio-net-pci,netdev=net,mac="+m.MAC,
		"-device", "virtio-rng-pci",
		"-pidfile", filepath.Join(dir, "pid"), "-daemonize",
	)
	if m.DataMiB > 0 {
		args = append(args,
			"-drive", "if=none,id=data,format=raw,cache=unsafe,discard=unmap,file="+filepath.Join(dir, "data.raw"),
			"-device", "virtio-blk-pci,drive=data",
			"-chardev", "socket,id=fence,server=on,wait=off,path="+r.fenceSocket(m.Name), "-serial", "chardev:fence")
	}
	return args
}

func (r *Rig) kernelArgs(m Machine) string {
	// Each machine has an id of its own, the same at every boot, or their
	// journals could not be told apart.
	sum := sha256.Sum256([]byte("drbdnfs-lab " + m.Name))
	args := []string{
		"console=ttyS0", "quiet", "loglevel=4", "mitigations=off", "net.ifnames=0", "no_timer_check",
		"audit=0", "selinux=0", "apparmor=0", "raid=noautodetect", "rcupdate.rcu_expedited=1", "random.trust_cpu=on",
		"module_blacklist=kvm,kvm_amd,kvm_intel,powernow_k8,acpi_cpufreq,psmouse,pcspkr,floppy,i2c_piix4,parport_pc,evdev,button,serio_raw",
		"systemd.hostname=" + m.Name, "systemd.machine_id=" + hex.EncodeToString(sum[:16]), "lab.address=" + m.Address,
	}
	if r.accel == TCG {
		// The kernel measures the rate of the TSC at boot, and gets it wrong by a
		// factor when the emulated processor is held up just then: its clock and
		// all its timeouts then run fast. The HPET's rate is told, not measured.
		args = append(args, "clocksource=hpet", "tsc=unstable")
	}
	return strings.Join(args, " ")
}

// Running reports whether the machine's QEMU is alive.
func (r *Rig) Running(name string) bool { return r.pid(name) != 0 }

// pid returns the process id of the machine's QEMU, or 0. A pid file alone is no
// proof, the number may belong to somebody else by now; and none is no proof
// either, for someone may have cleaned up files and left the process.
func (r *Rig) pid(name string) int {
	if b, err := os.ReadFile(filepath.Join(r.vmDir(name), "pid")); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && r.isOurs(pid, name) {
			return pid
		}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && r.isOurs(pid, name) {
			return pid
		}
	}
	return 0
}

// isOurs reports whether a process is the QEMU of this lab's machine, by its
// command line.
func (r *Rig) isOurs(pid int, name string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := strings.Split(string(b), "\x00")
	return filepath.Base(args[0]) == "qemu-system-x86_64" && slices.Contains(args, r.qemuName(name))
}

// Kill ends a machine's QEMU with SIGKILL, as a power cut would, and returns when
// the process is gone. It is no error when there is none.
func (r *Rig) Kill(name string) error {
	pid := r.pid(name)
	if pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill %s (pid %d): %w", name, pid, err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for r.pid(name) != 0 {
			if time.Now().After(deadline) {
				return fmt.Errorf("kill %s: pid %d does not end", name, pid)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	r.closeSSH(name)
	return nil
}

// Down ends the machines and removes the network. Disks and logs stay.
func (r *Rig) Down(ctx context.Context) error {
	var errs []error
	for _, m := range Machines() {
		errs = append(errs, r.Kill(m.Name))
	}
	errs = append(errs, r.removeNetwork(ctx))
	return errors.Join(errs...)
}

// Remove does what Down does and deletes this checkout's disks as well.
func (r *Rig) Remove(ctx context.Context) error {
	if err := r.Down(ctx); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(r.Dir, "vm"))
}
