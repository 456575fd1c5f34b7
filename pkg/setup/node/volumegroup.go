package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// reserve is what the volume needs beyond its size: DRBD's metadata (32 KiB per
// GiB and peer, and the activity log) and LVM's rounding.
func reserve(size int64) int64 { return size/1000 + 32<<20 }

// headroom is what LVM itself takes of a device, for its label and metadata and
// in what does not fill an extent.
const headroom = 8 << 20

func (s *Stage) vgName() string { return "volume group " + s.cfg.Storage.VolumeGroup }

// lookVolumeGroup compares the volume group with the configuration.
func (s *Stage) lookVolumeGroup(ctx context.Context) ([]setup.Item, error) {
	if s.cfg.Storage.Manager == config.ManagerNone {
		return nil, nil // the resource is there, with its volumes
	}
	if s.node.Diskless || !s.has("vgs") || !s.has("lsblk") || !s.has("blkid") {
		return nil, nil // nothing to hold, or refused already
	}
	vg, err := s.group(ctx)
	if err != nil {
		return nil, err
	}
	if vg == nil {
		return s.lookNewGroup(ctx)
	}
	return s.lookGroup(ctx, *vg)
}

// lookGroup looks at a volume group that is there.
func (s *Stage) lookGroup(ctx context.Context, vg volumeGroup) ([]setup.Item, error) {
	if dev := s.node.Device; dev != "" {
		pv, err := s.onDevice(ctx, dev)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if pv == nil || pv.VG != vg.Name {
			return []setup.Item{refuse(s.key("device"), s.vgName(), "it is there, and "+dev+" is not one of its physical volumes",
				"take device out of the file to use the volume group as it is, or add it by hand: vgextend "+vg.Name+" "+dev)}, nil
		}
	}
	lvs, err := s.logical(ctx)
	if err != nil {
		return nil, err
	}
	it := keep(s.vgName(), "%s, %s free", amount(int64(vg.Size)), amount(int64(vg.Free)))
	it.Key = "storage.volume_group"
	items := []setup.Item{it}
	if s.cfg.Storage.Driver == config.DriverLVMThin {
		return append(items, s.lookThin(lvs, int64(vg.Free))...), nil
	}
	if it, ok := s.fits(lvs, int64(vg.Free)); !ok {
		items = append(items, it)
	}
	return items, nil
}

// fits checks that the volume has room, beside what it has already.
func (s *Stage) fits(lvs []logicalVolume, free int64) (setup.Item, bool) {
	size := s.cfg.Resource.Size.Bytes()
	need := size + reserve(size)
	for _, lv := range lvs {
		if lv.Name != s.cfg.Resource.Name && lv.Name != s.cfg.Resource.Name+"_00000" {
			continue
		}
		if int64(lv.Size) >= size {
			return setup.Item{}, true
		}
		need -= int64(lv.Size)
	}
	if need <= free {
		return setup.Item{}, true
	}
	return refuse("resource.size", s.vgName(), fmt.Sprintf("%s free; a volume of %s needs %s", amount(free), s.cfg.Resource.Size, amount(need)),
		"write a smaller size, or add a device to the volume group"), false
}

// lookNewGroup looks at the device from which the volume group is to be made.
func (s *Stage) lookNewGroup(ctx context.Context) ([]setup.Item, error) {
	dev := s.node.Device
	if dev == "" {
		return []setup.Item{refuse("storage.volume_group", s.vgName(), "it is not there, and no device is named to make it from", "name device in [[node]], or make it by hand")}, nil
	}
	d, err := s.inspect(ctx, dev)
	var ee *host.ExitError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []setup.Item{refuse(s.key("device"), "device "+dev, "it is not there", "name a device that lsblk shows; after a change of partitions run partprobe")}, nil
	case errors.As(err, &ee):
		return []setup.Item{refuse(s.key("device"), "device "+dev, "it cannot be examined: "+err.Error(), "name a block device")}, nil
	case err != nil:
		return nil, err
	case len(d.found) > 0:
		return []setup.Item{refuse(s.key("device"), "device "+dev, "it is not empty: "+strings.Join(d.found, ", "), clearing(dev))}, nil
	}
	if s.cfg.Storage.Driver != config.DriverLVMThin {
		if it, ok := s.fits(nil, d.size-headroom); !ok {
			it.Object = "device " + dev
			return []setup.Item{it}, nil
		}
	}
	from := "from " + dev
	if d.pv != nil {
		from = "from " + dev + ", which is an unused physical volume already"
	}
	items := []setup.Item{{Object: s.vgName(), Action: setup.Make, Detail: from + ", " + amount(d.size), Key: s.key("device"), Do: s.makeGroup}}
	if s.cfg.Storage.Driver == config.DriverLVMThin {
		items = append(items, s.lookThin(nil, d.size-headroom)...)
	}
	return items, nil
}

// clearing tells how a person takes everything off a device.
func clearing(dev string) string {
	return "name an empty device. Only if nothing on it is needed: unmount it, vgremove and pvremove what LVM has on it, delete its partitions, then wipefs --all " + dev
}

// makeGroup makes the volume group. The device is looked at once more, because
// the plan may be old; a physical volume without a group is what an earlier run
// left.
func (s *Stage) makeGroup(ctx context.Context, _ setup.Progress) error {
	name, dev := s.cfg.Storage.VolumeGroup, s.node.Device
	vg, err := s.group(ctx)
	if err != nil || vg != nil {
		return err
	}
	d, err := s.inspect(ctx, dev)
	if err != nil {
		return fmt.Errorf("look at %s again: %w", dev, err)
	}
	if len(d.found) > 0 {
		return fmt.Errorf("%s is not empty any more: %s: nothing was written to it", dev, strings.Join(d.found, ", "))
	}
	if d.pv == nil {
		// Not forced and without --yes: where pvcreate itself finds something it
		// asks, gets no answer and leaves the device alone.
		if err := s.change(ctx, "setup.host.pvcreate", "pvcreate", dev); err != nil {
			return fmt.Errorf("make %s a physical volume: %w", dev, err)
		}
	}
	if err := s.change(ctx, "setup.host.vgcreate", "vgcreate", "--addtag", tag, name, dev); err != nil {
		return fmt.Errorf("make volume group %s: %w", name, err)
	}
	if vg, err = s.group(ctx); err == nil && vg == nil {
		err = errors.New("vgcreate was content, and vgs does not show it")
	}
	return err
}

// lookThin looks at the thin pool. A volume larger than the pool is allowed,
// that is what thin is for, and dangerous.
func (s *Stage) lookThin(lvs []logicalVolume, free int64) []setup.Item {
	st := s.cfg.Storage
	object, size := "thin pool "+st.VolumeGroup+"/"+st.ThinPool, s.cfg.Resource.Size.Bytes()
	it := setup.Item{Object: object, Action: setup.Make, Detail: "95% of what is free, " + amount(free/100*95), Key: "storage.thin_pool", Do: s.makeThin}
	have := free / 100 * 95
	for _, lv := range lvs {
		if lv.Name != st.ThinPool {
			continue
		}
		if lv.Type != "thin-pool" {
			return []setup.Item{refuse("storage.thin_pool", object, "it is there and is no thin pool, but "+lv.Type, "name another one")}
		}
		have = int64(lv.Size)
		it = keep(object, "%s", amount(have))
		it.Key = "storage.thin_pool"
	}
	items := []setup.Item{it}
	if need := size + reserve(size); need > have {
		w := warn(object, fmt.Sprintf("%s, less than the volume may take, %s", amount(have), amount(need)), "a full pool stops DRBD: write a smaller resource.size, or watch the pool and extend it in time")
		w.Key = "resource.size"
		items = append(items, w)
	}
	return items
}

func (s *Stage) makeThin(ctx context.Context, _ setup.Progress) error {
	st := s.cfg.Storage
	find := func() (found bool, err error) {
		lvs, err := s.logical(ctx)
		for _, lv := range lvs {
			if lv.Name == st.ThinPool && lv.Type != "thin-pool" {
				return false, fmt.Errorf("%s/%s is no thin pool, but %s", st.VolumeGroup, lv.Name, lv.Type)
			}
			found = found || lv.Name == st.ThinPool
		}
		return found, err
	}
	found, err := find()
	if err != nil || found {
		return err
	}
	err = s.change(ctx, "setup.host.lvcreate", "lvcreate", "--type", "thin-pool", "--extents", "95%FREE", "--addtag", tag, "--name", st.ThinPool, st.VolumeGroup)
	if err != nil {
		return fmt.Errorf("make thin pool %s/%s: %w", st.VolumeGroup, st.ThinPool, err)
	}
	if found, err = find(); err == nil && !found {
		err = errors.New("lvcreate was content, and lvs does not show it")
	}
	return err
}

// removeVolumeGroup removes the group when setup made it and nothing is in it.
func (s *Stage) removeVolumeGroup(ctx context.Context) ([]setup.Item, error) {
	if s.node.Diskless || !s.has("vgs") {
		return nil, nil
	}
	vg, err := s.group(ctx)
	if err != nil || vg == nil {
		return nil, err
	}
	switch {
	case !vg.ours():
		return []setup.Item{keep(s.vgName(), "not made by setup")}, nil
	case vg.LVs > 0:
		it := keep(s.vgName(), "logical volumes in it: %d", vg.LVs)
		it.Why = "if their data is not needed: lvremove " + vg.Name + ", vgremove " + vg.Name + ", pvremove " + s.node.Device
		return []setup.Item{it}, nil
	}
	return []setup.Item{{Object: s.vgName(), Action: setup.Drop, Detail: "it is empty; its devices stay physical volumes", Do: s.dropGroup}}, nil
}

func (s *Stage) dropGroup(ctx context.Context, _ setup.Progress) error {
	vg, err := s.group(ctx)
	if err != nil || vg == nil {
		return err
	}
	if vg.LVs > 0 || !vg.ours() {
		return fmt.Errorf("%s is not empty any more", s.vgName())
	}
	// Without --yes, vgremove refuses a group that has volumes.
	if err := s.change(ctx, "setup.host.vgremove", "vgremove", vg.Name); err != nil {
		return fmt.Errorf("remove volume group %s: %w", vg.Name, err)
	}
	return nil
}
