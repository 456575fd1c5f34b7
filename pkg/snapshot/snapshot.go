package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	BlockDevice(path string) (major, minor int, err error)
	Mounts() ([]host.Mount, error)
}

var _ machine = (*host.Host)(nil)

// ErrNotLVM reports a backing device that is not a logical volume: a disk, or
// something that lies above LVM, such as encryption. There is nothing then that
// a snapshot can be made of.
var ErrNotLVM = errors.New("not a logical volume of LVM")

// ErrNoRoom reports that the volume group or the thin pool has too little room.
// The error says how much there is and how much is needed.
var ErrNoRoom = errors.New("no room for a snapshot")

// ErrUnusable reports a snapshot that is there and holds nothing that can be
// relied on: it was cut off while it was made, it is not active, or it
// overflowed. The error says what to do.
var ErrUnusable = errors.New("the snapshot cannot be used")

// State is what can be said of a snapshot's contents.
type State string

// The states of a snapshot.
const (
	Valid      State = "valid"      // active, and everything in it is what was there
	Invalid    State = "invalid"    // overflowed or damaged: what it kept is lost
	Inactive   State = "inactive"   // not active, so that LVM cannot tell
	Unfinished State = "unfinished" // LVM was cut off: an ordinary volume with our tags
)

// Snapshot is one that was made by this package.
type Snapshot struct {
	Name     string    `json:"name"`          // volume group and volume: drbdpool/res0_00000_sb_20261123T140745
	Device   string    `json:"device"`        // /dev/drbdpool/res0_00000_sb_20261123T140745
	Origin   string    `json:"origin"`        // drbdpool/res0_00000; empty when unfinished, or when a thin one's origin was removed
	Pool     string    `json:"pool"`          // thin pool, drbdpool/thin; empty when thick
	Resource string    `json:"resource"`      // DRBD resource
	Volume   int       `json:"volume"`        // DRBD volume number
	Incident string    `json:"incident"`      // split brain for which it was made
	Made     time.Time `json:"made,omitzero"` // LVM's record, to the second; zero when LVM has none
	Size     Bytes     `json:"size_bytes"`    // thick: the room for copies; thin: the size of the volume
	// UsedPercent is how full the room is: of a thick snapshot its own, of
	// a thin one its pool's data. It is -1 when LVM cannot tell.
	UsedPercent float64 `json:"used_percent"`
	State       State   `json:"state"`
	Open        bool    `json:"open"` // mounted, or held open by a program
}

// Is reports whether name means this snapshot: its name with or without the
// volume group, or the path of its device.
func (s Snapshot) Is(name string) bool {
	_, lv, _ := strings.Cut(s.Name, "/")
	return name == s.Name || name == s.Device || name == lv
}

// Request says what to make a snapshot of.
type Request struct {
	Resource   string // DRBD resource
	Volume     int    // DRBD volume number
	BackingDev string // DRBD's backing device, by any of its paths
	Incident   string // the split brain; one incident has one snapshot of a volume
	// ChangedBytes is what the resync is going to overwrite: what was changed on
	// either side. Negative is unknown; then the whole volume is reckoned with.
	ChangedBytes Bytes
	When         time.Time // becomes part of the name, in UTC
}

// Keeper makes, lists and removes snapshots. Use [New]. It holds no state.
type Keeper struct{ m machine }

// New returns a Keeper on the machine.
func New(m machine) *Keeper { return &Keeper{m: m} }

// Bounds of waiting. A command that makes or removes a snapshot suspends the
// volume for a moment and must not be cut off in it, hence the long limit.
const (
	lookLimit   = time.Minute
	changeLimit = 3 * time.Minute
	settleLimit = 15 * time.Second // for an lvcreate that an earlier run has left behind
	settlePoll  = time.Second
)

// Make makes a snapshot of the backing device and returns it when LVM shows it
// as active and valid. A snapshot that an earlier call has made for the same
// incident, resource and volume is returned instead, also one that is about to
// be finished; so a caller that was killed just calls again.
//
// Errors are [ErrNotLVM], [ErrNoRoom], [ErrUnusable] (a snapshot of this
// incident is there, but a person has to look at it), or what LVM said. Nothing
// is removed on the way. When ctx ends first, LVM is ended too: give it minutes,
// for an lvcreate that is killed can leave the volume suspended.
func (k *Keeper) Make(ctx context.Context, r Request) (Snapshot, error) {
	s, err := k.make(ctx, r)
	if err != nil {
		return Snapshot{}, fmt.Errorf("snapshot of %s, volume %d of %s: %w", r.BackingDev, r.Volume, r.Resource, err)
	}
	return s, nil
}

func (k *Keeper) make(ctx context.Context, r Request) (Snapshot, error) {
	if err := r.check(); err != nil {
		return Snapshot{}, err
	}
	all, err := k.look(ctx)
	if err != nil {
		return Snapshot{}, err
	}
	origin, err := k.origin(all, r.BackingDev)
	if err != nil {
		return Snapshot{}, err
	}
	if s, ok := all.madeFor(origin, r); ok {
		return k.settle(ctx, s.Name)
	}
	name := snapshotName(origin.Group, origin.Name, r.When)
	room, err := all.room(origin, r)
	if err != nil {
		return Snapshot{}, err
	}
	args := []string{"--yes", "--snapshot", "--permission", "r"}
	for _, tag := range r.tags() {
		args = append(args, "--addtag", tag)
	}
	args = append(args, "--name", name)
	args = append(args, room...)
	if err := k.change(ctx, "snapshot.lvcreate", "lvcreate", append(args, origin.full())...); err != nil {
		return Snapshot{}, err
	}
	return k.settle(ctx, origin.Group+"/"+name)
}

// origin is the logical volume behind a device. Device numbers tell, whichever
// of its paths was given.
func (k *Keeper) origin(all volumes, device string) (volume, error) {
	major, minor, err := k.m.BlockDevice(device)
	if err != nil {
		return volume{}, err
	}
	i := slices.IndexFunc(all, func(v volume) bool { return int(v.Major) == major && int(v.Minor) == minor })
	if i < 0 {
		return volume{}, fmt.Errorf("device %d:%d: %w", major, minor, ErrNotLVM)
	}
	return all[i], nil
}

// settle waits until the snapshot is active and valid, as it is at once unless
// an earlier run's lvcreate still works on it.
func (k *Keeper) settle(ctx context.Context, name string) (Snapshot, error) {
	end := time.Now().Add(settleLimit)
	for {
		all, err := k.look(ctx)
		if err != nil {
			return Snapshot{}, err
		}
		s, ok := all.named(name)
		if !ok {
			return Snapshot{}, fmt.Errorf("%w: lvs does not show %s", ErrUnusable, name)
		}
		if s.State == Valid {
			return s, nil
		}
		if s.State == Invalid || !time.Now().Before(end) {
			return Snapshot{}, s.unusable()
		}
		select {
		case <-ctx.Done():
			return Snapshot{}, errors.Join(s.unusable(), ctx.Err())
		case <-time.After(settlePoll):
		}
	}
}

// unusable says why a snapshot is not valid, and what to do.
func (s Snapshot) unusable() error {
	why := "has overflowed or is damaged, what it kept is lost"
	switch s.State {
	case Inactive:
		why = "is not active; look at it with lvs -a and dmsetup status, then lvchange --activate y --ignoreactivationskip " + s.Name
	case Unfinished:
		why = "was cut off while LVM made it and holds nothing; if lvs shows no origin for it: lvremove " + s.Name
	}
	return fmt.Errorf("%w: %s %s", ErrUnusable, s.Name, why)
}

// List returns the snapshots of a resource, of all with "", the oldest first. A
// machine without LVM has none. It changes nothing.
func (k *Keeper) List(ctx context.Context, resource string) ([]Snapshot, error) {
	all, err := k.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return slices.DeleteFunc(all.snapshots(), func(s Snapshot) bool { return resource != "" && s.Resource != resource }), nil
}
