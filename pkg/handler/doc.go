// Package handler is the program that DRBD's kernel calls, through drbdadm, when
// it has something to say that nobody may miss: a split brain above all. It
// keeps a record of the call on disk and tells the daemon, and it decides
// nothing and changes nothing.
//
//	handlers { split-brain "/usr/lib/drbdnfs/drbdnfs-handler split-brain"; }
//
//	os.Exit(handler.Run(handler.Options{System: host.New(nil), Environ: os.Environ(), Stderr: os.Stderr, …}, os.Args[1:]))
//	// /var/lib/drbdnfs/events/20261123T140745.123000000Z_res0_drbdtest2_split-brain.json
//
// A record is the very notice (package notice) that the daemon is sent, so that
// a daemon that was down when it happened, or lives only after the next boot,
// reads the same words with [Store.Read]. A record stays, for whoever looks into
// the matter later, but for the oldest ones of those that came most often once
// there are more than [MaxRecords].
//
// The kernel waits for the handler, with the connection or the whole resource
// standing still meanwhile: everything here is bounded, and nothing that goes
// wrong here is DRBD's concern. Facts of calls and exit codes are from the
// kernel module (drbd_nl.c drbd_khelper, drbd_receiver.c, drbd_sender.c; 8.4:
// drbd_nl.c, drbd_worker.c) and drbdadm (adm_khelper): only before-resync-target,
// before-resync-source and fence-peer have an exit code that counts.
package handler
