package linstor

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	linstor "github.com/LINBIT/golinstor"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/option"
)

const (
	propTieBreaker = linstor.NamespcDrbdOptions + "/" + linstor.KeyDrbdAutoAddQuorumTiebreaker
	propQuorum     = linstor.NamespcDrbdResourceOptions + "/quorum"
	// propQuorumBy is "linstor" while LINSTOR chooses the quorum by itself.
	propQuorumBy = linstor.NamespcInternalDrbd + "/" + linstor.KeyQuorumSetBy
)

// property is one of LINSTOR's properties that a DRBD option is set with.
type property struct {
	name    string // of the option
	key     string // of the property
	value   string // as LINSTOR takes it
	written string // as the configuration has it
	asked   string // configuration key that asks for it
	secret  bool
}

// shown is the value for people and for LINSTOR's client.
func (p property) shown() string {
	if p.secret {
		return "***"
	}
	return p.value
}

// both is the value for people, with what the file has where LINSTOR takes
// another form of it.
func (p property) both() string {
	if p.secret || p.value == p.written {
		return p.shown()
	}
	return p.value + " (" + p.written + ")"
}

// properties are what the resource definition is to have, sorted by key.
//
// LINSTOR chooses quorum by the number of nodes unless it is set, and places
// tie-breakers by itself; both are the configuration's to say. The tie-breaker
// of the configuration is placed as a diskless resource. fencing is set even
// where it is DRBD's default: a mode that was left must not leave it behind.
func properties(c *config.Config) []property {
	values := maps.Clone(c.Resource.DRBD)
	if values["fencing"] == "" {
		values["fencing"] = "dont-care"
	}
	out := []property{{
		name: linstor.KeyDrbdAutoAddQuorumTiebreaker, key: propTieBreaker,
		value: linstor.ValFalse, written: linstor.ValFalse, asked: "node",
	}}
	for name, value := range values {
		o, _ := option.Lookup(name) // config has checked the names by the same table
		out = append(out, property{
			name: name, key: o.LINSTOR(), value: plain(name, value), written: value,
			asked: askedBy(c, name), secret: name == "shared-secret",
		})
	}
	slices.SortFunc(out, func(a, b property) int { return cmp.Compare(a.key, b.key) })
	return out
}

// byFencing are the options that the fencing mode decides.
var byFencing = []string{"quorum", "on-no-quorum", "fencing", "fence-peer", "unfence-peer"}

// askedBy is the configuration key that sets option name: the mode, for what is
// the mode's to say and has no line of its own in the file.
func askedBy(c *config.Config, name string) string {
	key := "resource.drbd." + name
	if slices.Contains(byFencing, name) && c.At(key) == c.At("") {
		return "fencing.mode"
	}
	return key
}

// scale is the unit of the options that take one, in bytes: the values are
// DRBD's defaults where no suffix is written (drbd: drbd_limits.h). drbdadm takes
// "300M", LINSTOR's API takes the number alone.
var scale = map[string]uint64{
	"c-max-rate": 1024, "c-min-rate": 1024, "resync-rate": 1024,
	"c-fill-target": 512, "congestion-fill": 512, "peer-ack-window": 512,
	"sndbuf-size": 1, "rcvbuf-size": 1, "rs-discard-granularity": 1, "block-size": 1,
	"al-extents": 1, "congestion-extents": 1, "max-buffers": 1, "max-epoch-size": 1,
}

// suffixes are DRBD's, by their number of bytes.
var suffixes = map[string]uint64{"s": 512, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

// plain writes the value of an option as LINSTOR's API takes it. What is not a
// number with a suffix, or not a whole number of units, is left for LINSTOR to
// judge.
func plain(name, value string) string {
	unit, ok := scale[name]
	if !ok || value == "" {
		return value
	}
	digits, suffix := value[:len(value)-1], strings.ToLower(value[len(value)-1:])
	factor, ok := suffixes[suffix]
	if !ok {
		return value
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n*factor%unit != 0 {
		return value
	}
	return strconv.FormatUint(n*factor/unit, 10)
}

// same reports whether LINSTOR's value is the wanted one. It writes booleans in
// its own case.
func same(have, want string) bool {
	fold := slices.Contains([]string{"yes", "no", "true", "false"}, strings.ToLower(want))
	return have == want || fold && strings.EqualFold(have, want)
}

// overrides are the properties as LINSTOR's API takes them.
func overrides(ps []property) map[string]string {
	m := map[string]string{}
	for _, p := range ps {
		m[p.key] = p.value
	}
	return m
}

// lacking returns the first property that have lacks or has with another value.
func lacking(have map[string]string, ps []property) (property, bool) {
	for _, p := range ps {
		if v, ok := have[p.key]; !ok || !same(v, p.value) {
			return p, true
		}
	}
	return property{}, false
}

// listed writes properties as "name=value", sorted by name.
func listed(ps []property) string {
	words := map[string]bool{}
	for _, p := range ps {
		value := p.written
		if p.secret {
			value = p.shown()
		}
		words[p.name+"="+value] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(words)), ", ")
}
