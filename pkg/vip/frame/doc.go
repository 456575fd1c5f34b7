// Package frame builds and reads the few packets that move a service address
// from one node to another: the ARP probe and announcement of IPv4, the
// neighbour solicitation and advertisement of IPv6, and the tickle, a TCP
// segment that makes a client notice that its server has changed.
//
// Everything here is a pure function from addresses to bytes or back. Nothing
// is sent: package host does that.
//
//	req, rep := frame.GratuitousARP(mac, netip.MustParseAddr("192.168.2.63")) // two 42-byte Ethernet frames
//
// The functions do not check that an address has the right family or that a
// hardware address has six bytes; a wrong one gives a meaningless packet. The
// callers in package host check both before they open a socket.
package frame
