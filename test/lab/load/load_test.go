package load

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRecordRoundTrip(t *testing.T) {
	at := time.Unix(1763800000, 123456789)
	b := FormatRecord(7, at)
	if len(b) != RecordLen {
		t.Fatalf("length %d, want %d", len(b), RecordLen)
	}
	n, err := ParseRecord(b)
	if err != nil || n != 7 {
		t.Fatalf("ParseRecord = %d, %v", n, err)
	}
	for i := range b {
		damaged := bytes.Clone(b)
		damaged[i] ^= 0x01
		if _, err := ParseRecord(damaged); err == nil {
			t.Errorf("byte %d changed and nobody noticed", i)
		}
	}
}

func TestVerify(t *testing.T) {
	records := func(numbers ...uint64) string {
		var b strings.Builder
		for _, n := range numbers {
			b.Write(FormatRecord(n, time.Unix(1, 0)))
		}
		return b.String()
	}
	acks := []Ack{{Number: 0}, {Number: 1}, {Number: 2}}
	tests := []struct {
		name, data string
		wantErr    string
	}{
		{"exact", records(0, 1, 2), ""},
		{"one more than acknowledged", records(0, 1, 2, 3), ""},
		{"torn after the last acknowledged", records(0, 1, 2) + "0000", ""},
		{"lost at the end", records(0, 1), "record 2 of 3 acknowledged is missing"},
		{"lost in the middle", records(0, 2), "record 1 (of 3 acknowledged): holds number 2"},
		{"hole of zeroes", records(0) + strings.Repeat("\x00", RecordLen) + records(2), "record 1"},
		{"nothing", "", "record 0 of 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Verify(strings.NewReader(tt.data), acks)
			if tt.wantErr == "" && err != nil {
				t.Fatal(err)
			}
			if tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
				t.Fatalf("error %v, want one with %q", err, tt.wantErr)
			}
		})
	}
}

func TestSummarise(t *testing.T) {
	at := func(ms int) Ack {
		d := time.Duration(ms) * time.Millisecond
		return Ack{Mono: d, At: time.Unix(100, 0).Add(d)}
	}
	acks := []Ack{at(0), at(9000), at(9020), at(9500), at(9520)}
	got := Summarise(acks, time.Unix(109, 10e6))
	if got.MaxGap != 480*time.Millisecond || got.Acked != 5 || !got.GapEnd.Equal(acks[3].At) {
		t.Errorf("since 109.01: %+v", got)
	}
	if got := Summarise(acks, time.Time{}); got.MaxGap != 9*time.Second {
		t.Errorf("from the start: %+v", got)
	}
}

func TestWriteContinues(t *testing.T) {
	dir := t.TempDir()
	file, list := filepath.Join(dir, "data"), filepath.Join(dir, "acks")
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
		if err := Write(ctx, file, list, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	acks, err := ReadAcks(list)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range acks {
		if a.Number != uint64(i) {
			t.Fatalf("ack %d has number %d", i, a.Number)
		}
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Verify(f, acks); err != nil {
		t.Fatal(err)
	}
}
