package nfs

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Export is one directory offered to one client or network, as one entry of
// exports(5).
type Export struct {
	Path    string   // absolute, clean
	Client  string   // "192.168.2.0/24", "*", "@netgroup", "host.example.org"
	Options []string // as in exports(5), with fsid=
}

// ParseExports reads a list in the syntax of exports(5): a path, then clients
// with options in parentheses; entries are separated by newlines or
// semicolons; a path with spaces is quoted. Options given to each client are
// kept; fsid= is added where it is missing, derived from the DRBD resource and
// the path alone, so that file handles are the same on every node and stay the
// same for ever.
//
// Single addresses and netmasks are turned into prefixes: exportfs(8) then
// looks up no name.
func ParseExports(s, resource string) ([]Export, error) {
	var exports []Export
	for _, entry := range splitEntries(s) {
		entry = strings.TrimSpace(entry)
		if entry == "" || strings.HasPrefix(entry, "#") {
			continue
		}
		es, err := parseEntry(entry, resource)
		if err != nil {
			return nil, err
		}
		exports = append(exports, es...)
	}
	if len(exports) == 0 {
		return nil, errors.New("exports is empty: name a directory and its clients, as in exports(5)")
	}
	return exports, checkExports(exports)
}

func parseEntry(entry, resource string) ([]Export, error) {
	dir, rest, err := cutPath(entry)
	if err != nil {
		return nil, err
	}
	clients := strings.Fields(rest)
	if len(clients) == 0 {
		return nil, fmt.Errorf("exports: %s has no client: add one, such as 192.168.2.0/24(rw,sync)", dir)
	}
	var exports []Export
	for _, c := range clients {
		name, list, ok := cutClient(c)
		if !ok {
			return nil, fmt.Errorf("exports: %q of %s is not CLIENT(OPTION,…); no space before the parenthesis", c, dir)
		}
		client, err := normalClient(name)
		if err != nil {
			return nil, fmt.Errorf("exports: client %q of %s: %w", name, dir, err)
		}
		options, err := parseOptions(list, dir, resource)
		if err != nil {
			return nil, fmt.Errorf("exports: %s %s: %w", dir, name, err)
		}
		exports = append(exports, Export{Path: dir, Client: client, Options: options})
	}
	return exports, nil
}

// splitEntries cuts at line ends and at semicolons outside of quotes.
func splitEntries(s string) []string {
	var out []string
	start, quoted := 0, false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\n', s[i] == ';' && !quoted:
			out = append(out, s[start:i])
			start, quoted = i+1, false
		}
	}
	return append(out, s[start:])
}

// cutClient splits "client(options)" or "client".
func cutClient(s string) (client, options string, ok bool) {
	client, rest, hasOptions := strings.Cut(s, "(")
	if hasOptions {
		options, ok = strings.CutSuffix(rest, ")")
	} else {
		ok = true
	}
	return client, options, ok && client != "" && !strings.ContainsAny(client+options, "()")
}

func cutPath(entry string) (dir, rest string, err error) {
	if q, ok := strings.CutPrefix(entry, `"`); ok {
		if dir, rest, ok = strings.Cut(q, `"`); !ok {
			return "", "", fmt.Errorf("exports: %s: the quote does not end", entry)
		}
	} else if i := strings.IndexAny(entry, " \t"); i >= 0 {
		dir, rest = entry[:i], entry[i:]
	} else {
		dir = entry
	}
	if !path.IsAbs(dir) {
		return "", "", fmt.Errorf("exports: %q is not an absolute path", dir)
	}
	return path.Clean(dir), rest, nil
}

// isHost reports whether s can be a host name, a wildcard or a netgroup.
func isHost(s string) bool {
	s = strings.TrimPrefix(s, "@")
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case !strings.ContainsRune("_*?.-[]", r):
			return false
		}
	}
	return s != ""
}

// normalClient turns addresses into prefixes and checks the form of the rest.
func normalClient(c string) (string, error) {
	addr, mask, isNet := strings.Cut(c, "/")
	ip, err := netip.ParseAddr(strings.Trim(addr, "[]"))
	if err != nil {
		if isNet {
			return "", errors.New("no address before the slash: use a form such as 192.168.2.0/24")
		}
		if strings.HasPrefix(c, "-") {
			return "", errors.New("options for all clients are not supported: put them behind each client")
		}
		if !isHost(c) {
			return "", errors.New("neither address, network, host name, @netgroup nor *")
		}
		return c, nil
	}
	if !isNet {
		return netip.PrefixFrom(ip, ip.BitLen()).String(), nil
	}
	bits, err := maskBits(mask, ip.BitLen())
	if err != nil {
		return "", err
	}
	p := netip.PrefixFrom(ip, bits)
	if p.Masked() != p {
		return "", fmt.Errorf("host bits are set: use %s", p.Masked())
	}
	return p.String(), nil
}

func maskBits(mask string, limit int) (int, error) {
	if p, err := netip.ParsePrefix("0.0.0.0/" + mask); err == nil && limit == 32 {
		return p.Bits(), nil
	}
	if p, err := netip.ParsePrefix("::/" + mask); err == nil && limit == 128 {
		return p.Bits(), nil
	}
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() && limit == 32 {
		var bits int
		zero := false
		for _, b := range m.As4() {
			for i := 7; i >= 0; i-- {
				one := b>>i&1 == 1
				if one && zero {
					return 0, fmt.Errorf("%s is no netmask", mask)
				}
				if one {
					bits++
				} else {
					zero = true
				}
			}
		}
		return bits, nil
	}
	return 0, fmt.Errorf("%q is no prefix length or netmask", mask)
}

// isOption keeps out what would change the meaning of an argument of exportfs:
// name or name=value, without spaces, commas and parentheses.
func isOption(s string) bool {
	name, value, hasValue := strings.Cut(s, "=")
	for _, r := range name {
		if (r < 'a' || r > 'z') && r != '_' {
			return false
		}
	}
	for _, r := range value {
		if r <= ' ' || r > '~' || strings.ContainsRune("(),=\"\\", r) {
			return false
		}
	}
	return name != "" && (!hasValue || value != "")
}

// parseOptions checks the form of each option and adds fsid. What an option
// means is left to exportfs(8), which differs between releases.
func parseOptions(s, dir, resource string) ([]string, error) {
	var options []string
	hasFSID := false
	for o := range strings.SplitSeq(s, ",") {
		if o = strings.TrimSpace(o); o == "" {
			continue
		}
		if !isOption(o) {
			return nil, fmt.Errorf("option %q is malformed", o)
		}
		hasFSID = hasFSID || strings.HasPrefix(o, "fsid=")
		options = append(options, o)
	}
	if !hasFSID {
		options = append(options, "fsid="+FSID(resource, dir))
	}
	return options, nil
}

// fsidNamespace is the name space of the version 5 UUIDs (RFC 9562) below.
// It must never change: file handles that clients hold contain the result.
var fsidNamespace = [16]byte{0x6e, 0x1d, 0x2f, 0x5a, 0x90, 0x43, 0x4c, 0x0e, 0x8b, 0x6c, 0x3f, 0x0a, 0x77, 0xd2, 0x14, 0x58}

// FSID is the fsid of path on resource: a UUID that is a function of both and
// nothing else.
func FSID(resource, path string) string {
	h := sha1.New()
	h.Write(fsidNamespace[:])
	h.Write([]byte(resource + "\x00" + path))
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

func checkExports(exports []Export) error {
	paths := map[string]string{} // fsid → path
	entries := map[string]bool{}
	for _, e := range exports {
		key := e.Path + " " + e.Client
		if entries[key] {
			return fmt.Errorf("exports: %s is named twice for %s", e.Path, e.Client)
		}
		entries[key] = true
		id := e.fsid()
		if other, ok := paths[id]; ok && other != e.Path {
			return fmt.Errorf("exports: %s and %s share fsid=%s: give each its own", other, e.Path, id)
		}
		paths[id] = e.Path
	}
	for _, e := range exports {
		for _, f := range exports {
			if e.Path == f.Path && e.fsid() != f.fsid() {
				return fmt.Errorf("exports: %s has two fsids: one directory has one", e.Path)
			}
		}
	}
	return nil
}

// fsid is the export's fsid in one spelling: exportfs takes "root" for 0, and
// numbers with leading zeros.
func (e Export) fsid() string {
	for _, o := range e.Options {
		v, ok := strings.CutPrefix(o, "fsid=")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(v, 0, 32); err == nil {
			return strconv.FormatUint(n, 10)
		}
		if v == "root" {
			return "0"
		}
		return v
	}
	return ""
}

// target is the last argument of exportfs: "client:path".
func (e Export) target() string {
	if strings.Contains(e.Client, ":") {
		addr, bits, _ := strings.Cut(e.Client, "/")
		return "[" + addr + "]/" + bits + ":" + e.Path
	}
	return e.Client + ":" + e.Path
}

// named reports whether the client is a name, which exportfs may store in
// another form than it was given.
func (e Export) named() bool {
	_, err := netip.ParsePrefix(e.Client)
	return err != nil && !strings.ContainsAny(e.Client, "*?@")
}

// Equal reports whether e and o offer the same directory to the same client
// with the same options.
func (e Export) Equal(o Export) bool {
	return e.Path == o.Path && e.Client == o.Client && slices.Equal(e.Options, o.Options)
}

// Missing lists the exports of want that etab, the contents of
// /var/lib/nfs/etab, does not hold. A client given by name only needs its
// directory to be there.
func Missing(want []Export, etab string) []Export {
	have := map[string]bool{}
	for line := range strings.Lines(etab) {
		dir, client, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			continue
		}
		client, _, _ = strings.Cut(client, "(")
		dir = Unescape(dir)
		have[dir+" "+strings.NewReplacer("[", "", "]", "").Replace(client)] = true
		have[dir] = true
	}
	var missing []Export
	for _, e := range want {
		if !have[e.Path+" "+e.Client] && !(e.named() && have[e.Path]) {
			missing = append(missing, e)
		}
	}
	return missing
}

// Unescape undoes the octal escapes of etab (nfs-utils support/nfs/xio.c).
func Unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			var n int
			if _, err := fmt.Sscanf(s[i+1:i+4], "%3o", &n); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
