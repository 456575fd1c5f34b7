package drbdadm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/drbd/resfile"
	"github.com/spacei/drbdnfs/pkg/setup"
)

const (
	resourceDir = "/etc/drbd.d"
	linstorDir  = "/var/lib/linstor.d"
	runDir      = "/run/drbdnfs"
)

// path is the resource file.
func (s *Stage) path() string { return resourceDir + "/" + s.Config.Resource.Name + ".res" }

// trial is the copy that drbdadm reads first. It stays until the kernel has the
// options too, which says to the next run that one was cut off.
func (s *Stage) trial() string { return runDir + "/setup-" + s.Config.Resource.Name + ".res" }

// read returns the text of a file, "" when it does not exist.
func (s *Stage) read(file string) (string, error) {
	data, err := s.Machine.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return string(data), nil
}

// ours reports whether setup has written a resource file.
func ours(text string) bool { return strings.HasPrefix(text, resfile.Header) }

func (s *Stage) lookFile(_ context.Context, f *facts) (setup.Item, error) {
	it := setup.Item{Object: s.path(), Key: "resource"}
	if refusal, err := s.conflict(); err != nil || refusal.Action != "" {
		return refusal, err
	}
	want, err := resfile.Render(s.Config, f.v9)
	if err != nil {
		it.Action, it.Detail, it.Why = setup.Refuse, err.Error(), "correct the configuration ("+s.Config.At("resource")+")"
		return it, nil
	}
	have, err := s.read(s.path())
	if err != nil {
		return it, err
	}
	cut, err := s.read(s.trial())
	if err != nil {
		return it, err
	}
	doIt := func(ctx context.Context, _ setup.Progress) error { return s.writeFile(ctx, want) }
	switch {
	case have == want && (cut != want || f.status == nil):
		f.file = true
		it.Action, it.Detail = setup.Keep, "as configured"
	case have == want:
		it.Action, it.Detail, it.Do = setup.Change, "the kernel has not got all of it, an earlier run was cut off", doIt
	case have == "":
		it.Action, it.Detail, it.Do = setup.Make, grammar(f.v9), doIt
	case !ours(have):
		it.Action, it.Detail = setup.Refuse, "exists and was not made by setup"
		it.Why = "move it away if resource " + s.Config.Resource.Name + " is not in use, or choose another resource.name (" + s.Config.At("resource.name") + ")"
	default:
		it.Action, it.Detail, it.Do = setup.Change, diff(have, want), doIt
	}
	if it.Do != nil && standAlone(f.status) {
		it.Action, it.Do = setup.Refuse, nil
		it.Detail = "has to change (" + it.Detail + "), and a connection of the resource is StandAlone"
		it.Why = "applying the file would connect it again: find out why first (systemctl status drbdnfsd; docs/split-brain.md), connect it, and run this again"
	}
	return it, nil
}

func grammar(v9 bool) string {
	if v9 {
		return "for DRBD 9"
	}
	return "for DRBD 8.4"
}

// standAlone reports whether a connection of r has been given up. DRBD 8.4
// shows such a connection as missing.
func standAlone(r *drbd.Resource) bool {
	if r == nil {
		return false
	}
	if r.Kernel84 && len(r.Connections) == 0 {
		return true
	}
	return slices.ContainsFunc(r.SortedConnections(), func(c *drbd.Connection) bool { return c.State == drbd.ConnStandAlone })
}

// conflict is a refusal when another file has the resource, its minor or its
// port; its Action is empty when none has.
func (s *Stage) conflict() (setup.Item, error) {
	for _, dir := range []string{resourceDir, linstorDir} {
		names, err := s.Machine.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return setup.Item{}, fmt.Errorf("look for resource files: %w", err)
		}
		for _, name := range names {
			file := path.Join(dir, name)
			if path.Ext(name) != ".res" || file == s.path() {
				continue
			}
			text, err := s.read(file)
			if err != nil {
				return setup.Item{}, err
			}
			if why := resfile.Conflict(s.Config, text); why != "" {
				return s.refuseConflict(dir, file, why), nil
			}
		}
	}
	return setup.Item{}, nil
}

func (s *Stage) refuseConflict(dir, file, why string) setup.Item {
	key, _, _ := strings.Cut(strings.TrimPrefix(why, "uses "), " ")
	if key != "minor" && key != "port" {
		key = "name"
	}
	it := setup.Item{Object: s.path(), Action: setup.Refuse, Detail: file + " " + why, Key: "resource." + key}
	it.Why = "choose another resource." + key + " (" + s.Config.At("resource."+key) + ")"
	if dir == linstorDir {
		it.Why += `; the file is LINSTOR's: with storage.manager = "linstor" setup works with it`
	}
	return it
}

// secret is the option whose value is not shown.
const secret = "shared-secret"

// diff lists the lines that differ, short enough for one line of a plan.
func diff(have, want string) string {
	const most = 6
	a, b := strings.Split(have, "\n"), strings.Split(want, "\n")
	var out []string
	add := func(sign string, from, other []string) {
		for _, line := range from {
			line := strings.TrimSpace(line)
			if line == "" || slices.ContainsFunc(other, func(o string) bool { return strings.TrimSpace(o) == line }) {
				continue
			}
			if strings.HasPrefix(line, secret) {
				line = secret + " …"
			}
			out = append(out, sign+line)
		}
	}
	add("-", a, b)
	add("+", b, a)
	if len(out) == 0 {
		return "the order of the lines"
	}
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("and %d more lines", len(out)-most))
	}
	return strings.Join(out, " ")
}

// writeFile puts the resource file in place after drbdadm has read it, and
// applies it to the resource when that is up.
func (s *Stage) writeFile(ctx context.Context, want string) error {
	if err := s.Machine.MkdirAll("setup.rundir", runDir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", runDir, err)
	}
	if err := s.Machine.WriteFileAtomic("setup.trial", s.trial(), []byte(want), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", s.trial(), err)
	}
	if err := s.adm.CheckFile(ctx, s.trial()); err != nil {
		return fmt.Errorf("drbdadm does not take the resource file: %s: %w", admin.Reason(err), err)
	}
	if err := s.Machine.MkdirAll("setup.resdir", resourceDir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", resourceDir, err)
	}
	have, err := s.read(s.path())
	if err != nil {
		return err
	}
	if have != "" && !ours(have) {
		return fmt.Errorf("%s was made by somebody else meanwhile", s.path())
	}
	if err := s.Machine.WriteFileAtomic("setup.resfile", s.path(), []byte(want), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", s.path(), err)
	}
	r, err := s.status(ctx)
	if err != nil {
		return err
	}
	if r != nil {
		if standAlone(r) {
			return fmt.Errorf("a connection of %s is StandAlone: resolve that, then drbdadm adjust %s", r.Name, r.Name)
		}
		if err := s.adm.Adjust(ctx, r.Name); err != nil {
			return err
		}
	}
	if err := s.Machine.Remove("setup.trial-remove", s.trial()); err != nil {
		return fmt.Errorf("remove %s: %w", s.trial(), err)
	}
	return nil
}
