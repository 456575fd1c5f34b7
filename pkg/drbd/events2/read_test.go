package events2_test

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/events2"
)

func TestRead(t *testing.T) {
	in := "exists resource name:a role:Primary\n\nnot a line\nexists -\n"
	var got []string
	var bad int
	for ev, err := range events2.Read(strings.NewReader(in)) {
		if errors.Is(err, events2.ErrSyntax) {
			bad++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ev.String())
	}
	want := []string{"exists resource name:a role:Primary", "exists -"}
	if diff := cmp.Diff(want, got); diff != "" || bad != 1 {
		t.Errorf("%d bad lines, events (-want +got):\n%s", bad, diff)
	}
}

// Ensure that lines arrive whole however they are cut into reads, and that the
// reader is asked for more only when all of them have been handled.
func TestReadInPieces(t *testing.T) {
	lines := recordings(t)
	text := strings.Join(lines, "\n") + "\n" + "change resource name:r role:" + strings.Repeat("x", 100<<10) + "\nexists -\n"
	for name, r := range map[string]io.Reader{
		"bytes":         iotest.OneByteReader(strings.NewReader(text)),
		"halves":        iotest.HalfReader(strings.NewReader(text)),
		"data with end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for ev, err := range events2.Read(r) {
				if err != nil {
					t.Fatal(err)
				}
				if n < len(lines) {
					if want, _ := events2.Parse(lines[n]); ev.String() != want.String() || !ev.Time.Equal(want.Time) {
						t.Fatalf("line %d is %s, want %s", n, ev, want)
					}
				}
				n++
			}
			if n != len(lines)+2 {
				t.Errorf("%d lines, want %d", n, len(lines)+2)
			}
		})
	}
	t.Run("no look ahead", func(t *testing.T) {
		handled, asked := 0, 0
		r := readerFunc(func(p []byte) (int, error) {
			if asked++; handled != 2*(asked-1) {
				t.Errorf("asked for more after %d lines, want %d", handled, 2*(asked-1))
			}
			if asked == 4 {
				return 0, io.EOF
			}
			return copy(p, "exists -\nexists -\n"), nil
		})
		for range events2.Read(r) {
			handled++
		}
		if handled != 6 {
			t.Errorf("%d lines", handled)
		}
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReadEnds(t *testing.T) {
	broken := errors.New("pipe burst")
	in := io.MultiReader(strings.NewReader("exists -\nexists -\n"), iotest.ErrReader(broken))
	var seen int
	var last error
	for _, err := range events2.Read(in) {
		seen++
		last = err
	}
	if seen != 3 || !errors.Is(last, broken) {
		t.Errorf("%d steps, the last with %v; want 3 and the reader's error", seen, last)
	}

	t.Run("WhenTheCallerStops", func(t *testing.T) {
		n := 0
		for range events2.Read(strings.NewReader("exists -\nexists -\n")) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%d events after break", n)
		}
	})
	t.Run("InTheMiddleOfALine", func(t *testing.T) {
		var seen int
		var last error
		for _, err := range events2.Read(strings.NewReader("exists -\nchange device name:r volume:0 disk:Fail")) {
			seen++
			last = err
		}
		if seen != 2 || !errors.Is(last, events2.ErrCutOff) || !errors.Is(last, events2.ErrSyntax) {
			t.Errorf("%d steps, the last with %v; want 2 and ErrCutOff", seen, last)
		}
	})
	t.Run("AtAReaderThatDoesNothing", func(t *testing.T) {
		var last error
		for _, err := range events2.Read(readerFunc(func([]byte) (int, error) { return 0, nil })) {
			last = err
		}
		if !errors.Is(last, io.ErrNoProgress) {
			t.Errorf("got %v, want ErrNoProgress", last)
		}
	})
	t.Run("AtALineWithoutEnd", func(t *testing.T) {
		var last error
		for _, err := range events2.Read(strings.NewReader(strings.Repeat("x", 2<<20))) {
			last = err
		}
		if !errors.Is(last, bufio.ErrTooLong) {
			t.Errorf("got %v, want ErrTooLong", last)
		}
	})
}

// Ensure that the events of a stream do not share memory that the next line
// overwrites.
func TestReadEventsStay(t *testing.T) {
	lines := recordings(t)
	var kept []drbd.Event
	for ev, err := range events2.Read(strings.NewReader(strings.Join(lines, "\n") + "\n")) {
		if err != nil {
			t.Fatal(err)
		}
		ev.Fields = append(ev.Fields, drbd.Field{Key: "mine"}) // must not reach the next event
		ev.Fields = ev.Fields[:len(ev.Fields)-1]
		kept = append(kept, ev)
	}
	for i, ev := range kept {
		want, err := events2.Parse(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		if ev.String() != want.String() {
			t.Fatalf("line %d became %s, want %s", i, ev, want)
		}
	}
}

func TestReadDump(t *testing.T) {
	const dump = "exists resource name:a role:Secondary suspended:no\nexists device name:a volume:0 minor:1 disk:UpToDate\n"
	tests := []struct {
		name, in           string
		resources          int
		complete, wantFail bool
	}{
		{"with its end", dump + "exists -\n", 1, true, false},
		{"what follows is not read", dump + "exists -\ndestroy resource name:a\nprose\n", 1, true, false},
		{"that just ends", dump, 1, false, false},
		{"of nothing", "exists -\n", 0, true, false},
		{"of nothing at all", "", 0, false, false},
		{"cut off", dump + "exists dev", 0, false, true},
		{"with prose in it", dump + "Segmentation fault\n", 0, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st, err := events2.ReadDump(strings.NewReader(tt.in))
			if tt.wantFail {
				if !errors.Is(err, events2.ErrSyntax) {
					t.Errorf("got %v, %v; want ErrSyntax", st, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(st.Resources) != tt.resources || st.Complete != tt.complete {
				t.Errorf("%d resources, complete %v; want %d, %v", len(st.Resources), st.Complete, tt.resources, tt.complete)
			}
		})
	}
}
