package kmsg

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/host"
)

const (
	bootIDFile = "/proc/sys/kernel/random/boot_id"
	uptimeFile = "/proc/uptime"
)

// machine is what this package needs of [*host.Host].
type machine interface {
	ReadFile(path string) ([]byte, error)
	FollowKmsg(ctx context.Context, read func(record []byte) error) error
}

var _ machine = (*host.Host)(nil)

// Follow calls fn with each record of m's kernel log that comes after from, DRBD's
// and all others, beginning with the oldest that the kernel still has: what was
// said while nobody listened is not missed. m is usually a [*host.Host].
//
// Once everything that was there has been given, fn is called with a record
// that is Live and has no text, whose Position is that of the last record. From
// then on records are Live.
//
// Whoever keeps the Position of the last record and comes back with it gets what
// came since. A Position of an earlier boot, like none at all, gets everything
// that this boot's log still has. What was overwritten in between shows as Lost
// with the record after it, without a Position only from the first record on.
//
// It returns the error of fn as it is, and otherwise only when ctx ends or when
// the log cannot be read; see [host.Host.FollowKmsg].
func Follow(ctx context.Context, m machine, from Position, fn func(Record) error) error {
	f, err := newFollower(m, from)
	if err != nil {
		return err
	}
	return m.FollowKmsg(ctx, func(data []byte) error {
		if data == nil {
			f.live = true
			return fn(Record{Position: f.last, At: time.Now(), Live: true})
		}
		r, err := ParseRecord(data)
		if err == nil && f.news(&r) {
			return fn(r)
		}
		return nil // one that does not parse is among the lost ones of the next
	})
}

// follower knows which records are news.
type follower struct {
	last   Position
	begun  bool // last is a record of this boot, or right before its first one
	live   bool
	booted time.Time
}

func newFollower(m machine, from Position) (*follower, error) {
	id, err := m.ReadFile(bootIDFile)
	if err != nil {
		return nil, fmt.Errorf("follow the kernel's log: %w", err)
	}
	data, err := m.ReadFile(uptimeFile)
	if err != nil {
		return nil, fmt.Errorf("follow the kernel's log: %w", err)
	}
	seconds, _, _ := strings.Cut(string(data), " ")
	uptime, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		return nil, fmt.Errorf("follow the kernel's log: %s: %w", uptimeFile, err)
	}
	f := &follower{
		last:   Position{BootID: strings.TrimSpace(string(id))},
		booted: time.Now().Add(-time.Duration(uptime * float64(time.Second))),
	}
	if from.BootID == f.last.BootID {
		f.last, f.begun = from, true
	}
	return f, nil
}

// news completes r, and reports whether it comes after what was read.
func (f *follower) news(r *Record) bool {
	if f.begun && r.Position.Seq <= f.last.Seq {
		return false
	}
	if f.begun {
		r.Lost = r.Position.Seq - f.last.Seq - 1
	}
	f.begun, f.last.Seq = true, r.Position.Seq
	r.Position.BootID, r.Live = f.last.BootID, f.live
	r.At = time.Now()
	if said := f.booted.Add(r.SinceBoot); !f.live && said.Before(r.At) {
		r.At = said
	}
	return true
}
