package gi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrSyntax reports a line that is not one of get-gi.
var ErrSyntax = errors.New("not a line of generation identifiers")

// UUID is one generation's number as DRBD prints it, flag in the lowest bit
// included. Zero is "none".
type UUID uint64

// justCreated is the current UUID of new meta-data: it names no generation.
const justCreated UUID = 4

// Masked returns u without the flag in its lowest bit, to compare with.
func (u UUID) Masked() UUID { return u &^ 1 }

// names reports whether u stands for a generation.
func (u UUID) names() bool { return u.Masked() != 0 && u.Masked() != justCreated }

// same reports whether u and v stand for one generation.
func (u UUID) same(v UUID) bool { return u.names() && u.Masked() == v.Masked() }

// String returns u as DRBD prints it: 16 upper-case hexadecimal digits.
func (u UUID) String() string { return fmt.Sprintf("%016X", uint64(u)) }

// MarshalText makes u readable in JSON; zero is "0".
func (u UUID) MarshalText() ([]byte, error) {
	if u == 0 {
		return []byte("0"), nil
	}
	return []byte(u.String()), nil
}

// UnmarshalText is the reverse of MarshalText.
func (u *UUID) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 16, 64)
	if err != nil {
		return fmt.Errorf("%w: UUID %.20q", ErrSyntax, b)
	}
	*u = UUID(v)
	return nil
}

// Flags is a set of the facts that DRBD keeps beside the UUIDs.
type Flags uint16

// The flags. The first seven are of both kernels, the others of DRBD 9 alone.
const (
	Consistent        Flags = 1 << iota // the data is of one moment
	UpToDate                            // and is, or was when last seen, the newest
	Primary                             // the node is, or was when it went down, Primary
	Connected                           // the peer is, or was when it went down, connected
	FullSync                            // all blocks were being marked as out of sync
	PeerOutdated                        // the peer's disk was Outdated or Inconsistent
	CrashedPrimary                      // crashed as a Primary and has not met its peer since
	ALClean                             // the activity log is applied
	ALDisabled                          // no activity log
	PrimaryLostQuorum                   // was Primary when it lost quorum
	PeerFencing                         // a fencing policy other than dont-care was in use
	PeerSeen                            // the peer was once seen with a disk
)

// flagNames are the words of the flags, in the order of the bits.
var flagNames = [...]string{
	"consistent", "up-to-date", "primary", "connected", "full-sync", "peer-outdated", "crashed-primary",
	"al-clean", "al-disabled", "primary-lost-quorum", "peer-fencing", "peer-seen",
}

// The order in which each kernel's tools print the flags (drbd-utils
// user/shared/drbdmeta.c, user/v9/drbdsetup.c).
var (
	order84 = [...]Flags{Consistent, UpToDate, Primary, Connected, FullSync, PeerOutdated, CrashedPrimary}
	order9  = [...]Flags{
		Consistent, UpToDate, Primary, CrashedPrimary, ALClean, ALDisabled, PrimaryLostQuorum,
		Connected, PeerOutdated, PeerFencing, FullSync, PeerSeen,
	}
)

// Has reports whether all flags of g are in f.
func (f Flags) Has(g Flags) bool { return f&g == g }

// String returns the words of f, separated by commas.
func (f Flags) String() string {
	var words []string
	for i, name := range flagNames {
		if f.Has(1 << i) {
			words = append(words, name)
		}
	}
	return strings.Join(words, ",")
}

// MarshalText makes f readable in JSON.
func (f Flags) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is the reverse of MarshalText. Words of a future version are
// left out; it never fails.
func (f *Flags) UnmarshalText(b []byte) error {
	*f = 0
	for word := range strings.SplitSeq(string(b), ",") {
		for i, name := range flagNames {
			if word == name {
				*f |= 1 << i
			}
		}
	}
	return nil
}

// Identifiers are one volume's on one node, towards one peer.
type Identifiers struct {
	Current UUID    `json:"c"`          // of the data as it is
	Bitmap  UUID    `json:"b,omitzero"` // of the data that the bitmap of changes starts from
	History [2]UUID `json:"h,omitzero"` // older ones, the younger first
	Flags   Flags   `json:"f"`
}

// Parse reads one line of "drbdadm get-gi" or "drbdsetup get-gi": four UUIDs
// and the flags, of which an 8.4 kernel has seven and DRBD 9 twelve, in another
// order. Flags that a future DRBD 9 adds at the end are left out. Anything
// else is [ErrSyntax].
func Parse(line string, kernel84 bool) (Identifiers, error) {
	fields := strings.Split(strings.TrimSpace(line), ":")
	order, most := order9[:], len(fields)
	if kernel84 {
		order, most = order84[:], 4+len(order84)
	}
	if len(fields) < 4+len(order) || len(fields) > most {
		return Identifiers{}, fmt.Errorf("%w: %d fields in %.140q", ErrSyntax, len(fields), line)
	}
	var id Identifiers
	for i, u := range []*UUID{&id.Current, &id.Bitmap, &id.History[0], &id.History[1]} {
		v, err := strconv.ParseUint(fields[i], 16, 64)
		if err != nil || len(fields[i]) != 16 {
			return Identifiers{}, fmt.Errorf("%w: UUID %.20q in %.140q", ErrSyntax, fields[i], line)
		}
		*u = UUID(v)
	}
	for i, flag := range order {
		switch fields[4+i] {
		case "1":
			id.Flags |= flag
		case "0":
		default:
			return Identifiers{}, fmt.Errorf("%w: flag %.20q in %.140q", ErrSyntax, fields[4+i], line)
		}
	}
	return id, nil
}
