package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// ClearResources empties the CIB and waits until nothing runs.
func (c *Cluster) ClearResources(ctx context.Context) error {
	if err := c.ApplyCIB(ctx, EmptyCIB); err != nil {
		return err
	}
	return rig.Poll(ctx, "all resources to stop", 3*time.Minute, time.Second, func(ctx context.Context) error {
		node, err := c.AnyOnline(ctx)
		if err != nil {
			return err
		}
		s, err := c.State(ctx, node)
		if err == nil && len(s.Instances) > 0 {
			err = fmt.Errorf("still there: %+v", s.Instances)
		}
		return err
	})
}

// UseProcedure gives a cluster without resources the hand-made configuration and
// waits until it serves. It returns the active node.
func (c *Cluster) UseProcedure(ctx context.Context) (string, error) {
	if _, err := c.Rig.SSH(ctx, rig.Node1, procedureVolume); err != nil {
		return "", err
	}
	if err := c.Both(ctx, procedureNode); err != nil {
		return "", err
	}
	c.Resource, c.With = "res_drbd", []string{"mount_nfs", "res_nfs", "VIP"}
	if err := c.ApplyCIB(ctx, ProcedureCIB); err != nil {
		return "", err
	}
	// A start that this slow machine fails is tried again as an administrator
	// would: its fail count bans the node for good otherwise.
	active := ""
	err := rig.Poll(ctx, "the hand-made configuration to serve", 8*time.Minute, time.Second, func(ctx context.Context) error {
		var err error
		if active, err = c.WaitReady(ctx, 30*time.Second); err != nil {
			_, _ = c.Rig.SSH(ctx, rig.Node1, "crm_resource --cleanup >/dev/null 2>&1")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	_, err = c.Rig.SSH(ctx, rig.Node1, "crm_resource --cleanup >/dev/null 2>&1; true")
	return active, err
}
