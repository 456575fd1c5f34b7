// Package signature says what is on a block device, without changing it: a file
// system, DRBD's metadata, a physical volume, or nothing that is known.
//
//	found, err := signature.Probe(ctx, machine, "/dev/drbdpool/res0", signature.Any)
//	if found.Blank() { ... }
//
// It runs blkid, which reads the device itself and no cache. The stages of setup
// ask it before they write to a device; blank means that no signature was found,
// not that no byte was ever written.
package signature
