package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// ONC RPC constants, RFC 5531 sections 9 and 11.
const (
	rpcCall      = 0
	rpcVersion   = 2
	rpcLastFrag  = 1 << 31
	rpcCallWords = 10
	rpcMaxReply  = 4096
)

// RPCNull calls procedure 0 of program version vers at addr over TCP and
// returns nil when the answer is a success: the server is not only listening,
// a thread of it reads requests and writes replies. It waits until ctx ends.
func (h *Host) RPCNull(ctx context.Context, addr netip.AddrPort, program, vers uint32) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return fmt.Errorf("NULL call: %w", err)
	}
	defer conn.Close()
	// The end of ctx, however it comes, ends a read or write that waits.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	xid := uint32(os.Getpid())
	_, err = conn.Write(nullCall(xid, program, vers))
	if err == nil {
		err = readNullReply(conn, xid)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("NULL call to %s (program %d version %d): %w", addr, program, vers, err)
	}
	return nil
}

// nullCall is one record: marker, xid, CALL, RPC version 2, program, version,
// procedure 0, and two empty AUTH_NONE fields.
func nullCall(xid, program, vers uint32) []byte {
	words := [1 + rpcCallWords]uint32{rpcLastFrag | rpcCallWords*4, xid, rpcCall, rpcVersion, program, vers}
	buf := make([]byte, 0, len(words)*4)
	for _, w := range words {
		buf = binary.BigEndian.AppendUint32(buf, w)
	}
	return buf
}

// readNullReply reads one record: marker, xid, REPLY(1), MSG_ACCEPTED(0),
// verifier flavour and length, accept status SUCCESS(0).
func readNullReply(r io.Reader, xid uint32) error {
	var marker [4]byte
	if _, err := io.ReadFull(r, marker[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(marker[:]) &^ rpcLastFrag
	if n < 24 || n > rpcMaxReply {
		return fmt.Errorf("reply of %d bytes is no NULL reply", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	word := func(i int) uint32 { return binary.BigEndian.Uint32(body[4*i:]) }
	if word(0) != xid || word(1) != 1 {
		return errors.New("answer is not the reply to our call")
	}
	if word(2) != 0 {
		return errors.New("call denied")
	}
	verifier := (int(word(4)) + 3) / 4
	if 5+verifier >= len(body)/4 {
		return errors.New("reply is truncated")
	}
	if st := word(5 + verifier); st != 0 {
		return fmt.Errorf("call not accepted, status %d", st)
	}
	return nil
}
