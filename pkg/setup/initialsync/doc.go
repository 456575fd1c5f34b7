// Package initialsync is the stage of setup that shows the first
// synchronisation of the volume until all nodes have the data. It changes
// nothing: DRBD copies by itself, the group can be used meanwhile, and to
// interrupt the stage is harmless.
//
//	s := initialsync.New(initialsync.Options{Machine: host.New(log), Config: cfg, Self: "drbdtest1", Log: log})
//	items, err := s.Look(ctx) // one Await item while DRBD copies
//
// How much is done is DRBD's own word; rate and time left come from how fast
// the part that is out of sync has become smaller.
package initialsync
