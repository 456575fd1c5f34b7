package notice

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Path is where the daemon listens.
const Path = "/run/drbdnfs/daemon.sock"

// sendLimit bounds how long a sender waits for a daemon that does not read.
const sendLimit = 2 * time.Millisecond

// Send sends n to the one who listens at path. It takes well under 1 ms, and at
// most 2 ms when nobody reads there. The error is for a debug log: nobody
// listening is the usual one, and no reason for anything to fail.
func Send(path string, n Notice) error {
	data, err := Encode(n)
	if err != nil {
		return err
	}
	// Dialling a datagram socket does not wait: it is there or not.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("send notice: %w", err)
	}
	err = conn.SetWriteDeadline(time.Now().Add(sendLimit))
	if err == nil {
		_, err = conn.Write(data)
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("send notice: %w", err)
	}
	return nil
}

// Listens reports whether somebody listens at path.
func Listens(path string) bool {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// Listen receives notices at path and calls fn with each, in the order of their
// arrival, until ctx ends; it returns nil then and has removed the socket. A
// datagram that is no notice makes a call with an error, and so no more harm
// than to be counted.
//
// The socket has mode 0600; its directory is made with 0700 when it is missing.
// What is at path, such as the socket of a daemon that was killed, is replaced
// in one step, so that no sender finds nothing.
//
// fn must be quick: the kernel queues a few datagrams (net.unix.max_dgram_qlen)
// and senders do not wait for room.
func Listen(ctx context.Context, path string, fn func(Notice, error)) error {
	conn, err := bind(path)
	if err != nil {
		return fmt.Errorf("listen for notices: %w", err)
	}
	defer conn.Close()
	if own, err := os.Lstat(path); err == nil {
		defer removeOwn(path, own)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stop()
	buf := make([]byte, MaxSize+1) // one more tells what is too long
	for {
		n, _, err := conn.ReadFromUnix(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive notices: %w", err)
		}
		fn(Parse(buf[:n]))
	}
}

// bind makes the socket beside path and then moves it there: a socket cannot be
// bound to a name that exists, and one that is not 0600 yet is not at path.
func bind(path string) (*net.UnixConn, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: tmp, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	err = os.Chmod(tmp, 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close(), os.Remove(tmp))
	}
	return conn, nil
}

// removeOwn removes path unless another listener has taken it over.
func removeOwn(path string, own fs.FileInfo) {
	if now, err := os.Lstat(path); err == nil && os.SameFile(now, own) {
		_ = os.Remove(path)
	}
}
