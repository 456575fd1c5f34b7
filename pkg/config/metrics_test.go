package config_test

import (
	"testing"

	"github.com/spacei/drbdnfs/pkg/config"
)

// Ensure that the metrics are where the file says, for each way to say it.
func TestMetricsAddress(t *testing.T) {
	for _, tt := range []struct {
		name, listen, node, want string
		ok                       bool
	}{
		{"loopback", "127.0.0.1:19942", "n1", "127.0.0.1:19942", true},
		{"all addresses", ":19942", "n1", ":19942", true},
		{"the node's own", "node:19942", "n1", "192.168.2.61:19942", true},
		{"the node's own, IPv6", "node:19942", "n2", "[fd00::62]:19942", true},
		{"nowhere", "off", "n1", "", true},
		{"no such node", "node:19942", "n3", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &config.Config{
				Nodes:   []config.Node{{Name: "n1", Address: "192.168.2.61"}, {Name: "n2", Address: "fd00::62"}},
				Metrics: config.Metrics{Listen: tt.listen},
			}
			if got, ok := c.MetricsAddress(tt.node); got != tt.want || ok != tt.ok {
				t.Errorf("%q, %v; want %q, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}
