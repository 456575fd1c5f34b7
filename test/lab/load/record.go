package load

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// RecordLen is the length of a record in bytes, its newline included.
const RecordLen = 16 + 1 + 16 + 1 + 8 + 1

// FormatRecord returns the record with a number (from 0) and a time.
func FormatRecord(n uint64, at time.Time) []byte {
	body := fmt.Sprintf("%016x %016x", n, uint64(at.UnixNano()))
	return fmt.Appendf(nil, "%s %08x\n", body, crc32.ChecksumIEEE([]byte(body)))
}

// ParseRecord checks a record and returns its number.
func ParseRecord(b []byte) (uint64, error) {
	if len(b) != RecordLen || b[RecordLen-1] != '\n' {
		return 0, fmt.Errorf("record of %d bytes: want %d with a newline at the end", len(b), RecordLen)
	}
	if b[33] != ' ' {
		return 0, errors.New("no blank before the checksum")
	}
	body, sum := string(b[:33]), string(b[34:42])
	if want := fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))); sum != want {
		return 0, fmt.Errorf("checksum %q, want %s", sum, want)
	}
	return strconv.ParseUint(body[:16], 16, 64)
}

// Ack is one acknowledged write.
type Ack struct {
	Number uint64
	// Mono is the client's monotonic clock since the writer's start.
	Mono time.Duration
	// At is the client's wall clock.
	At time.Time
}

// String is the ack's line in the local list, without the newline.
func (a Ack) String() string {
	return fmt.Sprintf("%d %d %d", a.Number, a.Mono.Nanoseconds(), a.At.UnixNano())
}

// ParseAck reads what String made.
func ParseAck(line string) (Ack, error) {
	f := strings.Fields(line)
	if len(f) != 3 {
		return Ack{}, fmt.Errorf("ack %q: want three numbers", line)
	}
	n, err1 := strconv.ParseUint(f[0], 10, 64)
	mono, err2 := strconv.ParseInt(f[1], 10, 64)
	at, err3 := strconv.ParseInt(f[2], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Ack{}, fmt.Errorf("ack %q: %w", line, err)
	}
	return Ack{Number: n, Mono: time.Duration(mono), At: time.Unix(0, at)}, nil
}
