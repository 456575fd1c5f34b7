package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Accel is how QEMU executes guest code: "kvm" or "tcg".
type Accel string

// The two accelerations that the lab knows.
const (
	KVM Accel = "kvm"
	TCG Accel = "tcg"
)

// probeLimit is how long a tiny guest may take to print its marker under KVM. A
// working KVM needs about a second; a broken one hangs without an error.
const probeLimit = 10 * time.Second

// probeMarker is what the initramfs prints when it is asked to.
const probeMarker = "LAB-PROBE-OK"

// args are QEMU's options for the acceleration.
func (a Accel) args() []string {
	if a == KVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	return []string{"-accel", "tcg,thread=multi,tb-size=256", "-cpu", tcgCPU}
}

// tcgCPU has no AVX: emulated vector registers cost more than they save.
const tcgCPU = "max,avx=off,avx2=off,la57=off"

// EnsureAccel decides the acceleration: LAB_ACCEL when set, else the cached
// answer of an earlier probe on this boot of the machine, else a probe.
func (r *Rig) EnsureAccel(ctx context.Context) error {
	switch v := Accel(os.Getenv("LAB_ACCEL")); v {
	case KVM, TCG:
		r.accel = v
		return nil
	case "":
	default:
		return fmt.Errorf("LAB_ACCEL=%s: want kvm or tcg", v)
	}
	cache := filepath.Join(r.Root, "accel")
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if b, err := os.ReadFile(cache); err == nil {
		id, answer, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
		if id == strings.TrimSpace(string(boot)) && (answer == string(KVM) || answer == string(TCG)) {
			r.accel = Accel(answer)
			return nil
		}
	}
	r.accel = r.probe(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return os.WriteFile(cache, []byte(strings.TrimSpace(string(boot))+" "+string(r.accel)+"\n"), 0o600)
}

// probe boots the initramfs under KVM and looks for its marker.
func (r *Rig) probe(ctx context.Context) Accel {
	if _, err := os.Stat("/dev/kvm"); err != nil {
		r.Log.Printf("acceleration: no /dev/kvm, using emulation (tcg)")
		return TCG
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	argv := append([]string{"qemu-system-x86_64"}, KVM.args()...)
	argv = append(argv, "-machine", "pc", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", r.image.path("vmlinuz"), "-initrd", r.image.path("initrd.img"),
		"-append", "console=ttyS0 quiet panic=-1 lab.probe", "-serial", "stdio")
	out, _ := run(ctx, argv...)
	if strings.Contains(out, probeMarker) {
		r.Log.Printf("acceleration: KVM works")
		return KVM
	}
	r.Log.Printf("acceleration: KVM is there but does not boot a guest, using emulation (tcg)")
	return TCG
}
