package nfs

import (
	"errors"
	"fmt"
	"strings"
)

// Versions is the set of protocol versions that the server offers.
type Versions struct {
	V3, V40, V41, V42 bool
}

// ParseVersions reads a list such as "3 4.1 4.2", separated by spaces or
// commas.
func ParseVersions(s string) (Versions, error) {
	var v Versions
	for f := range strings.FieldsFuncSeq(s, isSeparator) {
		switch f {
		case "3":
			v.V3 = true
		case "4.0":
			v.V40 = true
		case "4.1":
			v.V41 = true
		case "4.2":
			v.V42 = true
		default:
			return v, fmt.Errorf("nfs_versions: %q is no version: use 3, 4.0, 4.1, 4.2", f)
		}
	}
	if !v.V3 && !v.V4() {
		return v, errors.New("nfs_versions is empty: name at least one of 3, 4.0, 4.1, 4.2")
	}
	return v, nil
}

func isSeparator(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' }

// V4 reports whether any NFSv4 minor version is offered.
func (v Versions) V4() bool { return v.V40 || v.V41 || v.V42 }

// String is the list that ParseVersions reads.
func (v Versions) String() string {
	var out []string
	for _, x := range v.flags() {
		if x.on && x.name != "4" {
			out = append(out, x.name)
		}
	}
	return strings.Join(out, " ")
}

type versionFlag struct {
	name string
	on   bool
}

func (v Versions) flags() []versionFlag {
	return []versionFlag{{"3", v.V3}, {"4", v.V4()}, {"4.0", v.V40}, {"4.1", v.V41}, {"4.2", v.V42}}
}

// control is what is written to /proc/fs/nfsd/versions. "+4" or "-4" switches
// all minor versions at once and so comes before them; without NFSv4 the minor
// versions are not named, because naming one switches it.
func (v Versions) control() string {
	out := []string{"-2"}
	for _, x := range v.flags() {
		if strings.HasPrefix(x.name, "4.") && !v.V4() {
			continue
		}
		sign := "-"
		if x.on {
			sign = "+"
		}
		out = append(out, sign+x.name)
	}
	return strings.Join(out, " ") + "\n"
}
