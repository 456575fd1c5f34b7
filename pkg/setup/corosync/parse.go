package corosync

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxDepth bounds how deep sections nest; corosync's own are three deep.
const maxDepth = 16

// section is one "name { ... }" of the file, the root having no name.
type section struct {
	name     string
	settings []setting
	sections []*section
}

type setting struct{ key, value string }

// value returns the last setting of key, which is the one that counts.
func (s *section) value(key string) string {
	v := ""
	for _, set := range s.settings {
		if set.key == key {
			v = set.value
		}
	}
	return v
}

// within returns the sections called name, of each section of parents.
func within(parents []*section, name string) []*section {
	var out []*section
	for _, p := range parents {
		for _, s := range p.sections {
			if s.name == name {
				out = append(out, s)
			}
		}
	}
	return out
}

// lookup returns the last value of key in all sections called name: corosync
// reads a section that is there twice as one.
func (s *section) lookup(name, key string) string {
	v := ""
	for _, sub := range within([]*section{s}, name) {
		if x := sub.value(key); x != "" {
			v = x
		}
	}
	return v
}

// parseTree reads the file's grammar: sections, settings, comments and blank
// lines. It is as strict as pcs, which refuses what corosync would misread.
func parseTree(text string) (*section, error) {
	root := &section{}
	open := []*section{root}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	n := 0
	for lines.Scan() {
		n++
		next, err := parseLine(open, strings.TrimSpace(lines.Text()))
		if err != nil {
			return nil, fmt.Errorf("corosync.conf:%d: %w", n, err)
		}
		open = next
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("corosync.conf: %w", err)
	}
	if len(open) > 1 {
		return nil, fmt.Errorf("corosync.conf: section %s is not closed", open[len(open)-1].name)
	}
	return root, nil
}

// parseLine puts line into the innermost of the open sections and returns those
// that are open after it.
func parseLine(open []*section, line string) ([]*section, error) {
	cur := open[len(open)-1]
	switch {
	case line == "" || line[0] == '#':
		return open, nil
	case strings.Contains(line, "{"):
		name, rest, _ := strings.Cut(line, "{")
		name = strings.TrimSpace(name)
		switch {
		case name == "":
			return nil, fmt.Errorf("a section has no name: %q", line)
		case strings.TrimSpace(rest) != "":
			return nil, fmt.Errorf("text after the opening brace: %q", line)
		case len(open) > maxDepth:
			return nil, fmt.Errorf("section %s is nested more than %d deep", name, maxDepth)
		}
		sub := &section{name: name}
		cur.sections = append(cur.sections, sub)
		return append(open, sub), nil
	case line == "}":
		if len(open) == 1 {
			return nil, errors.New("a brace closes no section")
		}
		return open[:len(open)-1], nil
	}
	key, value, found := strings.Cut(line, ":")
	if !found {
		return nil, fmt.Errorf("neither a section nor a setting: %q", line)
	}
	cur.settings = append(cur.settings, setting{strings.TrimSpace(key), strings.TrimSpace(value)})
	return open, nil
}

// Parse reads a corosync.conf. An error names the line: corosync would not start
// with such a file, or not with what its author meant.
func Parse(text string) (*Conf, error) {
	root, err := parseTree(text)
	if err != nil {
		return nil, err
	}
	c := &Conf{
		Name:      root.lookup("totem", "cluster_name"),
		Transport: root.lookup("totem", "transport"),
		TwoNode:   root.lookup("quorum", "two_node") == "1",
	}
	if c.Transport == "" {
		c.Transport = Knet // corosync 3's default
	}
	c.Cipher, c.Hash = crypto(root)
	if v := root.lookup("totem", "token"); v != "" {
		if c.TokenMS, err = strconv.Atoi(v); err != nil || c.TokenMS < 0 {
			return nil, fmt.Errorf("corosync.conf: token is %q, not a number of milliseconds", v)
		}
	}
	c.Device = device(root)
	for _, n := range within(within([]*section{root}, "nodelist"), "node") {
		c.Nodes = append(c.Nodes, node(n))
	}
	for _, i := range within(within([]*section{root}, "totem"), "interface") {
		if v := i.value("bindnetaddr"); v != "" {
			c.bind = append(c.bind, v)
		}
	}
	return c, nil
}

// Value returns the value of key in the top-level section called name of text,
// "" when there is none or when [Parse] does not read text.
func Value(text, name, key string) string {
	root, err := parseTree(text)
	if err != nil {
		return ""
	}
	return root.lookup(name, key)
}

// crypto returns what encrypts the traffic; secauth is the older word for both.
func crypto(root *section) (cipher, hash string) {
	cipher, hash = "none", "none"
	if v := root.lookup("totem", "secauth"); v == "on" || v == "yes" {
		cipher, hash = "aes256", "sha256"
	}
	if v := root.lookup("totem", "crypto_cipher"); v != "" {
		cipher = v
	}
	if v := root.lookup("totem", "crypto_hash"); v != "" {
		hash = v
	}
	return cipher, hash
}

func device(root *section) *Device {
	devices := within(within([]*section{root}, "quorum"), "device")
	if len(devices) == 0 {
		return nil
	}
	d := &Device{}
	for _, net := range within(devices, "net") {
		d.Host, d.Algorithm = net.value("host"), net.value("algorithm")
	}
	return d
}

func node(s *section) Node {
	n := Node{Name: s.value("name"), ID: s.value("nodeid")}
	for link := range maxLinks {
		if a := s.value(fmt.Sprintf("ring%d_addr", link)); a != "" {
			n.Addresses = append(n.Addresses, a)
		}
	}
	if n.Name == "" && len(n.Addresses) > 0 {
		n.Name = n.Addresses[0] // the name is optional in corosync
	}
	return n
}
