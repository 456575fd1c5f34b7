package vip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Names of the operations, for logs and fault injection.
const (
	OpAdd      = "vip.add"
	OpDelete   = "vip.delete"
	OpAnnounce = "vip.announce"
)

// DefaultProbeTime is how long [Manager.Start] asks for duplicates, for all
// addresses together. A host on the same network answers within milliseconds.
const DefaultProbeTime = 400 * time.Millisecond

// minProbeTime is the least each of many addresses gets.
const minProbeTime = 100 * time.Millisecond

var (
	// ErrDuplicate reports that another machine answers for a service address.
	ErrDuplicate = errors.New("address is in use by another machine")
	// ErrMisplaced reports that this node has a service address in another
	// place than it belongs: on another interface or with another prefix.
	ErrMisplaced = errors.New("address is already configured elsewhere on this node")
	// ErrNotOurs reports that this node does not have a service address.
	ErrNotOurs = errors.New("address is not on this node")
	// ErrLinkDown reports an interface that is switched off.
	ErrLinkDown = errors.New("interface is switched off")
)

// Network is the part of package host that this package uses.
type Network interface {
	Addresses(ctx context.Context) ([]host.Address, error)
	Interfaces(ctx context.Context) ([]host.Interface, error)
	InterfaceFor(ctx context.Context, prefix netip.Prefix) (host.Interface, error)
	AddAddress(ctx context.Context, op, iface string, prefix netip.Prefix) error
	DelAddress(ctx context.Context, op, iface string, prefix netip.Prefix) error
	ARPProbe(ctx context.Context, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error)
	NSProbe(ctx context.Context, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error)
	SendGratuitousARP(ctx context.Context, op, iface string, addr netip.Addr) error
	SendUnsolicitedNA(ctx context.Context, op, iface string, addr netip.Addr) error
}

var _ Network = (*host.Host)(nil)

// Options describe the service addresses of one group.
type Options struct {
	Host      Network       // this machine; required
	VIPs      []VIP         // the addresses; required
	Log       *slog.Logger  // nil discards
	ProbeTime time.Duration // for duplicates, all addresses together; 0 is DefaultProbeTime, negative does not ask
}

// Manager starts, stops and watches service addresses. Use [New]. Of the
// addresses it remembers nothing: what the kernel says is true.
type Manager struct {
	host      Network
	vips      []VIP
	log       *slog.Logger
	probeTime time.Duration
	checked   bool // by Check
}

// New returns the Manager of o. A missing host or address is an error.
func New(o Options) (*Manager, error) {
	if o.Host == nil {
		return nil, errors.New("vip: no host")
	}
	if len(o.VIPs) == 0 {
		return nil, errors.New("vip: no service address")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ProbeTime == 0 {
		o.ProbeTime = DefaultProbeTime
	}
	return &Manager{host: o.Host, vips: slices.Clone(o.VIPs), log: o.Log, probeTime: o.ProbeTime}, nil
}

// State is where a service address is on this node.
type State struct {
	VIP       VIP    // as configured
	Interface string // interface that has the address; empty when none has
	Present   bool   // some interface of this node has the address, with whatever prefix
	InPlace   bool   // on the right interface, with the right prefix, and usable
	Unusable  bool   // IPv6: present, but duplicate address detection has failed or not ended
	Running   bool   // the interface that has it is up with carrier
}

// Status returns the state of every address, in the configured order. It only
// reads, with two questions to the kernel, and waits for nothing.
func (m *Manager) Status(ctx context.Context) ([]State, error) {
	addrs, err := m.host.Addresses(ctx)
	if err != nil {
		return nil, err
	}
	ifaces, err := m.host.Interfaces(ctx)
	if err != nil {
		return nil, err
	}
	states := make([]State, 0, len(m.vips))
	for _, v := range m.vips {
		states = append(states, stateOf(v, addrs, ifaces))
	}
	return states, nil
}

func stateOf(v VIP, addrs []host.Address, ifaces []host.Interface) State {
	s := State{VIP: v}
	for _, a := range addrs {
		if a.Prefix.Addr() != v.Addr() || s.InPlace {
			continue
		}
		s.Present, s.Interface = true, a.Interface
		s.Unusable = a.Tentative || a.DADFailed
		s.InPlace = a.Prefix == v.Prefix && (v.Interface == "" || v.Interface == a.Interface) && !s.Unusable
		i := slices.IndexFunc(ifaces, func(i host.Interface) bool { return i.Index == a.Index })
		s.Running = i >= 0 && ifaces[i].Up && ifaces[i].Running
	}
	return s
}

// target is one address together with the interface it goes to.
type target struct {
	vip   VIP
	iface host.Interface
	here  bool // in place already
}

// Check changes nothing. It resolves every interface and asks the network
// whether another machine has one of the missing addresses, for ProbeTime
// altogether; one that answers is [ErrDuplicate] with its hardware address. An
// interface without carrier is not asked. Other errors: [host.ErrNoInterface]
// and [host.ErrAmbiguousInterface], [ErrLinkDown], [ErrMisplaced].
//
// It waits for answers that should not come; a Start after it does not ask
// again, so that a caller can do other things meanwhile.
func (m *Manager) Check(ctx context.Context) error {
	targets, err := m.resolve(ctx)
	if err != nil {
		return err
	}
	if err := m.checkDuplicates(ctx, targets); err != nil {
		return err
	}
	m.checked = true
	return nil
}

// Start puts all addresses on their interfaces and announces them once. It is
// idempotent: addresses that are in place are only announced again. Before it
// changes anything it does what [Manager.Check] does, and has its errors, unless
// that was called. An interface without carrier is used all the same, since the
// cable may come back. A failed announcement is logged and is no error, the next
// round repeats it. Addresses added before an error stay; Stop removes them.
func (m *Manager) Start(ctx context.Context) error {
	targets, err := m.resolve(ctx)
	if err != nil {
		return err
	}
	if !m.checked {
		if err := m.checkDuplicates(ctx, targets); err != nil {
			return err
		}
	}
	for _, t := range targets {
		if t.here {
			continue
		}
		if err := m.host.AddAddress(ctx, OpAdd, t.iface.Name, t.vip.Prefix); err != nil {
			return err
		}
		m.log.Info("service address added", "address", t.vip.Prefix, "interface", t.iface.Name)
	}
	if err := m.Announce(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		m.log.Warn("service address not announced", "err", err)
	}
	return nil
}

func (m *Manager) resolve(ctx context.Context) ([]target, error) {
	states, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	targets := make([]target, 0, len(states))
	for _, s := range states {
		i, err := m.interfaceOf(ctx, s.VIP)
		if err != nil {
			return nil, err
		}
		if s.Unusable {
			return nil, fmt.Errorf("%s on %s: %w: the kernel's duplicate address detection says so or has not ended", s.VIP.Addr(), s.Interface, ErrDuplicate)
		}
		if s.Present && !s.InPlace {
			return nil, fmt.Errorf("%s: %w, on %s: remove it there (for example from NetworkManager's connection)", s.VIP, ErrMisplaced, s.Interface)
		}
		if !i.Up {
			return nil, fmt.Errorf("%s: %w: ip link set %s up", s.VIP, ErrLinkDown, i.Name)
		}
		targets = append(targets, target{vip: s.VIP, iface: i, here: s.InPlace})
	}
	return targets, nil
}

// interfaceOf returns the interface an address goes to.
func (m *Manager) interfaceOf(ctx context.Context, v VIP) (host.Interface, error) {
	if v.Interface == "" {
		return m.host.InterfaceFor(ctx, v.Prefix)
	}
	list, err := m.host.Interfaces(ctx)
	if err != nil {
		return host.Interface{}, err
	}
	names := make([]string, 0, len(list))
	for _, i := range list {
		if i.Name == v.Interface {
			return i, nil
		}
		if !i.Loopback {
			names = append(names, i.Name)
		}
	}
	return host.Interface{}, fmt.Errorf("%s: %w (this node has %v)", v, host.ErrNoInterface, names)
}

// checkDuplicates asks one address after the other: a second one is rare, and
// whoever answers does so at once.
func (m *Manager) checkDuplicates(ctx context.Context, targets []target) error {
	ask := slices.DeleteFunc(slices.Clone(targets), func(t target) bool {
		return t.here || !t.iface.Running || t.iface.MAC == nil
	})
	if len(ask) == 0 || m.probeTime < 0 {
		return nil
	}
	wait := max(m.probeTime/time.Duration(len(ask)), minProbeTime)
	for _, t := range ask {
		probe := m.host.ARPProbe
		if t.vip.Addr().Is6() {
			probe = m.host.NSProbe
		}
		mac, err := probe(ctx, t.iface.Name, t.vip.Addr(), wait)
		if err != nil {
			return err
		}
		if mac != nil {
			return fmt.Errorf("%s on %s: %w: %s answers for it", t.vip.Addr(), t.iface.Name, ErrDuplicate, mac)
		}
	}
	return nil
}

// Stop removes all addresses from this node. It is idempotent. An address is
// removed wherever it is, on another interface or with another prefix too: the
// other node is about to take it, and two holders are worse than a surprised
// administrator. Stop goes on after an error and joins them.
func (m *Manager) Stop(ctx context.Context) error {
	addrs, err := m.host.Addresses(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, v := range m.vips {
		for _, a := range addrs {
			if a.Prefix.Addr() != v.Addr() {
				continue
			}
			if err := m.host.DelAddress(ctx, OpDelete, a.Interface, a.Prefix); err != nil {
				errs = append(errs, err)
				continue
			}
			m.log.Info("service address removed", "address", a.Prefix, "interface", a.Interface)
		}
	}
	return errors.Join(errs...)
}

// Announce tells the network once that this node has the addresses: both forms
// of gratuitous ARP for IPv4, an unsolicited neighbour advertisement for IPv6.
// Right before each it looks whether the address is still here; one that is
// not is [ErrNotOurs] and is not announced. It goes on after an error and
// joins them. An interface without an Ethernet address is left out.
func (m *Manager) Announce(ctx context.Context) error {
	var errs []error
	for _, v := range m.vips {
		if err := m.announceOne(ctx, v); err != nil && !errors.Is(err, host.ErrNoEthernet) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (m *Manager) announceOne(ctx context.Context, v VIP) error {
	addrs, err := m.host.Addresses(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(addrs, func(a host.Address) bool {
		return a.Prefix.Addr() == v.Addr() && (v.Interface == "" || a.Interface == v.Interface)
	})
	if i < 0 {
		return fmt.Errorf("announce %s: %w", v, ErrNotOurs)
	}
	if v.Addr().Is4() {
		return m.host.SendGratuitousARP(ctx, OpAnnounce, addrs[i].Interface, v.Addr())
	}
	return m.host.SendUnsolicitedNA(ctx, OpAnnounce, addrs[i].Interface, v.Addr())
}

// AnnounceRounds calls [Manager.Announce] rounds times, interval apart, the
// first at once; interval must be positive. It blocks until the last round or
// until ctx ends, and stops with [ErrNotOurs] as soon as an address is gone. Other failures are logged
// and the next round tries again.
func (m *Manager) AnnounceRounds(ctx context.Context, rounds int, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for n := range rounds {
		if n > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
		err := m.Announce(ctx)
		if errors.Is(err, ErrNotOurs) {
			return err
		}
		if err != nil {
			m.log.Warn("service address not announced", "err", err)
		}
	}
	return ctx.Err()
}
