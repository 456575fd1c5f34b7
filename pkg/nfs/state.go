package nfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
)

// stateSystem is what State needs of the machine.
type stateSystem interface {
	fileReader
	Lstat(path string) (fs.FileInfo, error)
	Readlink(path string) (string, error)
	MkdirAll(op, path string, perm fs.FileMode) error
	Remove(op, path string) error
	RemoveAll(op, path string) error
	Rename(op, from, to string) error
	ReplaceSymlink(op, target, path string) error
	Exchange(op, a, b string) error
	CopyTree(op, src, dst string, skip ...string) error
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	Owner(path string) (uid, gid int, err error)
	Chown(op, path string, uid, gid int) error
	Mounts() ([]host.Mount, error)
}

// State is the NFS state directory: /var/lib/nfs as a symbolic link that leads
// to the node's own copy, or, while the node serves, to the one on the volume.
// The link is switched by one rename; it never dangles and never disappears.
type State struct {
	sys    stateSystem
	volume string
}

// NewState returns the state directory whose volume copy is at volume.
func NewState(sys stateSystem, volume string) *State {
	return &State{sys: sys, volume: path.Clean(volume)}
}

// Place is where /var/lib/nfs leads.
type Place int

// The places.
const (
	PlaceDirectory Place = iota // a directory: never touched by this program
	PlaceLocal                  // the node's own copy
	PlaceVolume                 // the copy on the volume
	PlaceForeign                // somewhere else, or something else
	PlaceMissing                // nowhere, although a copy of ours is there: an adoption was interrupted
	PlaceAbsent                 // nowhere: nfs-utils is not installed
)

// ErrForeignState reports that something else than this program decides what
// /var/lib/nfs is.
var ErrForeignState = errors.New("not made by drbdnfs")

// Place says where /var/lib/nfs leads. It reads the link alone and does no I/O
// on the volume.
func (s *State) Place() (Place, error) {
	st, err := s.sys.Lstat(Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s.missing(), nil
	}
	if err != nil {
		return PlaceForeign, fmt.Errorf("look at %s: %w", Dir, err)
	}
	if st.IsDir() {
		return PlaceDirectory, nil
	}
	if st.Mode()&fs.ModeSymlink == 0 {
		return PlaceForeign, nil
	}
	target, err := s.sys.Readlink(Dir)
	if err != nil {
		return PlaceForeign, fmt.Errorf("look at %s: %w", Dir, err)
	}
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(Dir), target)
	}
	switch path.Clean(target) {
	case LocalDir:
		return PlaceLocal, nil
	case s.volume:
		return PlaceVolume, nil
	}
	return PlaceForeign, nil
}

// missing tells apart why there is no /var/lib/nfs.
func (s *State) missing() Place {
	for _, dir := range []string{LocalDir, LocalDir + ".new"} {
		if _, err := s.sys.Lstat(dir); err == nil {
			return PlaceMissing
		}
	}
	return PlaceAbsent
}

// ToLocal makes /var/lib/nfs lead to the node's own copy, and makes that copy
// out of the directory that nfs-utils installed when it is the first time.
// It is idempotent and can be interrupted at any instruction. It refuses a
// mount at or below the directory and a link that leads elsewhere.
func (s *State) ToLocal() error {
	place, err := s.Place()
	if err != nil {
		return err
	}
	switch place {
	case PlaceForeign:
		target, _ := s.sys.Readlink(Dir)
		return fmt.Errorf("%s leads to %q: %w; put the directory of nfs-utils back there", Dir, target, ErrForeignState)
	case PlaceDirectory:
		return s.adoptDirectory()
	case PlaceLocal:
		return s.ensureLocal()
	}
	if err := s.ensureLocal(); err != nil {
		return err
	}
	return s.sys.ReplaceSymlink("state.link", LocalDir, Dir)
}

// adoptDirectory turns the directory into a link to itself under its new
// name. The two names are exchanged in one step; where the file system cannot,
// there is an instant without the path, which ToLocal repairs when it is run
// again (PlaceMissing).
func (s *State) adoptDirectory() error {
	if err := s.refuseMounts(); err != nil {
		return err
	}
	if st, err := s.sys.Lstat(LocalDir); err == nil && st.IsDir() {
		// A package update can have put a directory in the place of the link.
		return fmt.Errorf("%s and %s are both directories: %w; merge them and remove one", Dir, LocalDir, ErrForeignState)
	}
	if err := s.sys.ReplaceSymlink("state.adopt", LocalDir, LocalDir); err != nil {
		return err
	}
	err := s.sys.Exchange("state.adopt", LocalDir, Dir)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := s.sys.Rename("state.adopt", Dir, LocalDir+".new"); err != nil {
		return err
	}
	if err := s.sys.RemoveAll("state.adopt", LocalDir); err != nil {
		return err
	}
	if err := s.sys.Rename("state.adopt", LocalDir+".new", LocalDir); err != nil {
		return err
	}
	return s.sys.ReplaceSymlink("state.adopt", LocalDir, Dir)
}

func (s *State) refuseMounts() error {
	mounts, err := s.sys.Mounts()
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if m.Dir == Dir || strings.HasPrefix(m.Dir, Dir+"/") {
			return fmt.Errorf("%s (%s) is mounted there: umount it; %s must be switched by drbdnfs", m.Dir, m.Type, Dir)
		}
	}
	return nil
}

// ensureLocal makes sure that the node's own copy is a directory with what
// nfs-utils expects in it. The hand-made procedure leaves the original in
// /var/lib/nfs_.
func (s *State) ensureLocal() error {
	st, err := s.sys.Lstat(LocalDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("look at the node's own NFS state: %w", err)
	case st.IsDir():
		return nil
	default: // at most the link of an interrupted adoption
		if err := s.sys.Remove("state.local", LocalDir); err != nil {
			return err
		}
	}
	if st, err := s.sys.Lstat(LocalDir + ".new"); err == nil && st.IsDir() {
		return s.sys.Rename("state.local", LocalDir+".new", LocalDir)
	}
	if st, err := s.sys.Lstat(Dir + "_"); err == nil && st.IsDir() {
		return s.copyInto("state.local", Dir+"_", LocalDir)
	}
	return s.skeleton(LocalDir)
}

// skeleton makes an empty state directory for a node that has lost its own.
func (s *State) skeleton(dir string) error {
	const op = "state.skeleton"
	tmp := dir + ".seed"
	if err := s.sys.RemoveAll(op, tmp); err != nil {
		return err
	}
	statd := newStatdDir(s.sys)
	for _, sub := range []string{statd + "/sm", statd + "/sm.bak", "/nfsdcld", "/nfsdcltrack", "/v4recovery"} {
		if err := s.sys.MkdirAll(op, tmp+sub, 0o755); err != nil {
			return err
		}
	}
	for _, file := range []string{"/etab", "/rmtab", "/xtab"} {
		if err := s.sys.WriteFileAtomic(op, tmp+file, nil, 0o644); err != nil {
			return err
		}
	}
	return s.sys.Rename(op, tmp, dir)
}

// RestoreLocal makes /var/lib/nfs lead to the node's own copy where it leads
// nowhere: after a reset of a node that served, before anything else needs it.
// It reports whether it had to. A link that leads somewhere is left alone, and
// so is everything that is no link.
func RestoreLocal(sys stateSystem) (bool, error) {
	if st, err := sys.Lstat(Dir); err != nil || st.Mode()&fs.ModeSymlink == 0 {
		return false, nil
	}
	if _, err := sys.Stat(Dir); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if st, err := sys.Lstat(LocalDir); err != nil || !st.IsDir() {
		return false, nil
	}
	return true, sys.ReplaceSymlink("state.restore", LocalDir, Dir)
}

// Seed makes the volume's copy out of the node's own when there is none yet.
// The copy appears under its name in one rename, so that an interrupted Seed
// leaves nothing that looks complete. The volume must be mounted and
// /var/lib/nfs must lead to the node's own copy.
func (s *State) Seed() error {
	if st, err := s.sys.Stat(s.volume); err == nil {
		if !st.IsDir() {
			return fmt.Errorf("nfs_state_dir %s is not a directory: remove or rename it", s.volume)
		}
		return nil
	}
	if err := s.sys.MkdirAll("state.seed", path.Dir(s.volume), 0o755); err != nil {
		return err
	}
	return s.copyInto("state.seed", LocalDir, s.volume)
}

func (s *State) copyInto(op, from, to string) error {
	tmp := to + ".seed"
	if err := s.sys.RemoveAll(op, tmp); err != nil {
		return err
	}
	if err := s.sys.CopyTree(op, from, tmp, "rpc_pipefs"); err != nil {
		return err
	}
	return s.sys.Rename(op, tmp, to)
}

// ToVolume makes /var/lib/nfs lead to the copy on the volume, which must
// exist, and empties the export table there: exports come from the
// configuration alone, and what another node wrote is stale.
func (s *State) ToVolume(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	place, err := s.Place()
	if err != nil {
		return err
	}
	if place != PlaceLocal && place != PlaceVolume {
		return fmt.Errorf("%s is not a link of drbdnfs: %w; run start first", Dir, ErrForeignState)
	}
	if st, err := s.sys.Stat(s.volume); err != nil || !st.IsDir() {
		return fmt.Errorf("nfs_state_dir %s is missing on the volume", s.volume)
	}
	if err := s.sys.WriteFileAtomic("state.etab", s.volume+"/etab", nil, 0o644); err != nil {
		return err
	}
	if err := s.own(); err != nil {
		return err
	}
	if place == PlaceVolume {
		return nil
	}
	return s.sys.ReplaceSymlink("state.link", s.volume, Dir)
}

// own gives rpc.statd's files on the volume to the account that has them on
// this node: the daemon runs as the owner of its directory and refuses files
// of others, and the number of that account can differ between nodes.
func (s *State) own() error {
	local, err := statdDir(s.sys, LocalDir)
	if err != nil {
		return err
	}
	remote, err := s.statd()
	if err != nil {
		return err
	}
	uid, gid, err := s.sys.Owner(path.Join(LocalDir, local, "sm"))
	if err != nil {
		return nil // the node has no NFSv3 state, so no account for it either
	}
	paths := []string{remote + "/sm", remote + "/sm.bak", remote + "/state"}
	if remote != s.volume {
		paths = append(paths, remote)
	}
	for _, dir := range paths[:2] {
		names, _ := s.sys.ReadDir(dir)
		for _, n := range names {
			paths = append(paths, dir+"/"+n)
		}
	}
	for _, p := range paths {
		u, g, err := s.sys.Owner(p)
		if err != nil || (u == uid && g == gid) {
			continue
		}
		if err := s.sys.Chown("state.own", p, uid, gid); err != nil {
			return err
		}
	}
	return nil
}
