// Package notice carries what the daemon should know at once and could
// otherwise only find out later: that an action of the agent has ended, and
// that DRBD has called its handler. One datagram is one notice in JSON.
//
//	err := notice.Send(notice.Path, notice.Notice{
//		Node: "drbdtest1", When: time.Now(),
//		Action: &notice.Action{Group: "nfs", Name: "promote", Code: 0, DurationMS: 2140},
//	}) // {"version":1,"node":"drbdtest1","when":"…","action":{"group":"nfs","name":"promote","rc":0,"duration_ms":2140}}
//
//	err := notice.Listen(ctx, notice.Path, func(n notice.Notice, err error) { … }) // in the daemon
//
// Notices are best effort: nobody may be listening, and a sender never waits
// for the one who does. What must not be lost is kept elsewhere as well (package
// handler keeps a record of each call of DRBD's handler).
//
// Who may send is decided by the modes of the socket and of its directory, 0600
// and 0700: root. But for a lift and an order, which root gives, nothing is
// authorised by a notice; it is news, and whoever acts on it looks for himself
// first.
package notice
