// Package host is this machine: the only package of drbdnfs that executes
// programs, mounts file systems, or talks netlink, nftables and D-Bus.
//
// Everything above it decides; this package does. Each method that changes
// something takes (or carries in [Cmd]) the name of the operation, such as
// "drbd.primary" or "mount.umount". The name appears in errors and lets a test
// with the fake world of package hosttest fail, delay or hang exactly that one.
//
//	h := host.New(slog.Default())
//	res, err := h.Run(ctx, host.Cmd{Op: "drbd.primary", Name: "drbdsetup", Args: []string{"primary", "res0"}})
//
// A context with a deadline ends every wait. What it cannot end is a system
// call that the kernel does not return from (a write to a frozen block device,
// an unmount over suspended I/O): callers look at DRBD's state first.
package host
