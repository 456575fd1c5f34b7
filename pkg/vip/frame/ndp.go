package frame

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// IPv6 and neighbour discovery numbers, from RFC 8200 and RFC 4861.
const (
	ipv6Len   = 40
	ndpLen    = 24 // type, code, checksum, flags, target
	optionLen = 8  // one link-layer address option for Ethernet

	protoICMPv6 = 58
	ndpHopLimit = 255 // a receiver drops anything else: it proves that no router forwarded the packet

	typeSolicitation  = 135
	typeAdvertisement = 136

	flagOverride = 0x20 // of the advertisement's first flag byte

	optionTargetMAC = 2
)

// Advertisement is what a neighbour advertisement says.
type Advertisement struct {
	Target netip.Addr       // the address that is advertised
	MAC    net.HardwareAddr // where it is: the target link-layer option, or the frame's source without one
}

// Solicitation returns the Ethernet frame that asks who has target without
// claiming it, the form of duplicate address detection (RFC 4862 §5.4.2): the
// source is the unspecified address and no link-layer option is present, so no
// cache changes. A holder answers to all nodes.
func Solicitation(mac net.HardwareAddr, target netip.Addr) []byte {
	dst, dstMAC := solicitedNode(target)
	body := make([]byte, ndpLen)
	body[0] = typeSolicitation
	copy(body[8:], target.AsSlice())
	return ethernet(dstMAC, mac, typeIPv6, icmpv6(netip.IPv6Unspecified(), dst, body))
}

// UnsolicitedNA returns the Ethernet frame that tells all nodes that addr is
// at mac (RFC 4861 §7.2.6): from addr itself to ff02::1, hop limit 255,
// Override set so that caches that hold another hardware address change,
// Solicited and Router clear, with the target link-layer option.
func UnsolicitedNA(mac net.HardwareAddr, addr netip.Addr) []byte {
	body := make([]byte, ndpLen+optionLen)
	body[0] = typeAdvertisement
	body[4] = flagOverride
	copy(body[8:], addr.AsSlice())
	body[24] = optionTargetMAC
	body[25] = optionLen / 8
	copy(body[26:], mac)
	allNodes := netip.IPv6LinkLocalAllNodes()
	return ethernet(multicastMAC(allNodes), mac, typeIPv6, icmpv6(addr, allNodes, body))
}

// ParseAdvertisement reads an Ethernet frame. It reports false for everything
// that is not a valid neighbour advertisement directly in IPv6: too short,
// another hop limit than 255, extension headers, a wrong checksum.
func ParseAdvertisement(b []byte) (Advertisement, bool) {
	if len(b) < ethLen+ipv6Len+ndpLen || binary.BigEndian.Uint16(b[12:]) != typeIPv6 {
		return Advertisement{}, false
	}
	ip := b[ethLen:]
	size := int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || ip[6] != protoICMPv6 || ip[7] != ndpHopLimit || size < ndpLen || ipv6Len+size > len(ip) {
		return Advertisement{}, false
	}
	body := ip[ipv6Len : ipv6Len+size]
	src, dst := netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
	if body[0] != typeAdvertisement || body[1] != 0 || transportChecksum(src, dst, protoICMPv6, body) != 0 {
		return Advertisement{}, false
	}
	mac := targetMAC(body[ndpLen:])
	if mac == nil {
		mac = append(mac, b[6:12]...)
	}
	return Advertisement{Target: netip.AddrFrom16([16]byte(body[8:24])), MAC: mac}, true
}

// targetMAC returns the target link-layer address among the options of an
// advertisement, nil when there is none.
func targetMAC(options []byte) net.HardwareAddr {
	for len(options) >= optionLen {
		size := int(options[1]) * 8
		if size == 0 || size > len(options) {
			return nil
		}
		if options[0] == optionTargetMAC && size == optionLen {
			return append(net.HardwareAddr(nil), options[2:8]...)
		}
		options = options[size:]
	}
	return nil
}

// solicitedNode returns the multicast group that the holder of addr listens
// on (RFC 4291 §2.7.1), as an address and as an Ethernet address.
func solicitedNode(addr netip.Addr) (netip.Addr, net.HardwareAddr) {
	a := addr.As16()
	g := [16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]}
	group := netip.AddrFrom16(g)
	return group, multicastMAC(group)
}

// multicastMAC maps an IPv6 group to Ethernet (RFC 2464 §7).
func multicastMAC(group netip.Addr) net.HardwareAddr {
	a := group.As16()
	return net.HardwareAddr{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// icmpv6 puts body, whose checksum field is zero, behind an IPv6 header and
// fills the checksum in.
func icmpv6(src, dst netip.Addr, body []byte) []byte {
	binary.BigEndian.PutUint16(body[2:], transportChecksum(src, dst, protoICMPv6, body))
	return append(ipv6Header(src, dst, protoICMPv6, ndpHopLimit, len(body)), body...)
}

func ipv6Header(src, dst netip.Addr, proto, hopLimit byte, size int) []byte {
	b := make([]byte, 0, ipv6Len+size)
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = append(b, proto, hopLimit)
	b = append(b, src.AsSlice()...)
	return append(b, dst.AsSlice()...)
}
