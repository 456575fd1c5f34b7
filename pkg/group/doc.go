// Package group is the highly available NFS server as one thing: DRBD, the
// file system, the NFS state, the daemons, the server, the exports and the
// service addresses, in one ordered list.
//
//	g, err := group.New(group.Options{System: host.New(log), Log: log, Config: cfg})
//	err = g.Up(ctx)   // promote: everything, in order; undone when a step fails
//	err = g.Down(ctx) // demote: the reverse, from any half-state, every step tried
//	facts, err := g.Inspect(ctx) // monitor: looks, changes nothing
//
// Pacemaker kills an action without warning, so each step looks first, acts,
// and verifies, and can be entered again from any point. What was intended is
// written down before it is done, in /run/drbdnfs/INSTANCE.json; see [Record].
//
// The package decides nothing about cluster roles and knows no exit codes:
// that is package ocf/agent.
package group
