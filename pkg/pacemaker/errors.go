package pacemaker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
)

// What callers branch on. Where a program said so, the error also holds its
// [*host.ExitError].
var (
	// ErrNotRunning reports that there is no cluster to talk to on this node:
	// Pacemaker is stopped, is not installed, or the daemon that was asked has
	// just ended (Pacemaker starts it again).
	ErrNotRunning = errors.New("the cluster does not run here")
	// ErrNoAnswer reports that Pacemaker runs but did not answer in time. What
	// was asked for may still happen.
	ErrNoAnswer = errors.New("the cluster does not answer")
	// ErrNotThere reports a resource that does not run on a node, or a node that
	// is not online.
	ErrNotThere = errors.New("the resource does not run there")
	// ErrOff reports a resource that Pacemaker leaves alone for now.
	ErrOff = errors.New("left alone by Pacemaker")
	// ErrName reports a name or a value that must not be given to the programs.
	ErrName = errors.New("not a plain name")
	// ErrTooLong reports a value longer than [MaxValue].
	ErrTooLong = errors.New("the value is too long to be published")
	// ErrGarbled reports an attribute that does not hold what [Client.Publish]
	// has written.
	ErrGarbled = errors.New("not a published value")
)

// Exit codes of Pacemaker's programs (include/crm/common/results.h, and
// pcmk_rc2exitc in lib/common/results.c for what they mean).
const (
	exitNoHost      = 68  // crm_resource since 2.1.7: no such node
	exitUnavailable = 69  // the service that is needed does not run
	exitTryAgain    = 75  //
	exitConfig      = 78  // attrd_updater --query: no such attribute (105 before 2.1.3)
	exitDisconnect  = 102 // no connection, or it was lost; crm_resource also: node is not online
	exitNoSuch      = 105 // what was asked for, or the socket of a daemon where sockets are files
	exitUnsatisfied = 113 // EAGAIN, EBUSY: the daemon is busy
	exitTimeout     = 124
)

// exited reports whether a program ended with one of codes.
func exited(err error, codes ...int) bool {
	var ee *host.ExitError
	return errors.As(err, &ee) && slices.Contains(codes, ee.Code)
}

// says reports whether a program ended with one of codes and said text.
func says(err error, text string, codes ...int) bool {
	var ee *host.ExitError
	return errors.As(err, &ee) && exited(err, codes...) && strings.Contains(ee.Stderr, text)
}

// classify adds the sentinel that fits. A deadline that is not ctx's is ours.
func classify(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, host.ErrNotInstalled), exited(err, exitUnavailable, exitDisconnect, exitNoSuch):
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	case exited(err, exitTryAgain, exitUnsatisfied, exitTimeout),
		errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return err
}

// plain is what names of attributes, resources and nodes look like here. No
// program can take one for an option.
var plain = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)

// checkNames returns ErrName for the first of names that is not plain.
func checkNames(names ...string) error {
	for _, n := range names {
		if !plain.MatchString(n) {
			return fmt.Errorf("%q: %w", n, ErrName)
		}
	}
	return nil
}
