package edit

import (
	"slices"
	"strings"
)

// HostsEntry is one line of /etc/hosts.
type HostsEntry struct {
	Line    int    // from 1
	Text    string // the line, without its end
	Address string
	Names   []string
}

// Has reports whether the entry gives name, whatever its case.
func (e HostsEntry) Has(name string) bool {
	return slices.ContainsFunc(e.Names, func(n string) bool { return strings.EqualFold(n, name) })
}

// Hosts returns the entries of a file as /etc/hosts, without those of the
// block that setup writes.
func Hosts(text string) ([]HostsEntry, error) {
	list := lines(text)
	s, ok, err := find(list)
	if err != nil {
		return nil, err
	}
	var out []HostsEntry
	for i, l := range list {
		if ok && i >= s.from && i <= s.to {
			continue
		}
		entry, _, _ := strings.Cut(l, "#")
		if f := strings.Fields(entry); len(f) > 1 {
			out = append(out, HostsEntry{Line: i + 1, Text: strings.TrimRight(l, "\r\n"), Address: f[0], Names: f[1:]})
		}
	}
	return out, nil
}
