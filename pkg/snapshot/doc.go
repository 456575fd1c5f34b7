// Package snapshot keeps what a node is about to lose. Before the data of a
// split brain's victim are discarded, an LVM snapshot of DRBD's backing device
// is made, and it stays until a person removes it.
//
//	k := snapshot.New(host.New(log))
//	s, err := k.Make(ctx, snapshot.Request{
//		Resource: "res0", Volume: 0, BackingDev: "/dev/drbdpool/res0_00000",
//		Incident: "5d41402abc4b2a76", ChangedBytes: 8 << 20, When: time.Now(),
//	})
//	// s.Name is "drbdpool/res0_00000_sb_20261123T140745"
//
// It is used by the health daemon, which makes snapshots, and by drbdnfs
// split-brain snapshots, which lists and removes them. It never merges one
// back, and never removes one by itself: not at the end of a resync, not to make
// room for another.
//
// # What is in a snapshot
//
// All of the backing device, DRBD's internal metadata included, as it was at
// that moment. The device holds the file system from its first block on, so that
// it can be mounted. It is made read-only, so that a look does not change it:
//
//	mount -t xfs -o ro,norecovery,nouuid /dev/drbdpool/res0_00000_sb_20261123T140745 /mnt
//
// The type has to be named, because of DRBD's metadata at the end; norecovery
// (ext4: noload), because the journal cannot be replayed on a read-only device;
// nouuid, because the volume itself has the same UUID. A node that was cut off
// while it was Primary left changes in the journal alone. They can be seen
// after the snapshot was made writable, "lvchange --permission rw VG/NAME", and
// mounted without ro and norecovery: the journal is then replayed into the
// snapshot, never into the volume.
//
// # Room
//
// A thick snapshot takes a copy of each chunk that is overwritten on the
// volume: by the resync, and by everything that the survivor writes afterwards.
// When its room is used up it becomes invalid, at once and without a word, and
// what it kept is lost. So it gets room for the whole volume and its own tables
// wherever the volume group has that: then it cannot overflow, however long it
// is kept. Otherwise it gets room for the bytes that the resync overwrites and
// a tenth of the volume, the margin of DRBD's own snapshot handler, in the
// smallest chunks, so that each of DRBD's 4 KiB blocks costs no more than
// itself. With less than that free it is refused.
//
// A thin snapshot takes its room from the pool while the volume is overwritten,
// and a pool that is full stops the writes of all its volumes. It is refused
// when the same number of bytes would fill the pool's data above 95 %, when 75
// % of the pool's metadata are used (LVM's own limit for small pools), or when
// the pool is not in order.
//
// Each write to a part of the volume that was not written since is slower while
// a snapshot exists, on the survivor too when it waits for this node. That is
// one more reason to look into a snapshot soon, and to remove it. Whoever removes
// the volume itself, lvremove or LINSTOR, removes its thick snapshots with it.
//
// # How they are found again
//
// By LVM tags, whatever their names: drbdnfs, drbdnfs.resource=res0,
// drbdnfs.volume=0, drbdnfs.incident=5d41402abc4b2a76. LVM writes tags together
// with a volume's name, so that a run that was cut off leaves something that
// says so. A thick snapshot is written twice, first as an ordinary volume; what
// was cut off in between is [Unfinished] and left to a person, since a volume
// that is no snapshot is never removed here.
//
// Formats and limits are those of lvm2 2.03.14 (EL8) and 2.03.16 (Debian 12),
// which do not differ in anything that is used here.
package snapshot
