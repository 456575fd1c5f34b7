package admin

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
)

// What callers branch on. Except for the first two, the error also holds the
// [*host.ExitError] of the tool that said so.
var (
	// ErrModuleNotLoaded reports that there is no /proc/drbd.
	ErrModuleNotLoaded = errors.New("DRBD kernel module is not loaded")
	// ErrUnknownResource reports a resource that the kernel, or for verbs of
	// drbdadm the configuration, does not know.
	ErrUnknownResource = errors.New("unknown DRBD resource")
	// ErrNoUpToDate reports a refusal because no UpToDate data is reachable,
	// or because the data here is only Consistent and the peer could not be
	// outdated.
	ErrNoUpToDate = errors.New("no UpToDate data")
	// ErrRefused reports any other state change that the kernel refused: a
	// Primary peer, no quorum, or the device in use.
	ErrRefused = errors.New("DRBD refused")
	// ErrHeldOpen reports a demotion that was refused because the device is
	// open: mounted, exported, mapped. It is also ErrRefused.
	ErrHeldOpen = fmt.Errorf("%w: device is held open", ErrRefused)
	// ErrBrokenConfig reports a DRBD configuration that drbdadm cannot read.
	ErrBrokenConfig = errors.New("broken DRBD configuration")
	// ErrName reports a name that must not be given to the tools as one
	// resource: empty, "all", an option, or with a slash.
	ErrName = errors.New("not the name of a DRBD resource")
	// ErrNotOn84 reports a verb that a DRBD 8.4 kernel does not have.
	ErrNotOn84 = errors.New("not possible with DRBD 8.4")
)

// Exit codes of drbdsetup, and of drbdadm which passes them on: drbd-utils
// user/v9/drbdsetup.c check_error, user/v84/drbdsetup.c print_config_error,
// user/shared/shared_main.h.
const (
	exitUsage      = 1  // drbdadm: the resource is not in the configuration, among others
	exitConfig     = 10 // drbdsetup: error code of the kernel; drbdadm: configuration is invalid
	exitRefused    = 11 // state change failed
	exitNoUpToDate = 17 // state change failed: Need access to UpToDate data
)

// classify adds the sentinel that fits to an error of drbdsetup, or of a
// drbdadm verb that ends in drbdsetup.
func classify(err error) error {
	var ee *host.ExitError
	if !errors.As(err, &ee) {
		return err
	}
	says := func(text string) bool { return strings.Contains(ee.Stderr, text) }
	switch {
	case ee.Code == exitNoUpToDate:
		return fmt.Errorf("%w: %w", ErrNoUpToDate, err)
	case ee.Code == exitRefused && says("held open by someone"):
		return fmt.Errorf("%w: %w", ErrHeldOpen, err)
	case ee.Code == exitRefused:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case ee.Code == exitConfig && (says("Unknown resource") || says("No such resource") || says("minor not allocated")):
		return fmt.Errorf("%w: %w", ErrUnknownResource, err)
	case says("Could not stat /proc/drbd"):
		return fmt.Errorf("%w: %w", ErrModuleNotLoaded, err)
	}
	return err
}

// classifyAdm is classify for what drbdadm itself may say.
func classifyAdm(err error) error {
	var ee *host.ExitError
	if !errors.As(err, &ee) {
		return err
	}
	switch {
	case ee.Code == exitUsage && notInConfig(ee.Stderr):
		return fmt.Errorf("%w: %w", ErrUnknownResource, err)
	case ee.Code == exitConfig && !strings.Contains(ee.Stderr, "Failure: ("): // not passed on from drbdsetup
		return fmt.Errorf("%w: %w", ErrBrokenConfig, err)
	}
	return classify(err)
}

// notInConfig reports whether drbdadm said that a resource is not for this
// host (drbd-utils user/v9/drbdadm_main.c main).
func notInConfig(stderr string) bool {
	for _, text := range []string{"not defined in your config", "no resources defined", "ignored, since this host"} {
		if strings.Contains(stderr, text) {
			return true
		}
	}
	return false
}

// Reason returns DRBD's own words for an error of this package, short enough
// for one line: "State change failed: (-2) Need access to UpToDate data". For
// an error that no tool has printed it is the error's text.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	var ee *host.ExitError
	if !errors.As(err, &ee) || ee.Stderr == "" {
		return err.Error()
	}
	first := ""
	for line := range strings.SplitSeq(ee.Stderr, "\n") {
		line = strings.TrimSpace(line)
		if i := strings.Index(line, "State change failed:"); i >= 0 {
			return line[i:]
		}
		if i := strings.Index(line, "Failure:"); i >= 0 {
			return line[i:]
		}
		if first == "" {
			first = line
		}
	}
	return first
}
