package drbdadm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]string, error)
	WriteFileAtomic(op, path string, data []byte, perm fs.FileMode) error
	MkdirAll(op, path string, perm fs.FileMode) error
	Remove(op, path string) error
}

var (
	_ machine     = (*host.Host)(nil)
	_ setup.Stage = (*Stage)(nil)
)

// Options are what a stage works with. All are needed.
type Options struct {
	Machine machine
	Config  *config.Config
	Self    string // this node's name
	Log     *slog.Logger
}

// Stage is the stage "drbdadm". Use [New].
type Stage struct {
	Options
	adm *admin.Admin
}

// New returns the stage.
func New(o Options) *Stage { return &Stage{Options: o, adm: admin.New(o.Machine)} }

// Name returns the stage's name.
func (*Stage) Name() string { return setup.DRBDADM }

// facts are what one Look saw.
type facts struct {
	node   config.Node
	source bool
	v9     bool
	status *drbd.Resource // nil: not up
	// ready is true once the volume and the resource file are as they should be.
	volume, file bool
	metadata     bool
}

// Look compares the volume and the resource with the configuration.
func (s *Stage) Look(ctx context.Context) ([]setup.Item, error) {
	node, ok := s.Config.Node(s.Self)
	if !ok {
		return nil, fmt.Errorf("%s is none of the nodes of the configuration (%s)", s.Self, s.Config.At("node"))
	}
	f := &facts{node: node, source: s.Config.Source().Name == s.Self}
	v, err := s.version(ctx)
	if err != nil {
		return nil, err
	}
	if v == (drbd.Version{}) {
		return []setup.Item{{
			Object: s.object(), Action: setup.Later, Detail: "this kernel has no module drbd yet",
			Why: "install the DRBD kernel module (kmod-drbd9x, or the distribution's kernel modules)",
		}}, nil
	}
	f.v9 = !v.Is84()
	f.status, err = s.status(ctx)
	if err != nil {
		return nil, err
	}
	var items []setup.Item
	for _, look := range []func(context.Context, *facts) (setup.Item, error){
		s.lookVolume, s.lookFile, s.lookMetadata, s.lookUp, s.lookFirst,
	} {
		it, err := look(ctx, f)
		if err != nil {
			return items, err
		}
		if it.Object != "" {
			items = append(items, it)
		}
	}
	return items, nil
}

// object is how items call the resource.
func (s *Stage) object() string { return "DRBD resource " + s.Config.Resource.Name }

// status returns the resource as the kernel has it, nil when it is not up.
func (s *Stage) status(ctx context.Context) (*drbd.Resource, error) {
	r, err := s.adm.Status(ctx, s.Config.Resource.Name)
	if errors.Is(err, admin.ErrUnknownResource) || errors.Is(err, admin.ErrModuleNotLoaded) || errors.Is(err, host.ErrNotInstalled) {
		return nil, nil
	}
	return r, err
}

// version returns the version of the module: of the loaded one, otherwise of the
// one that would be loaded. It is zero when there is none.
func (s *Stage) version(ctx context.Context) (drbd.Version, error) {
	v, err := s.adm.Version(ctx)
	if !errors.Is(err, admin.ErrModuleNotLoaded) {
		return v, err
	}
	res, err := s.Machine.Run(ctx, host.Cmd{Op: "setup.modinfo", Name: "modinfo", Args: []string{"-F", "version", "drbd"}})
	var ee *host.ExitError
	switch {
	case errors.As(err, &ee), errors.Is(err, host.ErrNotInstalled):
		return drbd.Version{}, nil
	case err != nil:
		return drbd.Version{}, fmt.Errorf("look for DRBD's module: %w", err)
	}
	v, err = drbd.ParseProcVersion([]byte("version: " + strings.TrimSpace(string(res.Stdout))))
	if err != nil {
		return drbd.Version{}, fmt.Errorf("version of DRBD's module: %w", err)
	}
	return v, nil
}
