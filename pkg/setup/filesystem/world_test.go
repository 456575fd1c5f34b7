package filesystem_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/filesystem"
)

const (
	private = "/run/drbdnfs/setup-res0"
	mnt     = "/home/nfs"
)

// conf is a configuration with one plain export and one with owner and mode.
func conf() *config.Config {
	return &config.Config{
		Nodes:      []config.Node{{Name: "drbdtest1"}, {Name: "drbdtest2"}, {Name: "drbdtest3", Diskless: true}},
		Resource:   config.Resource{Name: "res0", Source: "drbdtest1", Size: 512 << 20},
		Filesystem: config.Filesystem{Type: "xfs", Mount: mnt, MkfsOptions: []string{"-K"}, MountOptions: "noatime"},
		Exports: []config.Export{
			{Path: mnt + "/www/data", Owner: "nobody:users", Mode: "1777"},
			{Path: mnt + "/plain"},
		},
	}
}

// world is a node whose volume is DRBD's of package hosttest.
type world struct {
	*hosttest.Host
	fs, label string // on the volume
	mkfsMakes string // "" for what was asked
}

// newWorld is a node with a blank volume, up and Secondary.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Host: hosttest.New(t)}
	w.SetUp()
	for name, f := range map[string]func(host.Cmd) (string, error){
		"blockdev":  func(host.Cmd) (string, error) { return "", nil },
		"drbdadm":   w.drbdadm,
		"blkid":     w.blkid,
		"mkfs.xfs":  w.mkfs,
		"mkfs.ext4": w.mkfs,
		"xfs_admin": func(c host.Cmd) (string, error) { w.label = c.Args[1]; return "", nil },
		"e2label":   func(c host.Cmd) (string, error) { w.label = c.Args[1]; return "", nil },
		"install": func(c host.Cmd) (string, error) {
			w.SetDir(c.Args[len(c.Args)-1], 99, 100)
			return "", nil
		},
	} {
		w.Tool(name, f)
	}
	return w
}

func (w *world) drbdadm(c host.Cmd) (string, error) {
	switch {
	case !w.DRBD.Configured:
		return "", hosttest.Exit(c, 1, "'res0' not defined in your config (for this host).")
	case c.Args[0] == "sh-ll-dev":
		return "/dev/drbdpool/res0\n", nil
	}
	return "/dev/drbd1000\n", nil
}

// blkid sees the same on DRBD's device and on the one below it.
func (w *world) blkid(c host.Cmd) (string, error) {
	if dev := c.Args[len(c.Args)-1]; strings.HasPrefix(dev, "/dev/drbd1") && w.DRBD.Role != "Primary" {
		return "", hosttest.Exit(c, 2, "blkid: error: "+dev+": Wrong medium type")
	}
	if w.fs == "" {
		return "", hosttest.Exit(c, 2, "")
	}
	return "LABEL=" + w.label + "\nTYPE=" + w.fs + "\n", nil
}

func (w *world) mkfs(c host.Cmd) (string, error) {
	if w.fs != "" {
		return "", hosttest.Exit(c, 1, "mkfs.xfs: /dev/drbd1000 appears to contain an existing filesystem (xfs).")
	}
	w.fs = strings.TrimPrefix(c.Name, "mkfs.")
	if w.mkfsMakes != "" {
		w.fs = w.mkfsMakes
	}
	if i := slices.Index(c.Args, "-L"); i >= 0 {
		w.label = c.Args[i+1]
	}
	return "", nil
}

func (w *world) stage(c *config.Config, self string) *filesystem.Stage {
	return filesystem.New(filesystem.Options{Machine: w.Host, Config: c, Self: self, Log: slog.New(slog.DiscardHandler)})
}

// silent records what is waited for.
type silent struct{ waited []string }

// Waiting records the text.
func (s *silent) Waiting(what string) { s.waited = append(s.waited, what) }

// Fraction is not used by this stage.
func (*silent) Fraction(float64, string) {}

// Stage, Begin and End make silent the reporter of setup.Apply.
func (*silent) Stage(string)                         {}
func (s *silent) Begin(setup.Item) setup.Progress    { return s }
func (*silent) End(setup.Item, time.Duration, error) {}

// apply runs the stage to its end.
func apply(ctx context.Context, s setup.Stage) (int, error) {
	return setup.Apply(ctx, []setup.Stage{s}, &silent{})
}

// plan is the stage's items as lines.
func plan(t *testing.T, items []setup.Item, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, it := range items {
		lines = append(lines, string(it.Action)+" "+it.Object+": "+it.Detail)
		if (it.Do == nil) == (it.Action == setup.Make || it.Action == setup.Change) {
			t.Errorf("%s %s: Do does not fit the action", it.Action, it.Object)
		}
	}
	return lines
}

// changes are the commands that ran and do more than look.
func (w *world) changes() []string {
	var out []string
	for _, c := range w.Commands() {
		switch word, rest, _ := strings.Cut(c, " "); {
		case word == "blkid", word == "blockdev", strings.HasPrefix(rest, "events2"), strings.HasPrefix(rest, "sh-"):
		default:
			out = append(out, c)
		}
	}
	return out
}

// there lists which of the exported directories exist on the volume.
func (w *world) there(t *testing.T) []string {
	t.Helper()
	role := w.DRBD.Role
	w.DRBD.Role = "Primary"
	defer func() { w.DRBD.Role = role }()
	if err := w.Mount(t.Context(), "look", "/dev/drbd1000", "/home", "xfs", ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Unmount(t.Context(), "look", "/home") }()
	var out []string
	for _, e := range conf().Exports {
		dir := "/home" + strings.TrimPrefix(e.Path, mnt)
		if _, err := w.Lstat(dir); err == nil {
			out = append(out, e.Path)
		}
	}
	names, _ := w.ReadDir("/home/www")
	for _, n := range names {
		if n != "data" {
			out = append(out, "left: "+n)
		}
	}
	return out
}

var exported = []string{mnt + "/www/data", mnt + "/plain"}

// clean checks that nothing of the work is left.
func (w *world) clean(t *testing.T) {
	t.Helper()
	if w.DRBD.Role != "Secondary" {
		t.Errorf("role is %s", w.DRBD.Role)
	}
	if src := w.Mounted(private); src != "" {
		t.Errorf("%s is mounted from %s", private, src)
	}
	if _, err := w.Lstat(private); err == nil {
		t.Errorf("%s is left", private)
	}
}
