package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/test/lab/rig"
)

// Entry is one line of a node's journal.
type Entry struct {
	// At is on this machine's clock where it came from Journal.
	At      time.Time
	Ident   string // the program, for example corosync or drbdnfs
	Message string
}

// parseJournal reads the output of journalctl -o json.
func parseJournal(text string) ([]Entry, error) {
	var entries []Entry
	sc := bufio.NewScanner(strings.NewReader(text))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var raw struct {
			At      string          `json:"__REALTIME_TIMESTAMP"`
			Ident   string          `json:"SYSLOG_IDENTIFIER"`
			Message json.RawMessage `json:"MESSAGE"`
		}
		if err := json.Unmarshal(sc.Bytes(), &raw); err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
		us, err := strconv.ParseInt(raw.At, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
		var message string
		// A message with bytes that are no text is an array of numbers; no
		// program of interest writes one.
		if json.Unmarshal(raw.Message, &message) != nil {
			continue
		}
		entries = append(entries, Entry{At: time.UnixMicro(us), Ident: raw.Ident, Message: message})
	}
	return entries, sc.Err()
}

// Journal returns what a node's journal holds since a time on this machine's
// clock, with times put on this machine's clock.
func (c *Cluster) Journal(ctx context.Context, node string, since time.Time) ([]Entry, error) {
	offset, err := c.ClockOffset(ctx, node)
	if err != nil {
		return nil, err
	}
	from := since.Add(offset)
	out, err := c.Rig.SSH(ctx, node, fmt.Sprintf("journalctl -q -o json --output-fields=MESSAGE,SYSLOG_IDENTIFIER --since=@%d.%06d", from.Unix(), from.Nanosecond()/1000))
	if err != nil {
		return nil, err
	}
	entries, err := parseJournal(out)
	for i := range entries {
		entries[i].At = entries[i].At.Add(-offset)
	}
	return entries, err
}

// ClockOffset measures how far a machine's wall clock is ahead of this one's: the
// guests take theirs from a clock that counts whole seconds. The best of five
// tries is used; it is good to some 20 ms.
func (c *Cluster) ClockOffset(ctx context.Context, node string) (time.Duration, error) {
	var best time.Duration
	offset := time.Duration(0)
	for try := range 5 {
		before := time.Now()
		out, err := c.Rig.SSH(ctx, node, "date +%s%N")
		if err != nil {
			return 0, err
		}
		took := time.Since(before)
		ns, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
		if err != nil {
			return 0, err
		}
		if try == 0 || took < best {
			best = took
			offset = time.Unix(0, ns).Sub(before.Add(took / 2))
		}
	}
	return offset, nil
}

// Event is one point of a failover's timeline.
type Event struct {
	At   time.Time
	What string
}

// Timeline picks from a survivor's journal what a person wants to know of a
// failover: membership, and each action of a resource with its end.
func Timeline(entries []Entry) []Event {
	var events []Event
	for _, e := range entries {
		if what := eventOf(e); what != "" {
			events = append(events, Event{At: e.At, What: what})
		}
	}
	return events
}

func eventOf(e Entry) string {
	m := strings.TrimSpace(e.Message)
	// Pacemaker puts the severity in front.
	if _, rest, ok := strings.Cut(m, "notice: "); ok {
		m = rest
	}
	switch e.Ident {
	case "corosync":
		switch {
		case strings.Contains(m, "A processor failed, forming new configuration"):
			return "corosync: token lost"
		case strings.Contains(m, "A new membership") && strings.Contains(m, "Members left"):
			return "corosync: node declared lost"
		case strings.Contains(m, "A new membership") && strings.Contains(m, "Members joined"):
			return "corosync: node joined"
		}
	case "pacemaker-controld":
		if rest, ok := strings.CutPrefix(m, "Requesting local execution of "); ok {
			return actionEvent(rest, "begins")
		}
		if rest, ok := strings.CutPrefix(m, "Result of "); ok {
			return actionEvent(rest, "ends")
		}
	}
	return ""
}

// actionEvent reads "promote operation for nfs on drbdtest2: ok".
func actionEvent(rest, edge string) string {
	action, tail, ok := strings.Cut(rest, " operation for ")
	if !ok || action == "monitor" || action == "probe" {
		return ""
	}
	resource, where, _ := strings.Cut(tail, " on ")
	_, result, _ := strings.Cut(where, ": ")
	if result != "" && result != "ok" {
		edge += " (" + result + ")"
	}
	return fmt.Sprintf("%s %s %s", resource, action, edge)
}

// AllStates asks both nodes that run for their view; used to look for a double
// Promoted. Nodes that do not answer are left out.
func (c *Cluster) AllStates(ctx context.Context) map[string]State {
	states := map[string]State{}
	for _, node := range rig.Nodes() {
		if !c.Rig.Running(node) {
			continue
		}
		if s, err := c.State(ctx, node); err == nil {
			states[node] = s
		}
	}
	return states
}
