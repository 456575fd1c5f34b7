package snapshot

import (
	"fmt"
	"strconv"
)

// Bytes is a number of bytes.
type Bytes int64

// String is the number in the largest unit of which there is at least one, with
// one digit behind the point: "8.0 MiB".
func (b Bytes) String() string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	f, i := float64(b), 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", b)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

// Sizes of a thick snapshot's chunks. A larger one takes less of the kernel's
// memory for its table; a smaller one wastes no room on what is not overwritten.
const (
	chunkWhole   Bytes = 16 << 10 // as DRBD's own snapshot handler; the room is enough for any
	chunkChanged Bytes = 4 << 10  // the block of DRBD's bitmap, and dm-snapshot's smallest
)

// marginPart of the volume is reckoned with beside what the resync overwrites,
// for what the survivor writes afterwards.
const marginPart = 10

// Limits of a thin pool, in percent.
const (
	poolDataLimit = 95
	poolMetaLimit = 75
)

// overwritten is how much of the volume is reckoned with as overwritten.
func overwritten(origin volume, r Request) Bytes {
	whole := Bytes(origin.Size)
	if r.ChangedBytes < 0 {
		return whole
	}
	return min(whole, r.ChangedBytes+whole/marginPart)
}

// cow is the room that a thick snapshot needs for n overwritten bytes: a header,
// the chunks, and tables of 16 bytes a chunk, of which one more chunk ends the
// list (drivers/md/dm-snap-persistent.c); in whole extents.
func cow(n, chunk, extent Bytes) Bytes {
	const entry = 16
	chunks := (n + chunk - 1) / chunk
	tables := chunks/(chunk/entry) + 1
	size := (1 + chunks + tables) * chunk
	return (size + extent - 1) / extent * extent
}

// room returns lvcreate's arguments for the room of a snapshot, or [ErrNoRoom].
func (all volumes) room(origin volume, r Request) ([]string, error) {
	if origin.Size <= 0 || origin.Extent <= 0 || origin.Free < 0 {
		return nil, fmt.Errorf("lvs does not say how large %s and its volume group are", origin.full())
	}
	if origin.thin() {
		// Without the flag the snapshot would be skipped at activation, now and at boot.
		return []string{"--setactivationskip", "n"}, all.poolHasRoom(origin, r)
	}
	size := func(size, chunk Bytes) []string {
		return []string{"--size", fmt.Sprintf("%db", size), "--chunksize", fmt.Sprintf("%dk", chunk>>10)}
	}
	free, extent := Bytes(origin.Free), Bytes(origin.Extent)
	whole := cow(Bytes(origin.Size), chunkWhole, extent)
	if whole <= free {
		return size(whole, chunkWhole), nil
	}
	least := cow(overwritten(origin, r), chunkChanged, extent)
	if least <= free {
		return size(least, chunkChanged), nil
	}
	return nil, fmt.Errorf("%w: volume group %s has %s free, and at least %s are needed (%s for one that can never overflow); "+
		"see drbdnfs split-brain snapshots for what can be removed, or give the group another device: vgextend",
		ErrNoRoom, origin.Group, free, least, whole)
}

// poolHasRoom reports whether the thin pool of a volume can take a snapshot. LVM
// itself refuses too, but not before the pool is full.
func (all volumes) poolHasRoom(origin volume, r Request) error {
	pool, err := all.find(origin.Group + "/" + origin.Pool)
	name := origin.Group + "/" + origin.Pool
	switch {
	case err != nil:
		return fmt.Errorf("thin pool %s: %w", name, err)
	case pool.Health != "":
		return fmt.Errorf("thin pool %s is not in order: %s", name, pool.Health)
	case pool.Data < 0, pool.Meta < 0, pool.Size <= 0:
		return fmt.Errorf("lvs does not say how full thin pool %s is", name)
	case pool.Meta >= poolMetaLimit:
		return fmt.Errorf("%w: %s %% of the metadata of thin pool %s are used, %d %% is the limit: lvextend --poolmetadatasize",
			ErrNoRoom, percent(pool.Meta), name, poolMetaLimit)
	}
	need := overwritten(origin, r)
	free := Bytes(pool.Size * (poolDataLimit - pool.Data) / 100)
	if need > free {
		return fmt.Errorf("%w: thin pool %s has %s left below %d %% (%s %% are used), and %s are needed: extend it with lvextend",
			ErrNoRoom, name, max(free, 0), poolDataLimit, percent(pool.Data), need)
	}
	return nil
}

func percent(n number) string { return strconv.FormatFloat(float64(n), 'f', -1, 64) }
