// Package mount keeps the group's one file system mounted on its directory, or
// not mounted.
//
//	fs := mount.New(host.New(nil), log, mount.Config{Device: "/dev/drbd1000", Dir: "/home/nfs", Type: "xfs"})
//	if err := fs.Start(ctx); err != nil { ... }
//	err := fs.Stop(ctx) // ends processes that keep it busy, and names them
//
// It recognises its file system by the device's numbers, never by the mount
// point alone, so that it neither serves nor ends what belongs to somebody
// else. It never repairs a file system and never detaches lazily.
package mount
