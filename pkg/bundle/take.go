package bundle

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
)

// take reads a source into f, as much of it as its limit allows.
func (c *collector) take(f *File, s source, r io.Reader) error {
	switch s.kind {
	case journal:
		keep := recent{limit: s.limit()}
		err := readExport(r, func(e entry) { keep.add(e) })
		f.entries, f.Cut = keep.entries, keep.cut
		return err
	case logText:
		return f.takeEnd(r, s.limit())
	case cibXML:
		data, err := io.ReadAll(io.LimitReader(r, s.limit()+1))
		if int64(len(data)) > s.limit() {
			f.Cut = int64(len(data))
			return fmt.Errorf("left out: it is larger than %d bytes", s.limit())
		}
		f.data = data
		return err
	default:
		return f.takeBegin(r, s.limit())
	}
}

// takeBegin keeps the first limit bytes.
func (f *File) takeBegin(r io.Reader, limit int64) error {
	var b bytes.Buffer
	_, err := io.Copy(&b, io.LimitReader(r, limit))
	f.data = b.Bytes()
	if err != nil {
		return err
	}
	f.Cut, err = io.Copy(io.Discard, r)
	return err
}

// takeEnd keeps the last limit bytes, from the beginning of a line.
func (f *File) takeEnd(r io.Reader, limit int64) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		f.data = append(f.data, buf[:n]...)
		if int64(len(f.data)) > 2*limit {
			f.shorten(limit)
		}
		if errors.Is(err, io.EOF) {
			f.shorten(limit)
			return nil
		}
		if err != nil {
			f.shorten(limit)
			return err
		}
	}
}

func (f *File) shorten(limit int64) {
	over := int64(len(f.data)) - limit
	if over <= 0 {
		return
	}
	if i := bytes.IndexByte(f.data[over:], '\n'); i >= 0 {
		over += int64(i) + 1
	}
	f.Cut += over
	f.data = bytes.Clone(f.data[over:])
}

// unpacked is take for a file that may be compressed.
func (s source) unpacked(take func(io.Reader) error) func(io.Reader) error {
	if !s.bzip2 {
		return take
	}
	return func(r io.Reader) error { return take(bzip2.NewReader(r)) }
}

// readAll hands what get returns to take.
func readAll(get func() ([]byte, error), take func(io.Reader) error) error {
	data, err := get()
	if err != nil {
		return err
	}
	return take(bytes.NewReader(data))
}

// clean takes secrets out of what was read.
func (c *collector) clean(f *File, k kind) {
	n := 0
	switch k {
	case journal:
		for _, e := range f.entries {
			for i := range e {
				var m int
				e[i].value, m = c.redact.text(e[i].value)
				n += m
			}
			f.data = e.append(f.data)
		}
	case cibXML:
		if len(f.data) > 0 {
			f.data, n = c.redact.cib(f.data)
		}
	default:
		f.data, n = c.redact.text(f.data)
	}
	f.Redactions += n
	f.Size = len(f.data)
}
