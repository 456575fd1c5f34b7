package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Write appends records to the file at path, one every interval with an fsync
// each, and notes each acknowledgement in the file acks, until ctx ends; then it
// returns nil. It goes on where an earlier run ended. A write in flight is
// finished first: on a hard mount that can take as long as the server is away.
func Write(ctx context.Context, path, acks string, interval time.Duration) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	list, err := os.OpenFile(acks, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer list.Close()
	last, err := readAcks(list)
	if err != nil {
		return err
	}
	var n uint64
	if len(last) > 0 {
		n = last[len(last)-1].Number + 1
	}
	start := time.Now()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if _, err := f.WriteAt(FormatRecord(n, time.Now()), int64(n)*RecordLen); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		now := time.Now()
		if _, err := fmt.Fprintln(list, Ack{Number: n, Mono: now.Sub(start), At: now}); err != nil {
			return err
		}
	}
}

// ReadAcks reads a list of acknowledgements.
func ReadAcks(path string) ([]Ack, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAcks(f)
}

func readAcks(r io.Reader) ([]Ack, error) {
	var acks []Ack
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		a, err := ParseAck(sc.Text())
		if err != nil {
			return nil, err
		}
		acks = append(acks, a)
	}
	return acks, sc.Err()
}

// Report is what a list of acknowledgements says about a stretch of time.
type Report struct {
	Acked uint64 `json:"acked"`
	// Last is the time of the last acknowledgement.
	Last time.Time `json:"last"`
	// MaxGap is the largest time between two acknowledgements of which the
	// later one came after the report's begin; GapStart and GapEnd are its ends
	// on the client's wall clock.
	MaxGap   time.Duration `json:"max_gap_ns"`
	GapStart time.Time     `json:"gap_start"`
	GapEnd   time.Time     `json:"gap_end"`
}

// Summarise computes the report of acks since a time.
func Summarise(acks []Ack, since time.Time) Report {
	r := Report{Acked: uint64(len(acks))}
	for i, a := range acks {
		r.Last = a.At
		if i == 0 || a.At.Before(since) {
			continue
		}
		// A restarted writer starts its monotonic clock anew; the wall clock
		// bridges that.
		gap := a.Mono - acks[i-1].Mono
		if gap < 0 {
			gap = a.At.Sub(acks[i-1].At)
		}
		if gap > r.MaxGap {
			r.MaxGap, r.GapStart, r.GapEnd = gap, acks[i-1].At, a.At
		}
	}
	return r
}

// Verify checks that data holds every acknowledged record, intact and in its
// place. Records after the last acknowledged one may be there or not; one that
// was never completed may be torn only at the very end.
func Verify(data io.Reader, acks []Ack) error {
	if len(acks) == 0 {
		return errors.New("no write was acknowledged at all")
	}
	last := acks[len(acks)-1].Number
	buf := make([]byte, RecordLen)
	r := bufio.NewReaderSize(data, 1<<20)
	for n := uint64(0); ; n++ {
		_, err := io.ReadFull(r, buf)
		if err != nil {
			if n > last && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
				return nil
			}
			return fmt.Errorf("record %d of %d acknowledged is missing: %w", n, last+1, err)
		}
		got, err := ParseRecord(buf)
		if err == nil && got != n {
			err = fmt.Errorf("holds number %d", got)
		}
		if err != nil {
			if n > last {
				return nil
			}
			return fmt.Errorf("record %d (of %d acknowledged): %w", n, last+1, err)
		}
	}
}
