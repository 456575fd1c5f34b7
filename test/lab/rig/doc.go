// Package rig builds and runs the lab's machines: a Debian image, a network
// namespace with a bridge, and three QEMU virtual machines in it.
//
// It knows nothing of DRBD, Pacemaker or NFS beyond the packages that the image
// holds: what runs inside the machines is package cluster's business. All that
// it makes lives below one directory outside the checkout, keyed by the
// checkout's path, so that two checkouts on a machine do not meet:
//
//	r, err := rig.Open(".", os.Stderr)
//	if err == nil {
//		err = r.Up(ctx)
//	}
//	out, err := r.SSH(ctx, "drbdtest1", "uname -r")
//
// Hazards: everything runs as root, and QEMU outlives the lab tool on purpose
// (pid files and command lines identify the lab's own processes; no other
// process is ever ended).
package rig
