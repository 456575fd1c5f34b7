package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// clearResources empties the CIB and waits until nothing runs.
func (c *Cluster) clearResources(ctx context.Context) error {
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

// UseProcedure turns the cluster to the hand-made configuration and waits until
// it serves. It returns the active node.
func (c *Cluster) UseProcedure(ctx context.Context) (string, error) {
	if err := c.clearResources(ctx); err != nil {
		return "", err
	}
	if err := c.Both(ctx, "drbdadm up res0 2>/dev/null || true"); err != nil {
		return "", err
	}
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
	return c.WaitReady(ctx, 5*time.Minute)
}

// LeaveProcedure removes the hand-made configuration from both nodes.
func (c *Cluster) LeaveProcedure(ctx context.Context) error {
	if err := c.clearResources(ctx); err != nil {
		return err
	}
	c.Resource, c.With = Resource, nil
	return c.Both(ctx, procedureUndo)
}
