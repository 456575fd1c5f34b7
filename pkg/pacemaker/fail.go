package pacemaker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Fail tells Pacemaker that a primitive has failed on a node, so that it
// recovers it now and not when the next monitor finds out. It looks first, and
// does nothing unless the resource runs on that node and Pacemaker takes care
// of it: [ErrNotThere], [ErrOff]. Other errors are those of [Mon], and with
// [ErrNoAnswer] after 30 s the failure may still be recorded later.
//
// It is "crm_resource --fail", which Pacemaker documents for tests: the
// controller of the node records a result of an operation "asyncmon", error
// with the reason "Simulated failure", as if an agent had reported it by itself
// (daemons/controld/controld_execd.c, fail_lrm_resource). The cluster does what
// it does after a failed monitor: with the default on-fail a promoted instance
// is demoted, stopped, started and promoted, here or elsewhere by score, and
// the fail count of "asyncmon" rises: by one with 2.1.7, by two with 2.1.5
// (seen there; the record is counted twice), so migration-threshold is reached
// sooner. Nothing is awaited but that it was recorded.
//
// It is not idempotent: each call is one more failure. An instance that stops
// between the look and the call gets an entry among its failures, and nothing
// is started for it.
func (c *Client) Fail(ctx context.Context, resource, node string) error {
	if err := checkNames(resource, node); err != nil {
		return fmt.Errorf("fail a resource: %w", err)
	}
	st, err := Mon(ctx, c.m, "pacemaker.fail-look")
	if err == nil {
		err = st.failable(resource, node)
	}
	if err != nil {
		return fmt.Errorf("fail %s on %s: %w", resource, node, err)
	}
	_, err = run(ctx, c.m, failTimeout, host.Cmd{
		Op: "pacemaker.fail", Name: "crm_resource", Args: []string{"--fail", "--resource", resource, "--node", node},
	})
	var ee *host.ExitError
	if (says(err, "is not online", exitDisconnect) || says(err, "not found", exitNoSuch, exitNoHost)) && errors.As(err, &ee) {
		err = fmt.Errorf("%w: %w", ErrNotThere, ee) // since the look
	}
	if err != nil {
		return fmt.Errorf("fail %s on %s: %w", resource, node, err)
	}
	return nil
}

// failable returns why a failure would be of no use, or would act at a time
// that nobody expects: when maintenance ends.
func (st Status) failable(resource, node string) error {
	i := slices.IndexFunc(st.Instances(resource), func(i Instance) bool { return slices.Contains(i.Nodes, node) })
	if i < 0 {
		return ErrNotThere
	}
	if off := st.Off(resource); off != "" {
		return fmt.Errorf("%w: %s", ErrOff, off)
	}
	if n, _ := st.Node(node); n.Maintenance || st.Instances(resource)[i].Unmanaged {
		return fmt.Errorf("%w: the node is in maintenance, or the resource is unmanaged", ErrOff)
	}
	return nil
}
