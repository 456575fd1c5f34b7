package alert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Kind is what happened.
type Kind string

// The kinds, in the order in which one split brain can bring them.
const (
	Found     Kind = "found"     // both nodes have written without each other
	Decided   Kind = "decided"   // a victim and a survivor are named
	Discarded Kind = "discarded" // the victim's changes are being overwritten
	Resolved  Kind = "resolved"  // the nodes replicate again
	Refused   Kind = "refused"   // nothing is done by itself; a person decides
	Failed    Kind = "failed"    // a step went wrong; a person decides
)

// formatVersion is that of the JSON; it changes when a key changes its meaning.
const formatVersion = 1

// Alert is one piece of news for people. Only Kind, When, Node and Resource are
// always set. No field may hold a secret.
type Alert struct {
	Version   int       `json:"version"` // set by Send
	ID        string    `json:"id"`      // set by Send: the same for each try of one alert
	Kind      Kind      `json:"kind"`
	When      time.Time `json:"when"`
	Cluster   string    `json:"cluster,omitempty"`
	Node      string    `json:"node"` // who tells
	Resource  string    `json:"resource"`
	Peer      string    `json:"peer,omitempty"`
	Incident  string    `json:"incident,omitempty"` // the same on both nodes for one split brain; empty until both have shown their evidence
	Summary   string    `json:"summary,omitempty"`  // one line
	Reason    string    `json:"reason,omitempty"`   // why it was decided so, refused, or failed
	Policy    string    `json:"policy,omitempty"`
	Victim    string    `json:"victim,omitempty"`
	Survivor  string    `json:"survivor,omitempty"`
	Snapshots []string  `json:"snapshots,omitempty"` // what is kept of the discarded data
	Advice    []string  `json:"advice,omitempty"`    // commands to type, one each
}

// encode returns a as JSON in one line.
func encode(a Alert) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(a); err != nil {
		return nil, fmt.Errorf("encode alert: %w", err)
	}
	return b.Bytes(), nil
}

// hash identifies what a says.
func hash(a Alert) string {
	// An Alert always encodes, but for a time beyond the year 9999; those are
	// one alert then.
	data, _ := encode(a)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
