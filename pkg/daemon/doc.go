// Package daemon is the life of drbdnfsd on one node: it follows DRBD through
// "drbdsetup events2" and logs what changed, in DRBD's own words, with a level
// that says whether somebody has to act.
//
//	d, err := daemon.New(daemon.Options{Host: host.New(log), Log: log})
//	err = d.Run(ctx) // until ctx ends
//
// events2 and not a poll: the kernel sends each change in order, including the
// calls of its helpers, so that a split brain is seen without any handler
// script. events2 is started again, with a growing pause, whenever it ends or
// has lost lines; each start begins with a dump of everything, from which the
// state is built anew.
//
// The package changes nothing on the node. It needs no cluster and goes on
// while Pacemaker is down, DRBD's module is not loaded, or no resource exists.
package daemon
