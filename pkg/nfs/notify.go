package nfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strconv"

	"github.com/spacei/drbdnfs/pkg/host"
)

// NotifyUnit is the unit in which sm-notify tells NFSv3 clients to reclaim
// their locks, one for each address.
const NotifyUnit = "drbdnfs-notify%d.service"

// notifySystem is what NotifyLockClients needs of the machine.
type notifySystem interface {
	stateSystem
	LookPath(name string) (string, error)
	StartTransient(ctx context.Context, op string, u host.Unit) error
}

// statd is rpc.statd's directory on the volume.
func (s *State) statd() (string, error) {
	dir, err := statdDir(s.sys, s.volume)
	return path.Join(s.volume, dir), err
}

// notifyDir holds what sm-notify works on: for each address a copy of the list
// of retired clients, from which it takes those that it has reached.
func (s *State) notifyDir() string { return path.Join(s.volume, "drbdnfs-notify") }

// RetireLockClients moves the list of NFSv3 clients with locks (sm) to the list
// of those that have to be told about the restart (sm.bak), and takes the NSM
// state number to the next one when there are any. It must be done before rpc.statd starts, so that what is in sm then are only clients that
// lock from now on; and before lockd ends, which makes a running rpc.statd
// delete what is in sm.
//
// sm-notify does the same when it is given the live directory. By then clients
// may have locked again, and it would retire those too, while the kernel
// believes that rpc.statd watches them: at the next failover nobody would tell
// them.
func (s *State) RetireLockClients() error {
	const op = "nfs.retire"
	if err := s.sys.RemoveAll(op, s.notifyDir()); err != nil {
		return err
	}
	dir, err := s.statd()
	if err != nil {
		return err
	}
	sm, bak := dir+"/sm", dir+"/sm.bak"
	clients, err := readNames(s.sys, sm)
	if err != nil || len(clients) == 0 {
		return err
	}
	old, err := readNames(s.sys, bak)
	if err != nil {
		return err
	}
	if err := s.bumpState(op, dir+"/state"); err != nil {
		return err
	}
	if len(old) == 0 {
		err := s.sys.Exchange(op, sm, bak)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	for _, c := range clients {
		if err := s.sys.Rename(op, sm+"/"+c, bak+"/"+c); err != nil {
			return err
		}
	}
	return nil
}

// bumpState takes the NSM state number to the next odd one, as sm-notify does
// (nfs-utils support/nsm/file.c nsm_get_state): odd means that the server is
// up, another one that it has restarted.
func (s *State) bumpState(op, file string) error {
	data, err := s.sys.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read NSM state number: %w", err)
	}
	next := uint32(1)
	if len(data) >= 4 {
		n := binary.NativeEndian.Uint32(data)
		next = n + 1 + n&1
	}
	return s.sys.WriteFileAtomic(op, file, binary.NativeEndian.AppendUint32(nil, next), 0o644)
}

// readNames lists a directory; one that is missing is empty.
func readNames(sys fileReader, dir string) ([]string, error) {
	names, err := sys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list NFSv3 clients: %w", err)
	}
	return names, nil
}

// LockClients lists the NFSv3 clients that may have locks to reclaim: those
// with locks, and those that were retired and not told yet.
func (s *State) LockClients() ([]string, error) {
	dir, err := s.statd()
	if err != nil {
		return nil, err
	}
	names, err := readNames(s.sys, dir+"/sm")
	if err != nil {
		return nil, err
	}
	old, err := readNames(s.sys, dir+"/sm.bak")
	return append(names, old...), err
}

// NotifyLockClients tells the retired clients that the server has restarted,
// from each of addrs, so that they reclaim their locks. It comes last in a
// promotion: a client that is told before the server can be reached gives its
// locks up. sm-notify goes on in the background, in units of its own; it
// repeats what is not answered. No retired client is no work.
func (s *State) NotifyLockClients(ctx context.Context, sys notifySystem, addrs []netip.Addr) error {
	dir, err := s.statd()
	if err != nil {
		return err
	}
	clients, err := readNames(s.sys, dir+"/sm.bak")
	if err != nil || len(clients) == 0 {
		return err
	}
	program, err := sys.LookPath("sm-notify")
	if err != nil {
		return err
	}
	if err := s.copyRetired(dir, len(addrs)); err != nil {
		return err
	}
	for i, addr := range addrs {
		err := sys.StartTransient(ctx, "nfs.notify", host.Unit{
			Name:        fmt.Sprintf(NotifyUnit, i),
			Description: "drbdnfs: tell NFSv3 clients to reclaim locks from " + addr.String(),
			// -d keeps it in the foreground, so that its unit ends with it; -n
			// leaves the state number, which is the next one already.
			Commands: [][]string{{program, "-d", "-f", "-n", "-v", addr.String(), "-P", s.notifyDir() + "/" + strconv.Itoa(i)}},
			Before:   []string{PacemakerUnit}, NoWait: true,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// copyRetired makes n copies of the retired list in rpc.statd's directory. They
// appear under their name at once: ForgetNotified takes what is missing there
// for done.
func (s *State) copyRetired(lists string, n int) error {
	const op = "nfs.notify"
	tmp := s.notifyDir() + ".tmp"
	for _, dir := range []string{tmp, s.notifyDir()} {
		if err := s.sys.RemoveAll(op, dir); err != nil {
			return err
		}
	}
	uid, gid, err := s.sys.Owner(lists + "/sm.bak")
	if err != nil {
		return fmt.Errorf("look at the retired NFSv3 clients: %w", err)
	}
	state, err := s.sys.ReadFile(lists + "/state")
	if err != nil {
		return fmt.Errorf("read NSM state number: %w", err)
	}
	for i := range n {
		dir := tmp + "/" + strconv.Itoa(i)
		if err := s.sys.MkdirAll(op, dir+"/sm.bak", 0o711); err != nil {
			return err
		}
		if err := s.sys.CopyTree(op, lists+"/sm.bak", dir+"/sm"); err != nil {
			return err
		}
		if err := s.sys.WriteFileAtomic(op, dir+"/state", state, 0o644); err != nil {
			return err
		}
		// sm-notify becomes the owner of its directory.
		for _, p := range []string{dir, dir + "/sm.bak", dir + "/state"} {
			if err := s.sys.Chown(op, p, uid, gid); err != nil {
				return err
			}
		}
	}
	return s.sys.Rename(op, tmp, s.notifyDir())
}

// ForgetNotified takes those clients off the volume's list that sm-notify has
// reached from every address. The others are told again after the next
// failover. It is harmless at any time, while sm-notify works too.
func (s *State) ForgetNotified() error {
	copies, err := readNames(s.sys, s.notifyDir())
	if err != nil || len(copies) == 0 {
		return err
	}
	pending := map[string]bool{}
	for _, c := range copies {
		for _, list := range []string{"sm", "sm.bak"} {
			names, err := readNames(s.sys, s.notifyDir()+"/"+c+"/"+list)
			if err != nil {
				return err
			}
			for _, n := range names {
				pending[n] = true
			}
		}
	}
	dir, err := s.statd()
	if err != nil {
		return err
	}
	clients, err := readNames(s.sys, dir+"/sm.bak")
	for _, c := range clients {
		if !pending[c] {
			err = errors.Join(err, s.sys.Remove("nfs.notified", dir+"/sm.bak/"+c))
		}
	}
	return err
}
