package notice

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MaxSize is the most bytes that a notice has as JSON.
const MaxSize = 2048

// version is that of the format. It changes when a key changes its meaning; a
// reader ignores keys that it does not know.
const version = 1

// Notice is one piece of news. Exactly one of Action, Helper, Lift and Order is
// set.
type Notice struct {
	Version int       `json:"version"` // set by Encode
	Node    string    `json:"node"`    // as "uname -n" prints it
	When    time.Time `json:"when"`    // when it happened; for an action, when it ended
	Action  *Action   `json:"action,omitempty"`
	Helper  *Helper   `json:"helper,omitempty"`
	Lift    *Lift     `json:"lift,omitempty"`
	Order   *Order    `json:"order,omitempty"`
}

// Lift is an administrator's order to the daemon to forget why a split brain is
// held, and to try again.
type Lift struct {
	Resource string `json:"resource"`
}

// Order is an administrator's order to the daemon to have a node discard its
// data of one split brain, whatever the policy says.
type Order struct {
	Resource string `json:"resource"`
	Incident string `json:"incident"` // as both nodes show it
	Victim   string `json:"victim"`   // node
	Snapshot string `json:"snapshot"` // required, if-possible or off
}

// Action is one run of the agent that has ended.
type Action struct {
	Group      string `json:"group"`           // name of the resource in Pacemaker, without a clone's ":N"
	Name       string `json:"name"`            // "promote"
	Level      int    `json:"level,omitempty"` // OCF_CHECK_LEVEL of a monitor
	Code       int    `json:"rc"`              // OCF exit code: 0 is success, for a monitor 7 and 8 are answers as well
	DurationMS int64  `json:"duration_ms"`
}

// Helper is one call of DRBD's handler by the kernel. What DRBD did not tell is
// empty; PeerNodeID is -1 then.
type Helper struct {
	Name       string `json:"name"` // "split-brain", as handlers of drbd.conf(5) are called
	Resource   string `json:"resource"`
	Volumes    []int  `json:"volumes,omitempty"`
	Minors     []int  `json:"minors,omitempty"`
	Peer       string `json:"peer,omitempty"` // host name
	PeerNodeID int    `json:"peer_node_id"`
	PeerAddr   string `json:"peer_address,omitempty"` // "ipv4:192.168.2.62"
	Connection string `json:"connection,omitempty"`   // state of the connection at the call: "Connecting"
	Backing    string `json:"backing_device,omitempty"`
	Record     string `json:"record,omitempty"` // name of the record that was written, empty when none could be
}

// Encode returns n as JSON in one line. A notice of more than [MaxSize] bytes
// is an error.
func Encode(n Notice) ([]byte, error) {
	n.Version = version
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(n); err != nil {
		return nil, fmt.Errorf("encode notice: %w", err)
	}
	data := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(data) > MaxSize {
		return nil, fmt.Errorf("encode notice: %d bytes are more than %d", len(data), MaxSize)
	}
	return data, nil
}

// Parse reads what Encode made. It refuses what is too long, is of another
// version, or says nothing.
func Parse(data []byte) (Notice, error) {
	if len(data) > MaxSize {
		return Notice{}, fmt.Errorf("notice has more than %d bytes", MaxSize)
	}
	var n Notice
	if err := json.Unmarshal(data, &n); err != nil {
		return Notice{}, fmt.Errorf("notice is malformed: %w", err)
	}
	switch {
	case n.Version != version:
		return Notice{}, fmt.Errorf("notice has version %d, not %d", n.Version, version)
	case n.news() != 1:
		return Notice{}, fmt.Errorf("notice holds %d pieces of news, not one", n.news())
	case n.Action != nil && (n.Action.Group == "" || n.Action.Name == "" || n.Action.DurationMS < 0):
		return Notice{}, errors.New("notice of an action without group, name or duration")
	case n.Helper != nil && n.Helper.Name == "":
		return Notice{}, errors.New("notice of a helper without a name")
	case n.Lift != nil && n.Lift.Resource == "":
		return Notice{}, errors.New("notice of a lift without a resource")
	case n.Order != nil && (n.Order.Resource == "" || n.Order.Incident == "" || n.Order.Victim == "" || n.Order.Snapshot == ""):
		return Notice{}, errors.New("notice of an order without resource, incident, victim or snapshot")
	}
	return n, nil
}

// news counts what n holds.
func (n Notice) news() int {
	count := 0
	for _, there := range []bool{n.Action != nil, n.Helper != nil, n.Lift != nil, n.Order != nil} {
		if there {
			count++
		}
	}
	return count
}
