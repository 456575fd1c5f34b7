package gi

// Relation is how the data of one node relates to that of its peer.
type Relation string

// The relations, seen from the node whose identifiers come first.
const (
	Same           Relation = "same"             // one generation; nothing to resync
	Source         Relation = "source"           // the peer's data is an older generation of this node's
	Target         Relation = "target"           // this node's data is an older generation of the peer's
	SplitBrain     Relation = "split-brain"      // both have written since one common generation
	SplitBrainFull Relation = "split-brain-full" // only an old common generation: a resync must copy everything
	Unrelated      Relation = "unrelated"        // nothing in common
	Unknown        Relation = "unknown"          // new meta-data, no disk, or identifiers that contradict each other
)

// Diverged reports whether each node holds data that the other lacks although
// they once were the same.
func (r Relation) Diverged() bool { return r == SplitBrain || r == SplitBrainFull }

// Relate compares the identifiers that own and peer hold about each other.
// Exchanging the two exchanges [Source] and [Target], and changes nothing else.
//
// It is meant for nodes that are not connected: during a resync the
// identifiers are half-way. Where DRBD would go by rules for meta-data that
// was just created, or by the first of two rules that contradict each other,
// the answer is [Unknown]. An ancestor that is in one node's bitmap UUID and in
// the other's history is [SplitBrainFull], because the bitmaps do not count
// from one generation.
func Relate(own, peer Identifiers) Relation {
	switch {
	case !own.Current.names() || !peer.Current.names():
		return Unknown
	case own.Current.same(peer.Current):
		return Same
	}
	source, target := own.descends(peer.Current), peer.descends(own.Current)
	switch {
	case source && target:
		return Unknown
	case source:
		return Source
	case target:
		return Target
	case own.Bitmap.same(peer.Bitmap):
		return SplitBrain
	case own.shares(peer):
		return SplitBrainFull
	}
	return Unrelated
}

// descends reports whether u is an older generation of id's data.
func (id Identifiers) descends(u UUID) bool {
	return u.same(id.Bitmap) || u.same(id.History[0]) || u.same(id.History[1])
}

// shares reports whether an older generation of id is one of other's too.
func (id Identifiers) shares(other Identifiers) bool {
	return other.descends(id.Bitmap) || other.descends(id.History[0]) || other.descends(id.History[1])
}
