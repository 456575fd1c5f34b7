package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
	"github.com/spacei/drbdnfs/pkg/host"
)

const (
	procDRBD    = "/proc/drbd"
	linstorDir  = "/var/lib/linstor.d/" // where a LINSTOR satellite writes RESOURCE.res
	drbdadmCmd  = "drbdadm"
	drbdsetup   = "drbdsetup"
	deviceStart = "/dev/drbd"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	ReadFile(path string) ([]byte, error)
}

var _ machine = (*host.Host)(nil)

// Admin runs DRBD's tools on one machine. It is safe for concurrent use as far
// as the tools are.
type Admin struct {
	m machine
}

// New returns the tools of m, usually a [*host.Host].
func New(m machine) *Admin { return &Admin{m: m} }

// Version returns the version of the loaded kernel module, from /proc/drbd. It
// runs nothing and loads nothing: without the module it is
// [ErrModuleNotLoaded].
func (a *Admin) Version(_ context.Context) (drbd.Version, error) {
	data, err := a.m.ReadFile(procDRBD)
	if errors.Is(err, fs.ErrNotExist) {
		return drbd.Version{}, ErrModuleNotLoaded
	}
	if err != nil {
		return drbd.Version{}, fmt.Errorf("read DRBD version: %w", err)
	}
	v, err := drbd.ParseProcVersion(data)
	if err != nil {
		return drbd.Version{}, fmt.Errorf("%s: %w", procDRBD, err)
	}
	return v, nil
}

// Status returns the state of res as the kernel sees it, with one run of
// drbdsetup. It changes nothing and does no I/O on the device, so it answers
// also while I/O is suspended.
//
// A resource that is not up is [ErrUnknownResource]: both kernels then print an
// empty dump. [ErrModuleNotLoaded] comes without running anything. Any other
// failure is a [*host.ExitError], [host.ErrNotInstalled] or the end of ctx.
func (a *Admin) Status(ctx context.Context, res string) (*drbd.Resource, error) {
	if err := checkName(res); err != nil {
		return nil, err
	}
	v, err := a.Version(ctx)
	if err != nil {
		return nil, err
	}
	out, err := a.m.Run(ctx, host.Cmd{Op: "drbd.status", Name: drbdsetup, Args: []string{"events2", "--now", "--statistics", res}})
	if err != nil {
		return nil, fmt.Errorf("state of %s: %w", res, classify(err))
	}
	st, err := events2.ReadDump(bytes.NewReader(out.Stdout))
	if err != nil {
		return nil, fmt.Errorf("state of %s: %w", res, err)
	}
	r := st.Resources[res]
	if r == nil {
		return nil, fmt.Errorf("%w: %s is not up", ErrUnknownResource, res)
	}
	r.Kernel84 = v.Is84()
	return r, nil
}

// Promote makes this node Primary for r, as returned by [Admin.Status], and
// returns once the kernel has accepted the role. It is idempotent and never
// forces.
//
// [ErrNoUpToDate] and [ErrRefused] (a Primary peer, no quorum) are the kernel's
// refusals. When ctx ends first the role may still change: a fence-peer handler
// started by the kernel goes on. On DRBD 8.4 each volume is promoted by itself;
// after an error the earlier ones stay Primary, so demote.
func (a *Admin) Promote(ctx context.Context, r *drbd.Resource) error {
	return a.setRole(ctx, "drbd.primary", r, "primary")
}

// Demote makes this node Secondary for r, as returned by [Admin.Status]. It is
// idempotent. [ErrHeldOpen] means that somebody still has the device open.
func (a *Admin) Demote(ctx context.Context, r *drbd.Resource) error {
	return a.setRole(ctx, "drbd.secondary", r, "secondary")
}

// DemoteForce makes this node Secondary even though the device is open: its
// I/O, including what is suspended, fails until it is closed. Only DRBD 9 can
// do that, since 9.1.7 (drbdsetup secondary --force); DRBD 8.4 is
// [ErrNotOn84].
func (a *Admin) DemoteForce(ctx context.Context, r *drbd.Resource) error {
	if r.Kernel84 {
		return fmt.Errorf("secondary --force %s: %w", r.Name, ErrNotOn84)
	}
	return a.setRole(ctx, "drbd.secondary-force", r, "secondary", "--force")
}

// setRole runs drbdsetup once per target of r. A demotion goes on after a
// failure so that one open volume does not keep the others Primary.
func (a *Admin) setRole(ctx context.Context, op string, r *drbd.Resource, verb ...string) error {
	if err := checkName(r.Name); err != nil {
		return err
	}
	var errs error
	for _, target := range r.RoleTargets() {
		args := append(append([]string{}, verb...), target)
		if _, err := a.m.Run(ctx, host.Cmd{Op: op, Name: drbdsetup, Args: args}); err != nil {
			errs = errors.Join(errs, fmt.Errorf("%s %s: %w", verb[0], r.Name, classify(err)))
			if verb[0] == "primary" {
				return errs
			}
		}
	}
	return errs
}

// Up brings res, which must be down, up as it is configured: module, disks,
// connections. It returns when DRBD has started to connect, not when it is
// connected. The role does not change.
//
// What is up already, or half up because an earlier Up was killed, makes it
// fail with drbdsetup's exit code 10: use [Admin.Adjust] then.
// [ErrUnknownResource] means that the configuration has no such resource for
// this host, [ErrBrokenConfig] that drbdadm cannot read it.
func (a *Admin) Up(ctx context.Context, res string) error {
	return a.bring(ctx, "drbd.up", "up", res)
}

// Adjust makes res, whatever of it is up, what its configuration says. It is
// idempotent, has the errors of [Admin.Up] and does not change the role.
//
// It also connects a StandAlone connection: after a split brain that only
// repeats the refusal, but it must not run while somebody resolves one.
func (a *Admin) Adjust(ctx context.Context, res string) error {
	return a.bring(ctx, "drbd.adjust", "adjust", res)
}

func (a *Admin) bring(ctx context.Context, op, verb, res string) error {
	if err := checkName(res); err != nil {
		return err
	}
	if _, err := a.drbdadm(ctx, op, verb, res); err != nil {
		return fmt.Errorf("%s %s: %w", verb, res, err)
	}
	return nil
}

// Down takes res down: disconnected, detached, gone from the kernel. It is
// idempotent: a resource that is not up, and a module that is not loaded, are
// fine. When drbdadm cannot do it because of the configuration (broken, the
// resource removed from it, or the program missing) the kernel is told
// directly.
//
// [ErrHeldOpen] and [ErrRefused] mean that the resource is still up.
func (a *Admin) Down(ctx context.Context, res string) error {
	if err := checkName(res); err != nil {
		return err
	}
	if _, err := a.Version(ctx); errors.Is(err, ErrModuleNotLoaded) {
		return nil
	}
	_, err := a.drbdadm(ctx, "drbd.down", "down", res)
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrRefused) || ctx.Err() != nil {
		return fmt.Errorf("take down %s: %w", res, err)
	}
	if _, direct := a.m.Run(ctx, host.Cmd{Op: "drbd.down-direct", Name: drbdsetup, Args: []string{"down", res}}); direct != nil {
		return fmt.Errorf("take down %s: %w", res, errors.Join(classify(direct), err))
	}
	return nil
}

// Device returns the block device of the first volume of res, such as
// /dev/drbd1000: from the kernel when res is up, otherwise from the
// configuration. Neither knowing it is [ErrUnknownResource].
func (a *Admin) Device(ctx context.Context, res string) (string, error) {
	r, err := a.Status(ctx, res)
	if err == nil {
		for _, d := range r.SortedDevices() {
			if d.Minor != drbd.Absent {
				return deviceStart + strconv.Itoa(d.Minor), nil
			}
		}
	} else if !errors.Is(err, ErrUnknownResource) && !errors.Is(err, ErrModuleNotLoaded) {
		return "", err
	}
	out, err := a.drbdadm(ctx, "drbd.device", "sh-dev", res)
	if err != nil {
		return "", fmt.Errorf("device of %s: %w", res, err)
	}
	dev, _, _ := strings.Cut(strings.TrimSpace(string(out.Stdout)), "\n")
	if !strings.HasPrefix(dev, "/dev/") {
		return "", fmt.Errorf("device of %s: drbdadm sh-dev printed %.60q", res, dev)
	}
	return dev, nil
}

// Configured reports whether drbdadm's configuration has res for this host. It
// loads no module. A configuration that cannot be read is [ErrBrokenConfig], a
// missing drbdadm [host.ErrNotInstalled].
func (a *Admin) Configured(ctx context.Context, res string) (bool, error) {
	if err := checkName(res); err != nil {
		return false, err
	}
	_, err := a.drbdadm(ctx, "drbd.configured", "sh-dev", res)
	if errors.Is(err, ErrUnknownResource) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s in DRBD's configuration: %w", res, err)
	}
	return true, nil
}

// ManagedByLINSTOR reports whether a LINSTOR satellite on this machine writes
// the configuration of res. LINSTOR then brings res up again by itself.
func (a *Admin) ManagedByLINSTOR(res string) (bool, error) {
	if err := checkName(res); err != nil {
		return false, err
	}
	_, err := a.m.ReadFile(linstorDir + res + ".res")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for LINSTOR's configuration: %w", err)
	}
	return true, nil
}

func (a *Admin) drbdadm(ctx context.Context, op, verb, res string) (host.Result, error) {
	out, err := a.m.Run(ctx, host.Cmd{Op: op, Name: drbdadmCmd, Args: []string{verb, res}})
	if err != nil {
		return out, classifyAdm(err)
	}
	return out, nil
}

// checkName refuses what the tools would not take as one resource.
func checkName(res string) error {
	if res == "" || res == "all" || res[0] == '-' || strings.ContainsAny(res, "/ \t\n") {
		return fmt.Errorf("%w: %q", ErrName, res)
	}
	return nil
}
