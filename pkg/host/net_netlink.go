package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// netlinkTimeout bounds one exchange with the kernel when the context allows
// more. The kernel answers at once; only a bug or a machine that is starved
// for seconds gets near it.
const netlinkTimeout = 5 * time.Second

// NetError is an operation on addresses, packets or sockets that did not work.
// It is the only error type of the network methods of [Host] that change or
// send something; unwrap it for the kernel's error number or a sentinel.
type NetError struct {
	Op   string // name of the operation as the caller gave it: "vip.add"
	What string // what was tried, with the values: "add 192.168.2.63/24 to ens3"
	Err  error  // why not
}

// Error says what was tried and why it did not work, without the operation's
// name, which is for logs.
func (e *NetError) Error() string { return e.What + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *NetError) Unwrap() error { return e.Err }

// netError builds a [*NetError]; it returns nil when err is nil.
func netError(op string, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &NetError{Op: op, What: fmt.Sprintf(format, args...), Err: err}
}

// netDeadline returns when an exchange with the kernel has to end: with ctx,
// but no later than netlinkTimeout from now.
func netDeadline(ctx context.Context) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	end := time.Now().Add(netlinkTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	return end, nil
}

// netlinkSocket opens a netlink socket for one protocol, in the network
// namespace of the calling thread, with send and receive timeouts from ctx.
// The caller closes it.
func netlinkSocket(ctx context.Context, protocol int) (*nl.NetlinkSocket, error) {
	end, err := netDeadline(ctx)
	if err != nil {
		return nil, err
	}
	s, err := nl.Subscribe(protocol)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	tv := unix.NsecToTimeval(max(time.Until(end), time.Millisecond).Nanoseconds())
	if err := errors.Join(s.SetSendTimeout(&tv), s.SetReceiveTimeout(&tv)); err != nil {
		s.Close()
		return nil, fmt.Errorf("set netlink timeout: %w", err)
	}
	return s, nil
}

// netlinkRequest prepares a request that goes through the open socket s of
// protocol.
func netlinkRequest(s *nl.NetlinkSocket, protocol, typ, flags int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(typ, flags)
	req.Sockets = map[int]*nl.SocketHandle{protocol: {Socket: s, Seq: req.Seq}}
	return req
}
