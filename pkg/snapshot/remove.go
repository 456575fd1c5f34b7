package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Remove removes a snapshot of this package, by its name with or without the
// volume group, or by its device. What is in it is lost for good.
//
// It refuses whatever does not carry our tags, whatever is not a snapshot now,
// and what is open, saying where it is mounted when this mount namespace knows.
// A name that does not exist is an error too. It looks afterwards whether the
// snapshot has gone.
func (k *Keeper) Remove(ctx context.Context, name string) error {
	if err := k.remove(ctx, name); err != nil {
		return fmt.Errorf("remove snapshot %s: %w", name, err)
	}
	return nil
}

func (k *Keeper) remove(ctx context.Context, name string) error {
	all, err := k.look(ctx)
	if err != nil {
		return err
	}
	v, err := all.find(name)
	if err != nil {
		return err
	}
	if err := k.removable(v, all); err != nil {
		return err
	}
	if err := k.change(ctx, "snapshot.lvremove", "lvremove", "--yes", v.full()); err != nil {
		return err
	}
	if all, err = k.look(ctx); err != nil {
		return err
	}
	if _, err := all.find(v.full()); err == nil {
		return errors.New("lvremove was content, and lvs still shows it")
	}
	return nil
}

// removable returns why a volume must stay.
func (k *Keeper) removable(v volume, all volumes) error {
	s, ours := v.snapshot(all)
	switch {
	case !ours:
		return errors.New("it does not have the tags of a snapshot that drbdnfs has made, so it stays")
	case !v.role("snapshot"):
		return fmt.Errorf("LVM does not show it as a snapshot, so it stays; if nobody needs it: lvremove %s", s.Name)
	case !s.Open:
		return nil
	}
	dirs, err := k.mountedOn(v)
	switch {
	case err != nil:
		return errors.Join(errors.New("it is in use"), err)
	case len(dirs) == 0:
		return fmt.Errorf("it is in use, and not by a mount that is seen here: dmsetup ls --tree and lsof %s tell more", s.Device)
	}
	return fmt.Errorf("it is mounted on %s: umount it first", strings.Join(dirs, ", "))
}

// mountedOn lists the mount points of a volume in this namespace.
func (k *Keeper) mountedOn(v volume) ([]string, error) {
	mounts, err := k.m.Mounts()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, m := range mounts {
		if m.Major == int(v.Major) && m.Minor == int(v.Minor) {
			dirs = append(dirs, m.Dir)
		}
	}
	return dirs, nil
}
