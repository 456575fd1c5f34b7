// Package daemon is the life of drbdnfsd on one node: it follows DRBD, finds
// split brains and resolves those that the configuration wants resolved, tells
// people and monitoring what it sees, and reports a lost volume to Pacemaker.
//
//	d, err := daemon.New(daemon.Options{Host: host.New(log), Log: log, Reload: hangups, Notify: systemd})
//	err = d.Run(ctx) // until ctx ends
//
// A split brain, with the policy discard-secondary:
//
//	drbdtest1, Primary                    drbdtest2, Secondary
//	"call helper … split-brain" in events2, at the same moment on both
//	found; publishes its identifiers      found; publishes its identifiers
//	decided: promises to keep its data    decided: is to lose, and asks
//	                                      is kept from promotion, makes a snapshot,
//	                                      drbdadm connect --discard-my-data
//	drbdadm disconnect, connect
//	resolved: the connection is live      resolved; may be promoted again
//
// One goroutine, the owner, has all that is known: DRBD's state and a machine of
// package splitbrain for each resource and peer. Everything else reaches it by
// one channel, and what takes time runs beside it, one command after the other
// for each resource and peer, and one program of Pacemaker's at a time. What a
// machine must find again is on disk before anything follows from it; if it
// cannot be written, nothing does.
//
// The daemon needs no cluster and no configuration: without them it watches. It
// goes on while Pacemaker is down, DRBD's module is not loaded, or no resource
// exists. It never promotes, demotes, mounts or moves anything, and it discards
// data only as package splitbrain allows it.
package daemon
