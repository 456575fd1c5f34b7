package main

import (
	"bytes"
	"testing"
)

// Ensure that the version can be asked for either way.
func TestVersion(t *testing.T) {
	for _, tt := range []struct{ name, arg, want string }{
		{"command", "version", "drbdnfs devel\n"},
		{"flag", "--version", "drbdnfs version devel\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := newApp(&out).Run([]string{"drbdnfs", tt.arg}); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != tt.want {
				t.Errorf("printed %q, want %q", got, tt.want)
			}
		})
	}
}
