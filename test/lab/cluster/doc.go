// Package cluster sets the lab's machines up as users have theirs (LVM, DRBD,
// corosync, Pacemaker, the agent from its RPM) and reads back what they do:
// state, journals, the timeline of a failover.
//
//	c := cluster.New(r)
//	err := c.Setup(ctx)             // from blank disks to a formatted, connected resource
//	err = c.ApplyCIB(ctx, cluster.OursCIB)
//	state, err := c.WaitReady(ctx, 2*time.Minute)
//	fmt.Println(state.Promoted())
//
// Everything in the guests is done by commands over ssh. Nothing here knows how
// the agent works inside; it only looks from outside, as an administrator would.
package cluster
