package host_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

// rpcServer answers each connection with what reply makes of the call that
// came in; nil answers nothing and keeps the connection.
func rpcServer(t *testing.T, reply func(call []byte) []byte) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			call := make([]byte, 44)
			if _, err := io.ReadFull(conn, call); err != nil {
				continue
			}
			if out := reply(call); out != nil {
				_, _ = conn.Write(out)
				conn.Close()
			}
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// record is one record of words.
func record(words ...uint32) []byte {
	out := binary.BigEndian.AppendUint32(nil, 1<<31|uint32(len(words)*4))
	for _, w := range words {
		out = binary.BigEndian.AppendUint32(out, w)
	}
	return out
}

func xidOf(call []byte) uint32 { return binary.BigEndian.Uint32(call[4:]) }

// Ensure that the call is what RFC 5531 says, byte by byte.
func TestRPCNull(t *testing.T) {
	calls := make(chan []byte, 1)
	addr := rpcServer(t, func(call []byte) []byte {
		calls <- call
		return record(xidOf(call), 1, 0, 0, 0, 0)
	})
	if err := host.New(nil).RPCNull(t.Context(), addr, 100003, 4); err != nil {
		t.Fatal(err)
	}
	call := <-calls
	if got := xidOf(call); got != uint32(os.Getpid()) {
		t.Errorf("xid %d", got)
	}
	got := hex.EncodeToString(call[:4]) + " " + hex.EncodeToString(call[8:])
	want := "80000028 " + strings.Join([]string{
		"00000000", "00000002", "000186a3", "00000004", "00000000", // call, RPC 2, NFS, version 4, NULL
		"00000000", "00000000", "00000000", "00000000", // no credentials, no verifier
	}, "")
	if got != want {
		t.Errorf("call %s, want %s", got, want)
	}
}

func TestRPCNullReplies(t *testing.T) {
	tests := []struct {
		name  string
		reply func(call []byte) []byte
		says  string // "" is success
	}{
		{"a verifier", func(c []byte) []byte { return record(xidOf(c), 1, 0, 1, 5, 0, 0, 0) }, ""},
		{"more than asked for", func(c []byte) []byte { return record(xidOf(c), 1, 0, 0, 0, 0, 7, 8, 9) }, ""},
		{"program not available", func(c []byte) []byte { return record(xidOf(c), 1, 0, 0, 0, 1) }, "not accepted, status 1"},
		{"version mismatch", func(c []byte) []byte { return record(xidOf(c), 1, 0, 0, 0, 2, 2, 3) }, "not accepted, status 2"},
		{"denied", func(c []byte) []byte { return record(xidOf(c), 1, 1, 1, 5, 0) }, "denied"},
		{"another call's reply", func(c []byte) []byte { return record(xidOf(c)+1, 1, 0, 0, 0, 0) }, "not the reply to our call"},
		{"a call", func(c []byte) []byte { return record(xidOf(c), 0, 0, 0, 0, 0) }, "not the reply to our call"},
		{"too short", func([]byte) []byte { return record(1, 2) }, "8 bytes is no NULL reply"},
		{"too long", func([]byte) []byte { return []byte{0x80, 1, 0, 0} }, "65536 bytes is no NULL reply"},
		{"a verifier beyond the end", func(c []byte) []byte { return record(xidOf(c), 1, 0, 1, 400, 0) }, "truncated"},
		{"a verifier far beyond the end", func(c []byte) []byte { return record(xidOf(c), 1, 0, 1, 1<<32-1, 0) }, "truncated"},
		{"half of it", func(c []byte) []byte { return record(xidOf(c), 1, 0, 0, 0, 0)[:16] }, "EOF"},
		{"no RPC", func([]byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }, "is no NULL reply"},
		{"nothing", func([]byte) []byte { return []byte{} }, "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := rpcServer(t, tt.reply)
			err := host.New(nil).RPCNull(t.Context(), addr, 100005, 3)
			switch {
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("error %v does not say %q", err, tt.says)
			case err != nil && !strings.Contains(err.Error(), "program 100005 version 3"):
				t.Errorf("error %q does not say what was asked", err)
			}
		})
	}
}

// Ensure that a server that takes calls and answers none, as nfsd with hung
// threads does, ends with the context.
func TestRPCNullSilent(t *testing.T) {
	addr := rpcServer(t, func([]byte) []byte { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := host.New(nil).RPCNull(ctx, addr, 100003, 3)
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- host.New(nil).RPCNull(ctx, addr, 100003, 3) }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(5 * time.Second):
		t.Error("a context without a deadline that was cancelled does not end it")
	}
}

func TestRPCNullRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	if err := host.New(nil).RPCNull(t.Context(), addr, 100003, 3); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v", err)
	}
}
