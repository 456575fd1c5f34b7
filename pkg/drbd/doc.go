// Package drbd is what one node knows of its DRBD resources: a state built
// from the lines of "drbdsetup events2", and what follows from it. It is pure.
// It runs nothing, reads no file and has no clock; the same lines always give
// the same state, changes, score and reasons.
//
//	st, err := events2.ReadDump(out)
//	r := st.Resources["res0"]
//	if score, ok, why := drbd.PromotionScore(r); ok {
//		fmt.Println(score, why) // 1000 good data, peer drbdtest2 unknown
//	}
//
// A line becomes an [Event] (package events2 parses it), an event applied to a
// [State] becomes a list of [Change], and decisions elsewhere are made on
// changes and state.
//
// Words are DRBD's own, as strings, so that a word of a future version passes
// through unharmed; Valid tells whether this package knows it. Facts that may
// be unknown are a [Tri], never a bool.
//
// DRBD 8.4 and DRBD 9 kernels are the same model; the file compat.go holds all
// that differs. Two things to know when reading a state: StandAlone is not
// split brain (an administrator's disconnect looks the same), and Connected is
// not replication (see [PeerDevice.Live]).
//
// The package does not decide about split brain, and it does not know
// generation identifiers.
package drbd
