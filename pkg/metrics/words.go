package metrics

import (
	"slices"
	"strconv"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// DRBD's words, all of which a state shows, in the order of DRBD's headers
// (drbd_strings.c). Nothing writes to these lists.
var (
	roles = words(drbd.RoleUnknown, drbd.RolePrimary, drbd.RoleSecondary)

	connectionStates = words(
		drbd.ConnStandAlone, drbd.ConnDisconnecting, drbd.ConnUnconnected, drbd.ConnTimeout, drbd.ConnBrokenPipe,
		drbd.ConnNetworkFailure, drbd.ConnProtocolError, drbd.ConnTearDown, drbd.ConnConnecting, drbd.ConnConnected,
	)

	diskStates = words(
		drbd.DiskDiskless, drbd.DiskAttaching, drbd.DiskDetaching, drbd.DiskFailed, drbd.DiskNegotiating,
		drbd.DiskInconsistent, drbd.DiskOutdated, drbd.DiskUnknown, drbd.DiskConsistent, drbd.DiskUpToDate,
	)

	replicationStates = words(
		drbd.ReplOff, drbd.ReplEstablished, drbd.ReplStartingSyncS, drbd.ReplStartingSyncT, drbd.ReplWFBitMapS,
		drbd.ReplWFBitMapT, drbd.ReplWFSyncUUID, drbd.ReplSyncSource, drbd.ReplSyncTarget, drbd.ReplVerifyS,
		drbd.ReplVerifyT, drbd.ReplPausedSyncS, drbd.ReplPausedSyncT, drbd.ReplAhead, drbd.ReplBehind,
	)

	suspendReasons = []string{drbd.SuspendedUser, drbd.SuspendedNoData, drbd.SuspendedFencing, drbd.SuspendedQuorum}
)

func words[T ~string](list ...T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

// other is the label value for all words that a bounded label does not take.
const other = "other"

// bounded returns word where known has it, and "other" where it has not.
func bounded(known []string, word string) string {
	if slices.Contains(known, word) {
		return word
	}
	return other
}

// The words of the labels that the methods of [Metrics] take from outside.
// Nothing writes to these lists.
var (
	// helpers are the names that the kernel calls (LINBIT/drbd, drbd_khelper).
	helpers = []string{
		"initial-split-brain", "split-brain", "pri-lost-after-sb", "pri-lost", "fence-peer", "unfence-peer", "local-io-error",
		"quorum-lost", "before-resync-target", "before-resync-source", "after-resync-target", "out-of-sync",
		"pri-on-incon-degr", "disconnected",
	}
	// alarming are those of helpers that start at 0 for each resource, so that
	// the first call already is an increase.
	alarming = []string{"initial-split-brain", "split-brain", "fence-peer", "local-io-error", "quorum-lost", "out-of-sync"}

	objects = words(
		drbd.ObjectResource, drbd.ObjectDevice, drbd.ObjectConnection, drbd.ObjectPeerDevice, drbd.ObjectPath,
		drbd.ObjectHelper, drbd.ObjectNone,
	)

	policies = []string{"manual", "discard-secondary", "discard-least-changes", "discard-younger-primary", "keep-node"}

	// actions are those of the agent; the first five start at 0 for each group.
	actions = []string{
		"start", "stop", "promote", "demote", "monitor", "notify", "reload", "reload-agent", "validate-all", "meta-data",
		"migrate_to", "migrate_from",
	}

	alertSinks = []string{"command", "webhook"}
)

// usualActions are the actions that start at 0.
func usualActions() []string { return actions[:5] }

// maxGroups bounds the groups that agents may name.
const maxGroups = 32

// code is an exit code of OCF as a label: 0 to 9, 190, 191, or "other".
func code(rc int) string {
	if rc >= 0 && rc <= 9 || rc == 190 || rc == 191 {
		return strconv.Itoa(rc)
	}
	return other
}
