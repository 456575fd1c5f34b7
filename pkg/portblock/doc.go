// Package portblock says which ports of which addresses are silent while the
// service changes nodes, and switches the silence on and off.
//
// During a switch a client must see a slow network. A reset, a refused
// connection or the end of its connection would send it into back-offs of
// seconds to minutes, and a server that answers before its exports are there
// would give it stale handles. So the service ports of the service addresses
// are dropped, both ways, before anything else happens, and opened when
// everything is ready.
//
//	b, err := portblock.Compute(vip.Addrs(vips), portblock.Ports{NFS: 2049, RPCBind: 111, Mountd: 32773})
//	blocker := portblock.New(h, b)
//	err = blocker.Ensure(ctx)
//
// The agent calls it. It does not know why the ports are blocked, keeps no
// state of its own (the nftables table is the state), and never touches other
// addresses of the node or other ports.
package portblock
