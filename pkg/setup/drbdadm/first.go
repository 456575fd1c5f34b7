package drbdadm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/drbd/resfile"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/signature"
)

// demoteTime bounds how long the way back to Secondary may take when the caller's
// context has ended. udev looks at a device that was written and holds it open
// for a moment.
const demoteTime = 20 * time.Second

func (s *Stage) lookFirst(ctx context.Context, f *facts) (setup.Item, error) {
	if f.node.Diskless {
		return setup.Item{}, nil
	}
	it := setup.Item{Object: "first good copy of " + s.Config.Resource.Name, Key: "resource.source"}
	d := firstDevice(f.status)
	switch {
	case f.status == nil && f.metadata:
		unused, err := s.unused(ctx)
		if err != nil {
			return it, err
		}
		if !unused {
			it.Action, it.Detail = setup.Keep, "the volume has a file system"
			return it, nil
		}
		it.Action, it.Detail, it.Why = setup.Later, "after the resource is up", "the items above come first"
	case d == nil:
		it.Action, it.Detail, it.Why = setup.Later, "after the resource is up", "the items above come first"
	case d.Disk != drbd.DiskInconsistent:
		return s.lookGood(ctx, f, d, it)
	case peerHas(f.status, drbd.DiskUpToDate):
		it.Action, it.Detail = setup.Keep, "a peer has it, this node synchronises from it"
	default:
		return s.lookInconsistent(ctx, f, it)
	}
	if !f.source && it.Action == setup.Later {
		return s.otherSource(it), nil
	}
	return it, nil
}

func (s *Stage) otherSource(it setup.Item) setup.Item {
	it.Action, it.Detail = setup.Other, "node "+s.Config.Source().Name+" has it"
	it.Why = ""
	return it
}

// lookGood is the item for a disk that has data. A Primary that nothing can be
// served from is what a run left that was cut off.
func (s *Stage) lookGood(ctx context.Context, f *facts, d *drbd.Device, it setup.Item) (setup.Item, error) {
	it.Action, it.Detail = setup.Keep, "disk "+string(d.Disk)
	if !f.source || f.status.Role != drbd.RolePrimary || d.Disk != drbd.DiskUpToDate {
		return it, nil
	}
	found, err := signature.Probe(ctx, s.Machine, resfile.BackingDevice(s.Config), signature.Content)
	if err != nil {
		return it, err
	}
	if found.Blank() {
		it.Action, it.Detail = setup.Change, "this node is still Primary, an earlier run was cut off"
		it.Do = func(ctx context.Context, _ setup.Progress) error { return s.demote(ctx, f.status) }
	}
	return it, nil
}

// lookInconsistent is the item while no node is known to have good data.
func (s *Stage) lookInconsistent(ctx context.Context, f *facts, it setup.Item) (setup.Item, error) {
	created, err := s.adm.JustCreated(ctx, s.Config.Resource.Name)
	if err != nil {
		return it, err
	}
	switch {
	case !f.source:
		return s.otherSource(it), nil
	case !created:
		it.Action = setup.Refuse
		it.Detail = "the disk is Inconsistent and no node with good data is connected (" + strings.Join(drbd.Health(f.status), ", ") + ")"
		it.Why = "it was being synchronised: bring the other nodes up (drbdadm up " + s.Config.Resource.Name + " there), setup declares nothing good that has a history"
	default:
		it.Action, it.Detail = setup.Await, "the others are synchronised from "+s.Self+", whose volume is blank: what they hold is overwritten"
		it.Why = "waits until the other nodes with a disk are connected"
		it.Do = s.declareGood
	}
	return it, nil
}

// peerHas reports whether a connected peer has a disk in the given state.
func peerHas(r *drbd.Resource, disk drbd.DiskState) bool {
	for _, c := range r.SortedConnections() {
		for _, p := range c.SortedPeerDevices() {
			if p.Live() && p.PeerDisk == disk {
				return true
			}
		}
	}
	return false
}

// declareGood waits for the other nodes and makes this one the source of the
// first synchronisation.
func (s *Stage) declareGood(ctx context.Context, p setup.Progress) error {
	for {
		r, err := s.status(ctx)
		if err != nil {
			return err
		}
		missing, err := s.blankEverywhere(r)
		switch {
		case errors.Is(err, errHasData):
			return nil
		case err != nil:
			return err
		case len(missing) == 0:
			return s.force(ctx, r)
		}
		p.Waiting(strings.Join(missing, ", ") + ": run drbdnfs setup apply there")
		if err := pause(ctx); err != nil {
			return fmt.Errorf("wait for %s: %w", strings.Join(missing, ", "), err)
		}
	}
}

// errHasData reports that some node has good data already.
var errHasData = errors.New("a node has good data")

// blankEverywhere returns the nodes with a disk that are not there yet, none
// when all are and their disks are as blank as this one.
func (s *Stage) blankEverywhere(r *drbd.Resource) (missing []string, err error) {
	name := s.Config.Resource.Name
	d := firstDevice(r)
	switch {
	case d == nil:
		return nil, fmt.Errorf("resource %s went down meanwhile", name)
	case d.Disk == drbd.DiskUpToDate || peerHas(r, drbd.DiskUpToDate):
		return nil, errHasData
	case d.Disk != drbd.DiskInconsistent:
		return nil, fmt.Errorf("resource %s: disk is %s, not Inconsistent as a blank one is", name, d.Disk)
	case standAlone(r):
		return nil, fmt.Errorf("resource %s: a connection is StandAlone; see dmesg, then drbdadm adjust %s", name, name)
	}
	for _, n := range s.Config.Diskful() {
		if n.Name == s.Self {
			continue
		}
		c := connectionTo(r, n.Name)
		switch disk := peerDisk(c); {
		case disk == "", disk == drbd.DiskDiskless, disk.Transitional(), disk == drbd.DiskUnknown:
			missing = append(missing, n.Name)
		case c.Role == drbd.RolePrimary:
			return nil, fmt.Errorf("%s is Primary for %s", n.Name, name)
		case disk != drbd.DiskInconsistent:
			return nil, fmt.Errorf("%s has disk %s for %s, not Inconsistent as a blank one is", n.Name, disk, name)
		}
	}
	return missing, nil
}

// connectionTo returns the connection to node, or nil. DRBD 8.4 has one and no
// names.
func connectionTo(r *drbd.Resource, node string) *drbd.Connection {
	for _, c := range r.SortedConnections() {
		if c.Name == node || r.Kernel84 {
			return c
		}
	}
	return nil
}

// peerDisk returns the disk of the peer, "" while it is not connected.
func peerDisk(c *drbd.Connection) drbd.DiskState {
	if c == nil || c.State != drbd.ConnConnected {
		return ""
	}
	for _, p := range c.SortedPeerDevices() {
		if p.Live() {
			return p.PeerDisk
		}
	}
	return ""
}

// force makes the data of this node the good one, right after it was looked at.
func (s *Stage) force(ctx context.Context, r *drbd.Resource) error {
	created, err := s.adm.JustCreated(ctx, r.Name)
	if err != nil {
		return err
	}
	if !created {
		return fmt.Errorf("%s got data meanwhile; run setup again", r.Name)
	}
	s.Log.Info("declaring the blank volume good", "resource", r.Name, "node", s.Self)
	err = s.adm.ForcePrimary(ctx, r.Name)
	if err := errors.Join(err, s.demote(ctx, r)); err != nil {
		return err
	}
	after, err := s.status(ctx)
	if err != nil {
		return err
	}
	if d := firstDevice(after); d == nil || d.Disk != drbd.DiskUpToDate {
		return fmt.Errorf("%s: the disk is not UpToDate after primary --force: %s", r.Name, strings.Join(drbd.Health(after), ", "))
	}
	return nil
}

// demote makes this node Secondary, also when ctx has ended.
func (s *Stage) demote(ctx context.Context, r *drbd.Resource) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), demoteTime)
	defer cancel()
	for {
		err := s.adm.Demote(ctx, r)
		if !errors.Is(err, admin.ErrHeldOpen) {
			return err
		}
		if pause(ctx) != nil {
			return err
		}
	}
}
