package resfile

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
	"github.com/spacei/drbdnfs/pkg/drbd/option"
)

// Header starts every file that this package writes. A file without it is
// somebody else's.
const Header = "# Made by drbdnfs setup from " + config.DefaultFile + "; changes here are lost at the next setup apply.\n"

// Render returns the resource file of c: for DRBD 9 (v9), or for DRBD 8.4.
// The error names what the configuration asks for and DRBD cannot do.
func Render(c *config.Config, v9 bool) (string, error) {
	options := c.Resource.DRBD
	if !v9 {
		if err := hosts84(c); err != nil {
			return "", err
		}
		var err error
		if options, err = options84(c, options); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	b.WriteString(Header)
	fmt.Fprintf(&b, "resource %s {\n", quote(c.Resource.Name))
	for _, section := range []string{option.Resource, option.Net, option.Disk, option.Handlers} {
		if err := writeSection(&b, section, options, v9); err != nil {
			return "", err
		}
	}
	fmt.Fprintf(&b, "\tdevice minor %d;\n\tmeta-disk internal;\n", c.Resource.Minor)
	for id, n := range c.Nodes {
		if err := writeNode(&b, c, id, n, v9); err != nil {
			return "", err
		}
	}
	if v9 {
		writeMesh(&b, c.Nodes)
	}
	b.WriteString("}\n")
	return b.String(), nil
}

// BackingDevice is the path of the logical volume below the DRBD device.
func BackingDevice(c *config.Config) string {
	return "/dev/" + c.Storage.VolumeGroup + "/" + c.Resource.Name
}

// hosts84 refuses what DRBD 8.4 has no grammar for: it knows two hosts.
func hosts84(c *config.Config) error {
	if len(c.Nodes) != 2 {
		return fmt.Errorf("DRBD 8.4 replicates between two nodes, the configuration has %d: use DRBD 9", len(c.Nodes))
	}
	for i, n := range c.Nodes {
		if n.Diskless {
			return fmt.Errorf("DRBD 8.4 has no diskless nodes, and %s is one (%s): use DRBD 9", n.Name, c.At(fmt.Sprintf("node[%d].diskless", i)))
		}
	}
	return nil
}

// writeSection writes the options of one section, sorted.
func writeSection(b *strings.Builder, section string, options map[string]string, v9 bool) error {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(options)) {
		o, ok := option.Lookup(name)
		if !ok {
			return fmt.Errorf("resource.drbd: DRBD has no option %q", name)
		}
		if o.SectionFor(v9) != section {
			continue
		}
		value := options[name]
		if value == "" || strings.ContainsAny(value, "\"\\\n\r\x00") {
			return fmt.Errorf("resource.drbd.%s: a value is one line without quotes and backslashes, and not empty", name)
		}
		lines = append(lines, "\t\t"+name+" "+quote(value)+";\n")
	}
	if len(lines) > 0 {
		fmt.Fprintf(b, "\t%s {\n%s\t}\n", section, strings.Join(lines, ""))
	}
	return nil
}

func writeNode(b *strings.Builder, c *config.Config, id int, n config.Node, v9 bool) error {
	addr, err := netip.ParseAddr(n.Address)
	if err != nil {
		return fmt.Errorf("node[%d].address: %w", id, err)
	}
	fmt.Fprintf(b, "\ton %s {\n", quote(n.Name))
	if v9 {
		fmt.Fprintf(b, "\t\tnode-id %d;\n", id)
	}
	disk := BackingDevice(c)
	if n.Diskless {
		disk = "none"
	}
	fmt.Fprintf(b, "\t\tdisk %s;\n", quote(disk))
	end := netip.AddrPortFrom(addr, uint16(c.Resource.Port)).String() //nolint:gosec // a port, checked by package config
	if addr.Is6() {
		end = "ipv6 " + end
	}
	fmt.Fprintf(b, "\t\taddress %s;\n\t}\n", end)
	return nil
}

// writeMesh connects every node with every other.
func writeMesh(b *strings.Builder, nodes []config.Node) {
	b.WriteString("\tconnection-mesh {\n\t\thosts")
	for _, n := range nodes {
		b.WriteString(" " + quote(n.Name))
	}
	b.WriteString(";\n\t}\n")
}

// bare are the words that DRBD's scanner takes without quotes
// (drbd-utils user/v9/drbdadm_scanner.fl).
var bare = regexp.MustCompile(`^[A-Za-z0-9_/.-]+$`)

// quote returns s as one word of the file.
func quote(s string) string {
	if bare.MatchString(s) {
		return s
	}
	return `"` + s + `"`
}

// What another file is searched for.
var (
	comment  = regexp.MustCompile(`(?m)#.*$`)
	resource = regexp.MustCompile(`\bresource\s+"?([^\s"{]+)"?\s*\{`)
	minor    = regexp.MustCompile(`\bminor\s+([0-9]+)|/dev/drbd([0-9]+)`)
	port     = regexp.MustCompile(`\baddress\s+[^;]*:([0-9]+)\s*;`)
)

// Conflict returns why file, the text of another resource file, cannot stand
// beside the one of c: it has the same resource, minor or port. "" means that
// it can.
func Conflict(c *config.Config, file string) string {
	text := comment.ReplaceAllString(file, "")
	has := func(re *regexp.Regexp, want string) bool {
		return slices.ContainsFunc(re.FindAllStringSubmatch(text, -1), func(m []string) bool {
			return slices.Contains(m[1:], want)
		})
	}
	switch {
	case has(resource, c.Resource.Name):
		return "defines resource " + c.Resource.Name + " too"
	case has(minor, strconv.Itoa(c.Resource.Minor)):
		return "uses minor " + strconv.Itoa(c.Resource.Minor) + " too"
	case has(port, strconv.Itoa(c.Resource.Port)):
		return "uses port " + strconv.Itoa(c.Resource.Port) + " too"
	}
	return ""
}
