package monitoring

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// query is what one PromQL expression asks for.
type query struct {
	selectors []selector
	labels    []string // of by, on, group_left and the like, without repeats
	outer     []string // of the by of the outermost aggregation, which comes first
	grouped   bool     // there is such an outermost by
}

// selector is one metric with what it is selected by.
type selector struct {
	metric   string
	matchers []matcher
	window   string // what is between the brackets, or empty
	function string // the function before it
}

type matcher struct{ label, op, value string }

var (
	aggregations = strings.Fields("sum min max avg count group stddev stdvar topk bottomk quantile count_values")
	groupings    = strings.Fields("by without on ignoring group_left group_right")
	keywords     = strings.Fields("and or unless bool offset inf nan")

	tokens  = regexp.MustCompile(`^(?:\s+|[a-zA-Z_:][\w:]*|"(?:[^"\\]|\\.)*"|[0-9.]+|[-+*/%^<>!=(),]|[{}\[\]])`)
	matches = regexp.MustCompile(`^\s*(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)`)
	name    = regexp.MustCompile(`^[a-zA-Z_:]`)
)

// takeApart reads expr as far as names go. It is no parser: promtool is.
func takeApart(expr string) (query, error) {
	s := scanner{rest: expr}
	for s.rest != "" {
		token := tokens.FindString(s.rest)
		if token == "" {
			return query{}, fmt.Errorf("%.20q is not PromQL", s.rest)
		}
		s.rest = s.rest[len(token):]
		if err := s.take(token); err != nil {
			return query{}, err
		}
	}
	return s.q, nil
}

type scanner struct {
	q        query
	rest     string
	function string
	first    string // the first name of the expression
}

func (s *scanner) take(token string) error {
	switch {
	case name.MatchString(token):
		return s.word(token)
	case token == "{":
		return fmt.Errorf("a selector without a metric: %.20q", s.rest)
	case token == "[":
		window, rest, ok := strings.Cut(s.rest, "]")
		if !ok || len(s.q.selectors) == 0 {
			return fmt.Errorf("a window of nothing: %.20q", s.rest)
		}
		s.q.selectors[len(s.q.selectors)-1].window, s.rest = window, rest
	}
	return nil
}

// word takes a name: a keyword, a function, or a metric with its matchers.
func (s *scanner) word(token string) error {
	next := strings.TrimLeft(s.rest, " \n")
	head := s.first == ""
	if head {
		s.first = token
	}
	switch {
	case slices.Contains(groupings, token):
		return s.grouping(token, next)
	case slices.Contains(keywords, strings.ToLower(token)), slices.Contains(aggregations, token):
		return nil
	case strings.HasPrefix(next, "("):
		s.function = token
		return nil
	}
	sel := selector{metric: token, function: s.function}
	if strings.HasPrefix(next, "{") {
		inside, rest, ok := cutBraces(next[1:])
		if !ok {
			return fmt.Errorf("%s: no closing brace", token)
		}
		s.rest = rest
		for strings.TrimSpace(inside) != "" {
			m := matches.FindStringSubmatch(inside)
			if m == nil {
				return fmt.Errorf("%s: %.20q is no matcher", token, inside)
			}
			sel.matchers = append(sel.matchers, matcher{m[1], m[2], m[3]})
			inside = inside[len(m[0]):]
		}
	}
	s.q.selectors = append(s.q.selectors, sel)
	return nil
}

func (s *scanner) grouping(token, next string) error {
	if !strings.HasPrefix(next, "(") {
		return nil // group_left without labels
	}
	inside, rest, ok := strings.Cut(next[1:], ")")
	if !ok || strings.Contains(inside, "(") {
		return fmt.Errorf("%s: no closing parenthesis", token)
	}
	s.rest = rest
	labels := strings.FieldsFunc(inside, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
	if token == "by" && !s.q.grouped && len(s.q.selectors) == 0 && slices.Contains(aggregations, s.first) {
		s.q.outer, s.q.grouped = labels, true
	}
	for _, l := range labels {
		if !slices.Contains(s.q.labels, l) {
			s.q.labels = append(s.q.labels, l)
		}
	}
	return nil
}

// cutBraces cuts at the closing brace that is not in a string.
func cutBraces(text string) (inside, rest string, found bool) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '}' && !quoted:
			return text[:i], text[i+1:], true
		}
	}
	return "", "", false
}

// Ensure that an expression is taken apart at the right places.
func TestTakeApart(t *testing.T) {
	for _, tt := range []struct {
		name, expr string
		want       query
	}{
		{"plain", `up{job="drbdnfs"} == 0`, query{selectors: []selector{{metric: "up", matchers: []matcher{{"job", "=", "drbdnfs"}}}}}},
		{"braces in a string", `a{x=~"b{1}}",y!="\"}"} > 1`, query{
			selectors: []selector{{metric: "a", matchers: []matcher{{"x", "=~", "b{1}}"}, {"y", "!=", `\"}`}}}},
		}},
		{"function and window", "delta(a_bytes[5m]) >= 0", query{selectors: []selector{{metric: "a_bytes", window: "5m", function: "delta"}}}},
		{"groupings", "sum by (x, y) (a) > 1 unless on (x) max by (x, z) (b) == bool 0", query{
			selectors: []selector{{metric: "a"}, {metric: "b"}}, labels: []string{"x", "y", "z"}, outer: []string{"x", "y"}, grouped: true,
		}},
		{"inner by", "a * on (x) group_left (y) count by (x) (b)", query{
			selectors: []selector{{metric: "a"}, {metric: "b"}}, labels: []string{"x", "y"},
		}},
		{"infinity", "abs(a) == Inf", query{selectors: []selector{{metric: "a", function: "abs"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := takeApart(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(query{}, selector{}, matcher{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.expr, diff)
			}
		})
	}
}

// Ensure that what cannot be taken apart is an error and not an empty query.
func TestTakeApartRefuses(t *testing.T) {
	for _, expr := range []string{`{job="x"}`, `a{x=1}`, `a{x="1"`, `[5m]`, `sum by (x (a)`, "a # b"} {
		if q, err := takeApart(expr); err == nil {
			t.Errorf("%s: no error, got %+v", expr, q)
		}
	}
}
