package monitoring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what the tests look at of Grafana's JSON.
type dashboard struct {
	UID           string
	SchemaVersion int
	Panels        []panel
	Annotations   struct{ List []annotation }
	Templating    struct{ List []variable }
}

type panel struct {
	ID              int
	Type, Title     string
	GridPos         struct{ H, W, X, Y int }
	Datasource      *source
	Targets         []target
	Panels          []panel // of a collapsed row
	Transformations []struct {
		ID      string
		Options struct {
			ExcludeByName map[string]bool
			RenameByName  map[string]string
		}
	}
}

type target struct {
	Expr, LegendFormat, RefID string
	Datasource                source
}

type annotation struct {
	Name, Expr, TextFormat string
	Datasource             source
}

type variable struct {
	Name, Type, AllValue string
	Query                json.RawMessage
	Datasource           *source
}

type source struct{ Type, UID string }

func load(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "../../packaging/grafana/drbdnfs.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// all returns the panels, those in collapsed rows as well.
func (d dashboard) all() []panel {
	var list []panel
	for _, p := range d.Panels {
		list = append(append(list, p), p.Panels...)
	}
	return list
}

// expressions returns the queries by where they are: panels, annotations, and
// the selectors of variables.
func (d dashboard) expressions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, p := range d.all() {
		for _, tg := range p.Targets {
			found[fmt.Sprintf("panel %d %q %s", p.ID, p.Title, tg.RefID)] = tg.Expr
		}
	}
	for _, a := range d.Annotations.List {
		found["annotation "+a.Name] = a.Expr
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			found["variable "+v.Name], _ = v.values(t)
		}
	}
	return found
}

// values takes label_values(SELECTOR, LABEL) apart.
func (v variable) values(t *testing.T) (selector, label string) {
	t.Helper()
	var q struct{ Query string }
	if err := json.Unmarshal(v.Query, &q); err != nil {
		t.Fatal(err)
	}
	inside, ok := strings.CutPrefix(strings.TrimSuffix(q.Query, ")"), "label_values(")
	comma := strings.LastIndex(inside, ", ")
	if !ok || comma < 0 {
		t.Fatalf("variable %s: %q is not label_values", v.Name, q.Query)
	}
	return inside[:comma], inside[comma+2:]
}

// Ensure that every name in the dashboard's queries is exported by somebody.
func TestDashboardSelectsWhatExists(t *testing.T) {
	c := exported(t)
	for where, expr := range load(t).expressions(t) {
		q, err := takeApart(expr)
		if err != nil {
			t.Errorf("%s: %v", where, err)
		}
		for _, p := range c.problems(q) {
			t.Errorf("%s: %s", where, p)
		}
	}
}

var braced = regexp.MustCompile(`\{\{(\w+)\}\}`)

// Ensure that legends, columns and variables have labels that the series have.
func TestDashboardShowsWhatExists(t *testing.T) {
	c, d := exported(t), load(t)
	check := func(where, expr string, labels ...string) {
		q, err := takeApart(expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range labels {
			if !c.shows(q, l) {
				t.Errorf("%s: the series have no label %s", where, l)
			}
		}
	}
	for _, p := range d.all() {
		for _, tg := range p.Targets {
			for _, m := range braced.FindAllStringSubmatch(tg.LegendFormat, -1) {
				check(p.Title, tg.Expr, m[1])
			}
		}
		for _, tr := range p.Transformations {
			columns := slices.Concat(slices.Collect(maps.Keys(tr.Options.ExcludeByName)), slices.Collect(maps.Keys(tr.Options.RenameByName)))
			for _, column := range columns {
				if column != "Time" && column != "__name__" && !strings.HasPrefix(column, "Value") {
					check(p.Title, p.Targets[0].Expr, column)
				}
			}
		}
	}
	for _, a := range d.Annotations.List {
		for _, m := range braced.FindAllStringSubmatch(a.TextFormat, -1) {
			check(a.Name, a.Expr, m[1])
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			expr, label := v.values(t)
			check("variable "+v.Name, expr, label)
		}
	}
}

// Ensure that the list of alerts takes in every alert of the rules.
func TestDashboardListsEveryAlert(t *testing.T) {
	found := false
	for where, expr := range load(t).expressions(t) {
		q, err := takeApart(expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range q.selectors {
			for _, m := range s.matchers {
				if s.metric != "ALERTS" || m.label != "alertname" {
					continue
				}
				found = true
				re := regexp.MustCompile("^(?:" + m.value + ")$")
				for name := range alerts(t) {
					if !re.MatchString(name) {
						t.Errorf("%s leaves out %s", where, name)
					}
				}
			}
		}
	}
	if !found {
		t.Error("no panel lists the alerts")
	}
}

// Ensure that rates are taken over an interval that fits the scrape interval:
// only Grafana knows it.
func TestDashboardRateIntervals(t *testing.T) {
	for _, p := range load(t).all() {
		for _, tg := range p.Targets {
			q, err := takeApart(tg.Expr)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range q.selectors {
				if s.window != "" && s.window != "$__rate_interval" && s.function != "deriv" {
					t.Errorf("%s: %s over [%s], not [$__rate_interval]", p.Title, s.function, s.window)
				}
			}
		}
	}
}

// Ensure that the dashboard works in any Grafana 9: no data source of somebody,
// and nothing that only a later one has.
func TestDashboardIsPortable(t *testing.T) {
	d := load(t)
	if d.UID != "drbdnfs" || d.SchemaVersion != 36 {
		t.Errorf("uid %q, schema %d: want drbdnfs, and 36 of Grafana 9.0", d.UID, d.SchemaVersion)
	}
	own := source{Type: "prometheus", UID: "${datasource}"}
	check := func(where string, s source) {
		if s != own {
			t.Errorf("%s: data source %v is not the variable", where, s)
		}
	}
	ids := map[int]bool{}
	for _, p := range d.all() {
		if ids[p.ID] {
			t.Errorf("%s: id %d is there twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" {
			check(p.Title, *p.Datasource)
		}
		for _, tg := range p.Targets {
			check(p.Title, tg.Datasource)
		}
	}
	for _, a := range d.Annotations.List {
		check(a.Name, a.Datasource)
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			check(v.Name, *v.Datasource)
		}
	}
}

// Ensure that no panel lies on another one.
func TestDashboardLayout(t *testing.T) {
	taken := map[[2]int]string{}
	for _, p := range load(t).all() {
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s: does not fit: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%q lies on %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

var dollar = regexp.MustCompile(`\$\{?(\w+)\}?`)

// Ensure that the variables are there, and that every one that is used is. "All"
// of job and node has to be spelled out: .* would take in other jobs.
func TestDashboardVariables(t *testing.T) {
	d := load(t)
	known := map[string]variable{}
	for _, v := range d.Templating.List {
		known[v.Name] = v
	}
	for _, want := range []string{"datasource", "job", "instance", "name", "group"} {
		if v, ok := known[want]; !ok || (want == "job" || want == "instance") && v.AllValue != "" {
			t.Errorf("variable %s: %+v", want, v)
		}
	}
	for where, expr := range d.expressions(t) {
		for _, m := range dollar.FindAllStringSubmatch(expr, -1) {
			if _, ok := known[m[1]]; !ok && m[1] != "__rate_interval" {
				t.Errorf("%s: no variable %s", where, m[1])
			}
		}
	}
}

// Ensure that Prometheus' own parser takes the queries, as rules with the
// variables filled in.
func TestDashboardIsPromQL(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (package prometheus): ", err)
	}
	type record struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	type group struct {
		Name  string   `json:"name"`
		Rules []record `json:"rules"`
	}
	var groups []group
	for where, expr := range load(t).expressions(t) {
		expr = strings.ReplaceAll(expr, "$__rate_interval", "1m")
		groups = append(groups, group{where, []record{{fmt.Sprintf("x%d", len(groups)), dollar.ReplaceAllString(expr, ".+")}}})
	}
	text, err := json.Marshal(map[string]any{"groups": groups})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dashboard.rules.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "rules", file)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, fmt.Appendf(nil, "%d rules found", len(groups))) {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}
