package monitoring

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// catalogue is what is exported: by metric, what each label has been.
type catalogue map[string]*metric

type metric struct {
	kind   string // of its TYPE line; empty for the parts of a histogram
	labels map[string][]string
}

// targetLabels are what Prometheus' configuration puts on every series.
var targetLabels = []string{"job", "instance", "cluster"}

var (
	typeLine   = regexp.MustCompile(`^# TYPE (\S+) (\S+)$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$`)
	labelPair  = regexp.MustCompile(`^(\w+)="((?:[^"\\]|\\.)*)",?`)
)

// exported reads the golden files of pkg/metrics and others.prom.
func exported(t *testing.T) catalogue {
	t.Helper()
	c := catalogue{}
	for _, file := range append(glob(t, "../../pkg/metrics/testdata/metrics-*.prom"), "testdata/others.prom") {
		for line := range strings.Lines(read(t, file)) {
			if err := c.add(strings.TrimSuffix(line, "\n")); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
	}
	return c
}

func (c catalogue) at(name string) *metric {
	if c[name] == nil {
		c[name] = &metric{labels: map[string][]string{}}
	}
	return c[name]
}

func (c catalogue) add(line string) error {
	if m := typeLine.FindStringSubmatch(line); m != nil {
		if m[2] != "histogram" {
			c.at(m[1]).kind = m[2]
		}
		return nil
	}
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	m := sampleLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("not a sample: %q", line)
	}
	labels := c.at(m[1]).labels
	for rest := m[2]; rest != ""; {
		pair := labelPair.FindStringSubmatch(rest)
		if pair == nil {
			return fmt.Errorf("not labels: %q", rest)
		}
		if !slices.Contains(labels[pair[1]], pair[2]) {
			labels[pair[1]] = append(labels[pair[1]], pair[2])
		}
		rest = rest[len(pair[0]):]
	}
	return nil
}

// has reports whether a series of q, or of one of its targets, has the label.
func (c catalogue) has(q query, label string) bool {
	return slices.Contains(targetLabels, label) || slices.ContainsFunc(q.selectors, func(s selector) bool {
		return c[s.metric] != nil && c[s.metric].labels[label] != nil
	})
}

// shows reports whether the result of q can have the label.
func (c catalogue) shows(q query, label string) bool {
	if q.grouped {
		return slices.Contains(q.outer, label)
	}
	return c.has(q, label)
}

// problems says what of q does not exist.
func (c catalogue) problems(q query) []string {
	var found []string
	for _, s := range q.selectors {
		m := c[s.metric]
		if m == nil {
			found = append(found, "no metric "+s.metric)
			continue
		}
		found = append(found, m.misused(s)...)
		for _, x := range s.matchers {
			if p := m.mismatch(x); p != "" {
				found = append(found, fmt.Sprintf("%s{%s%s%q}: %s", s.metric, x.label, x.op, x.value, p))
			}
		}
	}
	for _, l := range q.labels {
		if !c.has(q, l) {
			found = append(found, "no series has the label "+l)
		}
	}
	return found
}

// misused tells of a counter that is taken as a gauge, and the reverse.
func (m *metric) misused(s selector) []string {
	ofCounters := slices.Contains([]string{"rate", "irate", "increase"}, s.function) && s.window != ""
	switch {
	case m.kind == "counter" && !ofCounters:
		return []string{s.metric + " is a counter: its value alone says nothing"}
	case m.kind == "gauge" && ofCounters:
		return []string{s.metric + " is a gauge: " + s.function + " is for counters"}
	}
	return nil
}

// mismatch says why x can select nothing, or empty.
func (m *metric) mismatch(x matcher) string {
	values, known := m.labels[x.label]
	switch {
	case slices.Contains(targetLabels, x.label):
		return ""
	case !known:
		return "no such label"
	case x.op == "!~" || strings.HasPrefix(x.value, "!"):
		return "a negation hides what it does not name"
	case strings.Contains(x.value, "$") || x.value == "":
		return ""
	case x.op != "=~":
		if !slices.Contains(values, x.value) {
			return "no such value"
		}
		return ""
	}
	return unmatched(x.value, values)
}

// unmatched says which alternative of pattern matches none of values. A group
// with alternatives does not compile here: it has to be written out.
func unmatched(pattern string, values []string) string {
	for part := range strings.SplitSeq(pattern, "|") {
		re, err := regexp.Compile("^(?:" + part + ")$")
		if err != nil {
			return err.Error()
		}
		if !slices.ContainsFunc(values, re.MatchString) {
			return part + " matches nothing"
		}
	}
	return ""
}

// Ensure that what can never select anything is found.
func TestProblems(t *testing.T) {
	c := catalogue{}
	for _, line := range []string{
		"# TYPE a gauge", `a{state="Up",name="x"} 1`, `a{state="Down",name="x"} 0`, "# TYPE b_total counter", `b_total{name="x"} 1`,
	} {
		if err := c.add(line); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		expr string
		want []string
	}{
		{`a{state="Up", instance="n"} == 1 and on (job, name) rate(b_total[5m]) > 0`, nil},
		{`a{state=~"Up|Down", name=~"$name"}`, nil},
		{`c == 1`, []string{"no metric c"}},
		{`a{state="up"}`, []string{`a{state="up"}: no such value`}},
		{`a{state=~"Up|Off"}`, []string{`a{state=~"Up|Off"}: Off matches nothing`}},
		{`a{state=~"!Up"}`, []string{`a{state=~"!Up"}: a negation hides what it does not name`}},
		{`a{state!~"Up"}`, []string{`a{state!~"Up"}: a negation hides what it does not name`}},
		{`a{disk="Up"}`, []string{`a{disk="Up"}: no such label`}},
		{`sum by (nam) (a)`, []string{"no series has the label nam"}},
		{`b_total > 1`, []string{"b_total is a counter: its value alone says nothing"}},
		{`rate(a[5m])`, []string{"a is a gauge: rate is for counters"}},
	} {
		q, err := takeApart(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, c.problems(q)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.expr, diff)
		}
	}
}
