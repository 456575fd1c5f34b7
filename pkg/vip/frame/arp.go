package frame

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// Ethernet and ARP numbers, from RFC 826 and IEEE 802.3.
const (
	ethLen = 14 // destination, source, type
	arpLen = 28 // Ethernet and IPv4

	typeARP  = 0x0806
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd

	arpEthernet = 1
)

// ARPOp is the operation of an ARP packet.
type ARPOp uint16

// The two operations that matter here.
const (
	ARPRequest ARPOp = 1
	ARPReply   ARPOp = 2
)

// ARP is what an ARP packet for IPv4 over Ethernet says.
type ARP struct {
	Op        ARPOp            // request or reply
	SenderMAC net.HardwareAddr // who sends
	SenderIP  netip.Addr       // the address the sender has; 0.0.0.0 in a probe
	TargetMAC net.HardwareAddr // unused in a request
	TargetIP  netip.Addr       // the address that is asked for
}

// broadcastMAC and zeroMAC are functions so that no caller can change them.
func broadcastMAC() net.HardwareAddr { return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }
func zeroMAC() net.HardwareAddr      { return make(net.HardwareAddr, 6) }

// ARPProbe returns the broadcast Ethernet frame that asks who has target
// without claiming it (RFC 5227 §2.1.1): the sender's protocol address is
// 0.0.0.0, so that no cache on the network changes.
func ARPProbe(mac net.HardwareAddr, target netip.Addr) []byte {
	return ethernet(broadcastMAC(), mac, typeARP, marshalARP(ARP{
		Op:        ARPRequest,
		SenderMAC: mac,
		SenderIP:  netip.IPv4Unspecified(),
		TargetMAC: zeroMAC(),
		TargetIP:  target,
	}))
}

// GratuitousARP returns the two broadcast frames that announce addr at mac.
// Some equipment updates its cache only on the request form, some only on the
// reply form, so both are sent. The target hardware address follows RFC 5944
// §4.6: unused in the request, the new address in the reply.
func GratuitousARP(mac net.HardwareAddr, addr netip.Addr) (request, reply []byte) {
	a := ARP{Op: ARPRequest, SenderMAC: mac, SenderIP: addr, TargetMAC: zeroMAC(), TargetIP: addr}
	request = ethernet(broadcastMAC(), mac, typeARP, marshalARP(a))
	a.Op, a.TargetMAC = ARPReply, mac
	reply = ethernet(broadcastMAC(), mac, typeARP, marshalARP(a))
	return request, reply
}

// ParseARP reads an Ethernet frame. It reports false for everything that is
// not ARP for IPv4 over Ethernet, including frames that are too short.
func ParseARP(b []byte) (ARP, bool) {
	if len(b) < ethLen+arpLen || binary.BigEndian.Uint16(b[12:]) != typeARP {
		return ARP{}, false
	}
	p := b[ethLen:]
	if binary.BigEndian.Uint16(p) != arpEthernet || binary.BigEndian.Uint16(p[2:]) != typeIPv4 || p[4] != 6 || p[5] != 4 {
		return ARP{}, false
	}
	return ARP{
		Op:        ARPOp(binary.BigEndian.Uint16(p[6:])),
		SenderMAC: append(net.HardwareAddr(nil), p[8:14]...),
		SenderIP:  netip.AddrFrom4([4]byte(p[14:18])),
		TargetMAC: append(net.HardwareAddr(nil), p[18:24]...),
		TargetIP:  netip.AddrFrom4([4]byte(p[24:28])),
	}, true
}

func marshalARP(a ARP) []byte {
	b := make([]byte, 0, arpLen)
	b = binary.BigEndian.AppendUint16(b, arpEthernet)
	b = binary.BigEndian.AppendUint16(b, typeIPv4)
	b = append(b, 6, 4) // lengths of the two kinds of address
	b = binary.BigEndian.AppendUint16(b, uint16(a.Op))
	b = append(b, a.SenderMAC...)
	b = append(b, a.SenderIP.AsSlice()...)
	b = append(b, a.TargetMAC...)
	return append(b, a.TargetIP.AsSlice()...)
}

func ethernet(dst, src net.HardwareAddr, etherType uint16, payload []byte) []byte {
	b := make([]byte, 0, ethLen+len(payload))
	b = append(b, dst...)
	b = append(b, src...)
	b = binary.BigEndian.AppendUint16(b, etherType)
	return append(b, payload...)
}
