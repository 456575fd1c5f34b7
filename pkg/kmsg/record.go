package kmsg

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrSyntax reports a record that does not look like one of /dev/kmsg.
var ErrSyntax = errors.New("not a record of the kernel's log")

// Position is how far the log has been read. The zero value is nowhere. It is
// kept as JSON so that what was read before a restart is not taken for news.
type Position struct {
	BootID string `json:"boot_id"` // of the kernel whose log it is: sequence numbers start anew
	Seq    uint64 `json:"seq"`     // of the last record
}

// Record is one record of the kernel's log.
type Record struct {
	Position  Position          // of this record; [ParseRecord] does not know the BootID
	Severity  int               // syslog's: 0 emergency to 7 debug
	Kernel    bool              // said by the kernel itself, not written into its log by a program
	SinceBoot time.Duration     // on the kernel's own clock, which may drift by seconds a day
	Text      string            // one line, unprintable bytes as \xNN
	Fields    map[string]string // such as SUBSYSTEM=block and DEVICE=b147:0; nil without

	// Message is what DRBD says with it. Its Kind is empty when it is none of
	// DRBD's, none of interest, or not the kernel's own.
	Message Message

	// These are set by [Follow].

	// At is when it was said, within the clock's drift for what was read later.
	At time.Time
	// Live is false for what was in the log before it was first read to its end.
	Live bool
	// Lost counts the records right before this one that were overwritten
	// before they could be read.
	Lost uint64
}

// ParseRecord parses what one read of /dev/kmsg returns:
//
//	1,576,712567501,-;block drbd0: Split-Brain detected but unresolved, dropping connection!
//	 SUBSYSTEM=block
//	 DEVICE=b147:0
//
// Further numbers between flags and text, which newer kernels may add, are left
// out. An error is [ErrSyntax].
func ParseRecord(data []byte) (Record, error) {
	header, body, ok := strings.Cut(string(data), ";")
	numbers := strings.Split(header, ",")
	if !ok || len(numbers) < 4 {
		return Record{}, fmt.Errorf("%w: %.60q", ErrSyntax, data)
	}
	var n [3]uint64
	for i := range n {
		v, err := strconv.ParseUint(numbers[i], 10, 64)
		if err != nil {
			return Record{}, fmt.Errorf("%w: %.60q", ErrSyntax, data)
		}
		n[i] = v
	}
	const maxMicroseconds = uint64(1<<63-1) / uint64(time.Microsecond)
	r := Record{
		Position:  Position{Seq: n[1]},
		Severity:  int(n[0] & 7),
		Kernel:    n[0]>>3 == 0, // facility LOG_KERN; devkmsg_write gives every writer another
		SinceBoot: time.Duration(min(n[2], maxMicroseconds)) * time.Microsecond,
	}
	text, fields, _ := strings.Cut(body, "\n")
	r.Text = text
	for line := range strings.Lines(fields) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if key, indented := strings.CutPrefix(key, " "); ok && indented {
			if r.Fields == nil {
				r.Fields = map[string]string{}
			}
			r.Fields[key] = value
		}
	}
	if r.Kernel {
		r.Message, _ = Parse(r.Text)
	}
	return r, nil
}
