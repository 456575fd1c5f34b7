package drbdadm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/resfile"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/signature"
)

// Tags of logical volumes.
const (
	tagOurs = "drbdnfs"
	tagNew  = "drbdnfs-new" // not wiped yet
)

// defaultPeers is how many peers new metadata of DRBD 9 has room for, so that
// nodes can be added without moving data. It is LINSTOR's number; each takes 32
// MiB for 1 TiB.
const defaultPeers = 7

// volume is a logical volume as lvs shows it.
type volume struct {
	Name  string `json:"lv_name"`
	Bytes string `json:"lv_size"`
	Tags  string `json:"lv_tags"`
	Attr  string `json:"lv_attr"`
}

func (v volume) size() int64 {
	n, _ := strconv.ParseInt(v.Bytes, 10, 64) // unreadable is 0: too small, refused
	return n
}

func (v volume) tagged(tag string) bool { return slices.Contains(strings.Split(v.Tags, ","), tag) }

// group is a volume group as vgs shows it.
type group struct {
	Name string `json:"vg_name"`
	Free string `json:"vg_free"`
}

// maxPeers is the room for peers in new metadata.
func (s *Stage) maxPeers(f *facts) int {
	if !f.v9 {
		return 1
	}
	return max(defaultPeers, len(s.Config.Nodes)-1)
}

// VolumeBytes is how large a logical volume has to be for a DRBD device of size
// bytes: with the metadata of DRBD 9 (v9) for as many peers as this stage makes
// room for, or of DRBD 8.4.
func VolumeBytes(c *config.Config, size config.Size, v9 bool) int64 {
	s := &Stage{Options: Options{Config: c}}
	return withMetadata(size.Bytes(), s.maxPeers(&facts{v9: v9}))
}

// withMetadata returns the size of a volume that leaves size bytes to DRBD's
// device beside internal metadata for peers (User's Guide, "Estimating metadata
// size": a bit for each 4 KiB and peer, activity log and superblock).
func withMetadata(size int64, peers int) int64 {
	const (
		sector  = 512
		perPage = 1 << 18 // sectors for which a peer's bitmap takes 8 sectors
		fixed   = 72      // sectors
		round   = 1 << 20
	)
	total := size
	for {
		pages := (total/sector + perPage - 1) / perPage
		need := size + (pages*8*int64(peers)+fixed)*sector
		if need <= total {
			return (total + round - 1) / round * round
		}
		total = need
	}
}

// list runs one of LVM's reporting commands for the volume group. Without LVM
// there is nothing to list.
func list[T any](ctx context.Context, m machine, program, key, fields, vg string) ([]T, error) {
	res, err := m.Run(ctx, host.Cmd{Op: "setup." + program, Name: program, Args: []string{
		"--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields, "--select", "vg_name=" + vg,
	}})
	if errors.Is(err, host.ErrNotInstalled) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at volume group %s: %w", vg, err)
	}
	var out struct {
		Report []map[string][]T `json:"report"`
	}
	if err := json.Unmarshal(res.Stdout, &out); err != nil {
		return nil, fmt.Errorf("look at volume group %s: %s: %w", vg, program, err)
	}
	var all []T
	for _, r := range out.Report {
		all = append(all, r[key]...)
	}
	return all, nil
}

func (s *Stage) volumes(ctx context.Context) ([]volume, error) {
	return list[volume](ctx, s.Machine, "lvs", "lv", "lv_name,lv_size,lv_tags,lv_attr", s.Config.Storage.VolumeGroup)
}

// find returns the volume called name.
func find(volumes []volume, name string) (volume, bool) {
	i := slices.IndexFunc(volumes, func(v volume) bool { return v.Name == name })
	if i < 0 {
		return volume{}, false
	}
	return volumes[i], true
}

// lvName is the volume as LVM's commands take it.
func (s *Stage) lvName() string { return s.Config.Storage.VolumeGroup + "/" + s.Config.Resource.Name }

func (s *Stage) lookVolume(ctx context.Context, f *facts) (setup.Item, error) {
	if f.node.Diskless {
		f.volume = true
		return setup.Item{}, nil
	}
	it := setup.Item{Object: "logical volume " + s.lvName(), Key: "resource.size"}
	volumes, err := s.volumes(ctx)
	if err != nil {
		return it, err
	}
	v, ok := find(volumes, s.Config.Resource.Name)
	if !ok {
		return s.newVolume(ctx, f, it, volumes)
	}
	need := withMetadata(s.Config.Resource.Size.Bytes(), max(1, len(s.Config.Nodes)-1))
	switch {
	case v.tagged(tagNew):
		it.Action, it.Detail, it.Do = setup.Change, "an earlier run was cut off before old signatures were wiped", s.finishVolume
		return it, nil
	case v.size() < need:
		it.Action, it.Detail = setup.Refuse, fmt.Sprintf("has %d bytes, %s with DRBD's metadata need %d", v.size(), s.Config.Resource.Size, need)
		it.Why = fmt.Sprintf("grow it on each node (lvextend -L %db %s), then on one drbdadm resize %s and xfs_growfs %s; or correct resource.size (%s)",
			need, s.lvName(), s.Config.Resource.Name, s.Config.Filesystem.Mount, s.Config.At("resource.size"))
		return it, nil
	case !v.tagged(tagOurs):
		return s.foreignVolume(ctx, f, it)
	}
	f.volume = true
	it.Action, it.Detail = setup.Keep, fmt.Sprintf("%d bytes", v.size())
	return it, nil
}

// newVolume is the item for a volume that is not there.
func (s *Stage) newVolume(ctx context.Context, f *facts, it setup.Item, volumes []volume) (setup.Item, error) {
	st := s.Config.Storage
	groups, err := list[group](ctx, s.Machine, "vgs", "vg", "vg_name,vg_free", st.VolumeGroup)
	if err != nil {
		return it, err
	}
	size := withMetadata(s.Config.Resource.Size.Bytes(), s.maxPeers(f))
	if len(groups) == 0 {
		it.Action, it.Detail = setup.Later, "volume group "+st.VolumeGroup+" is not there yet"
		it.Why = "stage host makes it from the node's device"
		return it, nil
	}
	if st.Driver == config.DriverLVMThin {
		if pool, ok := find(volumes, st.ThinPool); !ok || !strings.HasPrefix(pool.Attr, "t") {
			it.Action, it.Detail, it.Key = setup.Later, "thin pool "+st.VolumeGroup+"/"+st.ThinPool+" is not there", "storage.thin_pool"
			it.Why = fmt.Sprintf("make it: lvcreate --type thin-pool -l 95%%FREE -n %s %s", st.ThinPool, st.VolumeGroup)
			return it, nil
		}
	} else if free, err := strconv.ParseInt(groups[0].Free, 10, 64); err != nil || free < size {
		it.Action = setup.Refuse
		it.Detail = fmt.Sprintf("%s with DRBD's metadata need %d bytes, volume group %s has %s free", s.Config.Resource.Size, size, st.VolumeGroup, groups[0].Free)
		it.Why = "make resource.size smaller (" + s.Config.At("resource.size") + "), or give the volume group another device: vgextend"
		return it, nil
	}
	it.Action, it.Detail = setup.Make, fmt.Sprintf("%s and DRBD's metadata, %d bytes", s.Config.Resource.Size, size)
	it.Do = func(ctx context.Context, _ setup.Progress) error { return s.createVolume(ctx, size) }
	return it, nil
}

// foreignVolume is the item for a volume that setup has not made. It is taken
// over when it is the resource's already.
func (s *Stage) foreignVolume(ctx context.Context, f *facts, it setup.Item) (setup.Item, error) {
	found, err := signature.Probe(ctx, s.Machine, resfile.BackingDevice(s.Config), signature.Any)
	if err != nil {
		return it, err
	}
	text, err := s.read(s.path())
	if err != nil {
		return it, err
	}
	if found.Type == drbdType && ours(text) && strings.Contains(text, resfile.BackingDevice(s.Config)) {
		f.volume = true
		it.Action, it.Detail = setup.Keep, "holds the resource already"
		return it, nil
	}
	it.Action, it.Detail = setup.Refuse, "exists, was not made by setup, and holds "+found.String()
	it.Why = fmt.Sprintf("choose another resource.name (%s), or remove the volume if nobody needs it: lvremove %s", s.Config.At("resource.name"), s.lvName())
	return it, nil
}

// createVolume makes the volume. It gets its tags together with its name, so
// that a run that is cut off at any moment leaves something that says so.
func (s *Stage) createVolume(ctx context.Context, size int64) error {
	volumes, err := s.volumes(ctx)
	if err != nil {
		return err
	}
	if _, ok := find(volumes, s.Config.Resource.Name); !ok {
		st := s.Config.Storage
		args := []string{"--yes", "--wipesignatures", "y", "--addtag", tagOurs, "--addtag", tagNew, "--name", s.Config.Resource.Name}
		if st.Driver == config.DriverLVMThin {
			args = append(args, "--virtualsize", fmt.Sprintf("%db", size), "--thin", st.VolumeGroup+"/"+st.ThinPool)
		} else {
			args = append(args, "--size", fmt.Sprintf("%db", size), st.VolumeGroup)
		}
		if _, err := s.Machine.Run(ctx, host.Cmd{Op: "setup.lvcreate", Name: "lvcreate", Args: args}); err != nil {
			return fmt.Errorf("make logical volume %s: %w", s.lvName(), err)
		}
	}
	return s.finishVolume(ctx, nil)
}

// finishVolume wipes what the blocks of a new volume held before. Until that is
// done nothing is put on it; wipefs refuses a volume that is mounted or in use.
func (s *Stage) finishVolume(ctx context.Context, _ setup.Progress) error {
	volumes, err := s.volumes(ctx)
	if err != nil {
		return err
	}
	v, ok := find(volumes, s.Config.Resource.Name)
	switch {
	case !ok:
		return fmt.Errorf("logical volume %s has gone", s.lvName())
	case !v.tagged(tagOurs):
		return fmt.Errorf("logical volume %s was made by somebody else meanwhile", s.lvName())
	case !v.tagged(tagNew):
		return nil
	}
	device := resfile.BackingDevice(s.Config)
	if _, err := s.Machine.Run(ctx, host.Cmd{Op: "setup.wipefs", Name: "wipefs", Args: []string{"--all", device}}); err != nil {
		return fmt.Errorf("wipe new volume %s: %w", device, err)
	}
	found, err := signature.Probe(ctx, s.Machine, device, signature.Any)
	if err != nil {
		return err
	}
	if !found.Blank() {
		return fmt.Errorf("new volume %s still shows %s", device, found)
	}
	if _, err := s.Machine.Run(ctx, host.Cmd{Op: "setup.lvchange", Name: "lvchange", Args: []string{"--deltag", tagNew, s.lvName()}}); err != nil {
		return fmt.Errorf("mark volume %s as wiped: %w", s.lvName(), err)
	}
	return s.checkVolume(ctx)
}

// checkVolume makes sure that the volume is there, finished.
func (s *Stage) checkVolume(ctx context.Context) error {
	volumes, err := s.volumes(ctx)
	if err != nil {
		return err
	}
	if v, ok := find(volumes, s.Config.Resource.Name); !ok || v.tagged(tagNew) {
		return errors.New("logical volume " + s.lvName() + ": lvs does not show it as finished")
	}
	return nil
}
