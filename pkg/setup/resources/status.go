package resources

import (
	"context"

	"github.com/spacei/drbdnfs/pkg/pacemaker"
)

// status asks Pacemaker what it does with the group.
func (s *Stage) status(ctx context.Context) (pacemaker.Status, error) {
	return pacemaker.Mon(ctx, s.machine, "setup.cib.status")
}
