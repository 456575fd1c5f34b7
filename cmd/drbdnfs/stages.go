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
// replace lets the group take the place of hand-made resources.
func newStages(h *host.Host, c *config.Config, self string, replace bool, log *slog.Logger) []setup.Stage {
	server := node.New(node.Options{Machine: h, Config: c, Self: self, Replace: replace, Log: log})
	stages := []setup.Stage{server}
	switch c.Storage.Manager {
	case config.ManagerLINSTOR:
		stages = append(stages, linstor.New(linstor.Options{Machine: h, Config: c, Self: self, Log: log}))
	case config.ManagerDRBDADM:
		stages = append(stages, drbdadm.New(drbdadm.Options{Machine: h, Config: c, Self: self, Log: log}))
	}
	return append(stages,
		filesystem.New(filesystem.Options{Machine: h, Config: c, Self: self, Log: log}),
		cluster.New(cluster.Options{Machine: h, Config: c, Self: self, Log: log}),
		resources.New(resources.Options{Machine: h, Config: c, Self: self, Replace: replace, Stopped: server.SetExportsAside, Log: log}),
		initialsync.New(initialsync.Options{Machine: h, Config: c, Self: self, Log: log}),
	)
}
