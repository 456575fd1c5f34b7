package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// unfinished is how a directory is called until it has its owner and mode.
const unfinished = ".drbdnfs-new"

// errInTheWay reports something that is no directory on the way to an exported
// one.
var errInTheWay = errors.New("is in the way")

// below returns the path of export i on the volume that is mounted on root.
func (s *Stage) below(i int, root string) string {
	return path.Join(root, strings.TrimPrefix(path.Clean(s.Config.Exports[i].Path), path.Clean(s.Config.Filesystem.Mount)))
}

// missing reports whether dir, below root, has to be made. A symbolic link
// anywhere below root could lead off the volume and is an error that is
// errInTheWay, as is a file.
func (s *Stage) missing(dir, root string) (bool, error) {
	at := root
	for name := range strings.SplitSeq(strings.Trim(strings.TrimPrefix(dir, root), "/"), "/") {
		at = path.Join(at, name)
		st, err := s.Machine.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return true, nil
		case err != nil:
			return false, fmt.Errorf("look at %s: %w", at, err)
		case st.Mode()&fs.ModeSymlink != 0:
			return false, fmt.Errorf("symbolic link %s %w", at, errInTheWay)
		case !st.IsDir():
			return false, fmt.Errorf("%s %w", at, errInTheWay)
		}
	}
	return false, nil
}

// lookDirectory is the item for the directory of export i.
func (s *Stage) lookDirectory(i int, root string) (setup.Item, error) {
	e := s.Config.Exports[i]
	it := setup.Item{Object: "directory " + e.Path, Key: fmt.Sprintf("export[%d].path", i)}
	missing, err := s.missing(s.below(i, root), root)
	switch {
	case errors.Is(err, errInTheWay):
		it.Action, it.Detail = setup.Refuse, err.Error()
		it.Why = "export a directory (" + s.Config.At(it.Key) + ")"
		return it, nil
	case err != nil:
		return it, err
	case missing:
		it.Action, it.Detail = setup.Make, "on the volume, "+strings.Join(installArgs(e.Owner, e.Mode), " ")
		it.Do = func(ctx context.Context, _ setup.Progress) error { return s.makeHere(ctx, i) }
	default:
		it.Action, it.Detail = setup.Keep, "there"
	}
	return it, nil
}

// makeHere makes the directory of export i where the group has the volume
// mounted.
func (s *Stage) makeHere(ctx context.Context, i int) error {
	place, err := s.mounted(ctx)
	if err != nil {
		return err
	}
	if place.Dir != s.Config.Filesystem.Mount {
		return fmt.Errorf("the volume is not mounted on %s any more; run setup again", s.Config.Filesystem.Mount)
	}
	return s.makeDirectory(ctx, i, place.Dir)
}

// installArgs are the options of install(1) for owner ("user", "user:group")
// and mode.
func installArgs(owner, mode string) []string {
	user, group, _ := strings.Cut(owner, ":")
	var args []string
	if mode != "" {
		args = append(args, "-m", mode)
	}
	if user != "" {
		args = append(args, "-o", user)
	}
	if group != "" {
		args = append(args, "-g", group)
	}
	return args
}

// makeDirectory makes the directory of export i below root, unless it is there.
// It appears with its owner and mode in one step.
func (s *Stage) makeDirectory(ctx context.Context, i int, root string) error {
	e, dir := s.Config.Exports[i], s.below(i, root)
	if missing, err := s.missing(dir, root); err != nil || !missing {
		return err
	}
	if err := s.Machine.MkdirAll("setup.parent", path.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make directories above %s: %w", e.Path, err)
	}
	args := append([]string{"-d"}, installArgs(e.Owner, e.Mode)...)
	args = append(args, "--", dir+unfinished)
	if _, err := s.Machine.Run(ctx, host.Cmd{Op: "setup.install", Name: "install", Args: args}); err != nil {
		return fmt.Errorf("make directory %s: %w", e.Path, err)
	}
	if err := s.Machine.Rename("setup.directory", dir+unfinished, dir); err != nil {
		return fmt.Errorf("make directory %s: %w", e.Path, err)
	}
	if missing, err := s.missing(dir, root); err != nil || missing {
		return errors.Join(fmt.Errorf("directory %s is not there after it was made", e.Path), err)
	}
	return nil
}
