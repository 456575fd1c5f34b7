// Package exports shows what the NFS server offers and who uses it: the exports
// of the configuration file and of Pacemaker's configuration against the table of
// the running server, the clients, and what they hold.
//
//	r, err := exports.Look(ctx, host.New(log), cfg)
//	for _, e := range r.Exports {
//		fmt.Println(e.Path, e.Client, e.State) // /home/nfs/user-data 192.168.2.0/24 offered
//	}
//
// It looks and changes nothing. What cannot be seen is said in [Report.Unknown]
// and is never an error: NFSv3 has no list of clients, and kernels without
// /proc/fs/nfsd/clients (it came with 5.3) have none for NFSv4 either. There the
// connections to the service addresses are what is known.
//
// The formats are those of Linux fs/nfsd/nfs4state.c (client_info_show,
// states_show), fs/locks.c (lock_get_status) and nfs-utils support/nfs
// (xio.c, rmtab.c). It is used by "drbdnfs exports".
package exports
