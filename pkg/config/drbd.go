package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd/option"
)

// fencingMode is one choice of fencing.mode: what it means, and the DRBD
// options that it asks for.
type fencingMode struct {
	word, means string
	drbd        map[string]string
}

var fencingModes = []fencingMode{
	{FencingSTONITH, "a node that is lost is switched off before the other serves", map[string]string{"quorum": "off"}},
	{
		FencingQuorum, "with DRBD 9, only a majority of three or more nodes serves",
		map[string]string{"quorum": "majority", "on-no-quorum": "io-error"},
	},
	{FencingDRBD, "as stonith, and DRBD stops writing until it is done", map[string]string{
		"quorum": "off", "fencing": FencingDRBD,
		"fence-peer":   "/usr/lib/drbd/crm-fence-peer.9.sh",
		"unfence-peer": "/usr/lib/drbd/crm-unfence-peer.9.sh",
	}},
	{FencingNone, "a cut link can split the data; also set accept_split_brain = true", map[string]string{"quorum": "off"}},
}

// mode returns the entry for c's fencing mode, an empty one for an unknown word.
func (c *Config) mode() fencingMode {
	for _, m := range fencingModes {
		if m.word == c.Fencing.Mode {
			return m
		}
	}
	return fencingMode{}
}

// modeChoices lists the words with their meanings.
func modeChoices() string {
	texts := make([]string, 0, len(fencingModes))
	for _, m := range fencingModes {
		texts = append(texts, m.word+" ("+m.means+")")
	}
	return strings.Join(texts, ", ")
}

// drbdOptions are the file's options over those of the fencing mode, over the
// defaults.
func (c *Config) drbdOptions() map[string]string {
	m := option.Defaults()
	maps.Copy(m, c.mode().drbd)
	maps.Copy(m, c.Resource.DRBD)
	return m
}

// checkDRBD looks at each option by itself. The checks look only at what the
// file has.
func (k *checker) checkDRBD() {
	for _, name := range slices.Sorted(maps.Keys(k.c.Resource.DRBD)) {
		path, value := join("resource.drbd", name), k.c.Resource.DRBD[name]
		if _, ok := option.Lookup(name); !ok {
			remedy := "use a name of drbd.conf(5)"
			if near := nearest(name, option.Names()); near != "" {
				remedy = "did you mean " + near + "?"
			}
			k.addKey(path, "not an option of DRBD", remedy)
			continue
		}
		switch {
		case value == "":
			k.add(path, "empty", "write a value, or take the key out for the default")
		case !printable(value) || strings.ContainsAny(value, "\"'`\\;{}#"):
			k.add(path, "a quote, semicolon, brace, backslash, # or control character", "write a value without it")
		case name == "protocol" && value != "C":
			k.add(path, "not C", `write "C": with A or B, data that clients believe to be written is lost when the active node crashes`)
		case name == "allow-two-primaries" && value != "no":
			k.add(path, "two nodes could write at once, which destroys the file system", "take it out")
		}
	}
	k.checkDRBDMode()
}

// checkDRBDMode finds options that contradict the fencing mode.
func (k *checker) checkDRBDMode() {
	mode, drbd := k.c.mode(), k.c.Resource.DRBD
	if mode.word == "" {
		return
	}
	if q := drbd["quorum"]; mode.word == FencingQuorum {
		n, err := strconv.Atoi(q)
		if q != "majority" && q != "all" && (err != nil || n <= len(k.c.Nodes)/2 || n > len(k.c.Nodes)) {
			k.add("resource.drbd.quorum", "contradicts fencing.mode "+strconv.Quote(mode.word), "take it out: majority is the default there")
		}
	} else if q != "off" {
		k.add("resource.drbd.quorum", "contradicts fencing.mode "+strconv.Quote(mode.word),
			fmt.Sprintf("take it out, or choose mode %q", FencingQuorum))
	}
	want := mode.drbd["fencing"]
	if f := drbd["fencing"]; f != want && (want != "" || f != "dont-care") {
		k.add("resource.drbd.fencing", "contradicts fencing.mode "+strconv.Quote(mode.word),
			fmt.Sprintf("take it out; fencing by DRBD is mode %q", FencingDRBD))
	}
}
