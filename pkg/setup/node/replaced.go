package node

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/setup"
)

// The exports of a hand-made server, and where they are put when the group takes
// its place.
const (
	exportsFile  = "/etc/exports"
	exportsAside = "/etc/exports.before-drbdnfs"
)

// onVolume reports whether a directory is on the group's volume.
func (s *Stage) onVolume(dir string) bool {
	mount := s.cfg.Filesystem.Mount
	return dir == mount || strings.HasPrefix(dir, mount+"/")
}

// lookReplaced is for a server that hand-made resources run until the group
// takes their place: here it is neither stopped nor are its exports touched.
func (s *Stage) lookReplaced(u unitState, exports []string) []setup.Item {
	others := slices.DeleteFunc(slices.Clone(exports), s.onVolume)
	if len(others) > 0 {
		return []setup.Item{refuse("", nfsServer, "it serves what is not on the volume as well: "+strings.Join(others, ", "),
			"move that to another machine, and take it out of "+exportsFile)}
	}
	items := []setup.Item{keep(nfsServer, "runs until the group takes its place")}
	if u.enabled() {
		items = append(items, setup.Item{
			Object: nfsServer, Action: setup.Change, Detail: "not started at boot", Why: "the kernel has one NFS server, and the group runs it",
			Do: s.disable(nfsServer, false),
		})
	}
	return items
}

// SetExportsAside renames /etc/exports, whose directories the group exports from
// now on: with it the agent refuses to start, for systemd would mount them at
// boot. It is done on each node, on the active one when the hand-made server has
// stopped. A second call does nothing; a file that exports more than the volume
// is an error, and stays.
func (s *Stage) SetExportsAside() error {
	exports, err := s.exports(false)
	if err != nil || len(exports) == 0 {
		return err
	}
	if i := slices.IndexFunc(exports, func(d string) bool { return !s.onVolume(d) }); i >= 0 {
		return fmt.Errorf("%s exports %s, which is not on the volume: take it out", exportsFile, exports[i])
	}
	data, err := s.m.ReadFile(exportsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set %s aside: %w", exportsFile, err)
	}
	if len(exported(data)) > 0 {
		if err := s.m.Rename("setup.host.exports", exportsFile, exportsAside); err != nil {
			return fmt.Errorf("set %s aside: %w", exportsFile, err)
		}
	}
	if exports, err = s.exports(false); err == nil && len(exports) > 0 {
		err = fmt.Errorf("%s is still exported by a file of /etc/exports.d: take it out", exports[0])
	}
	return err
}
