// Package drbdadm is the stage of setup that makes the volume without LINSTOR:
// the logical volume, DRBD's resource file and metadata, the resource itself,
// and the first good copy.
//
//	s := drbdadm.New(drbdadm.Options{Machine: host.New(log), Config: cfg, Self: "drbdtest1", Log: log})
//	items, err := s.Look(ctx)
//
// The first good copy is the one decision about data in it: which of the blank
// volumes the others are overwritten from. It is made on one node, once, and
// only where DRBD's generation identifiers say that no node ever had data.
// Everything else that is found is kept or refused. Once there is a file system
// on the volume, bringing the resource up and down is Pacemaker's.
//
// Logical volumes that setup made carry the tag "drbdnfs"; the tag
// "drbdnfs-new" beside it says that the volume may still hold what its blocks
// held before, because the run that made it was cut off.
package drbdadm
