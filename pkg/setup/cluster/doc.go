// Package cluster is the stage "cluster" of setup: the nodes' secret, corosync's
// membership and a Pacemaker that runs on every node.
//
//	stage := cluster.New(cluster.Options{Machine: host.New(log), Config: cfg, Self: "drbdtest1", Log: log})
//	items, err := stage.Look(ctx) // runs systemctl, crm_mon and corosync-cmapctl at most
//
// With pcs the first node of the file forms the cluster for all: it waits until
// every node's pcsd takes the password that each node has set from the secret,
// and then runs "pcs cluster setup" once. Without pcs every node writes
// corosync.conf and both authkeys by itself; the same secret gives the same
// keys. Each node enables and starts its own services. pcs has to be on all
// nodes or on none.
//
// A cluster that is there is left as it is: nothing is restarted, and only what
// corosync takes while it runs (the token, two_node) is changed. Another
// cluster's name or other nodes are refused.
//
// The one thing recorded beside the objects is /var/lib/drbdnfs/hacluster: it
// says from which secret the password of hacluster was set, which cannot be seen
// otherwise, and holds nothing that could be used to guess either.
package cluster
