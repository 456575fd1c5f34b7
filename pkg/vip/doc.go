// Package vip holds the service addresses: it reads them from the parameter of
// the agent, puts them on an interface, tells the network where they are now,
// and takes them away.
//
//	vips, err := vip.Parse("192.168.2.63/24@ens3, fd00::63/64@ens3")
//	m, err := vip.New(vip.Options{Host: h, VIPs: vips})
//	err = m.Start(ctx) // asks the network for duplicates, adds, announces
//	err = m.Stop(ctx)
//
// The agent calls Start, Stop and Status; its announcer calls Announce a few
// times after a take-over, because a switch port or a bond that just came up
// loses the first packets.
//
// It does not raise interfaces, make routes or keep an address that somebody
// else removes: monitoring sees that and the cluster decides. An address is
// never added while another machine answers for it.
package vip
