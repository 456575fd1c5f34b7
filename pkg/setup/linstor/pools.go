package linstor

import (
	"context"
	"fmt"
	"strings"

	linstor "github.com/LINBIT/golinstor"
	"github.com/LINBIT/golinstor/client"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// Properties of a storage pool. All versions of LINSTOR take volume group and
// thin pool apart; newer ones turn them into one property and show that.
const (
	propVG      = linstor.NamespcStorageDriver + "/" + linstor.KeyStorPoolVolumeGroup
	propThin    = linstor.NamespcStorageDriver + "/" + linstor.KeyStorPoolThinPool
	propBacking = linstor.NamespcStorageDriver + "/" + linstor.KeyStorPoolName
)

func poolObject(c *config.Config, n config.Node) string {
	return "storage pool " + c.Storage.Pool + " on " + n.Name
}

// provider is LINSTOR's word for the driver of n's pool.
func (s *Stage) provider(n config.Node) client.ProviderKind {
	switch {
	case n.Diskless:
		return client.DISKLESS
	case s.c.Storage.Driver == config.DriverLVMThin:
		return client.LVM_THIN
	}
	return client.LVM
}

func (s *Stage) providerOf(name string) client.ProviderKind {
	n, _ := s.c.Node(name)
	return s.provider(n)
}

// backing is what the pool is made of: VG or VG/THINPOOL.
func (s *Stage) backing() string {
	if s.c.Storage.Driver == config.DriverLVMThin {
		return s.c.Storage.VolumeGroup + "/" + s.c.Storage.ThinPool
	}
	return s.c.Storage.VolumeGroup
}

// backingOf is the same of a pool that LINSTOR has, in either of its forms.
func backingOf(p client.StoragePool) string {
	if name := p.Props[propBacking]; name != "" {
		return name
	}
	if thin := p.Props[propThin]; thin != "" {
		return p.Props[propVG] + "/" + thin
	}
	return p.Props[propVG]
}

func (s *Stage) poolItems(a *api, w *world) []setup.Item {
	var items []setup.Item
	for _, n := range s.c.Diskful() {
		detail := fmt.Sprintf("%s, %s", s.provider(n), s.backing())
		have, ok := w.pool(n.Name)
		if !ok {
			items = append(items, s.create(poolObject(s.c, n), detail, "storage.pool", func(ctx context.Context) error {
				return s.makePool(ctx, a, n)
			}))
			continue
		}
		if key, problem := s.differs(n, have); problem != "" {
			items = append(items, refuse(poolObject(s.c, n), key,
				"correct the file, or name another pool in storage.pool", "%s", problem))
			continue
		}
		items = append(items, keep(poolObject(s.c, n), detail, "storage.pool"))
		items = append(items, s.poolReports(w, n, have)...)
		items = append(items, s.capacity(w, n, have)...)
	}
	return items
}

// differs says what a pool of the right name is made of, when it is not what the
// configuration says, and the key that says so.
func (s *Stage) differs(n config.Node, p client.StoragePool) (key, problem string) {
	have, want := backingOf(p), s.backing()
	haveVG, _, _ := strings.Cut(have, "/")
	switch {
	case p.ProviderKind != s.provider(n):
		return "storage.driver", fmt.Sprintf("LINSTOR has it with driver %s, the file has %s", p.ProviderKind, s.provider(n))
	case haveVG != s.c.Storage.VolumeGroup:
		return "storage.volume_group", fmt.Sprintf("LINSTOR has it on %s, the file has %s", have, want)
	case have != want:
		return "storage.thin_pool", fmt.Sprintf("LINSTOR has it on %s, the file has %s", have, want)
	}
	return "", ""
}

// poolReports passes on what LINSTOR complains about.
func (s *Stage) poolReports(w *world, n config.Node, p client.StoragePool) []setup.Item {
	for _, r := range p.Reports {
		if failed(r) && w.online(n.Name) {
			return []setup.Item{warn(poolObject(s.c, n), "storage.pool", "linstor storage-pool list",
				"LINSTOR reports: %s", sentence(r))}
		}
	}
	return nil
}

// capacity compares the free space with what a resource on n will take. LINSTOR
// says 0 of 0 for a pool that it has not been able to look at.
func (s *Stage) capacity(w *world, n config.Node, p client.StoragePool) []setup.Item {
	if _, placed := w.resource(n.Name); placed || p.TotalCapacity == 0 {
		return nil
	}
	if problem := s.tooSmall(p); problem != "" {
		return []setup.Item{refuse(poolObject(s.c, n), "resource.size",
			"choose a smaller resource.size, or add space to the volume group: vgextend", "%s", problem)}
	}
	if p.ProviderKind == client.LVM_THIN && p.FreeCapacity < s.sizeKiB() {
		return []setup.Item{warn(poolObject(s.c, n), "resource.size",
			"watch data_percent of lvs, or extend the thin pool: lvextend",
			"%s are free of the %s that the volume may grow to: writes fail when the thin pool is full",
			kib(p.FreeCapacity), kib(s.sizeKiB()))}
	}
	return nil
}

// tooSmall says how much a pool lacks, "" when the volume fits. A thin pool may
// hold larger volumes than it has space for.
func (s *Stage) tooSmall(p client.StoragePool) string {
	need := grossKiB(s.sizeKiB())
	if p.ProviderKind != client.LVM || p.TotalCapacity == 0 || p.FreeCapacity >= need {
		return ""
	}
	return fmt.Sprintf("%s are free, %s with DRBD's metadata takes %s", kib(p.FreeCapacity), s.c.Resource.Size, kib(need))
}

// makePool makes the pool on n. What is there already is compared.
func (s *Stage) makePool(ctx context.Context, a *api, n config.Node) error {
	pool := s.c.Storage.Pool
	doing := "create storage pool " + pool + " on " + n.Name
	have, err := orNil(a.Nodes.GetStoragePool(ctx, n.Name, pool))
	if err != nil {
		return a.fail("look at "+poolObject(s.c, n), err)
	}
	if have == nil {
		props := map[string]string{propVG: s.c.Storage.VolumeGroup}
		if s.provider(n) == client.LVM_THIN {
			props[propThin] = s.c.Storage.ThinPool
		}
		err := a.Nodes.CreateStoragePool(ctx, n.Name, client.StoragePool{
			StoragePoolName: pool, NodeName: n.Name, ProviderKind: s.provider(n), Props: props,
		})
		if err := a.unlessExists(doing, err, linstor.FailExistsStorPool); err != nil {
			return err
		}
		if have, err = orNil(a.Nodes.GetStoragePool(ctx, n.Name, pool)); err != nil {
			return a.fail("look at "+poolObject(s.c, n), err)
		}
	}
	if have == nil {
		return fmt.Errorf("%s: LINSTOR took it and does not have it: linstor error-reports list", doing)
	}
	if _, problem := s.differs(n, *have); problem != "" {
		return fmt.Errorf("%s: %s", doing, problem)
	}
	return nil
}

const (
	peerSlots    = 7        // LINSTOR's default: bitmaps that the metadata has room for
	bitmapPerKiB = 8 * 4096 // KiB of data that one KiB of one peer's bitmap covers
	fixedKiB     = 36       // activity log and superblock
	extentKiB    = 4096     // LVM's default extent
)

// sizeKiB is the volume's size as LINSTOR counts it. The configuration takes
// whole KiB only.
func (s *Stage) sizeKiB() int64 { return s.c.Resource.Size.Bytes() / 1024 }

// grossKiB is what a logical volume for net KiB takes with DRBD's internal
// metadata (drbd: drbd_md_set_sector_offsets), in whole extents.
func grossKiB(net int64) int64 {
	gross := net + peerSlots*up(net, bitmapPerKiB)/bitmapPerKiB + fixedKiB
	return up(gross, extentKiB)
}

// up rounds n up to a multiple of unit.
func up(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// kib writes a number of KiB in the largest unit in which it is at least 10, as
// "6144 GiB", for people.
func kib(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	value := float64(n)
	for len(units) > 1 && value >= 10*1024 {
		value, units = value/1024, units[1:]
	}
	return fmt.Sprintf("%.4g %s", value, units[0])
}

// exact writes a number of KiB without rounding, as "6T".
func exact(n int64) string { return config.Size(n * 1024).String() }
