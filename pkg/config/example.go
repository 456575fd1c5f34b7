package config

import (
	"fmt"
	"strings"
)

// exampleKeys are the keys of the example with their values as TOML. A name
// that ends in a dot begins a table.
var exampleKeys = [][2]string{
	{"cluster", `"nfs_cluster"`},
	{"node[].", ""},
	{"node[].name", `"drbdtest1"`},
	{"node[].address", `"192.168.2.61"`},
	{"node[].device", `"/dev/vda3"`},
	{"node[].", ""},
	{"node[].name", `"drbdtest2"`},
	{"node[].address", `"192.168.2.62"`},
	{"node[].device", `"/dev/vda3"`},
	{"storage.", ""},
	{"storage.manager", `"linstor"`},
	{"resource.", ""},
	{"resource.size", `"6T"`},
	{"filesystem.", ""},
	{"filesystem.mount", `"/home/nfs"`},
	{"export[].", ""},
	{"export[].path", `"/home/nfs/user-data"`},
	{"export[].clients", `["192.168.2.0/24"]`},
	{"vip[].", ""},
	{"vip[].address", `"192.168.2.63/24"`},
	{"vip[].interface", `"ens3"`},
	{"fencing.", ""},
	{"fencing.mode", `""`},
}

// Example returns a commented file for two nodes, to be edited. It is refused
// until fencing.mode is decided.
func Example() string {
	var b strings.Builder
	b.WriteString("# The configuration of drbdnfs, the same on every node: " + DefaultFile + "\n" +
		"# Everything else has a default, see drbdnfs config show.\n\n")
	explained := map[string]bool{}
	for _, e := range exampleKeys {
		name, table := strings.CutSuffix(e[0], ".")
		k, _ := lookup(strings.TrimSuffix(name, "[]"))
		if table {
			b.WriteString("\n")
		}
		if !explained[name] {
			b.WriteString("# " + strings.ReplaceAll(k.text, "`", "") + "\n")
		}
		explained[name] = true
		switch {
		case table && k.kind == tTables:
			fmt.Fprintf(&b, "[[%s]]\n", header(strings.TrimSuffix(name, "[]")))
		case table:
			fmt.Fprintf(&b, "[%s]\n", name)
		default:
			if name == "fencing.mode" {
				writeModes(&b)
			}
			fmt.Fprintf(&b, "%s = %s\n", name[strings.LastIndex(name, ".")+1:], e[1])
		}
	}
	return b.String()
}

// writeModes lists the choices as comments.
func writeModes(b *strings.Builder) {
	for _, m := range fencingModes {
		fmt.Fprintf(b, "#   %-22s%s\n", m.word, m.means)
	}
}
