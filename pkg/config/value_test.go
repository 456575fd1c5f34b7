package config_test

import (
	"testing"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
)

// Ensure that sizes are read in binary units and printed in the largest that is
// exact.
func TestSize(t *testing.T) {
	for _, tt := range []struct {
		in, out string
		bytes   int64
	}{
		{"6T", "6T", 6 << 40},
		{"6TiB", "6T", 6 << 40},
		{"6TB", "6T", 6 << 40},
		{"1536M", "1536M", 1536 << 20},
		{"1024M", "1G", 1 << 30},
		{"5K", "5K", 5 << 10},
		{"2P", "2P", 2 << 50},
		{"1000B", "1000B", 1000},
		{"0G", "0B", 0},
	} {
		var s config.Size
		if err := s.UnmarshalText([]byte(tt.in)); err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		text, err := s.MarshalText()
		if s.Bytes() != tt.bytes || string(text) != tt.out || err != nil {
			t.Errorf("%s is %d bytes, printed as %s (%v), want %d, %s", tt.in, s.Bytes(), text, err, tt.bytes, tt.out)
		}
	}
	for _, in := range []string{"", "6", "T", "6X", "6t", "6 T", "-6T", "1.5T", "6TT", "6iB", "6BB", "9000P", "99999999999999999999G"} {
		var s config.Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is read as %v", in, s)
		}
	}
}

// Ensure that times are read with their units and printed in short.
func TestDuration(t *testing.T) {
	for in, want := range map[string]string{
		"30s": "30s", "300s": "5m", "90s": "1m30s", "1h": "1h", "1h0m5s": "1h0m5s", "500ms": "500ms", "0s": "0s", "36h": "36h",
	} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(in)); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		text, err := d.MarshalText()
		if std, _ := time.ParseDuration(in); string(text) != want || err != nil || d.D() != std {
			t.Errorf("%s is %v, printed as %s (%v), want %s", in, d.D(), text, err, want)
		}
	}
	for _, in := range []string{"", "30", "-1s", "1us", "s", "1 s", "30x"} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is read as %v", in, d)
		}
	}
}
