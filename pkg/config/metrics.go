package config

import (
	"net"
	"strings"
)

// MetricsAddress is the host and port on which drbdnfsd of a node offers its
// metrics, "" for nowhere. The host is empty for all addresses. ok is false
// where the file asks for the node's own address and has no such node.
func (c *Config) MetricsAddress(node string) (addr string, ok bool) {
	if c.Metrics.Listen == ListenOff {
		return "", true
	}
	port, own := strings.CutPrefix(c.Metrics.Listen, ListenNode+":")
	if !own {
		return c.Metrics.Listen, true
	}
	n, ok := c.Node(node)
	if !ok {
		return "", false
	}
	return net.JoinHostPort(n.Address, port), true
}
