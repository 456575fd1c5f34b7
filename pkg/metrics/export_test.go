package metrics

import (
	"crypto/tls"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// What the tests bound and look into.
const (
	MaxScrapes     = maxScrapes
	MaxConns       = maxConns
	MaxGroups      = maxGroups
	HandlerTimeout = handlerTimeout
	ReadTimeout    = readTimeout
	WriteTimeout   = writeTimeout
	Reread         = reread
)

// Gatherer is what /metrics shows.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Collector is what is registered beside the Go runtime and the process.
func (m *Metrics) Collector() prometheus.Collector { return &collector{m: m} }

// NewHTTP is what answers, with its limits but without a network.
func NewHTTP(o ServerOptions) *http.Server { return newHTTP(o) }

// NewTLS is the configuration that follows the files of o.
func NewTLS(o ServerOptions) (*tls.Config, error) { return newTLS(o) }

// Words are the lists that label values come from.
func Words() map[string][]string {
	return map[string][]string{
		"role": roles, "connection": connectionStates, "disk": diskStates, "replication": replicationStates,
	}
}

// Family is one row of the documentation.
type Family struct {
	Name, Kind, Help string
	Labels           []string
}

// Families are all that this package defines, in the order of the documentation.
func (m *Metrics) Families() []Family {
	list := make([]Family, len(m.list))
	for i, f := range m.list {
		list[i] = Family{Name: f.name, Kind: string(f.kind), Help: f.help, Labels: f.labels}
	}
	return list
}
