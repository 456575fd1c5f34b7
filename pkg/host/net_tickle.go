package host

import (
	"context"
	"errors"
	"net/netip"

	"github.com/spacei/drbdnfs/pkg/vip/frame"
	"golang.org/x/sys/unix"
)

// SendTickle sends two forged TCP segments from local, a service address and
// port, to the client end remote of a connection that a former server had. The
// client answers, this machine knows no such connection and resets it, and the
// client connects anew at once. See [frame.Tickle].
//
// local must be an address of this machine, otherwise the error is
// EADDRNOTAVAIL: a node that has lost the address sends nothing. A connection
// that is alive is not harmed. The packet is subject to the port block.
func (h *Host) SendTickle(ctx context.Context, op string, local, remote netip.AddrPort) error {
	return netError(op, sendTickle(ctx, local, remote), "tickle %s from %s", remote, local)
}

func sendTickle(ctx context.Context, local, remote netip.AddrPort) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	src, dst := local.Addr().Unmap(), remote.Addr().Unmap()
	if src.Is4() != dst.Is4() || !src.IsValid() || !dst.IsValid() {
		return errors.New("the two addresses are of different families")
	}
	domain, from, to := rawAddresses(src, dst)
	// IPPROTO_RAW means in both families that the packet brings its own IP
	// header, and that nothing is ever received.
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Bind(fd, from); err != nil {
		return err
	}
	ack, synAck := frame.Tickle(local, remote)
	for _, packet := range [][]byte{ack, synAck} {
		if err := ignoreEINTR(func() error { return unix.Sendto(fd, packet, unix.MSG_NOSIGNAL, to) }); err != nil {
			return err
		}
	}
	return nil
}

// rawAddresses gives the ports as zero: raw sockets have none.
func rawAddresses(src, dst netip.Addr) (domain int, from, to unix.Sockaddr) {
	if src.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Addr: src.As4()}, &unix.SockaddrInet4{Addr: dst.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Addr: src.As16()}, &unix.SockaddrInet6{Addr: dst.As16()}
}
