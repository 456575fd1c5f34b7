package snapshot

import (
	"context"
	"fmt"
)

// Room reports whether [Keeper.Make] would find room for a snapshot now: nil, or
// [ErrNoRoom] or [ErrNotLVM] with what is missing. It makes nothing. Of r only
// BackingDev and ChangedBytes count. Other errors are LVM's, or the end of ctx.
func (k *Keeper) Room(ctx context.Context, r Request) error {
	all, err := k.look(ctx)
	if err != nil {
		return err
	}
	origin, err := k.origin(all, r.BackingDev)
	if err == nil {
		_, err = all.room(origin, r)
	}
	if err != nil {
		return fmt.Errorf("snapshot of %s: %w", r.BackingDev, err)
	}
	return nil
}
