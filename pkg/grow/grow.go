package grow

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/admin"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/pacemaker"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/initialsync"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
	ReadFile(path string) ([]byte, error)
	Mounts() ([]host.Mount, error)
}

// board is where the nodes let each other know how large their disks are.
type board interface {
	Publish(ctx context.Context, name string, value []byte) error
	Query(ctx context.Context, name string) (map[string][]byte, error)
}

var (
	_ machine = (*host.Host)(nil)
	_ board   = (*pacemaker.Client)(nil)
)

// Options are what the stages work with. All but LINSTOR are needed.
type Options struct {
	Machine machine
	Config  *config.Config
	Self    string      // this node's name
	Size    config.Size // of DRBD's device
	Cluster board       // what the nodes tell each other through
	Log     *slog.Logger
	// LINSTOR returns what LINSTOR has to do for the size, nil where LVM and
	// drbdadm are used directly; linstor.Stage.Grow is it.
	LINSTOR func(ctx context.Context, size config.Size) ([]setup.Item, error)
}

// Names of the stages beside [setup.Sync].
const (
	Volume     = "volume"
	Filesystem = setup.Filesystem
)

// Stages returns the stages in their order: the volume, the synchronisation of its
// new part, the file system.
func Stages(o Options) []setup.Stage {
	b := base{Options: o, adm: admin.New(o.Machine)}
	return []setup.Stage{
		&volumeStage{b},
		initialsync.New(initialsync.Options{Machine: o.Machine, Config: o.Config, Self: o.Self, Log: o.Log}),
		&filesystemStage{b},
	}
}

// base is what both stages have.
type base struct {
	Options
	adm *admin.Admin
}

// LookRemove has nothing to take back: nothing is made smaller.
func (base) LookRemove(context.Context) ([]setup.Item, error) { return nil, nil }

// errNotUp means that DRBD does not have the resource up on this node.
var errNotUp = errors.New("DRBD does not have the resource up on this node")
