package edit

import (
	"errors"
	"fmt"
	"strings"
)

// The lines around what setup has written.
const (
	begin = "# drbdnfs begin"
	end   = "# drbdnfs end"
	// beginOpen is begin after a line that had no end: removal takes the end
	// away again.
	beginOpen = begin + ", after a line without end"
)

// ErrMarks reports a file in which the marks of setup are damaged: one without
// the other, or more than one pair.
var ErrMarks = errors.New(`"` + begin + `" and "` + end + `" are not there once each, in this order`)

// span is where the block is: lines[from] is its first line, lines[to] its last.
type span struct{ from, to int }

// find returns where the block is; ok is false where there is none.
func find(list []string) (s span, ok bool, err error) {
	s = span{-1, -1}
	for i, l := range list {
		switch content(l) {
		case begin, beginOpen:
			if s.from >= 0 {
				return s, false, fmt.Errorf("line %d: %w", i+1, ErrMarks)
			}
			s.from = i
		case end:
			if s.from < 0 || s.to >= 0 {
				return s, false, fmt.Errorf("line %d: %w", i+1, ErrMarks)
			}
			s.to = i
		}
	}
	if s.from >= 0 && s.to < 0 {
		return s, false, fmt.Errorf("line %d: %w", s.from+1, ErrMarks)
	}
	return s, s.from >= 0, nil
}

// Block returns what is between the marks, with "\n" as line end; ok is false
// where there are none.
func Block(text string) (body string, ok bool, err error) {
	list := lines(text)
	s, ok, err := find(list)
	if !ok || err != nil {
		return "", false, err
	}
	return strings.ReplaceAll(strings.Join(list[s.from+1:s.to], ""), "\r\n", "\n"), true, nil
}

// SetBlock puts body between the marks: in place of what is there, or at the
// end of text. Lines of body get the line end of text. Damaged marks are
// [ErrMarks].
func SetBlock(text, body string) (string, error) {
	for _, l := range lines(body) {
		if c := content(l); c == begin || c == beginOpen || c == end {
			return "", fmt.Errorf("the text to put in: %w", ErrMarks)
		}
	}
	list := lines(text)
	s, ok, err := find(list)
	if err != nil {
		return "", err
	}
	if !ok {
		return insert(list, len(list), body), nil
	}
	before, after := strings.Join(list[:s.from+1], ""), strings.Join(list[s.to:], "")
	return before + withEnds(body, endOf(list[s.from])) + after, nil
}

// insert puts a new block before lines[at].
func insert(list []string, at int, body string) string {
	before, after := strings.Join(list[:at], ""), strings.Join(list[at:], "")
	e := eol(before + after)
	first := begin
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += e
		first = beginOpen
	}
	return before + first + e + withEnds(body, e) + end + e + after
}

// RemoveBlock takes the block out, with its marks. Text without one comes back
// as it is; damaged marks are [ErrMarks].
func RemoveBlock(text string) (string, error) {
	list := lines(text)
	s, ok, err := find(list)
	if err != nil || !ok {
		return text, err
	}
	before := strings.Join(list[:s.from], "")
	if content(list[s.from]) == beginOpen {
		before = strings.TrimSuffix(before, endOf(list[s.from]))
	}
	return before + strings.Join(list[s.to+1:], ""), nil
}
