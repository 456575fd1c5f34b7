package exports

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"github.com/spacei/drbdnfs/pkg/nfs"
)

// ErrFormat reports a file of the kernel that is not in the format that this
// package knows.
var ErrFormat = errors.New("not in the known format")

// info is /proc/fs/nfsd/clients/ID/info: an NFSv4 client.
type info struct {
	address string // "192.168.2.64:992"
	name    string // as the client calls itself
	minor   string // "2" of NFSv4.2, "" when it is not said
	status  string // confirmed, unconfirmed, courtesy, expirable; "" before 5.12
	renewed int    // seconds since the lease was renewed, -1 when it is not said
}

// parseInfo reads lines of "key: value". Keys that it does not know are skipped.
func parseInfo(data []byte) (info, error) {
	in := info{renewed: -1}
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		value = plain(unquote(strings.TrimSpace(value)))
		switch key {
		case "address":
			in.address = value
		case "name":
			in.name = value
		case "minor version":
			in.minor = value
		case "status":
			in.status = value
		case "seconds from last renew":
			if n, err := strconv.Atoi(value); err == nil {
				in.renewed = n
			}
		}
	}
	if in.address == "" {
		return in, fmt.Errorf("%w: a client without an address", ErrFormat)
	}
	return in, nil
}

// unquote takes the quotes and the escapes of seq_escape (octal, and those of C)
// off a string.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b.WriteByte(s[i])
		case i+3 < len(s) && octal(s[i+1:i+4]):
			n, _ := strconv.ParseUint(s[i+1:i+4], 8, 16)
			b.WriteByte(byte(n))
			i += 3
		default:
			i++
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func octal(s string) bool { return strings.Trim(s, "01234567") == "" }

// plain makes foreign text fit for a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// held is one line of /proc/fs/nfsd/clients/ID/states: what an NFSv4 client has.
type held struct {
	kind   string // open, lock, deleg, layout
	access string // "rw", "r-", "w"; of opens and delegations
	deny   string // of opens
	file   string // the last parts of its path; "" before 5.9, and for what was revoked
	inode  string // "fd:10:13649", superblock and inode number
}

// parseStates reads lines such as
//
//   - 0x00000001b3f25d67d096056d: { type: open, access: rw, deny: --, superblock: "93:3e8:131", filename: "a/b", owner: "open id:..." }
//
// A key may be missing, and one that is not known is skipped.
func parseStates(data []byte) ([]held, error) {
	var list []held
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "- ") {
			continue // admin-revoked states: 0
		}
		_, body, ok := strings.Cut(line, ": {")
		if !ok {
			return list, fmt.Errorf("%w: state %.60q", ErrFormat, line)
		}
		h := held{}
		for key, value := range flow(strings.TrimSuffix(body, "}")) {
			value = plain(value)
			switch key {
			case "type":
				h.kind = value
			case "access":
				h.access = value
			case "deny":
				h.deny = value
			case "filename":
				h.file = value
			case "superblock":
				h.inode = value
			}
		}
		if h.kind == "" {
			return list, fmt.Errorf("%w: state without a type: %.60q", ErrFormat, line)
		}
		list = append(list, h)
	}
	return list, nil
}

// flow yields the pairs of "key: value, key: "quoted, value"".
func flow(s string) func(yield func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		for s != "" {
			end, quoted := len(s), false
			for i := 0; i < len(s); i++ {
				if s[i] == '\\' && quoted {
					i++
				} else if s[i] == '"' {
					quoted = !quoted
				} else if s[i] == ',' && !quoted {
					end = i
					break
				}
			}
			key, value, _ := strings.Cut(s[:end], ":")
			s = s[min(end+1, len(s)):]
			if !yield(strings.TrimSpace(key), unquote(strings.TrimSpace(value))) {
				return
			}
		}
	}
}

// mounted is one line of rmtab: a directory that an NFSv3 client has asked mountd
// for. It stays when the client is switched off.
type mounted struct{ client, path string }

// parseRmtab reads lines of "CLIENT:PATH:0xCOUNT". A client may be an IPv6
// address; a path begins with a slash.
func parseRmtab(data []byte) []mounted {
	var list []mounted
	for line := range strings.Lines(string(data)) {
		client, rest, ok := strings.Cut(strings.TrimSpace(line), ":/")
		if !ok {
			continue
		}
		i := strings.LastIndex(rest, ":0x")
		if i < 0 || strings.Trim(rest[i+3:], "0") == "" {
			continue // not mounted any more
		}
		list = append(list, mounted{plain(strings.Trim(client, "[]")), plain(nfs.Unescape("/" + rest[:i]))})
	}
	return list
}

// locked is one granted lock of /proc/locks.
type locked struct {
	pid        int
	access     string // READ or WRITE
	major      uint64
	minor      uint64
	inode      string
	start, end string // end may be EOF
}

// parseLocks reads lines such as "1: POSIX  ADVISORY  WRITE 1186 93:3e8:620 0 EOF".
// Those that wait for a lock ("1: -> POSIX") and other kinds are left out.
func parseLocks(data []byte) []locked {
	var list []locked
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) != 8 || f[1] != "POSIX" {
			continue
		}
		dev := strings.Split(f[5], ":")
		pid, err := strconv.Atoi(f[4])
		if err != nil || len(dev) != 3 {
			continue
		}
		major, err1 := strconv.ParseUint(dev[0], 16, 32)
		minor, err2 := strconv.ParseUint(dev[1], 16, 32)
		if err1 != nil || err2 != nil {
			continue
		}
		list = append(list, locked{
			pid: pid, access: plain(f[3]), major: major, minor: minor, inode: plain(dev[2]), start: plain(f[6]), end: plain(f[7]),
		})
	}
	return list
}

// offered is one entry of etab, or of /proc/fs/nfsd/exports.
type offered struct {
	path, client string
	options      []string
}

// parseTable reads etab, "PATH\tCLIENT(OPTIONS)", and the kernel's table, which
// has comments and more than one client a line. The pseudo file system that the
// kernel makes for NFSv4 (v4root) is left out.
func parseTable(data []byte) []offered {
	var list []offered
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		path, rest, ok := strings.Cut(line, "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for word := range strings.FieldsSeq(rest) {
			client, options, ok := strings.Cut(strings.TrimSuffix(word, ")"), "(")
			if !ok {
				continue
			}
			o := offered{
				path: plain(nfs.Unescape(path)), options: strings.Split(plain(options), ","),
				client: plain(strings.NewReplacer("[", "", "]", "").Replace(client)),
			}
			if !strings.Contains(","+options+",", ",v4root,") {
				list = append(list, o)
			}
		}
	}
	return list
}

// hostOf is the address in "192.168.2.64:992" or "[fd00::1]:992", without a port
// too.
func hostOf(s string) string {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().String()
	}
	return s
}
