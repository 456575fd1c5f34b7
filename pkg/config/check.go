package config

import (
	"fmt"
	"net/netip"
	"path"
	"reflect"
	"slices"
	"strings"
)

// checker looks at every value of a Config. It only collects problems; a value
// that is wrong never keeps the others from being looked at.
type checker struct {
	*problems
	c *Config
}

func (k *checker) check() {
	k.checkEmpty()
	k.checkCluster()
	k.checkNodes()
	k.checkHost()
	k.checkStorage()
	k.checkResource()
	k.checkDRBD()
	k.checkFilesystem()
	k.checkNFS()
	k.checkExports()
	k.checkVIPs()
	k.checkCorosync()
	k.checkPacemaker()
	k.checkAlert()
	k.checkFencing()
	k.checkDevices()
	k.checkSplitBrain()
	k.checkMetrics()
	k.checkAlerts()
}

// checkEmpty finds what was left empty though it must have a value, and what no
// program would take.
func (k *checker) checkEmpty() {
	leaves(reflect.ValueOf(k.c).Elem(), "", func(path string, v reflect.Value) {
		if v.Kind() != reflect.String || strings.HasPrefix(path, "resource.drbd.") {
			return
		}
		known, _ := lookup(wildcard(path))
		switch {
		case v.String() == "" && known.def != "" && known.kind == tText:
			k.add(path, "empty", "take the key out for the default "+known.def)
		case !printable(v.String()):
			k.add(path, "a control character", "write it without")
		}
	})
}

// leaves calls f for each value that is no table, in the order of the structs.
func leaves(v reflect.Value, path string, f func(path string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Tag.Get("toml"); name != "" {
				leaves(v.Field(i), join(path, name), f)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			leaves(v.Index(i), index(path, i), f)
		}
	case reflect.Map:
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, n := range names {
			leaves(v.MapIndex(n), join(path, n.String()), f)
		}
	default:
		f(path, v)
	}
}

// lookup returns the entry of keys for a name as "node[].name".
func lookup(name string) (key, bool) {
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	if i < 0 {
		return key{}, false
	}
	return keys[i], true
}

// set reports whether value is there, and notes a problem where it is not.
func (k *checker) set(path, value, remedy string) bool {
	if value == "" {
		k.add(path, "not set", remedy)
	}
	return value != ""
}

// oneOf checks a value that has to be one of words.
func (k *checker) oneOf(path, value string, words ...string) {
	if !slices.Contains(words, value) {
		remedy := "write one of " + strings.Join(words, ", ")
		if len(words) == 2 {
			remedy = "write " + words[0] + " or " + words[1]
		}
		k.add(path, "not a known word", remedy)
	}
}

// within checks a number.
func (k *checker) within(path string, n, low, high int) {
	if n < low || n > high {
		k.add(path, fmt.Sprintf("not from %d to %d", low, high), "write a number in this range")
	}
}

// between checks a time, which has to be whole seconds.
func (k *checker) between(path string, d, low, high Duration) {
	switch {
	case d < low || d > high:
		k.add(path, fmt.Sprintf("not from %v to %v", low, high), "write a time in this range")
	case d%second != 0:
		k.add(path, "not whole seconds", "write a time such as "+low.String())
	}
}

// node checks the name of a node that has to be in the file.
func (k *checker) node(path, name string) (Node, bool) {
	n, ok := k.c.Node(name)
	if ok {
		return n, true
	}
	names := make([]string, 0, len(k.c.Nodes))
	for _, n := range k.c.Nodes {
		names = append(names, n.Name)
	}
	k.add(path, "no such node", "write one of "+strings.Join(names, ", "))
	return n, false
}

// diskful checks the name of a node that has to hold data.
func (k *checker) diskful(path, name, why string) {
	if n, ok := k.node(path, name); ok && n.Diskless {
		k.add(path, "a diskless node", why)
	}
}

// network checks a network with prefix length.
func (k *checker) network(path, text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		k.add(path, "not a network", "write it as 192.168.2.0/24")
	case p != p.Masked():
		k.add(path, "an address in a network", "write the network "+p.Masked().String())
	default:
		return p, true
	}
	return p, false
}

// directory checks an absolute path.
func (k *checker) directory(key, dir string) bool {
	switch {
	case !strings.HasPrefix(dir, "/"):
		k.add(key, "not an absolute path", "begin it with /")
	case dir != path.Clean(dir):
		k.add(key, "not the shortest form of the path", "write "+path.Clean(dir))
	case dir == "/":
		k.add(key, "the root directory", "write a directory below it")
	default:
		return true
	}
	return false
}

// below reports whether dir is in parent, not parent itself.
func below(dir, parent string) bool { return strings.HasPrefix(dir, parent+"/") }

// alnum reports whether s consists of ASCII letters, digits and the characters
// of extra.
func alnum(s, extra string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case !strings.ContainsRune(extra, r):
			return false
		}
	}
	return true
}

// printable reports whether s has no control characters.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// isID reports whether s can be an id in Pacemaker's XML.
func isID(s string) bool {
	return s != "" && alnum(s, "_.-") && !strings.ContainsAny(s[:1], "0123456789.-")
}
