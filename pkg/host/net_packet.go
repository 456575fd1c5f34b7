package host

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/spacei/drbdnfs/pkg/vip/frame"
	"golang.org/x/sys/unix"
)

// ErrNoEthernet reports an interface without an Ethernet address, on which
// there is nothing to probe or to announce.
var ErrNoEthernet = errors.New("the interface has no Ethernet address")

// ARPProbe asks the network on iface who has the IPv4 address addr, without
// claiming it (RFC 5227): one probe at once and one after half of wait. It
// returns the hardware address of the first who answers, and nil when nobody
// does within wait. It ends early with an answer and with ctx.
//
// Packets from this machine's own interfaces are ignored. So are the probes of
// others: some switches send them to track hosts, and they are no claim.
func (h *Host) ARPProbe(ctx context.Context, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error) {
	p := prober{
		etherType: unix.ETH_P_ARP,
		question:  frame.ARPProbe,
		answer: func(b []byte) (netip.Addr, net.HardwareAddr) {
			a, ok := frame.ParseARP(b)
			if !ok {
				return netip.Addr{}, nil
			}
			return a.SenderIP, a.SenderMAC
		},
	}
	mac, err := h.probe(ctx, p, iface, addr, wait)
	return mac, netError("vip.probe", err, "look for %s on %s", addr, iface)
}

// NSProbe is [Host.ARPProbe] for IPv6: it sends neighbour solicitations from
// the unspecified address, as duplicate address detection does, and waits for
// an advertisement.
func (h *Host) NSProbe(ctx context.Context, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error) {
	p := prober{
		etherType: unix.ETH_P_IPV6,
		question:  frame.Solicitation,
		answer: func(b []byte) (netip.Addr, net.HardwareAddr) {
			a, ok := frame.ParseAdvertisement(b)
			if !ok {
				return netip.Addr{}, nil
			}
			return a.Target, a.MAC
		},
	}
	mac, err := h.probe(ctx, p, iface, addr, wait)
	return mac, netError("vip.probe", err, "look for %s on %s", addr, iface)
}

// prober is what differs between the two families.
type prober struct {
	etherType uint16
	question  func(mac net.HardwareAddr, addr netip.Addr) []byte
	answer    func(frame []byte) (netip.Addr, net.HardwareAddr) // zero for what is no answer
}

func (h *Host) probe(ctx context.Context, p prober, iface string, addr netip.Addr, wait time.Duration) (net.HardwareAddr, error) {
	i, err := h.ethernet(ctx, iface)
	if err != nil {
		return nil, err
	}
	own, err := h.ownMACs(ctx)
	if err != nil {
		return nil, err
	}
	s, err := openPacket(i.Index, p.etherType)
	if err != nil {
		return nil, err
	}
	defer s.close()

	var found net.HardwareAddr
	accept := func(b []byte) bool {
		if ip, mac := p.answer(b); ip == addr && !own[mac.String()] {
			found = mac
			return true
		}
		return false
	}
	end := time.Now().Add(wait)
	for _, until := range []time.Time{end.Add(-wait / 2), end} {
		if err := s.send(p.question(i.MAC, addr)); err != nil {
			return nil, err
		}
		if err := s.receive(ctx, until, accept); err != nil || found != nil {
			return found, err
		}
	}
	return nil, nil
}

// SendGratuitousARP announces on iface that this machine has the IPv4 address
// addr: one broadcast ARP request and one reply. It does not look whether that
// is true; the caller does, right before.
func (h *Host) SendGratuitousARP(ctx context.Context, op, iface string, addr netip.Addr) error {
	err := h.announce(ctx, iface, unix.ETH_P_ARP, func(mac net.HardwareAddr) [][]byte {
		request, reply := frame.GratuitousARP(mac, addr)
		return [][]byte{request, reply}
	})
	return netError(op, err, "announce %s on %s", addr, iface)
}

// SendUnsolicitedNA is [Host.SendGratuitousARP] for IPv6: one neighbour
// advertisement to all nodes with the override flag.
func (h *Host) SendUnsolicitedNA(ctx context.Context, op, iface string, addr netip.Addr) error {
	err := h.announce(ctx, iface, unix.ETH_P_IPV6, func(mac net.HardwareAddr) [][]byte {
		return [][]byte{frame.UnsolicitedNA(mac, addr)}
	})
	return netError(op, err, "announce %s on %s", addr, iface)
}

func (h *Host) announce(ctx context.Context, iface string, etherType uint16, frames func(net.HardwareAddr) [][]byte) error {
	i, err := h.ethernet(ctx, iface)
	if err != nil {
		return err
	}
	s, err := openPacket(i.Index, etherType)
	if err != nil {
		return err
	}
	defer s.close()
	for _, f := range frames(i.MAC) {
		if err := s.send(f); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) ethernet(ctx context.Context, iface string) (Interface, error) {
	i, err := h.findInterface(ctx, iface)
	if err == nil && i.MAC == nil {
		err = ErrNoEthernet
	}
	return i, err
}

// ownMACs returns the hardware addresses of this machine as text.
func (h *Host) ownMACs(ctx context.Context) (map[string]bool, error) {
	list, err := h.Interfaces(ctx)
	if err != nil {
		return nil, err
	}
	own := make(map[string]bool, len(list))
	for _, i := range list {
		if i.MAC != nil {
			own[i.MAC.String()] = true
		}
	}
	return own, nil
}

// packetSocket sends and receives whole Ethernet frames of one type on one
// interface.
type packetSocket struct {
	fd int
	to unix.SockaddrLinklayer
}

func openPacket(index int, etherType uint16) (*packetSocket, error) {
	proto := networkOrder(etherType)
	// The protocol is given to bind, not to socket: between the two calls the
	// socket would take packets of all interfaces.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	s := &packetSocket{fd: fd, to: unix.SockaddrLinklayer{Protocol: proto, Ifindex: index}}
	if err := unix.Bind(fd, &s.to); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

func (s *packetSocket) close() { _ = unix.Close(s.fd) }

func (s *packetSocket) send(frame []byte) error {
	return ignoreEINTR(func() error { return unix.Sendto(s.fd, frame, 0, &s.to) })
}

// pollSlice is how long a wait for packets may go on after ctx has ended.
const pollSlice = 20 * time.Millisecond

// receive hands frames to accept until it reports true, until time is up
// (both nil) or until ctx ends.
func (s *packetSocket) receive(ctx context.Context, until time.Time, accept func([]byte) bool) error {
	buf := make([]byte, 2048)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		left = min(left, pollSlice)
		fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int((left+time.Millisecond-1)/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n <= 0 {
			continue
		}
		size, _, err := unix.Recvfrom(s.fd, buf, 0)
		switch {
		case err == nil:
			if accept(buf[:size]) {
				return nil
			}
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR):
			return err
		}
	}
}

func ignoreEINTR(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
