// Package events2 reads the lines of "drbdsetup events2", of drbd-utils 9 over
// a DRBD 9 or a DRBD 8.4 kernel, with or without --timestamps, --statistics
// and --full. It knows the grammar and nothing of the meaning: that is package
// drbd.
//
//	st, err := events2.ReadDump(bytes.NewReader(stdout)) // of events2 --now
//
//	for ev, err := range events2.Read(pipe) { // of a running events2
//		if errors.Is(err, events2.ErrSyntax) {
//			continue // one odd line; the stream goes on
//		}
//		if err != nil {
//			return err // the stream is over
//		}
//		changes := state.Apply(ev)
//	}
//
// The grammar, from drbd-utils user/v9/drbdsetup_events2.c and
// user/v84/drbdsetup.c (print_notifications):
//
//	line   = [time " "] ( verb " " object { " " key ":" value } | "- skipped " number )
//	time   = RFC 3339 with microseconds and the local offset
//	object = "resource" | "connection" | "device" | "peer-device" | "path" | "helper" | "-"
//
// A value never holds white space and may hold colons. Unknown verbs, objects,
// keys and words are kept as they are. The output of --diff is refused as
// [ErrSyntax]: it leaves out keys and has two values for one key, "OLD->NEW".
//
// The caller owns the child process, and with it the pipe, its end and the
// restart; see the hazards of "events2 --poll" in drbdsetup(8) before giving
// it a standard input.
package events2
