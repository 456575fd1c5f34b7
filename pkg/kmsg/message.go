package kmsg

import (
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// Kind is what a message says.
type Kind string

// Kinds of messages.
const (
	// SplitBrain is DRBD's word that the data has diverged and that it did not
	// choose: the connection is dropped. Words about a split brain that are not
	// known count as this one.
	SplitBrain Kind = "split-brain"
	// AutoSolved is a split brain that DRBD's own policies have solved: one
	// side's changes are lost, see Message.SyncFrom.
	AutoSolved Kind = "auto-solved"
	// ManuallySolved is one that was solved by connecting with
	// --discard-my-data on one side.
	ManuallySolved Kind = "manually-solved"
	// Ignored is one that DRBD does not act upon, because a side is unstable.
	Ignored Kind = "ignored"
	// UnrelatedData is two sides that never had the same data. No helper
	// program is called for it.
	UnrelatedData Kind = "unrelated-data"
	// PrimaryTarget is a Primary that refuses to have its data overwritten.
	PrimaryTarget Kind = "primary-target"
	// TwoPrimaries is a promotion or a connection that is refused because the
	// peer is Primary too.
	TwoPrimaries Kind = "two-primaries"
	// Self and Peer are the identifiers that a handshake compares.
	Self Kind = "self"
	Peer Kind = "peer"
	// Compared is the verdict on them.
	Compared Kind = "compared"
	// StandAlone is a connection that is given up.
	StandAlone Kind = "stand-alone"
)

// Verdicts of a handshake that mean divergence, in the words of DRBD 9. All
// others are words such as "no-sync" or "source-use-bitmap".
const (
	// VerdictAutoRecover is data that diverged from a common state both know.
	VerdictAutoRecover = "split-brain-auto-recover"
	// VerdictDisconnect is data that diverged so long ago that resolving it
	// takes a full synchronisation.
	VerdictDisconnect = "split-brain-disconnect"
	// VerdictUnrelated is data without anything in common.
	VerdictUnrelated = "unrelated-data"
)

// verdicts84 are the numbers that DRBD 8.4 prints for verdicts
// (drbd/drbd_receiver.c, above drbd_uuid_compare).
var verdicts84 = map[string]string{
	"100": VerdictAutoRecover, "-100": VerdictDisconnect, "-1000": VerdictUnrelated,
	"0": "no-sync", "1": "source-use-bitmap", "2": "source-set-bitmap", "-1": "target-use-bitmap", "-2": "target-set-bitmap",
}

// Message is one message of the kernel's DRBD, as far as it is of interest.
type Message struct {
	Kind Kind
	// Resource is empty where DRBD 8.4 gives the minor alone.
	Resource string
	// Volume and Minor are [drbd.Absent] where the message is not of one.
	Volume, Minor int
	// Peer is the name of the connection; DRBD 8.4 never gives it.
	Peer string
	// Text is what comes after the names.
	Text string

	// SyncFrom is whose data stays, "this" or "peer", with AutoSolved and
	// ManuallySolved.
	SyncFrom string
	// UUIDs are the current, the bitmap's and two older identifiers, with Self
	// and Peer. The lowest bit of each is a flag.
	UUIDs [4]uint64
	// Bits counts the blocks that have changed, with Self and Peer. A block is 4
	// KiB, from DRBD 9.3 on more where the bitmap was made so.
	Bits uint64
	// Verdict and Rule come with Compared. The rule is a number on DRBD 8.4.
	Verdict, Rule string
	// Was is the state before, with StandAlone.
	Was drbd.ConnectionState
}

// Parse returns what line, the text of one record of the kernel's log without
// its header, says. It is false for what is not DRBD's or of no interest here.
func Parse(line string) (Message, bool) {
	m, ok := parseNames(line)
	if !ok {
		return Message{}, false
	}
	for _, classify := range []func(*Message) bool{parseSplitBrain, parseRefusal, parseUUIDs, parseVerdict, parseStandAlone} {
		if classify(&m) {
			return m, true
		}
	}
	return Message{}, false
}

// parseNames takes the names off: "block drbd0: " on DRBD 8.4, and on both "drbd
// RES: ", "drbd RES PEER: ", "drbd RES/0 drbd0: ", "drbd RES/0 drbd0 PEER: ",
// each RES perhaps after "/unregistered/".
func parseNames(line string) (Message, bool) {
	m := Message{Volume: drbd.Absent, Minor: drbd.Absent}
	names, text, ok := strings.Cut(line, ": ")
	if !ok {
		return m, false
	}
	m.Text = strings.TrimSpace(text)
	subsystem, names, ok := strings.Cut(names, " ")
	if ok && subsystem == "block" {
		return m, m.setMinor(names)
	}
	words := strings.Split(strings.TrimPrefix(names, "/unregistered/"), " ")
	if !ok || subsystem != "drbd" || words[0] == "" {
		return m, false
	}
	res, volume, isVolume := strings.Cut(words[0], "/")
	m.Resource, words = res, words[1:]
	if isVolume {
		v, err := strconv.ParseUint(volume, 10, 16)
		if err != nil || len(words) == 0 || !m.setMinor(words[0]) {
			return m, false
		}
		m.Volume, words = int(v), words[1:]
	}
	if len(words) == 1 {
		m.Peer = words[0]
	}
	return m, len(words) < 2
}

func (m *Message) setMinor(device string) bool {
	digits, ok := strings.CutPrefix(device, "drbd")
	n, err := strconv.ParseUint(digits, 10, 20) // MINORBITS
	if !ok || err != nil {
		return false
	}
	m.Minor = int(n)
	return true
}

// parseSplitBrain goes by what all versions begin with: "Split-Brain detected
// but unresolved, dropping connection!", in the past "Split-Brain detected,
// dropping connection!", since 9.3 also "during attach"; "Split-Brain detected,
// 1 primaries, automatically solved. Sync from this node", since 9.3 also
// "automatically resolved"; "Split-Brain detected, manually solved. Full sync
// from peer node".
func parseSplitBrain(m *Message) bool {
	rest, ok := strings.CutPrefix(m.Text, "Split-Brain detected")
	switch {
	case !ok:
		if strings.HasPrefix(m.Text, "Ignore Split-Brain") || strings.HasPrefix(m.Text, "Ignoring split-brain") {
			m.Kind = Ignored
			return true
		}
		return false
	case strings.Contains(rest, "automatically"):
		m.Kind = AutoSolved
	case strings.Contains(rest, "manually"):
		m.Kind = ManuallySolved
	default:
		m.Kind = SplitBrain
		return true
	}
	_, from, _ := strings.Cut(rest, "ync from ")
	if from, ok = strings.CutSuffix(from, " node"); ok && (from == "this" || from == "peer") {
		m.SyncFrom = from
	}
	return true
}

// parseRefusal is for what drops a connection, or does not make one, for
// reasons beside a split brain.
func parseRefusal(m *Message) bool {
	switch {
	case strings.HasPrefix(m.Text, "Unrelated data"):
		m.Kind = UnrelatedData
	case strings.HasPrefix(m.Text, "I shall become SyncTarget") && strings.Contains(m.Text, "but I am primary"):
		m.Kind = PrimaryTarget
	case strings.HasPrefix(m.Text, "State change failed: Multiple primaries not allowed"):
		m.Kind = TwoPrimaries
	default:
		return false
	}
	return true
}

// parseUUIDs is for "self U:U:U:U bits:536 flags:120".
func parseUUIDs(m *Message) bool {
	words := strings.Fields(m.Text)
	if len(words) != 4 || (words[0] != string(Self) && words[0] != string(Peer)) {
		return false
	}
	uuids := strings.Split(words[1], ":")
	if len(uuids) != len(m.UUIDs) {
		return false
	}
	for i, u := range uuids {
		n, err := strconv.ParseUint(u, 16, 64)
		if err != nil {
			return false
		}
		m.UUIDs[i] = n
	}
	bits, ok := strings.CutPrefix(words[2], "bits:")
	n, err := strconv.ParseUint(bits, 10, 64)
	if !ok || err != nil {
		return false
	}
	m.Kind, m.Bits = Kind(words[0]), n
	return true
}

// parseVerdict is for "uuid_compare()=no-sync by rule=reconnected" and, on DRBD
// 8.4, "uuid_compare()=100 by rule 90".
func parseVerdict(m *Message) bool {
	rest, ok := strings.CutPrefix(m.Text, "uuid_compare()=")
	verdict, rule, both := strings.Cut(rest, " by rule")
	if !ok || !both || verdict == "" {
		return false
	}
	if word, ok := verdicts84[verdict]; ok {
		verdict = word
	}
	m.Kind, m.Verdict, m.Rule = Compared, verdict, strings.TrimLeft(rule, "= ")
	return true
}

// parseStandAlone is for "conn( Disconnecting -> StandAlone ) [disconnected]",
// perhaps after other changes, but not for what was refused, "Failed: conn(...".
func parseStandAlone(m *Message) bool {
	before, rest, ok := strings.Cut(m.Text, "conn( ")
	change, _, closed := strings.Cut(rest, " )")
	was, is, arrow := strings.Cut(change, " -> ")
	if !ok || !closed || !arrow || is != string(drbd.ConnStandAlone) || strings.Contains(before, "Failed:") {
		return false
	}
	m.Kind, m.Was = StandAlone, drbd.ConnectionState(was)
	return true
}
