// Package hosttest is a small working machine in memory: a file system with
// mounts, processes and systemd units, network addresses, the kernel's NFS
// server and a DRBD resource. It has the methods of host.Host, so that whatever
// runs on a real machine runs on this one, and each of its calls can be made to
// fail, to hang, or to be the last one of the program.
//
//	h := hosttest.New(t) // two DRBD nodes are connected, this one has never run the group
//	h.FailOnce("mount.mount", syscall.EUCLEAN)
//	h.Action(t.Context(), func(ctx context.Context) { code = newAgent(h).Run(ctx, "promote") })
//	if left := h.Leftovers(); len(left) > 0 { ... }
//
// Labels of calls are the op arguments, as in "vip.add"; what has none and only
// looks is labelled by what it looks at, as in "read /proc/drbd" or
// "addresses". After each call the world checks that the call has not broken
// what must always hold; see [Host.Violations], which the end of the test
// reports by itself.
//
// Time does not pass by itself: tests run in a bubble of testing/synctest,
// where polling costs nothing. Only tests may import this package. It proves
// nothing about how the real tools quote, print or fail.
package hosttest
