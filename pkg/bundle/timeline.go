package bundle

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// moment is one line of the timeline.
type moment struct {
	at   time.Time
	who  string
	text string
}

// timeline merges the journals into one list of what happened, in UTC, the newest
// last.
func timeline(files []*File) *File {
	f := &File{Name: "timeline.txt", Source: "the journals in this bundle"}
	var all []entry
	for _, from := range files {
		all = append(all, from.entries...)
		f.Cut += from.Cut * int64(min(len(from.entries), 1))
	}
	slices.SortStableFunc(all, func(a, b entry) int { return a.time().Compare(b.time()) })
	for _, m := range moments(all) {
		f.data = fmt.Appendf(f.data, "%s  %-20s  %s\n", m.at.Format("2006-01-02T15:04:05.000000Z"), m.who, m.text)
	}
	f.Size = len(f.data)
	return f
}

// moments are what of the journals tells what happened.
func moments(all []entry) []moment {
	var list []moment
	running := map[string]*action{}
	for _, e := range all {
		said, ok := tell(e)
		if !ok {
			continue
		}
		m := moment{at: e.time(), who: oneLine(who(e)), text: oneLine(said)}
		list = append(list, m)
		if e.get("SYSLOG_IDENTIFIER") != "drbdnfs" || e.get("STEP") == "" {
			continue
		}
		key := e.get("_PID") + " " + e.get("ACTION")
		if running[key] == nil {
			running[key] = &action{name: e.get("ACTION")}
		}
		running[key].add(m, e)
	}
	for _, a := range running {
		list = append(list, a.sum())
	}
	slices.SortStableFunc(list, func(a, b moment) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.who, b.who))
	})
	return list
}

// action is one run of the agent: the steps that one process has done.
type action struct {
	name       string
	begin, end time.Time
	steps      int
	failed     []string
}

func (a *action) add(m moment, e entry) {
	took, _ := time.ParseDuration(e.get("DUR"))
	if begin := m.at.Add(-took); a.begin.IsZero() || begin.Before(a.begin) {
		a.begin = begin
	}
	a.steps++
	a.end = m.at
	if strings.HasPrefix(e.get("MESSAGE"), "step failed") {
		a.failed = append(a.failed, e.get("STEP"))
	}
}

// sum says how the action went.
func (a *action) sum() moment {
	text := fmt.Sprintf("%s: %d steps in %s", a.name, a.steps, a.end.Sub(a.begin).Round(time.Millisecond))
	if len(a.failed) > 0 {
		text += ", FAILED: " + strings.Join(a.failed, ", ")
	}
	return moment{at: a.end, who: "drbdnfs (sum)", text: oneLine(text)}
}

func who(e entry) string { return cmp.Or(e.get("SYSLOG_IDENTIFIER"), e.get("_COMM"), "?") }

// What of others' records tells something.
var (
	pacemakerSays = regexp.MustCompile(`(?i)transition|result of (?:start|stop|promote|demote|monitor.*(?:error|not running|failed|timed out))|initiating (?:start|stop|promote|demote)|` +
		`fenc|stonith|reboot|shutting down|quorum|node .* (?:state|is now)|\blost\b|timed out|cannot|\berror\b`)
	corosyncSays = regexp.MustCompile(`(?i)membership|\[QUORUM\]|link: \d+ is (?:up|down)|token|failed|joined|left|pause|not scheduled`)
	kernelSays   = regexp.MustCompile(`(?i)\bdrbd|nfsd|lockd|\bxfs\b.*(?:error|shutdown|mount)|ext4-fs|i/o error|blocked for more than|oom|out of memory|link is (?:up|down)|hung`)
	systemdSays  = regexp.MustCompile(`(?i)^(?:start|stopp|fail|reload|.*main process exited|.*failed with)`)
	noise        = regexp.MustCompile(`drbdnfs-evidence-|High CPU load|Requesting local execution of monitor|Result of monitor operation .*: (?:ok|promoted)$`)
)

// tell returns what a record tells of what happened, and whether it does.
func tell(e entry) (string, bool) {
	said := e.get("MESSAGE")
	switch id := e.get("SYSLOG_IDENTIFIER"); {
	case said == "" || noise.MatchString(said):
		return "", false
	case id == "drbdnfs" && e.get("STEP") != "":
		return step(e), true
	case strings.HasPrefix(id, "drbdnfs"):
		return said, true
	case strings.HasPrefix(id, "pacemaker") || id == "sbd":
		return said, pacemakerSays.MatchString(said)
	case id == "corosync":
		return said, corosyncSays.MatchString(said)
	case e.get("_TRANSPORT") == "kernel":
		return said, kernelSays.MatchString(said)
	case id == "systemd":
		return said, systemdSays.MatchString(said)
	}
	return "", false
}

// step is one step of the agent.
func step(e entry) string {
	if strings.HasPrefix(e.get("MESSAGE"), "step failed") {
		return fmt.Sprintf("%s: %s FAILED after %s: %s", e.get("ACTION"), e.get("STEP"), e.get("DUR"), e.get("ERR"))
	}
	return fmt.Sprintf("%s: %s done in %s", e.get("ACTION"), e.get("STEP"), e.get("DUR"))
}

// longest is how much of a record a line shows.
const longest = 400

// oneLine makes foreign text one line that is fit for a terminal.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}
