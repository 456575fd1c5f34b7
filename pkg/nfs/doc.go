// Package nfs runs the kernel's NFS server for the group: the state directory
// behind /var/lib/nfs, the daemons that the server needs, the server's threads
// and its exports.
//
//	exports, err := nfs.ParseExports("/home/nfs/user-data 192.168.2.0/24(rw,sync)", "res0")
//	srv := nfs.NewServer(host.New(nil), nfs.ServerConfig{Threads: 128, Versions: versions, Scope: "res0"})
//	err = srv.Start(ctx) // after the daemons, so that nfsdcld tracks clients from the first one on
//
// The parts are independent; package group orders them. The order matters:
// the state directory before the daemons that open files in it, nfsdcld before
// the threads (the kernel waits about one second for it, then goes on without
// an early end of the grace period), exports before clients can reach the
// server.
//
// There is one kernel NFS server in a network namespace. This package refuses
// to touch one that it did not start.
package nfs
