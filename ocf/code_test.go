package ocf_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spacei/drbdnfs/ocf"
)

// Ensure that an error's code survives wrapping and joining, and that an error
// without one is the generic failure.
func TestCodeOf(t *testing.T) {
	args := ocf.Errorf(ocf.ErrArgs, "no interface for %s", "192.0.2.1")
	tests := []struct {
		name string
		err  error
		want ocf.Code
	}{
		{"nil", nil, ocf.Success},
		{"without a code", errors.New("boom"), ocf.ErrGeneric},
		{"deadline", context.DeadlineExceeded, ocf.ErrGeneric},
		{"with a code", args, ocf.ErrArgs},
		{"wrapped", fmt.Errorf("start: %w", args), ocf.ErrArgs},
		{"joined after one without", errors.Join(errors.New("first"), args), ocf.ErrArgs},
		{"the outer code counts", ocf.Errorf(ocf.ErrConfigured, "exports: %w", args), ocf.ErrConfigured},
		{"degraded", &ocf.Error{Code: ocf.Degraded, Err: errors.New("peer missing")}, ocf.Degraded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ocf.CodeOf(tt.err); got != tt.want {
				t.Errorf("CodeOf(%v) = %v, want %v", tt.err, got, tt.want)
			}
		})
	}
}

// Ensure that callers can still branch on what an error with a code wraps.
func TestErrorUnwraps(t *testing.T) {
	err := ocf.Errorf(ocf.ErrInstalled, "look for modules: %w", fs.ErrNotExist)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
	if got, want := err.Error(), "look for modules: file does not exist"; got != want {
		t.Errorf("text %q, want %q: the code is not part of it", got, want)
	}
}

func TestCodeString(t *testing.T) {
	tests := []struct {
		code ocf.Code
		want string
	}{
		{ocf.Success, "OCF_SUCCESS"},
		{ocf.ErrGeneric, "OCF_ERR_GENERIC"},
		{ocf.ErrArgs, "OCF_ERR_ARGS"},
		{ocf.ErrUnimplemented, "OCF_ERR_UNIMPLEMENTED"},
		{ocf.ErrPerm, "OCF_ERR_PERM"},
		{ocf.ErrInstalled, "OCF_ERR_INSTALLED"},
		{ocf.ErrConfigured, "OCF_ERR_CONFIGURED"},
		{ocf.NotRunning, "OCF_NOT_RUNNING"},
		{ocf.RunningPromoted, "OCF_RUNNING_PROMOTED"},
		{ocf.FailedPromoted, "OCF_FAILED_PROMOTED"},
		{ocf.Degraded, "OCF_DEGRADED"},
		{ocf.DegradedPromoted, "OCF_DEGRADED_PROMOTED"},
		{137, "exit code 137"},
		{-1, "exit code -1"},
	}
	for _, tt := range tests {
		if got := tt.code.String(); got != tt.want {
			t.Errorf("Code(%d) = %q, want %q", int(tt.code), got, tt.want)
		}
	}
}

// Ensure that the numbers are those of the OCF resource agent API 1.1.
func TestCodeNumbers(t *testing.T) {
	got := []ocf.Code{
		ocf.Success, ocf.ErrGeneric, ocf.ErrArgs, ocf.ErrUnimplemented, ocf.ErrPerm, ocf.ErrInstalled, ocf.ErrConfigured,
		ocf.NotRunning, ocf.RunningPromoted, ocf.FailedPromoted, ocf.Degraded, ocf.DegradedPromoted,
	}
	for i, want := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 190, 191} {
		if int(got[i]) != want {
			t.Errorf("%v = %d, want %d", got[i], int(got[i]), want)
		}
	}
}

func TestReason(t *testing.T) {
	tests := []struct {
		name, want string
		err        error
	}{
		{"nil", "", nil},
		{"short", "mount /dev/drbd1000: exit code 32", errors.New("mount /dev/drbd1000: exit code 32")},
		{"one line of several", "first second", errors.Join(errors.New("first"), errors.New("second"))},
		{"tabs and carriage returns", "a b c", errors.New("a\tb\r\n  c ")},
		{"only space", "", errors.New(" \n ")},
		{"deadline", "lock: timed out", fmt.Errorf("lock: %w", context.DeadlineExceeded)},
		{"cancelled", "lock: context canceled", fmt.Errorf("lock: %w", context.Canceled)},
		{"a quoted deadline is left", "it said context deadline exceeded", errors.New("it said context deadline exceeded")},
		{"exactly the limit", strings.Repeat("x", 128), errors.New(strings.Repeat("x", 128))},
		{"one more", strings.Repeat("x", 128), errors.New(strings.Repeat("x", 129))},
		{"a rune of two bytes that fits", strings.Repeat("x", 126) + "é", errors.New(strings.Repeat("x", 126) + "éx")},
		{"a rune of two bytes across", strings.Repeat("x", 127), errors.New(strings.Repeat("x", 127) + "é")},
		{"a rune of three bytes across", strings.Repeat("x", 126), errors.New(strings.Repeat("x", 126) + "日本")},
		{"a rune of four bytes across", strings.Repeat("x", 125), errors.New(strings.Repeat("x", 125) + "😀x")},
		{"a byte that is not UTF-8", "umount /\xc3\xa4?: busy", errors.New("umount /\xc3\xa4\xe4: busy")},
		{"such a byte in a long text", "?" + strings.Repeat("x", 127), errors.New("\xe4" + strings.Repeat("x", 200))},
		{"space that shrinks below the limit", strings.Repeat("x", 100) + " y", errors.New(strings.Repeat("x", 100) + strings.Repeat(" ", 100) + "y")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ocf.Reason(tt.err); got != tt.want {
				t.Errorf("reason %q, want %q", got, tt.want)
			}
		})
	}
}

func TestExitReasonLine(t *testing.T) {
	got := ocf.ExitReasonLine("ocf-exit-reason:", errors.New("mount:\nno device"))
	if want := "ocf-exit-reason:mount: no device"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
}

// FuzzReason: whatever a program printed, the reason is one line of valid
// UTF-8 that Pacemaker does not cut.
func FuzzReason(f *testing.F) {
	for _, s := range []string{"", "a\nb", strings.Repeat("é", 70), strings.Repeat("日", 50) + "\x00", "\xff" + strings.Repeat("x", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := ocf.Reason(errors.New(s))
		if len(r) > ocf.MaxReason {
			t.Errorf("%d bytes", len(r))
		}
		if strings.ContainsAny(r, "\r\n") {
			t.Errorf("%q has a line end", r)
		}
		if !utf8.ValidString(r) {
			t.Errorf("%q is not UTF-8", r)
		}
		if r == "" && strings.TrimSpace(s) != "" {
			t.Errorf("nothing is left of %q", s)
		}
	})
}
