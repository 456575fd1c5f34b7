package status

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EventKind is what happened to the service on a node.
type EventKind string

// The kinds.
const (
	EventPromote   EventKind = "promote"   // At is its end: clients are served
	EventPromoting EventKind = "promoting" // At is its begin; Pacemaker's coordinator alone tells it
	EventDemote    EventKind = "demote"    // At is its begin: clients wait
	EventLost      EventKind = "lost"      // Pacemaker lost the node
)

// Event is one thing that happened to the service, of the journal or the CIB.
type Event struct {
	Kind EventKind
	Node string
	At   time.Time
	Took time.Duration // of a promotion; 0: not known
}

// journalLines bounds what is read of the journal, from its end.
const journalLines = 400

// controller is Pacemaker's controller in the journal.
const controller = "pacemaker-controld"

// journalArgs ask for the ends of promotions and the begins of demotions of the
// agent on this node, and for what Pacemaker's controller says: which nodes it
// has lost, and on the coordinator what it has done on which node.
func journalArgs(group string) []string {
	agent := func(action, step string) []string {
		return []string{"SYSLOG_IDENTIFIER=drbdnfs", "GROUP=" + group, "ACTION=" + action, "STEP=" + step}
	}
	return slices.Concat(
		[]string{"--output=json", "--quiet", "--no-pager", "--lines=" + strconv.Itoa(journalLines), "--output-fields=MESSAGE,ACTION,SYSLOG_IDENTIFIER"},
		agent("promote", "unblock"), []string{"+"}, agent("demote", "block"), []string{"+", "SYSLOG_IDENTIFIER=" + controller},
	)
}

// parseJournal reads what journalctl prints for [journalArgs] on node self. A
// line that is not understood is skipped.
func parseJournal(self, group string, data []byte) []Event {
	var out []Event
	for line := range bytes.Lines(data) {
		var e struct {
			At      string `json:"__REALTIME_TIMESTAMP"`
			Ident   string `json:"SYSLOG_IDENTIFIER"`
			Action  string `json:"ACTION"`
			Message any    `json:"MESSAGE"` // a list of numbers where it is no text
		}
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		us, err := strconv.ParseInt(e.At, 10, 64)
		if err != nil {
			continue
		}
		message, _ := e.Message.(string)
		at := time.UnixMicro(us)
		switch {
		case e.Ident == "drbdnfs" && strings.HasPrefix(message, "step done"):
			out = append(out, Event{Kind: EventKind(e.Action), Node: self, At: at})
		case e.Ident == controller:
			if kind, node := controllerSaid(message, group); node != "" {
				out = append(out, Event{Kind: kind, Node: node, At: at})
			}
		}
	}
	return out
}

// controllerSaid reads what Pacemaker 2.0 and 2.1 say, with "notice: " before it
// or not (lib/cluster/membership.c, daemons/controld/controld_te_actions.c):
//
//	Node drbdtest2 state is now lost
//	Initiating demote operation nfs_demote_0 on drbdtest2
//	Initiating promote operation nfs_promote_0 locally on drbdtest1
func controllerSaid(message, group string) (EventKind, string) {
	if _, rest, ok := strings.Cut(message, "Node "); ok {
		if node, rest, ok := strings.Cut(rest, " "); ok && strings.HasPrefix(rest, "state is now lost") {
			return EventLost, node
		}
	}
	for task, kind := range map[string]EventKind{"demote": EventDemote, "promote": EventPromoting} {
		_, rest, ok := strings.Cut(message, "Initiating "+task+" operation "+group+"_"+task+"_0 ")
		if _, node, named := strings.Cut(rest, "on "); ok && named {
			return kind, strings.TrimSpace(node)
		}
	}
	return "", ""
}
