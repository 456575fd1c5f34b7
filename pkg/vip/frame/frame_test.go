package frame_test

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spacei/drbdnfs/pkg/vip/frame"
)

var (
	mac = net.HardwareAddr{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}
	v4  = netip.MustParseAddr("192.168.2.63")
	v6  = netip.MustParseAddr("fd00::63")
)

// golden compares a frame with its bytes in hexadecimal; blanks separate the
// fields for the reader.
func golden(t *testing.T, name string, got []byte, fields ...string) {
	t.Helper()
	want := strings.ReplaceAll(strings.Join(fields, ""), " ", "")
	if diff := cmp.Diff(want, hex.EncodeToString(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestARPProbe(t *testing.T) {
	golden(t, "probe", frame.ARPProbe(mac, v4),
		"ffffffffffff 525400123456 0806", // to everybody
		"0001 0800 06 04 0001",           // Ethernet, IPv4, request
		"525400123456 00000000",          // sender, no address claimed
		"000000000000 c0a8023f")          // who has 192.168.2.63
}

func TestGratuitousARP(t *testing.T) {
	request, reply := frame.GratuitousARP(mac, v4)
	golden(t, "request", request,
		"ffffffffffff 525400123456 0806",
		"0001 0800 06 04 0001",
		"525400123456 c0a8023f",
		"000000000000 c0a8023f")
	golden(t, "reply", reply,
		"ffffffffffff 525400123456 0806",
		"0001 0800 06 04 0002",
		"525400123456 c0a8023f",
		"525400123456 c0a8023f")
}

func TestParseARP(t *testing.T) {
	_, reply := frame.GratuitousARP(mac, v4)
	a, ok := frame.ParseARP(append(reply, make([]byte, 18)...)) // padded to 60 bytes as on the wire
	if !ok || a.Op != frame.ARPReply || a.SenderMAC.String() != mac.String() || a.SenderIP != v4 || a.TargetIP != v4 {
		t.Errorf("got %+v, %v", a, ok)
	}
	for name, change := range map[string]func([]byte){
		"other type":           func(b []byte) { b[13] = 0 },
		"other hardware":       func(b []byte) { b[15] = 6 },
		"other protocol":       func(b []byte) { b[16] = 0x86 },
		"hardware length":      func(b []byte) { b[18] = 8 },
		"protocol length":      func(b []byte) { b[19] = 16 },
		"VLAN tag in the type": func(b []byte) { b[12] = 0x81 },
	} {
		bad := append([]byte(nil), reply...)
		change(bad)
		if a, ok := frame.ParseARP(bad); ok {
			t.Errorf("%s: got %+v", name, a)
		}
	}
	for n := range reply {
		if _, ok := frame.ParseARP(reply[:n]); ok {
			t.Errorf("%d bytes were enough", n)
		}
	}
}

func TestSolicitation(t *testing.T) {
	golden(t, "solicitation", frame.Solicitation(mac, netip.MustParseAddr("fd00::12:3456")),
		"3333ff123456 525400123456 86dd",
		"60000000 0018 3a ff", // 24 bytes of ICMPv6, hop limit 255
		"00000000000000000000000000000000",
		"ff0200000000000000000001ff123456",
		"87 00 14d7 00000000",
		"fd000000000000000000000000123456")
}

func TestUnsolicitedNA(t *testing.T) {
	golden(t, "advertisement", frame.UnsolicitedNA(mac, v6),
		"333300000001 525400123456 86dd",
		"60000000 0020 3a ff",
		"fd000000000000000000000000000063",
		"ff020000000000000000000000000001",
		"88 00 d51b 20000000", // Override alone
		"fd000000000000000000000000000063",
		"02 01 525400123456") // target link-layer address
}

func TestParseAdvertisement(t *testing.T) {
	na := frame.UnsolicitedNA(mac, v6)
	a, ok := frame.ParseAdvertisement(na)
	if !ok || a.Target != v6 || a.MAC.String() != mac.String() {
		t.Errorf("got %+v, %v", a, ok)
	}
	if _, ok := frame.ParseAdvertisement(frame.Solicitation(mac, v6)); ok {
		t.Error("a solicitation was taken for an advertisement")
	}
	for i := 12; i < len(na); i++ {
		if i >= 14 && i < 18 && i != 14 { // traffic class and flow label mean nothing
			continue
		}
		bad := append([]byte(nil), na...)
		bad[i] ^= 0xff
		if a, ok := frame.ParseAdvertisement(bad); ok {
			t.Errorf("byte %d changed: got %+v", i, a)
		}
	}
	for n := range na {
		if _, ok := frame.ParseAdvertisement(na[:n]); ok {
			t.Errorf("%d bytes were enough", n)
		}
	}
}

func TestTickle(t *testing.T) {
	ack, synAck := frame.Tickle(netip.AddrPortFrom(v4, 2049), netip.MustParseAddrPort("192.168.2.10:812"))
	golden(t, "IPv4", ack,
		"45 00 0028 0000 4000 40 06 b536 c0a8023f c0a8020a",
		"0801 032c 00000000 00000000 50 10 04d2 1a3c 0000")
	golden(t, "IPv4 with SYN", synAck,
		"45 00 0028 0000 4000 40 06 b536 c0a8023f c0a8020a",
		"0801 032c 00000000 00000000 50 12 04d2 1a3a 0000")
	ack, synAck = frame.Tickle(netip.AddrPortFrom(v6, 2049), netip.MustParseAddrPort("[fd00::10]:812"))
	golden(t, "IPv6", ack,
		"60000000 0014 06 40",
		"fd000000000000000000000000000063",
		"fd000000000000000000000000000010",
		"0801 032c 00000000 00000000 50 10 04d2 a561 0000")
	golden(t, "IPv6 with SYN", synAck,
		"60000000 0014 06 40",
		"fd000000000000000000000000000063",
		"fd000000000000000000000000000010",
		"0801 032c 00000000 00000000 50 12 04d2 a55f 0000")
}

// Mapped addresses give the IPv4 packet, a zone is not part of an address.
func TestTickleForms(t *testing.T) {
	want, _ := frame.Tickle(netip.AddrPortFrom(v4, 2049), netip.MustParseAddrPort("192.168.2.10:812"))
	got, _ := frame.Tickle(netip.MustParseAddrPort("[::ffff:192.168.2.63]:2049"), netip.MustParseAddrPort("[::ffff:192.168.2.10]:812"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mapped (-want +got):\n%s", diff)
	}
	want, _ = frame.Tickle(netip.AddrPortFrom(v6, 2049), netip.MustParseAddrPort("[fe80::10]:812"))
	got, _ = frame.Tickle(netip.AddrPortFrom(v6, 2049), netip.MustParseAddrPort("[fe80::10%eth0]:812"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("zone (-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	request, _ := frame.GratuitousARP(mac, v4)
	f.Add(request)
	f.Add(frame.UnsolicitedNA(mac, v6))
	f.Fuzz(func(_ *testing.T, b []byte) { // must not panic
		frame.ParseARP(b)
		frame.ParseAdvertisement(b)
	})
}
