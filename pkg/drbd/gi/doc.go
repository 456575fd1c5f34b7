// Package gi reads DRBD's generation identifiers and tells how the data of two
// nodes relate. It is pure.
//
//	own, err := gi.Parse("AF7C863BC4779AFD:B8602D562BDDA7F6:0000000000000000:0000000000000000:1:1:1:1:0:0:0:0:0:0:0:1", false)
//	peer, err := gi.Parse("D43295DEF6F52C8E:B8602D562BDDA7F6:0C0D482C236BEE8E:0000000000000000:1:1:0:1:0:0:0:0:0:0:0:1", false)
//	fmt.Println(gi.Relate(own, peer)) // split-brain
//
// A generation of the data of one volume has a random number, the current
// UUID. A node that writes without its peer starts a new generation, and keeps
// the number of the last common one as the bitmap UUID, because its bitmap of
// changed blocks counts from there. Two nodes with different current UUIDs and
// the same bitmap UUID have both written: that is split brain.
//
// The lowest bit of each UUID is a flag (the node was Primary) and takes no
// part in a comparison. The facts are those of the kernel's drbd_uuid_compare
// (drbd_receiver.c), whose rules this package keeps to where they are safe, and
// answers [Unknown] or [Unrelated] where they guess.
package gi
