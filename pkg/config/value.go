package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// wrong is what is wrong with a value, and what to write instead.
type wrong struct{ text, remedy string }

// Error joins both.
func (w *wrong) Error() string { return w.text + ": " + w.remedy }

// D returns d as the standard library has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String is the shortest form that the file may have: "30s", "5m", "1m30s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a time such as "30s", "1m30s" or "1500ms".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return &wrong{"not a time", "write a number with its unit, such as 30s, 1m30s or 500ms"}
	case v < 0:
		return &wrong{"a negative time", "write a time such as 30s"}
	case v%time.Millisecond != 0:
		return &wrong{"a fraction of a millisecond", "write a whole number of milliseconds or seconds, such as 500ms or 30s"}
	}
	*d = Duration(v)
	return nil
}

// Binary units of Size.
const (
	kibi Size = 1 << (10 * (iota + 1))
	mebi
	gibi
	tebi
	pebi
)

var sizeUnits = []struct {
	letter string
	bytes  Size
}{{"P", pebi}, {"T", tebi}, {"G", gibi}, {"M", mebi}, {"K", kibi}, {"B", 1}}

// Bytes returns s as a number of bytes.
func (s Size) Bytes() int64 { return int64(s) }

// String is a whole number with the largest unit in which it is one: "6T",
// "1536M".
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.letter
		}
	}
	return "0B"
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a whole number with a binary unit: K, M, G, T or P,
// optionally followed by B or iB.
func (s *Size) UnmarshalText(text []byte) error {
	bad := &wrong{"not a size", "write it as 500G or 6T"}
	digits := strings.TrimRight(string(text), "KMGTPiB")
	unit := strings.TrimPrefix(string(text), digits)
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return bad
	}
	for _, u := range sizeUnits {
		if unit != u.letter && (u.bytes == 1 || unit != u.letter+"B" && unit != u.letter+"iB") {
			continue
		}
		if n > uint64(math.MaxInt64/int64(u.bytes)) {
			return &wrong{"more than there can be", "write it as 500G or 6T"}
		}
		*s = Size(n) * u.bytes
		return nil
	}
	return bad
}
