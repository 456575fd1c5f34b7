package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

const drbdModule = "DRBD kernel module"

// version returns the version of DRBD's kernel module, loaded or not; ok is
// false where there is none.
func (s *Stage) version(ctx context.Context) (v drbd.Version, loaded, ok bool, err error) {
	data, err := s.m.ReadFile("/proc/drbd")
	if err == nil {
		v, err = drbd.ParseProcVersion(data)
		return v, true, err == nil, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return v, false, false, fmt.Errorf("read DRBD's version: %w", err)
	}
	out, err := s.run(ctx, "setup.host.modinfo", "modinfo", "-F", "version", "drbd")
	if _, ended := exitCode(err); !ended && !errors.Is(err, host.ErrNotInstalled) {
		return v, false, false, err
	}
	if err != nil {
		return v, false, false, nil
	}
	v, err = drbd.ParseProcVersion([]byte("version: " + strings.TrimSpace(out)))
	return v, false, err == nil, err
}

// lookDRBD checks that the kernel has a DRBD that can do what the file asks for.
func (s *Stage) lookDRBD(ctx context.Context) ([]setup.Item, error) {
	v, loaded, ok, err := s.version(ctx)
	if err != nil {
		return nil, err
	}
	if !ok {
		return []setup.Item{refuse("", drbdModule, "there is none for this kernel", "install kmod-drbd90 (or kmod-drbd84) from ELRepo, or kmod-drbd from LINBIT, for the running kernel; Debian's kernel has 8.4")}, nil
	}
	nine := v.Major >= 9
	if !nine && (v.Major != 8 || v.Minor != 4) {
		return []setup.Item{refuse("", drbdModule, v.String()+": neither 9 nor 8.4", "install DRBD 9")}, nil
	}
	how := "not loaded"
	if loaded {
		how = "loaded"
	}
	items := []setup.Item{keep(drbdModule, "%s, %s", v, how)}
	if !nine {
		items = append(items, s.refuse84(v)...)
	}
	return items, nil
}

// refuse84 refuses what DRBD 8.4 cannot do: it connects two nodes, both with
// disks, and has no quorum.
func (s *Stage) refuse84(v drbd.Version) []setup.Item {
	var items []setup.Item
	add := func(key, detail, why string) {
		items = append(items, refuse(key, drbdModule, v.String()+" "+detail, "install DRBD 9, or "+why))
	}
	if s.cfg.Storage.Manager == config.ManagerLINSTOR {
		add("storage.manager", "is not managed by LINSTOR", `set manager = "drbdadm"`)
	}
	if n := len(s.cfg.Nodes); n > 2 {
		add("node", fmt.Sprintf("connects two nodes, the file has %d", n), "name two nodes")
	}
	for i, n := range s.cfg.Nodes {
		if n.Diskless {
			add(fmt.Sprintf("node[%d].diskless", i), "has no diskless tie-breaker", "take "+n.Name+" out")
		}
	}
	if s.cfg.Fencing.Mode == config.FencingQuorum {
		add("fencing.mode", "has no quorum", `use mode = "`+config.FencingSTONITH+`"`)
	}
	return items
}

const modulesFile = "/etc/modules-load.d/drbdnfs.conf"

// lookModules has DRBD loaded at boot: /dev/drbd* and drbdadm need it, whoever
// is first.
func (s *Stage) lookModules(ctx context.Context) ([]setup.Item, error) {
	v, loaded, ok, err := s.version(ctx)
	if err != nil || !ok {
		return nil, err // refused already
	}
	list := []string{"drbd"}
	if v.Major >= 9 {
		list = append(list, "drbd_transport_tcp")
	}
	it, err := s.file(ownFile{
		path: modulesFile, body: strings.Join(list, "\n") + "\n", op: "setup.host.modules",
		detail: "loads " + strings.Join(list, ", ") + " at boot",
	})
	if err != nil {
		return nil, err
	}
	items := []setup.Item{it}
	if !loaded {
		items = append(items, setup.Item{Object: drbdModule, Action: setup.Make, Detail: "loaded now", Do: func(ctx context.Context, _ setup.Progress) error {
			return s.load(ctx, list)
		}})
	}
	return items, nil
}

func (s *Stage) load(ctx context.Context, list []string) error {
	for _, m := range list {
		if err := s.change(ctx, "setup.host.modprobe", "modprobe", m); err != nil {
			return fmt.Errorf("load %s: %w", m, err)
		}
	}
	if _, err := s.m.Stat("/proc/drbd"); err != nil {
		return fmt.Errorf("DRBD is loaded and does not show: %w", err)
	}
	return nil
}

func (s *Stage) removeModules(context.Context) ([]setup.Item, error) {
	return s.dropFile(modulesFile, "setup.host.modules.remove", nil)
}
