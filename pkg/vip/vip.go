package vip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// VIP is one service address.
type VIP struct {
	Prefix    netip.Prefix // the address with the prefix length of its network, not masked
	Interface string       // interface to put it on; empty: the one in the same network
}

// Addr returns the address without its prefix length.
func (v VIP) Addr() netip.Addr { return v.Prefix.Addr() }

// String returns the form that [Parse] reads.
func (v VIP) String() string {
	if v.Interface == "" {
		return v.Prefix.String()
	}
	return v.Prefix.String() + "@" + v.Interface
}

// Addrs returns the addresses of vips without prefix lengths, in order.
func Addrs(vips []VIP) []netip.Addr {
	addrs := make([]netip.Addr, 0, len(vips))
	for _, v := range vips {
		addrs = append(addrs, v.Addr())
	}
	return addrs
}

// Parse reads a list of service addresses as the parameter vips has them:
// "address/prefixlength", optionally followed by "@interface", separated by
// spaces, line ends or commas. The order is kept.
//
// Every address must be one that clients can use: not the network's own or
// broadcast address, not loopback, multicast, link-local or unspecified, and
// given once. An error quotes the value and says what to write instead. Parse
// looks at no interface of this machine.
func Parse(s string) ([]VIP, error) {
	fields := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	if len(fields) == 0 {
		return nil, errors.New(`no service address: write for example 192.168.2.63/24@ens3`)
	}
	vips := make([]VIP, 0, len(fields))
	seen := make(map[netip.Addr]string, len(fields))
	for _, f := range fields {
		v, err := parseOne(f)
		if err != nil {
			return nil, fmt.Errorf("service address %q: %w", f, err)
		}
		if first, ok := seen[v.Addr()]; ok {
			return nil, fmt.Errorf("service address %q: the same address as %q, leave one out", f, first)
		}
		seen[v.Addr()] = f
		vips = append(vips, v)
	}
	return vips, nil
}

func parseOne(s string) (VIP, error) {
	text, iface, named := strings.Cut(s, "@")
	if named {
		if err := checkInterface(iface); err != nil {
			return VIP{}, err
		}
	}
	prefix, err := parsePrefix(text)
	if err != nil {
		return VIP{}, err
	}
	if err := checkAddr(prefix); err != nil {
		return VIP{}, err
	}
	return VIP{Prefix: prefix, Interface: iface}, nil
}

// parsePrefix tells apart the ways in which a prefix is commonly wrong.
func parsePrefix(text string) (netip.Prefix, error) {
	host, bits, hasBits := strings.Cut(text, "/")
	if strings.Contains(host, "%") {
		return netip.Prefix{}, errors.New(`an address with a zone: name the interface with "@" instead`)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an IP address (host names are not looked up)", host)
	}
	if addr.Is4In6() {
		return netip.Prefix{}, fmt.Errorf("IPv4 mapped into IPv6: write %s", addr.Unmap())
	}
	if !hasBits {
		return netip.Prefix{}, fmt.Errorf("no prefix length: write %s/%d with the length of your network", addr, usualBits(addr))
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a prefix length: write a number from 1 to %d, for example %s/%d",
			bits, addr.BitLen(), addr, usualBits(addr))
	}
	if prefix.Bits() == 0 {
		return netip.Prefix{}, fmt.Errorf("prefix length 0 is every network there is: write for example %s/%d", addr, usualBits(addr))
	}
	return prefix, nil
}

func usualBits(a netip.Addr) int {
	if a.Is4() {
		return 24
	}
	return 64
}

func checkAddr(p netip.Prefix) error {
	a := p.Addr()
	switch {
	case a.IsUnspecified():
		return errors.New("the unspecified address: write an address of your network")
	case a.IsLoopback():
		return errors.New("a loopback address: clients cannot reach it, write an address of your network")
	case a.IsMulticast():
		return errors.New("a multicast address: write a unicast address of your network")
	case a.Is6() && a.IsLinkLocalUnicast():
		return errors.New("a link-local address: clients would need a zone, write a global or unique local address")
	case a.Is4() && a.As4()[0] >= 240:
		return errors.New("a reserved address: write a unicast address of your network")
	case a.Is4() && a.As4()[0] == 0:
		return errors.New("an address in 0.0.0.0/8: write an address of your network")
	}
	hostBits := a.BitLen() - p.Bits()
	// Two addresses or one: a point-to-point link (RFC 3021, RFC 6164) or a
	// host route, which have neither of the two special addresses.
	if hostBits < 2 {
		return nil
	}
	if a == p.Masked().Addr() {
		return fmt.Errorf("the address of the network %s itself: write one of its hosts", p.Masked())
	}
	if a.Is4() && a == lastAddr(p) {
		return fmt.Errorf("the broadcast address of %s: write one of its hosts", p.Masked())
	}
	return nil
}

// lastAddr returns the highest address of an IPv4 network.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// maxInterfaceName is IFNAMSIZ without the terminating zero.
const maxInterfaceName = 15

// checkInterface follows the kernel's own rule (net/core/dev.c,
// dev_valid_name), and refuses a second "@" and aliases such as eth0:1.
func checkInterface(name string) error {
	switch {
	case name == "":
		return errors.New(`no interface after "@": name one or leave "@" out`)
	case len(name) > maxInterfaceName:
		return fmt.Errorf("interface %q is longer than %d characters", name, maxInterfaceName)
	case name == "." || name == ".." || strings.ContainsAny(name, "/:@"):
		return fmt.Errorf("%q cannot be the name of an interface", name)
	case name == "lo":
		return errors.New("the loopback interface: clients cannot reach it, name another one")
	}
	return nil
}
