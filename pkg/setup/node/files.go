package node

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

// made is the first line of files that are setup's own.
const made = "# Made by drbdnfs setup; drbdnfs setup remove deletes it.\n"

// ownFile is a file that belongs to setup alone.
type ownFile struct {
	path, body string
	op         string // label of the write
	detail     string // what the file is for
	after      func(ctx context.Context) error
}

// text returns the contents of path, "" where there is none. A symbolic link is
// an error: replacing it would surprise whoever made it.
func (s *Stage) text(name string) (text string, perm fs.FileMode, err error) {
	st, err := s.m.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0o644, nil
	}
	if err != nil {
		return "", 0, err
	}
	if !st.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s is no plain file: setup does not change it", name)
	}
	data, err := s.m.ReadFile(name)
	return string(data), st.Mode().Perm(), err
}

// file compares a file of setup's own with what is there.
func (s *Stage) file(f ownFile) (setup.Item, error) {
	want := made + f.body
	got, _, err := s.text(f.path)
	if err != nil {
		return setup.Item{}, err
	}
	it := setup.Item{Object: f.path, Action: setup.Make, Detail: f.detail}
	switch {
	case got == want:
		return keep(f.path, "%s", f.detail), nil
	case got != "" && !strings.HasPrefix(got, made):
		return refuse("", f.path, "it is there and was not made by setup", "move it away"), nil
	case got != "":
		it.Action = setup.Change
	}
	it.Do = func(ctx context.Context, _ setup.Progress) error {
		if err := s.m.MkdirAll(f.op+".dir", path.Dir(f.path), 0o755); err != nil {
			return err
		}
		if err := s.write(ctx, f.op, f.path, want, 0o644); err != nil || f.after == nil {
			return err
		}
		return f.after(ctx)
	}
	return it, nil
}

// dropFile removes a file of setup's own.
func (s *Stage) dropFile(name, op string, after func(ctx context.Context) error) ([]setup.Item, error) {
	got, _, err := s.text(name)
	if err != nil || got == "" {
		return nil, err
	}
	if !strings.HasPrefix(got, made) {
		return []setup.Item{keep(name, "not made by setup")}, nil
	}
	return []setup.Item{{Object: name, Action: setup.Drop, Do: func(ctx context.Context, _ setup.Progress) error {
		if err := s.m.Remove(op, name); err != nil || after == nil {
			return err
		}
		return after(ctx)
	}}}, nil
}

// write replaces a file and gives it the SELinux label that its path asks for:
// the new file has its directory's.
func (s *Stage) write(ctx context.Context, op, name, text string, perm fs.FileMode) error {
	if err := s.m.WriteFileAtomic(op, name, []byte(text), perm); err != nil {
		return err
	}
	if _, err := s.m.Stat("/sys/fs/selinux/enforce"); err != nil || !s.has("restorecon") {
		return nil // no SELinux, no label
	}
	return s.change(ctx, op+".label", "restorecon", name)
}

// rewrite is one edit of a file that belongs to somebody else. It reads the file
// anew, so that what changed since the plan is kept.
func (s *Stage) rewrite(ctx context.Context, op, name string, edit func(text string) (string, error)) error {
	text, perm, err := s.text(name)
	if err != nil {
		return err
	}
	want, err := edit(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if want == text {
		return nil
	}
	return s.write(ctx, op, name, want, perm)
}

// unmark returns an item that takes setup's marks out of a file, or none.
func (s *Stage) unmark(name, op string, edit func(text string) (string, error), after func(ctx context.Context) error) ([]setup.Item, error) {
	text, _, err := s.text(name)
	if err != nil {
		return nil, err
	}
	want, err := edit(text)
	if err != nil {
		return []setup.Item{refuse("", name, err.Error(), "repair the file by hand")}, nil
	}
	if want == text {
		return nil, nil
	}
	return []setup.Item{{Object: name, Action: setup.Drop, Detail: "the lines that setup wrote", Do: func(ctx context.Context, _ setup.Progress) error {
		if err := s.rewrite(ctx, op, name, edit); err != nil || after == nil {
			return err
		}
		return after(ctx)
	}}}, nil
}

// exitCode returns the code with which a program ended; ok is false for an error
// of another kind.
func exitCode(err error) (code int, ok bool) {
	if err == nil {
		return 0, true
	}
	var ee *host.ExitError
	if !errors.As(err, &ee) || ee.Signal != "" {
		return 0, false
	}
	return ee.Code, true
}
