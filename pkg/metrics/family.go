package metrics

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// kind is the type of a family as the exposition names it.
type kind string

const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	histogram kind = "histogram"
)

// family is one metric name with its help and its labels.
type family struct {
	name   string
	kind   kind
	help   string
	labels []string
	desc   *prometheus.Desc
}

// catalogue collects the families in the order in which they are documented.
type catalogue struct {
	list []*family
}

func (c *catalogue) add(k kind, name, help string, labels ...string) *family {
	f := &family{name: name, kind: k, help: help, labels: labels, desc: prometheus.NewDesc(name, help, labels, nil)}
	c.list = append(c.list, f)
	return f
}

func (c *catalogue) gauge(name, help string, labels ...string) *family {
	return c.add(gauge, name, help, labels...)
}

func (c *catalogue) counter(name, help string, labels ...string) *family {
	return c.add(counter, name, help, labels...)
}

func (c *catalogue) histogram(name, help string, labels ...string) *family {
	return c.add(histogram, name, help, labels...)
}

// with returns labels and one more, without writing to the array of labels.
func with(labels []string, more ...string) []string {
	return append(slices.Clip(slices.Clone(labels)), more...)
}

// sink sends the series of one scrape.
type sink struct {
	ch     chan<- prometheus.Metric
	states bool // whether enum sends anything
}

// put sends one series of f.
func (s sink) put(f *family, value float64, labels ...string) {
	t := prometheus.GaugeValue
	if f.kind == counter {
		t = prometheus.CounterValue
	}
	for i, l := range labels {
		if !utf8.ValidString(l) {
			labels = slices.Clone(labels)
			labels[i] = strings.ToValidUTF8(l, "\uFFFD")
		}
	}
	s.ch <- prometheus.MustNewConstMetric(f.desc, t, value, labels...)
}

// flag sends 1 for true and 0 for false.
func (s sink) flag(f *family, yes bool, labels ...string) {
	s.put(f, number(yes), labels...)
}

// enum sends one series for each of words: 1 for the one that is now, 0 for the
// others. A word that is not among them gets its own series; an empty one is
// not known and gets none, as all states when they are not wanted.
func (s sink) enum(f *family, words []string, now string, labels ...string) {
	if now == "" || !s.states {
		return
	}
	l := with(labels, now)
	word, known := &l[len(labels)], false // one slice for all: put does not keep it
	for _, *word = range words {
		s.flag(f, *word == now, l...)
		known = known || *word == now
	}
	if !known {
		*word = now
		s.flag(f, true, l...)
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// tri sends 1 for yes, 0 for no, and nothing for what is not known.
func (s sink) tri(f *family, t drbd.Tri, labels ...string) {
	if t != drbd.Unknown {
		s.flag(f, t == drbd.Yes, labels...)
	}
}

// count sends n, or nothing where it is negative: not known.
func (s sink) count(f *family, n int, labels ...string) {
	if n >= 0 {
		s.put(f, float64(n), labels...)
	}
}
