package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// kmsgDevice is the kernel's log, one record a read (Documentation/ABI/testing/
// dev-kmsg of the kernel).
const kmsgDevice = "/dev/kmsg"

// kmsgRecord is more than the longest record: 8 KiB up to Linux 6.x
// (CONSOLE_EXT_LOG_MAX, PRINTK_MESSAGE_MAX). A shorter buffer would get EINVAL.
const kmsgRecord = 16 << 10

// FollowKmsg calls read with each record of the kernel's log as the device
// gives it, "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT" and lines of fields,
// from the oldest that the kernel still has. Once the log is read to its end it
// calls read with nil, one time, and goes on with what comes. The record is
// only valid during the call.
//
// Records that were overwritten before they could be read are left out: the
// sequence numbers tell. It ends with the error of read, as it is, or with ctx,
// and otherwise only when the log cannot be opened or read: without CAP_SYSLOG
// where kernel.dmesg_restrict is set, in a container, or in a unit with
// ProtectKernelLogs=. It writes nothing.
func (h *Host) FollowKmsg(ctx context.Context, read func(record []byte) error) error {
	f, err := os.OpenFile(kmsgDevice, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("read the kernel's log: %w", err)
	}
	defer f.Close()
	return followRecords(ctx, f, unix.Read, read)
}

// followRecords is FollowKmsg on f, which must not block, by means of the
// system call get.
func followRecords(ctx context.Context, f *os.File, get func(fd int, p []byte) (int, error), read func(record []byte) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("read the kernel's log: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Unix(1, 0)) }) // fails once f is closed
	defer stop()
	buf := make([]byte, kmsgRecord)
	atEnd := false
	for ctx.Err() == nil {
		var n int
		var got error
		wait := conn.Read(func(fd uintptr) bool {
			n, got = get(int(fd), buf)
			return !atEnd || !errors.Is(got, unix.EAGAIN) // false waits until there is more
		})
		if wait != nil {
			got = wait
		}
		switch {
		case got == nil && n > 0:
			err = read(buf[:n])
		case got == nil:
			err = fmt.Errorf("read the kernel's log: %w", io.ErrUnexpectedEOF)
		case errors.Is(got, unix.EAGAIN):
			atEnd = true
			err = read(nil)
		case errors.Is(got, syscall.EPIPE), errors.Is(got, syscall.EINTR), errors.Is(got, os.ErrDeadlineExceeded):
			// EPIPE: the oldest records are gone; the next read gets the
			// oldest that is left. The deadline is the end of ctx.
		default:
			err = fmt.Errorf("read the kernel's log: %w", got)
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("read the kernel's log: %w", ctx.Err())
}
