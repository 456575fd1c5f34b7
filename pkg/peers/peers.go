package peers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// Names of the operations, for logs and fault injection.
const (
	OpTickle  = "peers.tickle"
	OpDestroy = "peers.destroy"
)

// Tickles go out in bursts with a pause between them, so that ten thousand
// clients neither flood the network at once nor all reconnect in the same
// millisecond: 2000 a second.
const (
	burst = 100
	pause = 50 * time.Millisecond
)

// network is the part of package host that this package uses.
type network interface {
	TCPSockets(ctx context.Context, local netip.Addr) ([]host.TCPSocket, error)
	DestroySockets(ctx context.Context, op string, local netip.Addr) (int, error)
	SendTickle(ctx context.Context, op string, local, remote netip.AddrPort) error
}

var _ network = (*host.Host)(nil)

// Options describe the service whose clients are meant.
type Options struct {
	Host  network      // this machine; required
	Addrs []netip.Addr // service addresses; required
	Ports []uint16     // TCP ports of the service; required for Collect and Tickle
}

// Peers finds, tickles and ends the client connections of a service. Use
// [New]. It holds no state.
type Peers struct {
	host  network
	addrs []netip.Addr
	ports []uint16
}

// New returns the Peers of o. A missing host or address is an error.
func New(o Options) (*Peers, error) {
	if o.Host == nil {
		return nil, errors.New("peers: no host")
	}
	if len(o.Addrs) == 0 {
		return nil, errors.New("peers: no service address")
	}
	p := &Peers{host: o.Host, ports: slices.Clone(o.Ports)}
	for _, a := range o.Addrs {
		p.addrs = append(p.addrs, a.Unmap())
	}
	return p, nil
}

// Collect returns the established client connections to the service. It
// changes nothing and takes one or two questions to the kernel per address. An
// address that cannot be asked does not hide the others: the list is what was
// found, next to the error.
func (p *Peers) Collect(ctx context.Context) (List, error) {
	var conns []Conn
	var errs []error
	for _, a := range p.addrs {
		sockets, err := p.host.TCPSockets(ctx, a)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, s := range sockets {
			if c := (Conn{Local: s.Local, Remote: s.Remote}); p.serves(c) {
				conns = append(conns, c)
			}
		}
	}
	return NewList(conns), errors.Join(errs...)
}

// serves reports whether c is a connection to this service and comes from
// somewhere else than this machine's service addresses.
func (p *Peers) serves(c Conn) bool {
	return slices.Contains(p.addrs, c.Local.Addr().Unmap()) && slices.Contains(p.ports, c.Local.Port()) &&
		!slices.Contains(p.addrs, c.Remote.Addr().Unmap())
}

// Tickle sends one tickle for each connection of list that belongs to this
// service, 2000 a second at most, and returns how many went out. Connections
// of other addresses or ports are left out. A client that cannot be reached
// does not stop the others; the error tells the first of them and how many
// there were. It blocks until all are sent or ctx ends.
//
// A packet may be lost: callers repeat the whole a few times. Clients that are
// connected already are not harmed.
func (p *Peers) Tickle(ctx context.Context, list List) (int, error) {
	sent, failed := 0, 0
	var first error
	for _, c := range list {
		if !p.serves(c) {
			continue
		}
		if tried := sent + failed; tried > 0 && tried%burst == 0 {
			if err := sleep(ctx, pause); err != nil {
				return sent, fmt.Errorf("tickle clients: %w", err)
			}
		}
		if err := p.host.SendTickle(ctx, OpTickle, c.Local, c.Remote); err != nil {
			failed++
			if first == nil {
				first = err
			}
			continue
		}
		sent++
	}
	if failed > 1 {
		first = fmt.Errorf("%w (and %d more)", first, failed-1)
	}
	return sent, first
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Destroy ends all TCP connections of the service addresses on this machine,
// whatever their port, and returns how many. A node that has given the service
// away must keep none: when it takes the service back, a stale connection
// would answer for the client's new one. It is idempotent and goes on after an
// address that fails. A kernel that cannot do it is [host.ErrNoSockDestroy].
func (p *Peers) Destroy(ctx context.Context) (int, error) {
	n := 0
	var errs []error
	for _, a := range p.addrs {
		k, err := p.host.DestroySockets(ctx, OpDestroy, a)
		n += k
		if err != nil {
			errs = append(errs, err)
		}
	}
	return n, errors.Join(errs...)
}
