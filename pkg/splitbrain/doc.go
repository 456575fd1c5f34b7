// Package splitbrain decides what becomes of a split brain. It is pure: no
// clock, no I/O, no goroutine.
//
//	m := splitbrain.NewMachine("drbdtest2", "res0", "drbdtest1", record)
//	for _, effect := range m.Handle(now, splitbrain.Word{Kind: splitbrain.WordHelper, At: at}) {
//		run(effect) // Alert, Persist, Publish, ReadIdentifiers: the answers are inputs again
//	}
//
// The same [Machine] runs on both nodes. Each publishes its [Evidence], and
// [Decide] finds the same [Verdict] in the same two pieces of it. What then
// happens, for one resource and one peer:
//
//	victim    found, decided  …  snapshotting, discarding  …  none
//	survivor  found, decided (promise)  …  reconnecting    …  none
//
// That at most one node ever discards rests on four rules:
//
//   - The survivor puts its promise (Commitment) on disk before it shows it,
//     and keeps it until the connection is live. A node with a promise never
//     discards.
//   - The victim begins only with the survivor's promise for this very pair of
//     generations, given in answer to the victim's own question.
//   - The victim puts its intent on disk before it does anything. A node with
//     an intent promises nothing.
//   - That DRBD may hold the order to discard is on disk before it is sent.
//     After a restart the order is withdrawn, not repeated.
//
// A victim is Secondary, not promoted and not mounted, and stays so: a marker
// makes the agent refuse promotion, and after it, and again after the snapshot,
// everything is read anew under the agent's lock.
//
// What it does not do: promote, demote, mount, move, or connect a resource that
// an administrator disconnected. A connection that is StandAlone is no split
// brain; its identifiers are read and shown, so that one can be proven.
package splitbrain
