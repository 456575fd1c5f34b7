package frame

import (
	"encoding/binary"
	"net/netip"
)

const (
	ipv4Len = 20
	tcpLen  = 20

	protoTCP = 6
	ttl      = 64
	flagSYN  = 0x02
	flagACK  = 0x10

	// tickleWindow is any number but zero: a zero window would stop a client
	// for a moment if the forged segment were ever taken for a real one.
	tickleWindow = 1234
)

// Tickle returns two IP packets with TCP segments from local to remote whose
// sequence and acknowledgement numbers are zero, which is wrong for the
// connection with near certainty. A client that still believes in the
// connection answers either with its real numbers (RFC 9293 §3.10.7.4: an
// unacceptable segment is answered by an acknowledgement), the new server has
// no such connection and resets it with the right numbers, and the client
// connects anew at once instead of at its next retransmission.
//
// The first is a plain acknowledgement. A client whose firewall tracks
// connections and drops what is invalid, as firewalld does, never sees it. The
// second also has the SYN flag: connection tracking lets an unexpected answer
// to a SYN through, because its own view may be the wrong one
// (net/netfilter/nf_conntrack_proto_tcp.c, TCP_CONNTRACK_IGNORE).
//
// Both addresses must have the same family; an address mapped into IPv6 is
// taken as the IPv4 address. The packets begin with the IP header.
func Tickle(local, remote netip.AddrPort) (ack, synAck []byte) {
	return segment(local, remote, flagACK), segment(local, remote, flagSYN|flagACK)
}

// segment returns an IP packet with a TCP segment without data or options.
func segment(local, remote netip.AddrPort, flags byte) []byte {
	src, dst := local.Addr().Unmap().WithZone(""), remote.Addr().Unmap().WithZone("")
	seg := make([]byte, tcpLen)
	binary.BigEndian.PutUint16(seg[0:], local.Port())
	binary.BigEndian.PutUint16(seg[2:], remote.Port())
	seg[12] = tcpLen / 4 << 4
	seg[13] = flags
	binary.BigEndian.PutUint16(seg[14:], tickleWindow)
	binary.BigEndian.PutUint16(seg[16:], transportChecksum(src, dst, protoTCP, seg))
	if src.Is6() {
		return append(ipv6Header(src, dst, protoTCP, ttl, len(seg)), seg...)
	}
	return append(ipv4Header(src, dst, protoTCP, len(seg)), seg...)
}

// ipv4Header returns a header with the checksum filled in. The identification
// stays zero: with "do not fragment" it has no meaning (RFC 6864 §4.1), and
// the kernel fills it in when such a packet goes through a raw socket.
func ipv4Header(src, dst netip.Addr, proto byte, size int) []byte {
	b := make([]byte, ipv4Len, ipv4Len+size)
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(ipv4Len+size))
	b[6] = 0x40 // do not fragment
	b[8] = ttl
	b[9] = proto
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(b[10:], ^fold(sum(0, b)))
	return b
}

// transportChecksum returns the Internet checksum (RFC 1071) of seg with the
// pseudo header of its family. Over a segment that holds its own checksum the
// result is 0.
func transportChecksum(src, dst netip.Addr, proto byte, seg []byte) uint16 {
	s := sum(0, src.AsSlice())
	s = sum(s, dst.AsSlice())
	s += uint32(len(seg)) + uint32(proto)
	return ^fold(sum(s, seg))
}

func sum(s uint32, b []byte) uint32 {
	for len(b) >= 2 {
		s += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
