// Package kmsg understands what the kernel's DRBD writes into its log about a
// handshake with a peer, of DRBD 8.4 and 9: the verdict on whose data stays, and
// the numbers it rests on. Unlike drbdsetup's events the log also tells what was
// said before anybody listened, and says it without a helper program.
//
//	m, ok := kmsg.Parse("drbd nfs/0 drbd0 nfs2: Split-Brain detected but unresolved, dropping connection!")
//	// m.Kind == kmsg.SplitBrain, m.Resource == "nfs", m.Volume == 0, m.Peer == "nfs2"
//
// [Parse] is pure. [Follow] reads the log of a machine from the oldest record
// on, tells what was lost, and goes on from a [Position] after a restart. It is
// used by the health daemon.
//
// What it does not do: conclude anything. A split brain in the log may have
// been resolved since, and the words may be older than the state that DRBD is
// in; only a later handshake or the state itself tells. Formats are from DRBD
// drbd/drbd_receiver.c (drbd_sync_handshake, drbd_uuid_dump), drbd_state.c and
// drbd_polymorph_printk.h of 8.4.11, 9.0.32, 9.1.23, 9.2.9 and 9.3.3.
package kmsg
