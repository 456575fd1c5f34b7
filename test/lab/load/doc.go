// Package load is what the lab's client does to an NFS mount: it writes records
// and keeps a local list of what was acknowledged, verifies the file against that
// list, and holds or contends for byte-range locks.
//
// A record is one line of fixed length: number, time, checksum. Its number gives
// its place in the file, so a lost, repeated or reordered write cannot hide:
//
//	load.FormatRecord(7, time.Now())
//	// "0000000000000007 18a2b3c4d5e6f708 9c1185a5\n"
//
// The list of acknowledgements lies on the client's own disk, never on the mount
// under test; a line is added only after fsync has returned.
package load
