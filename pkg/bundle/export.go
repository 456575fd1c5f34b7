package bundle

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrExport reports what is not in the journal's export format.
var ErrExport = errors.New("not in the journal's export format")

// maxField bounds one field of an entry; a core dump can be in one.
const maxField = 1 << 20

// field is one field of an entry.
type field struct {
	name  string
	value []byte
}

// entry is one record of the journal.
type entry []field

// get is the first field called name.
func (e entry) get(name string) string {
	i := slices.IndexFunc(e, func(f field) bool { return f.name == name })
	if i < 0 {
		return ""
	}
	return string(e[i].value)
}

// time is when the record was made, by its sender where that is known, otherwise
// when it was received.
func (e entry) time() time.Time {
	for _, name := range []string{"_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"} {
		if us, err := strconv.ParseInt(e.get(name), 10, 64); err == nil && us > 0 {
			return time.UnixMicro(us).UTC()
		}
	}
	return time.Time{}
}

// append writes the entry behind dst: a field with a newline or other bytes that
// are no text has its length in front.
func (e entry) append(dst []byte) []byte {
	for _, f := range e {
		dst = append(dst, f.name...)
		if utf8.Valid(f.value) && bytes.IndexFunc(f.value, func(r rune) bool { return r < ' ' && r != '\t' }) < 0 {
			dst = append(append(append(dst, '='), f.value...), '\n')
			continue
		}
		dst = binary.LittleEndian.AppendUint64(append(dst, '\n'), uint64(len(f.value)))
		dst = append(append(dst, f.value...), '\n')
	}
	return append(dst, '\n')
}

// readExport calls f with each entry. The last one may be cut off: whoever printed
// it was ended.
func readExport(r io.Reader, f func(entry)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var e entry
	done := func() {
		if len(e) > 0 {
			f(e)
		}
		e = nil
	}
	for {
		line, err := readLine(in)
		switch {
		case errors.Is(err, io.EOF):
			if len(line) == 0 {
				done()
			}
			return nil
		case err != nil:
			return err
		case len(line) == 0:
			done()
			continue
		}
		name, value, text := bytes.Cut(line, []byte("="))
		one := field{name: string(name), value: bytes.Clone(value)}
		if !validName(one.name) {
			return fmt.Errorf("%w: field %.40q", ErrExport, name)
		}
		if !text {
			if one.value, err = readBinary(in); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
		e = append(e, one)
	}
}

// readLine returns a line without its end. At the end of r it returns what there
// is, and io.EOF.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxField {
			return nil, fmt.Errorf("%w: a line longer than %d bytes", ErrExport, maxField)
		}
		if err == nil {
			return line[:len(line)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// readBinary reads length, bytes and newline.
func readBinary(in *bufio.Reader) ([]byte, error) {
	var size [8]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > maxField {
		return nil, fmt.Errorf("%w: a field of %d bytes", ErrExport, n)
	}
	value := make([]byte, n+1)
	if _, err := io.ReadFull(in, value); err != nil {
		return nil, err
	}
	if value[n] != '\n' {
		return nil, fmt.Errorf("%w: a field that does not end", ErrExport)
	}
	return value[:n], nil
}

func validName(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// recent keeps the newest entries that fit into a number of bytes.
type recent struct {
	limit   int64
	entries []entry
	sizes   []int64
	size    int64
	cut     int64 // bytes that were left out
}

func (r *recent) add(e entry) {
	n := int64(1)
	for _, f := range e {
		n += int64(len(f.name) + len(f.value) + 2)
	}
	r.entries, r.sizes, r.size = append(r.entries, e), append(r.sizes, n), r.size+n
	drop := 0
	for r.size > r.limit && drop < len(r.entries) {
		r.size -= r.sizes[drop]
		r.cut += r.sizes[drop]
		drop++
	}
	r.entries, r.sizes = r.entries[drop:], r.sizes[drop:]
}
