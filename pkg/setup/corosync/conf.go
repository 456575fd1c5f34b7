package corosync

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/config"
)

// Path is where corosync reads its configuration.
const Path = "/etc/corosync/corosync.conf"

// Knet is the transport that setup makes, and the one that can encrypt.
const Knet = "knet"

const maxLinks = 8

// Conf is what a corosync.conf says about the cluster.
type Conf struct {
	Name         string
	Transport    string // knet where the file has none
	TokenMS      int    // 0 is corosync's default
	Cipher, Hash string // "none" where traffic is not encrypted
	Nodes        []Node
	TwoNode      bool
	Device       *Device // nil without one

	bind []string // bindnetaddr of the interfaces, in files without addresses of nodes
}

// Node is one node of the nodelist.
type Node struct {
	Name      string
	ID        string
	Addresses []string // one per link, as written: addresses or names
}

// Device is the quorum device of model net.
type Device struct{ Host, Algorithm string }

// Want is the Conf that c asks for.
func Want(c *config.Config) *Conf {
	w := &Conf{
		Name: c.Cluster, Transport: Knet, Cipher: "aes256", Hash: "sha256",
		TokenMS: TokenMS(c),
	}
	for i, n := range c.Nodes {
		m := Node{Name: n.Name, ID: fmt.Sprint(i + 1), Addresses: []string{n.Address}}
		if n.SecondAddress != "" {
			m.Addresses = append(m.Addresses, n.SecondAddress)
		}
		w.Nodes = append(w.Nodes, m)
	}
	if q := c.Corosync.QDevice; q.Host != "" {
		w.Device = &Device{Host: q.Host, Algorithm: q.Algorithm}
	}
	w.TwoNode = len(w.Nodes) == 2 && w.Device == nil
	return w
}

// TokenMS is the token timeout of c in corosync's unit, 0 for corosync's
// default.
func TokenMS(c *config.Config) int { return int(time.Duration(c.Corosync.Token) / time.Millisecond) }

// Node returns the node called name.
func (c *Conf) Node(name string) (Node, bool) {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// Packaged reports whether the file is an example that a distribution installs,
// as Debian does: it makes a cluster of this machine alone, over the loopback
// interface.
func (c *Conf) Packaged() bool {
	addrs := slices.Clone(c.bind)
	for _, n := range c.Nodes {
		addrs = append(addrs, n.Addresses...)
	}
	for _, a := range addrs {
		if !loopback(a) {
			return false
		}
	}
	return len(c.Nodes) <= 1 && len(addrs) > 0
}

func loopback(address string) bool {
	if a, err := netip.ParseAddr(address); err == nil {
		return a.IsLoopback()
	}
	return address == "localhost"
}

// Render returns the whole file for c. It logs to syslog alone: corosync does not
// start when it cannot open its log file, whose folder differs by distribution.
func Render(c *config.Config) string {
	w := Want(c)
	var b strings.Builder
	fmt.Fprintf(&b, "totem {\n    version: 2\n    cluster_name: %s\n    transport: %s\n", w.Name, w.Transport)
	if w.TokenMS > 0 {
		fmt.Fprintf(&b, "    token: %d\n", w.TokenMS)
	}
	fmt.Fprintf(&b, "    crypto_cipher: %s\n    crypto_hash: %s\n", w.Cipher, w.Hash)
	b.WriteString("}\n\nnodelist {\n")
	for i, n := range w.Nodes {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString("    node {\n")
		for link, a := range n.Addresses {
			fmt.Fprintf(&b, "        ring%d_addr: %s\n", link, a)
		}
		fmt.Fprintf(&b, "        name: %s\n        nodeid: %s\n    }\n", n.Name, n.ID)
	}
	b.WriteString("}\n\nquorum {\n    provider: corosync_votequorum\n")
	if w.TwoNode {
		b.WriteString("    two_node: 1\n")
	}
	if w.Device != nil {
		b.WriteString(renderDevice(w.Device))
	}
	b.WriteString("}\n\nlogging {\n    to_logfile: no\n    to_syslog: yes\n    timestamp: on\n}\n")
	return b.String()
}

// renderDevice is the quorum device. Its votes are left to corosync-qdevice for
// the algorithm lms, which gives it one less than there are nodes.
func renderDevice(d *Device) string {
	votes := ""
	if d.Algorithm == "ffsplit" {
		votes = "        votes: 1\n"
	}
	return fmt.Sprintf("\n    device {\n        model: net\n%s\n        net {\n            algorithm: %s\n            host: %s\n        }\n    }\n",
		votes, d.Algorithm, d.Host)
}

// Set returns text with key of the top-level section called name set to value,
// every other line untouched. The section is appended when it is missing. text
// must be one that [Parse] reads.
func Set(text, name, key, value string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	depth, inside, at := 0, false, -1
	replaced := false
	for i, line := range lines {
		word := strings.TrimSpace(line)
		switch {
		case word == "" || word[0] == '#':
		case strings.Contains(word, "{"):
			if depth == 0 && strings.TrimSpace(strings.TrimSuffix(word, "{")) == name {
				inside, at = true, i
			}
			depth++
		case word == "}":
			depth--
			inside = inside && depth > 0
		case inside && depth == 1:
			if k, _, _ := strings.Cut(word, ":"); strings.TrimSpace(k) == key {
				lines[i] = indent(line) + key + ": " + value
				replaced = true
			}
		}
	}
	switch {
	case replaced:
	case at < 0:
		lines = append(lines, "", name+" {", "    "+key+": "+value, "}")
	default:
		pad := "    "
		if at+1 < len(lines) && indent(lines[at+1]) != "" {
			pad = indent(lines[at+1])
		}
		lines = append(lines[:at+1], append([]string{pad + key + ": " + value}, lines[at+1:]...)...)
	}
	return strings.Join(lines, "\n") + "\n"
}

func indent(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }
