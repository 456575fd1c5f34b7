package ocf

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Code is an exit code of an action. Its text is the name in the OCF
// specification.
type Code int

// The exit codes of OCF resource agent API 1.1.
const (
	Success          Code = 0   // the action succeeded; a monitor: active, and Unpromoted
	ErrGeneric       Code = 1   // anything not said more exactly below; Pacemaker recovers
	ErrArgs          Code = 2   // parameters that are wrong on this node
	ErrUnimplemented Code = 3   // no such action
	ErrPerm          Code = 4   // not permitted
	ErrInstalled     Code = 5   // a program or module is missing on this node
	ErrConfigured    Code = 6   // parameters that are wrong everywhere: banned from all nodes
	NotRunning       Code = 7   // a monitor: cleanly stopped
	RunningPromoted  Code = 8   // a monitor: active, and Promoted
	FailedPromoted   Code = 9   // a monitor: Promoted and broken; Pacemaker demotes and recovers
	Degraded         Code = 190 // as Success, shown as a failure, without recovery
	DegradedPromoted Code = 191 // as RunningPromoted, likewise
)

var codeNames = map[Code]string{
	Success: "OCF_SUCCESS", ErrGeneric: "OCF_ERR_GENERIC", ErrArgs: "OCF_ERR_ARGS",
	ErrUnimplemented: "OCF_ERR_UNIMPLEMENTED", ErrPerm: "OCF_ERR_PERM",
	ErrInstalled: "OCF_ERR_INSTALLED", ErrConfigured: "OCF_ERR_CONFIGURED",
	NotRunning: "OCF_NOT_RUNNING", RunningPromoted: "OCF_RUNNING_PROMOTED",
	FailedPromoted: "OCF_FAILED_PROMOTED", Degraded: "OCF_DEGRADED",
	DegradedPromoted: "OCF_DEGRADED_PROMOTED",
}

// String is the name in the specification, or "exit code N".
func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return fmt.Sprintf("exit code %d", int(c))
}

// Error is a failure with the exit code that it should become.
type Error struct {
	Code Code
	Err  error // what happened; its text becomes the exit reason
}

// Error is the text of what happened, without the code.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives errors.Is and errors.As what happened.
func (e *Error) Unwrap() error { return e.Err }

// Errorf is fmt.Errorf with an exit code.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// CodeOf returns the exit code that err carries: Success for nil, ErrGeneric
// for an error without a code.
func CodeOf(err error) Code {
	if err == nil {
		return Success
	}
	if e := new(Error); errors.As(err, &e) {
		return e.Code
	}
	return ErrGeneric
}

// MaxReason is how many bytes of an exit reason Pacemaker keeps (EXIT_REASON_MAX_LEN
// in its include/crm/lrmd_internal.h is 128).
const MaxReason = 128

// Reason makes the text that crm_mon shows out of an error: one line of at
// most [MaxReason] bytes, cut at a rune.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		text = strings.ReplaceAll(text, context.DeadlineExceeded.Error(), "timed out")
	}
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if len(text) <= MaxReason {
		return text
	}
	text = text[:MaxReason]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text
}

// ExitReasonLine is the line on standard error from which Pacemaker takes the
// exit reason. prefix is the environment's, normally "ocf-exit-reason:".
func ExitReasonLine(prefix string, err error) string {
	return prefix + Reason(err)
}
