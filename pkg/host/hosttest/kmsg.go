package hosttest

import (
	"context"
	"fmt"
)

// kmsg is the kernel's log of one boot.
type kmsg struct {
	boot    int
	records [][]byte
	more    chan struct{} // closed when a record comes
}

// bootKmsg begins a new log, with the files that tell it from the one before.
func (h *Host) bootKmsg() {
	k := &kmsg{boot: 1, more: make(chan struct{})}
	if h.kmsg != nil {
		k.boot = h.kmsg.boot + 1
	}
	h.kmsg = k
	h.setup(h.mkdirAll("/proc/sys/kernel/random", 0o755))
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d\n", k.boot)
	h.setup(h.put("/proc/sys/kernel/random/boot_id", &node{mode: 0o444, data: []byte(id)}))
	h.setup(h.put("/proc/uptime", &node{mode: 0o444, data: []byte("3600.00 7200.00\n")}))
}

// Kmsg makes the kernel say lines, such as "drbd res0: role( Secondary ->
// Primary ) [primary]", one a millisecond since boot.
func (h *Host) Kmsg(lines ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, line := range lines {
		seq := len(h.kmsg.records)
		h.kmsg.records = append(h.kmsg.records, fmt.Appendf(nil, "6,%d,%d,-;%s\n", seq, 1000*seq, line))
	}
	close(h.kmsg.more)
	h.kmsg.more = make(chan struct{})
}

// FollowKmsg calls read with each record of the kernel's log, from boot on,
// with nil once it is read to its end, and with what comes later.
func (h *Host) FollowKmsg(ctx context.Context, read func(record []byte) error) error {
	log, err := look(ctx, h, "kmsg", func() (*kmsg, error) { return h.kmsg, nil })
	if err != nil {
		return fmt.Errorf("read the kernel's log: %w", err)
	}
	for next, atEnd := 0, false; ; {
		h.mu.Lock()
		records, more := log.records[next:], log.more
		h.mu.Unlock()
		for _, r := range records {
			if err := read(r); err != nil {
				return err
			}
		}
		next += len(records)
		if !atEnd {
			if err := read(nil); err != nil {
				return err
			}
			atEnd = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("read the kernel's log: %w", ctx.Err())
		case <-more:
		}
	}
}
