package nfs

import (
	"context"
	"fmt"
	"net/netip"
	"path"

	"github.com/spacei/drbdnfs/pkg/host"
)

// NotifyUnit is the unit in which sm-notify tells NFSv3 clients to reclaim
// their locks; for further addresses a number is added.
const NotifyUnit = "drbdnfs-notify%d.service"

// notifyRunDir holds the copies of rpc.statd's directory for further addresses.
const notifyRunDir = "/run/drbdnfs/notify"

// notifySystem is what NotifyLockClients needs of the machine.
type notifySystem interface {
	stateSystem
	LookPath(name string) (string, error)
	StartTransient(ctx context.Context, op string, u host.Unit) error
}

// NotifyLockClients tells the NFSv3 clients in the volume's list that the
// server has restarted, from each of addrs, so that they reclaim their locks.
// It comes last in a promotion: a client that is told before the server can be
// reached gives its locks up. sm-notify goes on in the background, in units of
// its own; it repeats what is not answered.
//
// The first address takes the list itself, and moves it to sm.bak; each
// further one gets a copy that is made before.
func (s *State) NotifyLockClients(ctx context.Context, sys notifySystem, addrs []netip.Addr) error {
	program, err := sys.LookPath("sm-notify")
	if err != nil {
		return err
	}
	dir := path.Join(s.volume, statdDir(sys, s.volume))
	if err := sys.RemoveAll("nfs.notify", notifyRunDir); err != nil {
		return err
	}
	var units []host.Unit
	for i, addr := range addrs {
		// -d keeps it in the foreground, so that its unit ends with it.
		argv := []string{program, "-d", "-f", "-v", addr.String()}
		if i > 0 {
			copyDir := fmt.Sprintf("%s/%d", notifyRunDir, i)
			if err := s.copyMonitors(dir, copyDir); err != nil {
				return err
			}
			argv = append(argv, "-P", copyDir)
		}
		units = append(units, host.Unit{
			Name:        fmt.Sprintf(NotifyUnit, i),
			Description: "drbdnfs: tell NFSv3 clients to reclaim locks from " + addr.String(),
			Commands:    [][]string{argv}, Before: []string{PacemakerUnit}, NoWait: true,
		})
	}
	for _, u := range units {
		if err := sys.StartTransient(ctx, "nfs.notify", u); err != nil {
			return err
		}
	}
	return nil
}

func (s *State) copyMonitors(from, to string) error {
	if err := s.sys.MkdirAll("nfs.notify", path.Dir(to), 0o711); err != nil {
		return err
	}
	// Only what sm-notify reads: the lists and the state number.
	var skip []string
	names, err := s.sys.ReadDir(from)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n != "sm" && n != "sm.bak" && n != "state" {
			skip = append(skip, n)
		}
	}
	return s.sys.CopyTree("nfs.notify", from, to, skip...)
}
