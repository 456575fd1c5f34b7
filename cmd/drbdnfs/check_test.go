package main

import (
	"errors"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/spacei/drbdnfs/pkg/check"
)

// Ensure that scripts can tell warnings from errors, and that notes are no harm.
func TestCheckStatus(t *testing.T) {
	for _, tt := range []struct {
		name   string
		report check.Report
		want   int
	}{
		{"nothing", check.Report{}, 0},
		{"notes", check.Report{Notes: 3}, 0},
		{"warnings", check.Report{Warnings: 1, Notes: 3}, 1},
		{"errors", check.Report{Errors: 1, Warnings: 1}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := 0
			var exit cli.ExitCoder
			if errors.As(checkStatus(tt.report), &exit) {
				got = exit.ExitCode()
			}
			if got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}
