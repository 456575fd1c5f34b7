package edit

import (
	"errors"
	"strings"
)

// was starts a line that setup has put out of force.
const was = "# drbdnfs was: "

// ErrContinued reports a file whose last line is continued on a line that does
// not exist: what is appended would become part of it.
var ErrContinued = errors.New("the last line ends with a backslash")

// The file is read as nfs-utils does (support/nfs/conffile.c): a backslash at
// the end joins two lines, also of a comment; names ignore case; a section with
// an argument in quotes is another one; a value ends at # or ; unless it is in
// quotes; the last value counts; a last line without end is not read at all.

// statement is one line of the file with the lines that continue it.
type statement struct {
	first, last int // indices of lines
	section     string
	key, value  string
	header      bool // [section]
	ended       bool // has a line end, so that it counts
}

// Key returns the value of key in section; ok is false where there is none.
func Key(text, section, key string) (value string, ok bool) {
	for _, s := range statements(lines(text)) {
		if s.ended && s.sets(section, key) {
			value, ok = s.value, true
		}
	}
	return value, ok
}

// SetKey makes value the value of key in section. Where it is already, nothing
// changes. Lines with other values become comments, "# drbdnfs was: ...", and
// the new line follows the last of them, or the section's header, or makes a
// new section at the end, each time between the marks of [SetBlock].
func SetKey(text, section, key, value string) (string, error) {
	text, err := RemoveKey(text)
	if err != nil {
		return "", err
	}
	if got, ok := Key(text, section, key); ok && got == value {
		return text, nil
	}
	list := lines(text)
	if strings.HasSuffix(strings.TrimSuffix(text, "\n"), "\\") {
		return "", ErrContinued
	}
	at, body := len(list), "["+section+"]\n"+key+"="+value
	header := -1
	for _, s := range statements(list) {
		switch {
		case s.sets(section, key):
			list[s.first] = was + list[s.first]
			at, body = s.last+1, key+"="+value
			header = 0
		case s.header && header < 0 && strings.EqualFold(s.section, section):
			at, body = s.last+1, key+"="+value
			header = s.first
		}
	}
	return insert(list, at, body), nil
}

// RemoveKey takes out what SetKey has put in and puts the old lines in force.
func RemoveKey(text string) (string, error) {
	text, err := RemoveBlock(text)
	if err != nil {
		return "", err
	}
	list := lines(text)
	for i, l := range list {
		list[i] = strings.TrimPrefix(l, was)
	}
	return strings.Join(list, ""), nil
}

func (s statement) sets(section, key string) bool {
	return !s.header && strings.EqualFold(s.section, section) && strings.EqualFold(s.key, key)
}

func statements(list []string) []statement {
	var out []statement
	section := ""
	for i := 0; i < len(list); i++ {
		s := statement{first: i}
		text := list[i]
		for strings.HasSuffix(text, "\\\n") && i+1 < len(list) {
			i++
			text = strings.TrimSuffix(text, "\\\n") + "  " + list[i]
		}
		s.last, s.ended = i, strings.HasSuffix(text, "\n") && !strings.HasSuffix(text, "\\\n")
		text = strings.TrimLeft(strings.TrimSuffix(text, "\n"), " \t")
		switch {
		case text == "" || text[0] == '#' || text[0] == ';':
			continue
		case text[0] == '[':
			section = sectionName(text)
			s.header = true
		default:
			k, v, ok := strings.Cut(text, "=")
			if !ok {
				continue
			}
			s.key, s.value = strings.TrimRight(k, " \t"), unquote(strings.TrimLeft(v, " \t"))
		}
		s.section = section
		out = append(out, s)
	}
	return out
}

// sectionName returns the name in [name]; a header that is damaged, or has an
// argument, starts a section that nobody asks for.
func sectionName(text string) string {
	name, _, ok := strings.Cut(text[1:], "]")
	if !ok || strings.Contains(name, `"`) {
		return ""
	}
	return strings.Trim(name, " \t")
}

func unquote(v string) string {
	for _, q := range []string{`"`, `'`} {
		if rest, ok := strings.CutPrefix(v, q); ok {
			v, _, _ = strings.Cut(rest, q)
			return v
		}
	}
	if i := strings.IndexAny(v, "#;"); i >= 0 {
		v = v[:i]
	}
	return strings.TrimSpace(v)
}
