package splitbrain

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"github.com/spacei/drbdnfs/pkg/drbd"
	"github.com/spacei/drbdnfs/pkg/drbd/gi"
)

// Verdict is whose data a split brain costs. The zero Verdict is none.
type Verdict struct {
	Victim   string `json:"victim"`   // discards its data since the divergence
	Survivor string `json:"survivor"` // keeps it
	Reason   string `json:"reason"`   // for people
}

// Incident names the split brain between a and b: a hash over both nodes and
// the generations of their data. It is the same on both nodes, and another one
// as soon as either node starts a new generation.
func Incident(a, b Evidence) string { return incident(&a, &b) }

func incident(a, b *Evidence) string {
	if b.Node < a.Node {
		a, b = b, a
	}
	buf := make([]byte, 0, 192)
	for _, e := range [2]*Evidence{a, b} {
		buf = strconv.AppendQuote(buf, e.Resource)
		buf = strconv.AppendQuote(buf, e.Node)
		for _, v := range e.Volumes {
			buf = append(strconv.AppendInt(buf, int64(v.Volume), 10), '=')
			buf = append(strconv.AppendUint(buf, uint64(v.Identifiers.Current.Masked()), 16), ' ')
		}
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:8])
}

// Decide says who loses, or why nobody may. It is pure and symmetric:
// exchanging a and b changes nothing, so both nodes come to one result from
// the same two pieces of evidence. p is the policy of the node that asks; it
// must be that of both. A person's [Order] that both have for this split brain
// takes the policy's place.
//
// A verdict is given only if DRBD itself has said split brain on one of the
// nodes, or a person has ordered it, the identifiers of every volume prove it or agree with it, the
// survivor's data is UpToDate, and the victim is Secondary, not promoted and
// not mounted. It does not look at what happened before: cool-down and
// commitments are the [Machine]'s.
func Decide(p Policy, a, b Evidence) (Verdict, Refusal) { return decide(p, &a, &b) }

func decide(p Policy, a, b *Evidence) (Verdict, Refusal) {
	if b.Node < a.Node {
		a, b = b, a
	}
	if r := partners(a, b); r != "" {
		return Verdict{}, r
	}
	order, r := ordered(a, b)
	if r != "" {
		return Verdict{}, r
	}
	victim, survivor, reason, r := named(order, p, a, b)
	if r != "" {
		return Verdict{}, r
	}
	if r := permitted(victim, survivor); r != "" {
		return Verdict{}, r
	}
	return Verdict{Victim: victim.Node, Survivor: survivor.Node, Reason: reason}, ""
}

// named returns who loses by the order, or else by the policy.
func named(o Order, p Policy, a, b *Evidence) (victim, survivor *Evidence, reason string, r Refusal) {
	if !o.given() {
		if r := cmp.Or(said(a, b), agreed(p, a, b), divergence(a, b)); r != "" {
			return nil, nil, "", r
		}
		return choose(p, a, b)
	}
	if r := divergence(a, b); r != "" {
		return nil, nil, "", r
	}
	if o.Victim == b.Node {
		a, b = b, a
	}
	return a, b, "a person has ordered it", ""
}

// partners checks that a and b are about each other.
func partners(a, b *Evidence) Refusal {
	if a.Node == "" || a.Node == b.Node || a.Peer != b.Node || b.Peer != a.Node || a.Resource != b.Resource {
		return RefusalMismatch
	}
	return ""
}

// said checks that DRBD itself has found the split brain.
func said(a, b *Evidence) Refusal {
	if len(a.Words)+len(b.Words) == 0 {
		return RefusalNoWord
	}
	return ""
}

// agreed checks the policies.
func agreed(p Policy, a, b *Evidence) Refusal {
	switch {
	case a.PolicyBroken || b.PolicyBroken:
		return RefusalPolicyBroken
	case a.Policy != p || b.Policy != p:
		return RefusalPolicyDiffer
	case !p.Valid() || p.Kind == KeepNode && p.Keep != a.Node && p.Keep != b.Node:
		return RefusalPolicy
	case p.Kind == Manual:
		return RefusalManual
	}
	return ""
}

// divergence checks that the identifiers prove what DRBD said.
func divergence(a, b *Evidence) Refusal {
	switch {
	case a.Live || b.Live || len(a.Volumes) == 0 || len(b.Volumes) == 0:
		return RefusalNotProven
	case !sameVolumes(a, b):
		return RefusalVolumes
	case a.OtherNodes > 0 || b.OtherNodes > 0:
		return RefusalMoreNodes
	}
	split, verdict := false, Refusal("")
	for i := range a.Volumes {
		switch gi.Relate(a.Volumes[i].Identifiers, b.Volumes[i].Identifiers) {
		case gi.SplitBrain:
			split = true
		case gi.SplitBrainFull:
			verdict = RefusalFullSync
		case gi.Unrelated:
			return RefusalUnrelated
		case gi.Unknown:
			return RefusalNotProven
		}
	}
	if verdict == "" && !split {
		return RefusalNotProven
	}
	return verdict
}

func sameVolumes(a, b *Evidence) bool {
	if len(a.Volumes) != len(b.Volumes) {
		return false
	}
	for i := range a.Volumes {
		if a.Volumes[i].Volume != b.Volumes[i].Volume {
			return false
		}
	}
	return true
}

// choose applies the policy.
func choose(p Policy, a, b *Evidence) (victim, survivor *Evidence, reason string, r Refusal) {
	switch p.Kind {
	case DiscardSecondary:
		return chooseSecondary(a, b)
	case DiscardLeastChanges:
		return chooseLeastChanges(a, b)
	case DiscardYoungerPrimary:
		return chooseYoungerPrimary(a, b)
	}
	if p.Keep == a.Node {
		a, b = b, a
	}
	return a, b, b.Node + " is the node to keep", ""
}

func chooseSecondary(a, b *Evidence) (victim, survivor *Evidence, reason string, r Refusal) {
	ap, bp := a.Role == drbd.RolePrimary, b.Role == drbd.RolePrimary
	switch {
	case ap && bp:
		return nil, nil, "", RefusalBothPrimary
	case !ap && !bp:
		return nil, nil, "", RefusalNoPrimary
	case ap:
		a, b = b, a
	}
	return a, b, b.Node + " is Primary", ""
}

func chooseLeastChanges(a, b *Evidence) (victim, survivor *Evidence, reason string, r Refusal) {
	ac, bc := a.ChangedBytes(), b.ChangedBytes()
	switch {
	case ac < 0 || bc < 0:
		return nil, nil, "", RefusalNoChanges
	case ac == bc:
		return nil, nil, "", RefusalEqual
	case bc < ac:
		a, b, ac, bc = b, a, bc, ac
	}
	return a, b, fmt.Sprintf("%s changed %d bytes, %s %d", a.Node, ac, b.Node, bc), ""
}

// ChangedBytes is what the node has changed since the two were in sync, of all
// volumes together; negative is not known.
func (e *Evidence) ChangedBytes() int64 {
	var sum int64
	for _, v := range e.Volumes {
		if v.ChangedBytes < 0 || v.ChangedBytes > math.MaxInt64-sum {
			return -1
		}
		sum += v.ChangedBytes
	}
	return sum
}

func chooseYoungerPrimary(a, b *Evidence) (victim, survivor *Evidence, reason string, r Refusal) {
	if a.LastPromoted.IsZero() || b.LastPromoted.IsZero() {
		return nil, nil, "", RefusalNoTimes
	}
	later := a.LastPromoted.Sub(b.LastPromoted)
	if later.Abs() < clockMargin {
		return nil, nil, "", RefusalEqual
	}
	if later < 0 {
		a, b, later = b, a, -later
	}
	return a, b, fmt.Sprintf("%s was promoted %s after %s", a.Node, later, b.Node), ""
}

// permitted checks that the victim may lose its data, and that the survivor's
// is worth keeping.
func permitted(victim, survivor *Evidence) Refusal {
	for i, v := range victim.Volumes {
		s := survivor.Volumes[i]
		if gi.Relate(v.Identifiers, s.Identifiers) == gi.Source {
			return RefusalMixed
		}
		if s.Disk != drbd.DiskUpToDate || !attached(v.Disk) {
			return RefusalDisk
		}
	}
	if victim.Role != drbd.RoleSecondary || victim.Promoted != drbd.No || victim.Mounted != drbd.No {
		return RefusalVictimInUse
	}
	return ""
}

// attached reports whether there is data on the disk that can be overwritten.
func attached(d drbd.DiskState) bool {
	switch d {
	case drbd.DiskUpToDate, drbd.DiskConsistent, drbd.DiskOutdated, drbd.DiskInconsistent:
		return true
	}
	return false
}
