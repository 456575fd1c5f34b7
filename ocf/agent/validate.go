package agent

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/spacei/drbdnfs/ocf"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/nfs"
)

// levelHost is the depth of validate-all from which this machine is looked at.
// Below it only the parameters are: pcs validates on machines that will never
// run the resource.
const levelHost = 10

// validate checks the parameters, and from level 10 on this machine.
func (a *Agent) validate(ctx context.Context) error {
	cfg, err := ParseParams(a.env.Instance, a.env.Params)
	if err != nil {
		return ocf.Errorf(ocf.ErrConfigured, "%w", err)
	}
	if a.env.CheckLevel < levelHost {
		return nil
	}
	checks := []func() error{
		func() error { return a.checkPrograms(cfg) },
		a.checkCloneMeta,
		func() error { return a.checkModules(ctx, cfg) },
		func() error { return a.checkResource(ctx, cfg) },
		func() error { return nfs.CheckPipefs(a.sys) },
		a.checkState,
		a.checkNFSServerUnit,
		func() error { return a.checkExportsFile(cfg) },
	}
	for _, check := range checks {
		if err := check(); err != nil {
			if ocf.CodeOf(err) == ocf.ErrGeneric {
				return ocf.Errorf(ocf.ErrInstalled, "%w", err)
			}
			return err
		}
	}
	return nil
}

// programs are the programs that the actions run for cfg.
func programs(cfg Config) []string {
	list := []string{"drbdadm", "drbdsetup", "exportfs", "modprobe"}
	list = append(list, nfs.NewDaemons(nil, cfg.Group.Server.Versions, cfg.Group.Server.Ports).Programs()...)
	if cfg.Group.Server.Versions.V3 {
		list = append(list, "sm-notify", "rpcbind")
	}
	return list
}

// checkModules asks modprobe, without loading anything, whether the modules
// exist.
func (a *Agent) checkModules(ctx context.Context, cfg Config) error {
	for _, m := range []string{"drbd", "nfsd", cfg.Group.FSType} {
		if _, err := a.sys.Stat("/sys/module/" + m); err == nil {
			continue
		}
		_, err := a.sys.Run(ctx, host.Cmd{Op: "validate.module", Name: "modprobe", Args: []string{"--dry-run", "--quiet", m}})
		if err != nil {
			return ocf.Errorf(ocf.ErrInstalled, "install kernel module %s for this kernel: %w", m, err)
		}
	}
	return nil
}

func (a *Agent) checkResource(ctx context.Context, cfg Config) error {
	ok, err := admin.New(a.sys).Configured(ctx, cfg.Group.Resource)
	if err != nil {
		return err
	}
	if !ok {
		return ocf.Errorf(ocf.ErrInstalled, "drbd_resource: drbdadm does not know %s on this node", cfg.Group.Resource)
	}
	return nil
}

// checkState accepts the directory of nfs-utils and a link of ours or of the
// hand-made procedure.
func (a *Agent) checkState() error {
	g, _, err := a.open(false)
	if err != nil {
		return err
	}
	return g.CheckState()
}

// nfsServerUnits are the links that systemctl enable makes.
var nfsServerUnits = []string{
	"/etc/systemd/system/multi-user.target.wants/nfs-server.service",
	"/etc/systemd/system/multi-user.target.wants/nfs-kernel-server.service",
}

func (a *Agent) checkNFSServerUnit() error {
	for _, link := range nfsServerUnits {
		if _, err := a.sys.Lstat(link); err == nil {
			return ocf.Errorf(ocf.ErrInstalled, "systemctl disable nfs-server: it would start at boot and keep the group from it")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkExportsFile refuses directories of the group in /etc/exports: systemd
// would mount them at boot for nfs-server.
func (a *Agent) checkExportsFile(cfg Config) error {
	data, err := a.sys.ReadFile("/etc/exports")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		dir := strings.Trim(fields[0], `"`)
		if dir == cfg.Group.Dir || strings.HasPrefix(dir, cfg.Group.Dir+"/") {
			return ocf.Errorf(ocf.ErrInstalled, "take %s out of /etc/exports: the agent exports it", dir)
		}
	}
	return nil
}
