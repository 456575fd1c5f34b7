package main

import (
	"log/slog"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/setup"
	"github.com/spacei/drbdnfs/pkg/setup/cluster"
	"github.com/spacei/drbdnfs/pkg/setup/drbdadm"
	"github.com/spacei/drbdnfs/pkg/setup/filesystem"
	"github.com/spacei/drbdnfs/pkg/setup/initialsync"
	"github.com/spacei/drbdnfs/pkg/setup/linstor"
	"github.com/spacei/drbdnfs/pkg/setup/node"
	"github.com/spacei/drbdnfs/pkg/setup/resources"
)

// newStages are the stages of a configuration on the node self, in their order.
func newStages(h *host.Host, c *config.Config, self string, log *slog.Logger) []setup.Stage {
	stages := []setup.Stage{node.New(node.Options{Machine: h, Config: c, Self: self, Log: log})}
	if c.Storage.Manager == config.ManagerLINSTOR {
		stages = append(stages, linstor.New(linstor.Options{Machine: h, Config: c, Self: self, Log: log}))
	} else {
		stages = append(stages, drbdadm.New(drbdadm.Options{Machine: h, Config: c, Self: self, Log: log}))
	}
	return append(stages,
		filesystem.New(filesystem.Options{Machine: h, Config: c, Self: self, Log: log}),
		cluster.New(cluster.Options{Machine: h, Config: c, Self: self, Log: log}),
		resources.New(resources.Options{Machine: h, Config: c, Self: self, Log: log}),
		initialsync.New(initialsync.Options{Machine: h, Config: c, Self: self, Log: log}),
	)
}
