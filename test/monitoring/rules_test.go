package monitoring

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	rulesDir = "../../packaging/prometheus/"
	runbook  = "https://github.com/spacei/drbdnfs/blob/main/docs/alerts.md#"
)

// rule is one rule of the files in packaging/prometheus.
type rule struct {
	file, alert, record, expr, wait, severity string
	annotations                               map[string]string
}

var ruleLine = regexp.MustCompile(`^( +)(?:- )?(\w+):(?: (.*))?$`)

// rules reads every rules file. They are YAML, as promtool checks; here they
// have to be laid out as they are: two spaces, one key a line, and only
// expressions over several lines.
func rules(t *testing.T) []rule {
	t.Helper()
	var all []rule
	for _, file := range glob(t, rulesDir+"*.rules.yml") {
		list, err := parseRules(read(t, file))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, r := range list {
			r.file = filepath.Base(file)
			all = append(all, r)
		}
	}
	return all
}

func parseRules(text string) ([]rule, error) {
	var list []rule
	block := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		last := len(list) - 1
		if block && strings.HasPrefix(line, "          ") {
			list[last].expr += strings.TrimSpace(line) + "\n"
			continue
		}
		block = false
		m := ruleLine.FindStringSubmatch(line)
		switch {
		case line == "" || line == "groups:" || strings.HasPrefix(strings.TrimSpace(line), "#"):
		case m == nil:
			return nil, fmt.Errorf("not laid out as a rule: %q", line)
		case m[2] == "alert", m[2] == "record":
			list = append(list, rule{annotations: map[string]string{}})
			list[last+1].set(m[2], m[3])
		case last >= 0 && len(m[1]) >= 8:
			block = m[2] == "expr" && m[3] == "|"
			list[last].set(m[2], m[3])
		}
	}
	return list, nil
}

func (r *rule) set(key, value string) {
	value = strings.Trim(value, `"`)
	switch key {
	case "alert":
		r.alert = value
	case "record":
		r.record = value
	case "expr":
		r.expr = strings.TrimSuffix(value, "|")
	case "for":
		r.wait = value
	case "severity":
		r.severity = value
	default:
		r.annotations[key] = value
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files, %v", pattern, err)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// alerts returns the rules that alert, by name.
func alerts(t *testing.T) map[string]rule {
	t.Helper()
	named := map[string]rule{}
	for _, r := range rules(t) {
		if r.alert == "" {
			continue
		}
		if _, twice := named[r.alert]; twice {
			t.Errorf("%s: %s is there twice", r.file, r.alert)
		}
		named[r.alert] = r
	}
	return named
}

// Ensure that every name in the rules is exported by somebody.
func TestRulesSelectWhatExists(t *testing.T) {
	c := exported(t)
	for _, r := range rules(t) {
		q, err := takeApart(r.expr)
		if err != nil {
			t.Errorf("%s: %s%s: %v", r.file, r.alert, r.record, err)
		}
		for _, p := range c.problems(q) {
			t.Errorf("%s: %s%s: %s", r.file, r.alert, r.record, p)
		}
	}
}

// Ensure that drbdnfsd's rules need no other exporter, and that those of others
// are in files of their own.
func TestRulesOfOthersAreApart(t *testing.T) {
	for _, r := range rules(t) {
		q, err := takeApart(r.expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range q.selectors {
			ours := strings.HasPrefix(s.metric, "drbd") || s.metric == "up"
			if main := r.file == "drbdnfs.rules.yml"; ours != main {
				t.Errorf("%s: %s%s asks for %s", r.file, r.alert, r.record, s.metric)
			}
		}
	}
}

// immediate are the alerts that do not wait: data is lost, or about to be.
var immediate = []string{"DrbdSplitBrain", "DrbdSplitBrainResolutionFailed", "DrbdSplitBrainAutoResolved"}

var labelInText = regexp.MustCompile(`\$labels\.(\w+)`)

// Ensure that each alert says what it has to, with labels that it has.
func TestAlertsAreComplete(t *testing.T) {
	c := exported(t)
	for name, r := range alerts(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, r.severity) {
			t.Errorf("%s: severity %q", name, r.severity)
		}
		if got, want := r.wait == "", slices.Contains(immediate, name); got != want {
			t.Errorf("%s: for %q", name, r.wait)
		}
		if got, want := r.annotations["runbook_url"], runbook+strings.ToLower(name); got != want {
			t.Errorf("%s: runbook_url %s, not %s", name, got, want)
		}
		q, err := takeApart(r.expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"summary", "description"} {
			if r.annotations[key] == "" {
				t.Errorf("%s: no %s", name, key)
			}
			for _, m := range labelInText.FindAllStringSubmatch(r.annotations[key], -1) {
				if !c.shows(q, m[1]) {
					t.Errorf("%s: the %s has a label %s, the alert has not", name, key, m[1])
				}
			}
		}
	}
}

var testedAlert = regexp.MustCompile(`(?m)^ +- alertname: (\w+)\n +eval_time: \S+\n +exp_alerts:( \[\])?$`)

// Ensure that the rules' own tests see each alert fire, and not fire.
func TestAlertsAreTestedBothWays(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, file := range glob(t, rulesDir+"tests/*.yml") {
		for _, m := range testedAlert.FindAllStringSubmatch(read(t, file), -1) {
			if m[2] == "" {
				fires[m[1]] = true
			} else {
				silent[m[1]] = true
			}
		}
	}
	for name := range alerts(t) {
		if !fires[name] || !silent[name] {
			t.Errorf("%s: seen to fire %t, seen not to fire %t", name, fires[name], silent[name])
		}
	}
}

var section = regexp.MustCompile(`(?m)^### (\w+)\n\n(\w+), (.+)$`)

// Ensure that docs/alerts.md has a section for each alert, with its severity
// and delay, and no other.
func TestRunbook(t *testing.T) {
	want, got := map[string]string{}, map[string]string{}
	for name, r := range alerts(t) {
		want[name] = r.severity + ", at once"
		if r.wait != "" {
			want[name] = r.severity + ", after " + r.wait
		}
	}
	text := read(t, "../../docs/alerts.md")
	for _, m := range section.FindAllStringSubmatch(text, -1) {
		got[m[1]] = m[2] + ", " + m[3]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/alerts.md (-want +got):\n%s", diff)
	}
	for _, m := range regexp.MustCompile(`\[(\w+)\]\(#(\w+)\)`).FindAllStringSubmatch(text, -1) {
		if _, ok := want[m[1]]; !ok || strings.ToLower(m[1]) != m[2] {
			t.Errorf("docs/alerts.md: %s leads nowhere", m[0])
		}
	}
}

var inhibited = regexp.MustCompile(`(alertname|step)=(~?)"([^"]*)"|equal: \[(.*)\]`)

// Ensure that the example for Alertmanager speaks of alerts and labels that
// exist. NodeDown is the site's own.
func TestInhibitExample(t *testing.T) {
	c, known, count := exported(t), alerts(t), 0
	for _, m := range inhibited.FindAllStringSubmatch(read(t, rulesDir+"alertmanager-inhibit.yml"), -1) {
		count++
		for part := range strings.SplitSeq(m[3], "|") {
			re := regexp.MustCompile("^(?:" + part + ")$")
			exists := part == "NodeDown"
			for name := range known {
				exists = exists || re.MatchString(name)
			}
			if m[1] == "alertname" && !exists {
				t.Errorf("no alert %s", part)
			}
		}
		if m[1] == "step" && !slices.Contains(c["drbdnfs_group_step_ok"].labels["step"], m[3]) {
			t.Errorf("no step %s", m[3])
		}
		for label := range strings.SplitSeq(m[4], ", ") {
			if label != "" && !slices.Contains(targetLabels, label) && c["drbd_device_state"].labels[label] == nil {
				t.Errorf("equal: no label %s", label)
			}
		}
	}
	if count < 10 {
		t.Errorf("only %d matchers found: is the file still laid out as before?", count)
	}
}
