package linstor

import (
	"fmt"
	"strings"

	"github.com/spacei/drbdnfs/pkg/config"
)

// Commands returns what the stage makes from nothing as commands of LINSTOR's
// own client, in order, each a line for a shell. Between them LINSTOR needs the
// satellites to come online. A shared secret is shown as ***.
func Commands(c *config.Config) []string {
	s := New(Options{Config: c, Self: c.Storage.Controller})
	res, pool := c.Resource.Name, c.Storage.Pool
	var lines []string
	add := func(args ...string) { lines = append(lines, quoted(append([]string{"linstor"}, args...)...)) }
	for _, n := range c.Nodes {
		add("node", "create", n.Name, n.Address, "--node-type", strings.ToLower(s.nodeType(n)))
	}
	driver := map[string]string{config.DriverLVM: "lvm", config.DriverLVMThin: "lvmthin"}[c.Storage.Driver]
	for _, n := range c.Diskful() {
		add("storage-pool", "create", driver, n.Name, pool, s.backing())
	}
	add("resource-group", "create", groupName, "--description", groupDescription)
	definition := []string{"resource-definition", "create", res, "--resource-group", groupName}
	if c.Resource.Port != 0 {
		definition = append(definition, "--port", fmt.Sprint(c.Resource.Port))
	}
	add(definition...)
	for _, p := range properties(c) {
		add("resource-definition", "set-property", res, p.key, p.shown())
	}
	add("volume-definition", "create", res, fmt.Sprintf("%dKiB", s.sizeKiB()))
	for _, n := range s.placement() {
		if n.Diskless {
			add("resource", "create", n.Name, res, "--drbd-diskless")
		} else {
			add("resource", "create", n.Name, res, "--storage-pool", pool)
		}
	}
	return lines
}

// plainWord are the characters that no shell gives a meaning.
const plainWord = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%"

// quoted writes argv as one line for a shell.
func quoted(argv ...string) string {
	words := make([]string, len(argv))
	for i, arg := range argv {
		words[i] = arg
		if arg == "" || strings.Trim(arg, plainWord) != "" {
			words[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
