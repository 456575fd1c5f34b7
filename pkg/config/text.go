package config

import "strings"

// ExportsText returns the exports in the syntax of exports(5), one directory a
// line, for the agent's parameter exports. An fsid is there only where the file
// gives one: the agent derives the others.
func (c *Config) ExportsText() string {
	var b strings.Builder
	for _, e := range c.Exports {
		dir := e.Path
		if strings.ContainsAny(dir, " \t;") {
			dir = `"` + dir + `"`
		}
		b.WriteString(dir)
		options := strings.Join(e.Options, ",")
		if e.FSID != "" {
			options = strings.TrimPrefix(options+",fsid="+e.FSID, ",")
		}
		for _, client := range e.Clients {
			b.WriteString(" " + client + "(" + options + ")")
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// VIPsText returns the service addresses for the agent's parameter vips:
// "192.168.2.63/24@ens3", separated by spaces.
func (c *Config) VIPsText() string {
	texts := make([]string, 0, len(c.VIPs))
	for _, v := range c.VIPs {
		if v.Interface != "" {
			v.Address += "@" + v.Interface
		}
		texts = append(texts, v.Address)
	}
	return strings.Join(texts, " ")
}

// PortsText returns the ports for the agent's parameter ports.
func (c *Config) PortsText() string {
	var texts []string
	for _, p := range c.NFS.Ports.list() {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, " ")
}
