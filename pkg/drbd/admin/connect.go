package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/host"
)

// Disconnect ends the connection of res to peer, the name of a connection as
// [Admin.Status] shows it; DRBD 8.4 has one, "peer" or "". It is idempotent: a
// StandAlone connection is fine. It does not take back an order to discard; see
// [Admin.Withdraw].
//
// It returns when the connection is StandAlone; DRBD 9 waits one second for
// that and then returns with the connection still Disconnecting. [ErrRefused]
// means that the kernel keeps it, [ErrUnknownConnection] that there is no such
// peer. When ctx ends first the connection may still end.
func (a *Admin) Disconnect(ctx context.Context, res, peer string) error {
	v84, conn, err := a.target(ctx, res, peer)
	if err != nil {
		return err
	}
	_, err = a.m.Run(ctx, host.Cmd{Op: "splitbrain.disconnect", Name: drbdadmCmd, Args: []string{"disconnect", conn}})
	if err == nil {
		return nil
	}
	err = classifyPeer(err)
	if v84 && errors.Is(err, ErrUnknownConnection) {
		// DRBD 8.4 takes the addresses off a StandAlone connection and then
		// does not find it (drbd/drbd_nl.c drbd_adm_prepare). It does not find
		// one whose addresses were changed in the configuration either.
		state, look := a.connectionState(ctx, res, peer)
		if look == nil && state == drbd.ConnStandAlone {
			return nil
		}
		err = errors.Join(err, look)
	}
	return fmt.Errorf("disconnect %s: %w", conn, err)
}

// Connect makes the connection of res to peer try to connect, and returns once
// it tries. It is idempotent: a connection that tries already, or is connected,
// is left alone.
//
// One that is just being disconnected is [ErrConnected]: try again.
// [ErrUnknownConnection] and [ErrUnknownResource] mean that there is nothing to
// connect, here or in the configuration.
func (a *Admin) Connect(ctx context.Context, res, peer string) error {
	state, err := a.connect(ctx, "splitbrain.connect", res, peer, "connect")
	if errors.Is(err, ErrConnected) && state != drbd.ConnDisconnecting && state != drbd.ConnStandAlone {
		return nil
	}
	return err
}

// ConnectDiscard is [Admin.Connect] with the order to throw away this node's
// changes in favour of the peer's. It is the last step on the victim of a split
// brain, and irreversible as soon as the peer answers.
//
// The connection must be StandAlone and this node Secondary: otherwise it is
// [ErrConnected], also when the order was given before, or
// [ErrDiscardPrimary], and nothing has changed.
//
// It must never be used without proof that the data has diverged. From DRBD
// 9.0.31 and 9.1.4 on, without a split brain, it turns a normal
// resynchronisation round: an up-to-date peer, that was never in doubt, is
// overwritten with older data ("Resync direction reversed by
// --discard-my-data").
//
// And the order stays until the next handshake, however late that is and
// whatever has happened until then. On DRBD 9 it even outlives a disconnect:
// a plain connect by whomever, "drbdadm adjust" included, then carries it out.
// So whoever gives the order waits for the handshake a short time and then
// calls [Admin.Withdraw].
func (a *Admin) ConnectDiscard(ctx context.Context, res, peer string) error {
	_, err := a.connect(ctx, "splitbrain.connect-discard", res, peer, "connect", "--discard-my-data")
	return err
}

// Withdraw disconnects res from peer, as [Admin.Disconnect] does, and makes DRBD
// forget an order to discard that no handshake has carried out. It is
// idempotent, also after it was broken off, and the connection is StandAlone
// when it returns.
//
// DRBD 8.4 forgets the order on any disconnect. DRBD 9 keeps it in the
// connection until a handshake, a promotion, or the end of the connection
// (CONN_DISCARD_MY_DATA in drbd/drbd_receiver.c receive_state and drbd_nl.c
// drbd_set_role), so there the connection is removed from the kernel and set up
// anew, as "drbdadm adjust" does it for a change of transport. Disks,
// identifiers and counts of changes stay. Options of single volumes towards the
// peer, such as resync rates, come back with the next [Admin.Adjust], which
// also mends what an error has left half done: the kernel then has no
// connection to peer, and no order.
func (a *Admin) Withdraw(ctx context.Context, res, peer string) error {
	v84, conn, err := a.target(ctx, res, peer)
	if err != nil {
		return err
	}
	if v84 {
		return a.Disconnect(ctx, res, peer)
	}
	for _, verb := range []string{"del-peer", "new-peer", "new-path"} {
		_, err := a.m.Run(ctx, host.Cmd{Op: "splitbrain." + verb, Name: drbdadmCmd, Args: []string{verb, conn}})
		if err == nil {
			continue
		}
		if verb == "del-peer" && kernelHasNot(err) { // broken off after it last time
			continue
		}
		return fmt.Errorf("%s %s: %w", verb, conn, classifyPeer(err))
	}
	return nil
}

// connect runs drbdadm. With ErrConnected comes the state of the connection.
func (a *Admin) connect(ctx context.Context, op, res, peer string, verb ...string) (drbd.ConnectionState, error) {
	v84, conn, err := a.target(ctx, res, peer)
	if err != nil {
		return "", err
	}
	_, err = a.m.Run(ctx, host.Cmd{Op: op, Name: drbdadmCmd, Args: append(verb, conn)})
	if err == nil {
		return "", nil
	}
	err = fmt.Errorf("%s %s: %w", strings.Join(verb, " "), conn, classifyPeer(err))
	inUse := v84 && addressInUse(err)
	if !inUse && !errors.Is(err, ErrConnected) {
		return "", err
	}
	state, look := a.connectionState(ctx, res, peer)
	switch {
	case look != nil:
		return drbd.ConnStandAlone, errors.Join(err, look)
	case inUse && state != drbd.ConnStandAlone:
		err = fmt.Errorf("%w: %w", ErrConnected, err)
	}
	return state, err
}

// connectionState returns the state of the connection of res to peer.
func (a *Admin) connectionState(ctx context.Context, res, peer string) (drbd.ConnectionState, error) {
	r, err := a.Status(ctx, res)
	if err != nil {
		return "", err
	}
	if r.Kernel84 {
		for _, c := range r.SortedConnections() {
			return c.State, nil
		}
		return drbd.ConnStandAlone, nil // dropped from the events
	}
	c, err := connection(r, peer)
	if err != nil {
		return "", err
	}
	return c.State, nil
}

// connection returns r's connection to peer, on DRBD 9.
func connection(r *drbd.Resource, peer string) (*drbd.Connection, error) {
	for _, c := range r.SortedConnections() {
		if c.Name == peer {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: %s has none to %s", ErrUnknownConnection, r.Name, peer)
}

// target returns whether the kernel is 8.4, and how drbdadm wants the
// connection of res to peer.
func (a *Admin) target(ctx context.Context, res, peer string) (v84 bool, conn string, err error) {
	v, err := a.Version(ctx)
	if err != nil {
		return false, "", err
	}
	conn, err = target(v.Is84(), res, peer)
	return v.Is84(), conn, err
}

// target returns how drbdadm wants the connection of res to peer: RES:PEER on
// DRBD 9, where the peer is a connection's name or a host's (drbd-utils
// user/v9/drbdadm_main.c ctx_by_name); RES on DRBD 8.4, whose drbdadm knows no
// peers. On DRBD 9 RES alone would be all connections, and a slash a volume.
func target(v84 bool, res, peer string) (string, error) {
	if err := checkName(res); err != nil {
		return "", err
	}
	switch {
	case v84 && (peer == "" || peer == drbd.Name84):
		return res, nil
	case v84 || peer == "" || strings.ContainsAny(peer, "/: \t\n"):
		return "", fmt.Errorf("%w: %q", ErrUnknownConnection, peer)
	}
	return res + ":" + peer, nil
}

// Error codes of both kernels (drbd.h enum drbd_ret_code), which drbdsetup
// prints as "Failure: (CODE)" and ends with exit code 10.
const (
	failLocalAddress = "Failure: (102)" // ERR_LOCAL_ADDR
	failPeerAddress  = "Failure: (103)" // ERR_PEER_ADDR
	failDiscard      = "Failure: (123)" // ERR_DISCARD_IMPOSSIBLE
	failConfigured   = "Failure: (125)" // ERR_NET_CONFIGURED
)

// unknownToKernel is what both kernels say of a connection that is configured
// and that they do not have.
const unknownToKernel = "unknown connection"

// peerWords are what the kernel, drbdsetup and drbdadm say of one connection
// and its volumes (drbd-utils user/v9/drbdadm_main.c ctx_by_name, both
// drbdsetup.c, both kernels' drbd_nl.c drbd_adm_prepare).
var peerWords = []struct {
	text string
	is   error
}{
	{failConfigured, ErrConnected},
	{failDiscard, ErrDiscardPrimary},
	{unknownToKernel, ErrUnknownConnection},
	{"No such peer device", ErrUnknownConnection},
	{"Not a valid connection", ErrUnknownConnection},
	{"is not a peer, but the local node", ErrUnknownConnection},
	{"Device has no disk", ErrDetached},
	{"Device is unconfigured", ErrDetached},
}

// classifyPeer is classifyAdm for what concerns one connection.
func classifyPeer(err error) error {
	var ee *host.ExitError
	if !errors.As(err, &ee) {
		return err
	}
	for _, said := range peerWords {
		if strings.Contains(ee.Stderr, said.text) {
			return fmt.Errorf("%w: %w", said.is, err)
		}
	}
	return classifyAdm(err)
}

// kernelHasNot reports whether the kernel, rather than the configuration, lacks
// the connection.
func kernelHasNot(err error) bool {
	var ee *host.ExitError
	return errors.As(err, &ee) && strings.Contains(ee.Stderr, unknownToKernel)
}

// addressInUse reports whether DRBD 8.4 refused to connect because a connection
// has one of the addresses. It looks at that before it looks whether it is the
// very connection that is meant (drbd/drbd_nl.c drbd_adm_connect).
func addressInUse(err error) bool {
	var ee *host.ExitError
	return errors.As(err, &ee) && (strings.Contains(ee.Stderr, failLocalAddress) || strings.Contains(ee.Stderr, failPeerAddress))
}
