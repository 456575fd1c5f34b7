// Package declare is what a node says of itself to the others of its cluster:
// which drbdnfs, which DRBD, which configuration. drbdnfsd publishes it as a
// private attribute of Pacemaker's (package pacemaker, Publish), and drbdnfs check
// compares it between the nodes.
//
//	own := declare.Node{Version: "0.1.0", Config: declare.Digest(cfg), Kernel: "9.1.23"}
//	err := client.Publish(ctx, declare.Attribute, own.Marshal())
//	peer, err := declare.Unmarshal(values["drbdtest2"])
//
// It holds no clock: a value that changed with time would be a line a minute in
// Pacemaker's log on every node. It holds no secret either: the digest is of the
// configuration as drbdnfs config show prints it, with passwords hidden.
package declare
