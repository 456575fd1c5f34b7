package option

import (
	"maps"
	"slices"
)

// Sections of a resource file (drbd.conf(5), man pages of drbd-utils 9.22 for
// 9.0 and 8.4).
const (
	Resource = "options"
	Net      = "net"
	Disk     = "disk"
	Handlers = "handlers"
)

// Option is one of DRBD's options.
type Option struct {
	Name    string
	Section string // as DRBD 9 has it
	// Peer is true for what DRBD 9 keeps for each peer's device. Its resource
	// files take these in the disk section, LINSTOR names them apart.
	Peer bool
	// Only9 is true for what DRBD 8.4 does not know.
	Only9 bool
}

var table = func() map[string]Option {
	m := map[string]Option{}
	add := func(section string, peer, only9 bool, names ...string) {
		for _, n := range names {
			m[n] = Option{Name: n, Section: section, Peer: peer, Only9: only9}
		}
	}
	add(Resource, false, false, "cpu-mask", "on-no-data-accessible")
	add(Resource, false, true, "auto-promote", "auto-promote-timeout", "on-no-quorum", "on-suspended-primary-outdated",
		"peer-ack-delay", "peer-ack-window", "quorum", "quorum-minimum-redundancy", "twopc-retry-timeout", "twopc-timeout")
	add(Net, false, false, "after-sb-0pri", "after-sb-1pri", "after-sb-2pri", "allow-two-primaries", "always-asbp",
		"congestion-extents", "congestion-fill", "connect-int", "cram-hmac-alg", "csums-after-crash-only", "csums-alg",
		"data-integrity-alg", "fencing", "ko-count", "max-buffers", "max-epoch-size", "on-congestion", "ping-int",
		"ping-timeout", "protocol", "rcvbuf-size", "rr-conflict", "shared-secret", "sndbuf-size", "socket-check-timeout",
		"tcp-cork", "timeout", "use-rle", "verify-alg")
	add(Net, false, true, "allow-remote-read", "load-balance-paths", "tls", "transport")
	add(Disk, false, false, "al-extents", "al-updates", "discard-zeroes-if-aligned", "disk-barrier", "disk-drain",
		"disk-flushes", "disk-timeout", "md-flushes", "on-io-error", "read-balancing", "resync-after",
		"rs-discard-granularity")
	add(Disk, false, true, "block-size", "disable-write-same", "d-bitmap")
	add(Disk, true, false, "c-delay-target", "c-fill-target", "c-max-rate", "c-min-rate", "c-plan-ahead", "resync-rate")
	add(Disk, true, true, "peer-tiebreaker", "resync-without-replication")
	add(Handlers, false, false, "after-resync-target", "before-resync-source", "before-resync-target", "fence-peer",
		"initial-split-brain", "local-io-error", "out-of-sync", "pri-lost", "pri-lost-after-sb", "pri-on-incon-degr",
		"split-brain")
	add(Handlers, false, true, "disconnected", "quorum-lost", "unfence-peer")
	return m
}()

// Lookup returns the option called name.
func Lookup(name string) (Option, bool) {
	o, ok := table[name]
	return o, ok
}

// Names returns the names of all options, sorted.
func Names() []string { return slices.Sorted(maps.Keys(table)) }

// SectionFor returns the section of a resource file for a kernel of DRBD 9, or
// of 8.4, which has fencing among the disk's options.
func (o Option) SectionFor(v9 bool) string {
	if !v9 && o.Name == "fencing" {
		return Disk
	}
	return o.Section
}

// LINSTOR returns the option's property key in LINSTOR
// (linstor-server: drbdoptions.json).
func (o Option) LINSTOR() string {
	group := map[string]string{Resource: "Resource", Net: "Net", Disk: "Disk", Handlers: "Handlers"}[o.Section]
	if o.Peer {
		group = "PeerDevice"
	}
	return "DrbdOptions/" + group + "/" + o.Name
}

// SplitBrainHandler is what DRBD runs when it has found a split brain: the
// package's handler, whose record drbdnfsd finds also when it did not run then.
const SplitBrainHandler = "/usr/lib/drbdnfs/drbdnfs-handler split-brain"

// Defaults returns what setup sets where the configuration file says nothing.
// They are the tuning of the procedure that drbdnfs replaces, but for
// c-plan-ahead: with 0 DRBD ignores c-max-rate and resynchronises at
// resync-rate, 250 KiB/s by default. The options that keep data from diverging
// (quorum, on-no-quorum, fencing) depend on the fencing mode and are not among
// them.
func Defaults() map[string]string {
	return map[string]string{
		"protocol":       "C",
		"auto-promote":   "no", // only the agent promotes, not whoever opens the device
		"read-balancing": "least-pending",
		"c-max-rate":     "300M",
		"c-min-rate":     "100M",
		"al-extents":     "3389",
		"max-buffers":    "20000",
		"max-epoch-size": "20000",
		"sndbuf-size":    "0",
		"on-io-error":    "detach",
		"after-sb-0pri":  "disconnect",
		"after-sb-1pri":  "disconnect",
		"after-sb-2pri":  "disconnect",
		"rr-conflict":    "disconnect",
		"split-brain":    SplitBrainHandler,
	}
}
