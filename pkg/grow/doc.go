// Package grow makes the volume larger while clients use it: the logical volume on
// each node, DRBD's device, the file system.
//
//	stages := grow.Stages(grow.Options{Machine: h, Config: cfg, Self: "drbdtest1", Size: 8 << 40, Cluster: pacemaker.New(h), Log: log})
//	n, err := setup.Apply(ctx, stages, reporter) // waits for the other nodes where it must
//
// Its stages are setup's: they look, say what they would do, and do it; a run that
// was cut off is continued by the next one, and nothing is recorded but in the
// objects themselves.
//
// Every node runs its own. Each makes its logical volume larger and lets the
// others know through Pacemaker's attribute daemon, "drbdnfs-grow-RESOURCE". DRBD
// cannot be asked how large a peer's disk is: its device just stays as large as the
// smallest of them allows. The node that is Primary waits for all of them, makes
// DRBD's device larger, waits until the new part is on all nodes, and grows the
// file system. With LINSTOR the controller does the first part for all nodes.
//
// What it never does: make anything smaller, or skip the synchronisation of the
// new part (--assume-clean). It refuses while a disk is not UpToDate, a connection
// is missing, or a resync runs: a node that could fail during it must be
// replaceable by the other.
package grow
