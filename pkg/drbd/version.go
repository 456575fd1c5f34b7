package drbd

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Version is the version of the loaded kernel module. It decides which
// commands and which lines of events2 to expect; the version of the userland
// tools does not.
type Version struct {
	Major, Minor, Patch int
}

// ErrNoVersion reports contents of /proc/drbd that do not start with a version.
var ErrNoVersion = errors.New("no DRBD version")

// ParseProcVersion reads the first line of /proc/drbd, for example
//
//	version: 9.1.23 (api:2/proto:86-121)
//
// A suffix such as "-rc.1" or "-1" after the patch level is ignored. Anything
// that does not name three numbers is [ErrNoVersion].
func ParseProcVersion(data []byte) (Version, error) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	text, ok := strings.CutPrefix(string(line), "version:")
	if !ok {
		return Version{}, fmt.Errorf("%w in %.60q", ErrNoVersion, line)
	}
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	var v Version
	for i, p := range []*int{&v.Major, &v.Minor, &v.Patch} {
		var part string
		part, word, _ = strings.Cut(word, ".")
		if i == 2 {
			part = leadingDigits(part)
		}
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return Version{}, fmt.Errorf("%w in %.60q", ErrNoVersion, line)
		}
		*p = int(n)
	}
	return v, nil
}

// leadingDigits returns the digits s starts with.
func leadingDigits(s string) string {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return s[:i]
		}
	}
	return s
}

// Compare returns -1, 0 or +1 when v is older than, the same as or newer than w.
func (v Version) Compare(w Version) int {
	for _, d := range [...]int{v.Major - w.Major, v.Minor - w.Minor, v.Patch - w.Patch} {
		if d < 0 {
			return -1
		}
		if d > 0 {
			return 1
		}
	}
	return 0
}

// String returns the version as "9.1.23".
func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}
