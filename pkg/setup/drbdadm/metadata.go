package drbdadm

import (
	"context"
	"fmt"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/resfile"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/signature"
)

// What blkid calls DRBD's metadata.
const (
	drbdType  = "drbd"
	version84 = "v08"
	version9  = "v09"
)

func (s *Stage) lookMetadata(ctx context.Context, f *facts) (setup.Item, error) {
	if f.node.Diskless {
		return setup.Item{}, nil
	}
	it := setup.Item{Object: "DRBD metadata of " + s.Config.Resource.Name}
	switch {
	case f.status != nil:
		f.metadata = true
		it.Action, it.Detail = setup.Keep, "in use"
		return it, nil
	case !f.volume || !f.file:
		it.Action, it.Detail, it.Why = setup.Later, "after the volume and the resource file", "the items above come first"
		return it, nil
	}
	found, err := signature.Probe(ctx, s.Machine, resfile.BackingDevice(s.Config), signature.Any)
	if err != nil {
		return it, err
	}
	want := version84
	if f.v9 {
		want = version9
	}
	switch {
	case found.Blank():
		it.Action, it.Detail = setup.Make, "the volume is blank"
		it.Do = func(ctx context.Context, _ setup.Progress) error { return s.createMetadata(ctx, f) }
	case found.Type == drbdType && (found.Version == want || found.Version == ""):
		f.metadata = true
		it.Action, it.Detail = setup.Keep, "there"
	case found.Type == drbdType:
		it.Action, it.Detail = setup.Refuse, resfile.BackingDevice(s.Config)+" has metadata "+found.Version+", this kernel's DRBD writes "+want
		it.Why = "convert it after a backup: drbdadm create-md " + s.Config.Resource.Name + " asks before it does"
	default:
		it.Action, it.Detail = setup.Refuse, resfile.BackingDevice(s.Config)+" holds "+found.String()
		it.Why = "setup does not overwrite it; if nobody needs it: lvremove " + s.lvName()
	}
	return it, nil
}

// createMetadata writes metadata to a volume that is still blank.
func (s *Stage) createMetadata(ctx context.Context, f *facts) error {
	name, device := s.Config.Resource.Name, resfile.BackingDevice(s.Config)
	found, err := signature.Probe(ctx, s.Machine, device, signature.Any)
	if err != nil {
		return err
	}
	has, err := s.adm.HasMetadata(ctx, name)
	if err != nil {
		return err
	}
	switch {
	case has:
		return nil
	case !found.Blank():
		return fmt.Errorf("%s is not blank any more, it holds %s", device, found)
	}
	peers := 0
	if f.v9 {
		peers = s.maxPeers(f)
	}
	if err := s.adm.CreateMetadata(ctx, name, peers); err != nil {
		return err
	}
	if has, err = s.adm.HasMetadata(ctx, name); err != nil {
		return err
	}
	if !has {
		return fmt.Errorf("drbdadm create-md %s: there is no metadata afterwards", name)
	}
	return nil
}

func (s *Stage) lookUp(ctx context.Context, f *facts) (setup.Item, error) {
	it := setup.Item{Object: s.object(), Do: s.bringUp}
	switch {
	case f.status != nil:
		return s.lookDisk(ctx, f, it)
	case !f.file || !f.node.Diskless && !f.metadata:
		it.Action, it.Detail, it.Why, it.Do = setup.Later, "is brought up after its metadata", "the items above come first", nil
		return it, nil
	case f.node.Diskless:
		it.Action, it.Detail = setup.Make, "bring it up, without a disk"
		return it, nil
	}
	unused, err := s.unused(ctx)
	if err != nil {
		return it, err
	}
	if !unused {
		it.Action, it.Detail, it.Do = setup.Keep, "down: Pacemaker brings it up", nil
		return it, nil
	}
	it.Action, it.Detail = setup.Make, "bring it up"
	return it, nil
}

// unused reports whether nothing can be served from the volume yet, because
// there is no file system on it.
func (s *Stage) unused(ctx context.Context) (bool, error) {
	found, err := signature.Probe(ctx, s.Machine, resfile.BackingDevice(s.Config), signature.Content)
	return err == nil && found.Blank(), err
}

// lookDisk is the item for a resource that is up.
func (s *Stage) lookDisk(ctx context.Context, f *facts, it setup.Item) (setup.Item, error) {
	d := firstDevice(f.status)
	attached := d != nil && (f.node.Diskless || d.Disk != drbd.DiskDiskless && d.Disk != drbd.DiskFailed)
	if attached && !standAlone(f.status) && len(f.status.Connections) > 0 {
		it.Action, it.Detail, it.Do = setup.Keep, fmt.Sprintf("up, %s, disk %s", f.status.Role, d.Disk), nil
		return it, nil
	}
	if !f.file || !f.volume {
		it.Action, it.Detail, it.Why, it.Do = setup.Later, "is completed after the resource file", "the items above come first", nil
		return it, nil
	}
	created := f.node.Diskless
	if !created {
		var err error
		if created, err = s.adm.JustCreated(ctx, s.Config.Resource.Name); err != nil {
			return it, err
		}
	}
	switch {
	case created: // no data, so no split brain: to complete it is safe
		it.Action, it.Detail = setup.Change, "is half up, an earlier run was cut off"
	case attached:
		it.Action, it.Detail, it.Do = setup.Warn, "is up and has given up the connection to a peer", nil
		it.Why = "find out why before you connect it again: drbdadm status, and dmesg, which names a split brain"
	default:
		it.Action, it.Detail, it.Do = setup.Refuse, "is up without its disk", nil
		it.Why = "see dmesg for why DRBD has detached it; when the device is sound: drbdadm adjust " + s.Config.Resource.Name
	}
	return it, nil
}

// firstDevice is the volume of r on this node, nil while there is none.
func firstDevice(r *drbd.Resource) *drbd.Device {
	if r == nil || len(r.Devices) == 0 {
		return nil
	}
	return r.SortedDevices()[0]
}

// bringUp brings the resource up and waits until DRBD has read its metadata.
func (s *Stage) bringUp(ctx context.Context, p setup.Progress) error {
	name := s.Config.Resource.Name
	r, err := s.status(ctx)
	if err != nil {
		return err
	}
	if r == nil {
		err = s.adm.Up(ctx, name)
	} else {
		err = s.adm.Adjust(ctx, name)
	}
	if err != nil {
		return err
	}
	for {
		if r, err = s.status(ctx); err != nil {
			return err
		}
		d := firstDevice(r)
		if d != nil && !d.Disk.Transitional() {
			return nil
		}
		p.Waiting("DRBD attaches " + resfile.BackingDevice(s.Config))
		if err := pause(ctx); err != nil {
			return fmt.Errorf("bring up %s: %w", name, err)
		}
	}
}

// pause waits until it is time to look again.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(setup.PollInterval):
		return nil
	}
}
