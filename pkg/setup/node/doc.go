// Package node prepares one machine for the group: it is the stage "host" of
// setup. It looks at what cannot be changed by a program (the name, the kernel
// module, programs, addresses, the clock) and makes the rest: names in
// /etc/hosts, the volume group, what keeps LVM and multipath off the volume, the
// place of rpc_pipefs, which units start at boot, modules, the firewall, the
// mount point.
//
//	stage := node.New(node.Options{Machine: host.New(log), Config: cfg, Self: name, Log: log})
//	items, err := stage.Look(ctx) // "volume group drbdpool", make, "from /dev/vda3, 6.00 TiB"
//
// A device becomes a physical volume only when nothing at all is found on it,
// seen twice: when the plan is made and right before pvcreate, which is never
// forced. What setup makes carries its mark (the LVM tag drbdnfs, the comment
// "# drbdnfs begin", the first line of a file), and only that is taken back.
//
// Some things are left alone on purpose. The ports of mountd, statd and lockd
// are not written to /etc/nfs.conf: the agent passes them to the daemons itself
// (package nfs). The agent mounts rpc_pipefs itself as well, where nfs.conf says.
// rpc-statd-notify is not masked: only rpc-statd.service pulls it in, and
// mount.nfs starts that only on a node on which no rpc.statd runs, so never
// beside the group's. A firewall other than firewalld is told the ports, not
// touched; firewalld is not reloaded, which would drop what others have opened
// until the next boot.
//
// LVM has no directory for drop-ins. lvmlocal.conf is merged over lvm.conf with
// all its sections (seen with lvm2 2.03.16, described in lvm.conf(5)), so the
// filter goes there, and only where none is in force.
package node
