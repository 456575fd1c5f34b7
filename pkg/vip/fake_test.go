package vip_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// fakeNet is a machine with interfaces and addresses, and a network on which
// others may have addresses. It records what was done.
type fakeNet struct {
	ifaces []host.Interface
	addrs  []host.Address
	others map[string]string // address → hardware address of another machine
	fail   map[string]error  // operation or "probe" → error
	calls  []string
	waits  time.Duration // time spent on probes
	onSend func()        // before each announcement
}

var mac = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}

// newFakeNet has ens3 with 192.168.2.61/24 and fd00::61/64, and ens4 in
// another network.
func newFakeNet() *fakeNet {
	f := &fakeNet{
		ifaces: []host.Interface{
			{Name: "lo", Index: 1, Up: true, Running: true, Loopback: true},
			{Name: "ens3", Index: 2, Up: true, Running: true, MAC: mac},
			{Name: "ens4", Index: 3, Up: true, Running: true, MAC: mac},
		},
		others: map[string]string{},
		fail:   map[string]error{},
	}
	f.have("ens3", "192.168.2.61/24")
	f.have("ens3", "fd00::61/64")
	f.have("ens4", "10.0.0.1/24")
	return f
}

func (f *fakeNet) iface(name string) *host.Interface {
	i := slices.IndexFunc(f.ifaces, func(i host.Interface) bool { return i.Name == name })
	return &f.ifaces[i]
}

func (f *fakeNet) have(iface, prefix string) {
	f.addrs = append(f.addrs, host.Address{Interface: iface, Index: f.iface(iface).Index, Prefix: netip.MustParsePrefix(prefix)})
}

func (f *fakeNet) called(format string, args ...any) {
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

func (f *fakeNet) Addresses(context.Context) ([]host.Address, error) {
	return slices.Clone(f.addrs), f.fail["addresses"]
}

func (f *fakeNet) Interfaces(context.Context) ([]host.Interface, error) {
	return slices.Clone(f.ifaces), f.fail["interfaces"]
}

func (f *fakeNet) InterfaceFor(_ context.Context, p netip.Prefix) (host.Interface, error) {
	for _, a := range f.addrs {
		if a.Prefix.Masked() == p.Masked() {
			return *f.iface(a.Interface), nil
		}
	}
	return host.Interface{}, host.ErrNoInterface
}

func (f *fakeNet) AddAddress(_ context.Context, op, iface string, p netip.Prefix) error {
	f.called("%s %s %s", op, iface, p)
	if err := f.fail[op]; err != nil {
		return err
	}
	f.have(iface, p.String())
	return nil
}

func (f *fakeNet) DelAddress(_ context.Context, op, iface string, p netip.Prefix) error {
	f.called("%s %s %s", op, iface, p)
	if err := f.fail[op+" "+p.Addr().String()]; err != nil {
		return err
	}
	f.addrs = slices.DeleteFunc(f.addrs, func(a host.Address) bool { return a.Interface == iface && a.Prefix == p })
	return nil
}

func (f *fakeNet) probe(kind, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error) {
	f.called("%s %s %s", kind, iface, addr)
	f.waits += wait
	if m, ok := f.others[addr.String()]; ok {
		return net.ParseMAC(m)
	}
	return nil, f.fail["probe"]
}

func (f *fakeNet) ARPProbe(_ context.Context, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error) {
	return f.probe("arp", iface, addr, wait)
}

func (f *fakeNet) NSProbe(_ context.Context, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error) {
	return f.probe("ns", iface, addr, wait)
}

func (f *fakeNet) send(op, kind, iface string, addr netip.Addr) error {
	f.called("%s %s %s %s", op, kind, iface, addr)
	if f.onSend != nil {
		f.onSend()
	}
	return f.fail[op]
}

func (f *fakeNet) SendGratuitousARP(_ context.Context, op, iface string, addr netip.Addr) error {
	return f.send(op, "arp", iface, addr)
}

func (f *fakeNet) SendUnsolicitedNA(_ context.Context, op, iface string, addr netip.Addr) error {
	return f.send(op, "na", iface, addr)
}
