// Package corosync is the text of /etc/corosync/corosync.conf: it writes the
// file for a configuration, reads what a node has, whoever wrote it, and says
// in which ways the two differ. It touches no machine.
//
//	have, err := corosync.Parse(text)
//	for _, d := range corosync.Compare(have, corosync.Want(cfg)) {
//		fmt.Println(d) // "token is corosync's default, the configuration has 2000 ms"
//	}
//
// What is written has the shape that "pcs cluster setup" gives the file, so that
// pcs can take over a cluster made without it.
//
// wait_for_all is never written. With two nodes two_node implies it: a node that
// boots and has not seen the other has no quorum, which keeps two nodes that
// cannot reach each other from both starting, or from fencing each other in
// turn. With fencing mode "none" a lone node is meant to start, and does:
// Pacemaker's no-quorum-policy is "ignore" then, so quorum holds nothing back. A
// wait_for_all that somebody set is left as it is.
//
// Only differences that matter to the group are looked for. Ports, priorities of
// links, logging and whatever else a site has set are its own.
package corosync
