package events2

import "time"

// clock reads timestamps as events2 prints them. Successive lines mostly share
// their second, so it remembers the last one.
type clock struct {
	second string // what was printed of the last timestamp, up to its seconds
	unix   int64  // of second, as if it were UTC
}

const (
	layout    = "2006-01-02T15:04:05.000000-07:00"
	secondLen = len("2006-01-02T15:04:05")
)

// parse reads a timestamp with microseconds and the offset of the printing
// machine's time zone, and returns it in UTC: a zone of its own for each line
// would cost an allocation. Other forms of RFC 3339 do as well.
func (c *clock) parse(s string) (time.Time, bool) {
	if len(s) != len(layout) || s[secondLen] != '.' {
		return parseAny(s)
	}
	if s[:secondLen] != c.second {
		t, err := time.Parse(layout[:secondLen], s[:secondLen])
		if err != nil {
			return time.Time{}, false
		}
		c.second, c.unix = s[:secondLen], t.Unix()
	}
	micro, ok := digits(s[secondLen+1 : secondLen+7])
	zone := s[secondLen+7:]
	hours, okHours := digits(zone[1:3])
	minutes, okMinutes := digits(zone[4:6])
	if !ok || !okHours || !okMinutes || zone[3] != ':' || hours >= 24 || minutes >= 60 {
		return time.Time{}, false
	}
	offset := int64(hours*60+minutes) * 60
	switch zone[0] {
	case '-':
		offset = -offset
	case '+':
	default:
		return time.Time{}, false
	}
	return time.Unix(c.unix-offset, int64(micro)*1000).UTC(), true
}

// digits reads a number that consists of digits alone.
func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = 10*n + int(d)
	}
	return n, true
}

func parseAny(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UTC(), err == nil
}
