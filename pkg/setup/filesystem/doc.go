// Package filesystem is the stage of setup that makes the file system on the
// volume and the directories that are exported.
//
//	s := filesystem.New(filesystem.Options{Machine: host.New(log), Config: cfg, Self: "drbdtest1", Log: log})
//	items, err := s.Look(ctx)
//
// The file system is made once, by the node that the first synchronisation
// copies from, on a device on which nothing is found. For that time the node is
// Primary and the file system is mounted on a directory of its own below
// /run/drbdnfs; both end with the work, also when it fails. A new file system
// has the label "drbdnfs-new" until its directories are made: that is how a run
// that was cut off is continued. Later the node that serves makes directories
// that are missing; an owner or a mode is never changed.
//
// DRBD's device cannot be read on a Secondary. What is on it is seen on its
// backing device, where the file system starts at the same place.
package filesystem
