package cib

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// seconds writes a time as both Pacemaker and the agent read it.
func seconds(d time.Duration) string {
	if d%time.Second != 0 {
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// units of Pacemaker's times.
var units = map[string]time.Duration{
	"": time.Second, "s": time.Second, "sec": time.Second,
	"ms": time.Millisecond, "msec": time.Millisecond, "us": time.Microsecond, "usec": time.Microsecond,
	"m": time.Minute, "min": time.Minute, "h": time.Hour, "hr": time.Hour,
}

// parseTime reads a time as Pacemaker writes it: "30", "30s", "5min".
func parseTime(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if i < 0 {
		i = len(s)
	}
	n, err := strconv.Atoi(s[:i])
	unit, ok := units[strings.TrimSpace(s[i:])]
	if err != nil || !ok || n > 1_000_000_000 {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

func sameTime(a, b string) bool {
	x, ok := parseTime(a)
	y, too := parseTime(b)
	return ok && too && x == y
}

// sameList compares lists in which the order does not matter.
func sameList(a, b string) bool {
	x, y := fields(a), fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

func sameBool(a, b string) bool {
	x, ok := truth(a)
	y, too := truth(b)
	return ok && too && x == y
}

// truth reads a boolean as Pacemaker does.
func truth(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "on", "yes", "y", "1":
		return true, true
	case "false", "off", "no", "n", "0":
		return false, true
	}
	return false, false
}

// bothPositive takes any number above zero for as good as another.
func bothPositive(a, b string) bool {
	x, err := strconv.Atoi(a)
	y, too := strconv.Atoi(b)
	return err == nil && too == nil && x > 0 && y > 0
}

// entries splits the agent's exports into one per directory. Within quotes a
// space or semicolon is part of the path.
func entries(s string) []string {
	var out []string
	var entry strings.Builder
	quoted := false
	for _, r := range s + "\n" {
		switch {
		case r == '\n' || r == ';' && !quoted:
			if e := strings.TrimSpace(entry.String()); e != "" {
				out = append(out, e)
			}
			entry.Reset()
			quoted = false
			continue
		case r == '"':
			quoted = !quoted
		case (r == ' ' || r == '\t') && !quoted:
			if strings.HasSuffix(entry.String(), " ") {
				continue
			}
			r = ' '
		}
		entry.WriteRune(r)
	}
	return out
}

func sameExports(a, b string) bool {
	x, y := entries(a), entries(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// exportsDetail names the entries that come and go.
func exportsDetail(from, to string) string {
	var out []string
	have, want := entries(from), entries(to)
	for _, e := range have {
		if !slices.Contains(want, e) {
			out = append(out, "-"+e)
		}
	}
	for _, e := range want {
		if !slices.Contains(have, e) {
			out = append(out, "+"+e)
		}
	}
	return "exports " + strings.Join(out, "; ")
}

// exportPath is the directory of an entry, as it is written there.
func exportPath(entry string) string {
	if rest, ok := strings.CutPrefix(entry, `"`); ok {
		path, _, _ := strings.Cut(rest, `"`)
		return path
	}
	path, _, _ := strings.Cut(entry, " ")
	return path
}
