package pacemaker

import (
	"context"
	"fmt"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	Run(ctx context.Context, c host.Cmd) (host.Result, error)
}

var _ machine = (*host.Host)(nil)

// Bounds of the programs. Their own are longer or missing: crm_mon waits 30 s
// for a CIB manager that hangs and then ends well, attrd_updater 35 s for an
// attribute daemon that hangs (both seen with 2.1.5), crm_resource 60 s for a
// reply.
const (
	monTimeout  = 15 * time.Second
	attrTimeout = 15 * time.Second
	failTimeout = 30 * time.Second
)

// Client runs Pacemaker's programs on one machine. It is safe for concurrent
// use.
type Client struct {
	m machine
}

// New returns the programs of m, usually a [*host.Host].
func New(m machine) *Client { return &Client{m: m} }

// Status is [Mon] with the operation "pacemaker.status".
func (c *Client) Status(ctx context.Context) (Status, error) {
	return Mon(ctx, c.m, "pacemaker.status")
}

// Mon returns what the cluster looks like from this node, with one run of
// crm_mon that changes nothing. It ends after 15 s at the latest; op is the
// operation's name for logs.
//
// Errors are [ErrNotRunning], [ErrNoAnswer], a text that is not crm_mon's XML,
// another exit code as [*host.ExitError], or the end of ctx.
func Mon(ctx context.Context, m machine, op string) (Status, error) {
	res, err := run(ctx, m, monTimeout, host.Cmd{Op: op, Name: "crm_mon", Args: []string{"--one-shot", "--output-as=xml"}})
	if err != nil {
		return Status{}, err
	}
	st, err := Parse(res.Stdout)
	if err != nil {
		return Status{}, fmt.Errorf("crm_mon: %w", err)
	}
	return st, nil
}

// run runs c for at most limit.
func run(ctx context.Context, m machine, limit time.Duration, c host.Cmd) (host.Result, error) {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	res, err := m.Run(bounded, c)
	if err != nil {
		return res, classify(ctx, err)
	}
	return res, nil
}
