package corosync

import (
	"fmt"
	"net/netip"
	"strings"
)

// Kind says what differs.
type Kind string

// Kinds of differences.
const (
	Name        Kind = "name"
	NodeMissing Kind = "node missing" // the configuration has it, the cluster has not
	NodeExtra   Kind = "node extra"
	Address     Kind = "address" // of the first link
	Link        Kind = "link"    // a second link is missing, differs or is not asked for
	Transport   Kind = "transport"
	Crypto      Kind = "crypto"
	Token       Kind = "token"
	TwoNode     Kind = "two_node"
	QDevice     Kind = "quorum device"
)

// Difference is one way in which a cluster is not as the configuration has it.
type Difference struct {
	Kind Kind
	Node string // of NodeMissing, NodeExtra, Address and Link
	Have string
	Want string
}

// String is the difference for a person.
func (d Difference) String() string {
	switch d.Kind {
	case NodeMissing:
		return d.Node + " is in the configuration and not in the cluster"
	case NodeExtra:
		return d.Node + " is in the cluster and not in the configuration"
	case Address:
		return fmt.Sprintf("corosync reaches %s at %s, the configuration has %s", d.Node, d.Have, d.Want)
	case Link:
		return fmt.Sprintf("the second link of %s is %s, the configuration has %s", d.Node, d.Have, d.Want)
	case Crypto:
		return fmt.Sprintf("corosync's traffic is not encrypted (%s), setup would use %s", d.Have, d.Want)
	case Token:
		return fmt.Sprintf("token is %s, the configuration has %s", d.Have, d.Want)
	case TwoNode:
		return fmt.Sprintf("two_node is %s and has to be %s", d.Have, d.Want)
	case Name, Transport, QDevice:
	}
	return fmt.Sprintf("the cluster's %s is %s, the configuration has %s", d.Kind, d.Have, d.Want)
}

// Compare says how have differs from want, in the order of the file. It does not
// report what cannot be told or is a site's own choice: a host name in place of
// an address, another cipher, a token where the configuration has none.
func Compare(have, want *Conf) []Difference {
	var out []Difference
	add := func(k Kind, have, want string) { out = append(out, Difference{Kind: k, Have: have, Want: want}) }
	if have.Name != want.Name {
		add(Name, quoted(have.Name), quoted(want.Name))
	}
	if have.Transport != want.Transport {
		add(Transport, have.Transport, want.Transport)
	} else if have.Cipher == "none" || have.Hash == "none" {
		add(Crypto, fmt.Sprintf("cipher %s, hash %s", have.Cipher, have.Hash), want.Cipher+" and "+want.Hash)
	}
	if want.TokenMS != 0 && have.TokenMS != want.TokenMS {
		add(Token, milliseconds(have.TokenMS), milliseconds(want.TokenMS))
	}
	out = append(out, compareNodes(have, want)...)
	if two := len(have.Nodes) == 2 && have.Device == nil; have.TwoNode != two {
		add(TwoNode, digit(have.TwoNode), digit(two))
	}
	if h, w := have.Device.text(), want.Device.text(); h != w {
		add(QDevice, h, w)
	}
	return out
}

func compareNodes(have, want *Conf) []Difference {
	var out []Difference
	for _, w := range want.Nodes {
		h, ok := have.Node(w.Name)
		if !ok {
			out = append(out, Difference{Kind: NodeMissing, Node: w.Name})
			continue
		}
		if differ(link(h, 0), link(w, 0)) {
			out = append(out, Difference{Kind: Address, Node: w.Name, Have: link(h, 0), Want: link(w, 0)})
		}
		if differ(link(h, 1), link(w, 1)) {
			out = append(out, Difference{Kind: Link, Node: w.Name, Have: link(h, 1), Want: link(w, 1)})
		}
	}
	for _, h := range have.Nodes {
		if _, ok := want.Node(h.Name); !ok {
			out = append(out, Difference{Kind: NodeExtra, Node: h.Name})
		}
	}
	return out
}

const none = "none"

// link is the address of n on one link, or "none".
func link(n Node, i int) string {
	if i < len(n.Addresses) {
		return n.Addresses[i]
	}
	return none
}

// differ reports whether two addresses are certainly not the same: a host name
// may be any address.
func differ(have, want string) bool {
	if have == none || want == none {
		return have != want
	}
	h, err1 := netip.ParseAddr(have)
	w, err2 := netip.ParseAddr(want)
	return err1 == nil && err2 == nil && h != w
}

func (d *Device) text() string {
	if d == nil {
		return none
	}
	return strings.TrimSpace(d.Host + " " + d.Algorithm)
}

func quoted(s string) string {
	if s == "" {
		return "not set"
	}
	return s
}

func milliseconds(ms int) string {
	if ms == 0 {
		return "corosync's default"
	}
	return fmt.Sprintf("%d ms", ms)
}

func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
