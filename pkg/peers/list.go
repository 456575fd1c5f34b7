package peers

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// MaxConns is how many connections a list holds at most. More clients than
// that are told by their own timers.
const MaxConns = 10000

// header is the first line of the text form. A later version may add fields at
// the end of the lines; this one ignores them.
const header = "# drbdnfs peers 1"

// Conn is one client connection.
type Conn struct {
	Local  netip.AddrPort // service address and port
	Remote netip.AddrPort // the client's end
}

// String returns the connection as its line in the text form.
func (c Conn) String() string { return c.Local.String() + " " + c.Remote.String() }

func (c Conn) compare(d Conn) int {
	if r := c.Local.Compare(d.Local); r != 0 {
		return r
	}
	return c.Remote.Compare(d.Remote)
}

func (c Conn) valid() bool {
	l, r := c.Local.Addr(), c.Remote.Addr()
	return l.IsValid() && r.IsValid() && l.Is4() == r.Is4() && c.Local.Port() != 0 && c.Remote.Port() != 0 &&
		!r.IsUnspecified() && !r.IsMulticast()
}

// List is a set of connections: sorted, each once, at most [MaxConns].
// Use [NewList] or [Parse] to get one; nil is the empty list.
type List []Conn

// NewList returns the list of conns, which is not changed. Connections that
// cannot be (no port, different families) are left out, and of more than
// [MaxConns] the last in sort order.
func NewList(conns []Conn) List {
	list := make(List, 0, len(conns))
	for _, c := range conns {
		c = Conn{Local: unmap(c.Local), Remote: unmap(c.Remote)}
		if c.valid() {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, Conn.compare)
	list = slices.Compact(list)
	return list[:min(len(list), MaxConns)]
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Equal reports whether both lists have the same connections, so that an
// unchanged list need not be written again.
func (l List) Equal(m List) bool { return slices.Equal(l, m) }

// Text returns the list as a file: a header with the version, then one
// "local remote" pair per line, each line ended by a newline.
func (l List) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, header)
	for _, c := range l {
		fmt.Fprintln(&b, c)
	}
	return b.Bytes()
}

// Parse reads the text form and returns what is readable of it and how many
// lines were not. It never fails: a file that is cut off, empty or garbage
// gives the connections that it still holds. A last line without a newline is
// not taken, because a port could have lost its last digits.
func Parse(text []byte) (list List, skipped int) {
	var conns []Conn
	for len(text) > 0 && len(conns) < 2*MaxConns {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		text = rest
		if !ended {
			skipped++
			break
		}
		s := strings.TrimSpace(string(line))
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		c, ok := parseConn(s)
		if !ok {
			skipped++
			continue
		}
		conns = append(conns, c)
	}
	return NewList(conns), skipped
}

func parseConn(s string) (Conn, bool) {
	f := strings.Fields(s)
	if len(f) < 2 {
		return Conn{}, false
	}
	local, err := netip.ParseAddrPort(f[0])
	if err != nil {
		return Conn{}, false
	}
	remote, err := netip.ParseAddrPort(f[1])
	if err != nil {
		return Conn{}, false
	}
	c := Conn{Local: unmap(local), Remote: unmap(remote)}
	return c, c.valid()
}
