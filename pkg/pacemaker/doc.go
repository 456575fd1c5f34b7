// Package pacemaker asks Pacemaker what it does, lets the nodes of a cluster
// exchange small values through it, and tells it that a resource has failed. It
// keeps no state, decides nothing and repeats nothing.
//
//	c := pacemaker.New(host.New(log))
//	st, err := c.Status(ctx)
//	if err == nil && slices.Equal(st.Promoted("nfs"), []string{"drbdtest1"}) {
//		err = c.Publish(ctx, "drbdnfs-res0", evidence) // drbdtest2 reads it with Query
//	}
//
// Every call runs one of Pacemaker's programs, bounded in time, also while the
// cluster is stopped or hangs. What callers branch on: [ErrNotRunning] and
// [ErrNoAnswer]; for both nothing is known.
//
// It is used by the health daemon and by setup. What it does not do: change the
// configuration, or promote, demote, move or clean up anything.
package pacemaker
