package events2

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// ErrSyntax reports a line that is not one of events2: no verb, no object, a
// number that is none, or an object without the resource it belongs to.
var ErrSyntax = errors.New("not a line of events2")

// Parse reads one line, with or without its newline. The strings of the event
// are parts of line. Errors are [ErrSyntax].
func Parse(line string) (drbd.Event, error) {
	var p parser
	return p.parse(line)
}

// slabSize is how many fields are allocated at once for a stream: some 30 lines' worth.
const slabSize = 256

// parser carves the fields of successive lines out of one allocation. Its zero
// value allocates for each line.
type parser struct {
	slab  []drbd.Field
	slabs bool
}

// fields returns an empty slice with room for n fields that nobody else uses.
func (p *parser) fields(n int) []drbd.Field {
	if n == 0 {
		return nil
	}
	if !p.slabs {
		return make([]drbd.Field, 0, n)
	}
	if len(p.slab) < n {
		p.slab = make([]drbd.Field, max(n, slabSize))
	}
	return p.slab[:0:n]
}

// keep gives back what f, taken from fields, did not use.
func (p *parser) keep(f []drbd.Field) []drbd.Field {
	if len(f) == 0 {
		return nil
	}
	if p.slabs {
		p.slab = p.slab[len(f):]
	}
	return f[:len(f):len(f)]
}

func (p *parser) parse(line string) (drbd.Event, error) {
	rest := strings.TrimRight(line, " \r\n")
	ev := drbd.Event{ID: drbd.NoID()}
	if startsWithDigit(rest) {
		word, after, _ := strings.Cut(rest, " ")
		t, err := time.Parse(time.RFC3339Nano, word)
		if err != nil {
			return drbd.Event{}, syntax("timestamp", line)
		}
		ev.Time, rest = t, after
	}
	verb, rest, _ := strings.Cut(rest, " ")
	object, rest, _ := strings.Cut(rest, " ")
	if verb == "" || object == "" || startsWithDigit(verb) {
		return drbd.Event{}, syntax("verb and object", line)
	}
	ev.Verb, ev.Object = verbOf(verb), objectOf(object)
	if ev.Verb == drbd.VerbSkipped {
		n, err := strconv.ParseUint(rest, 10, 31)
		if err != nil || object != "skipped" {
			return drbd.Event{}, syntax("number of skipped lines", line)
		}
		ev.Object, ev.Skipped = drbd.ObjectNone, int(n)
		return ev, nil
	}
	if err := p.keys(&ev, rest, line); err != nil {
		return drbd.Event{}, err
	}
	if ev.ID.Resource == "" && ev.Object != drbd.ObjectNone {
		return drbd.Event{}, syntax("resource name", line)
	}
	return ev, nil
}

// startsWithDigit tells a timestamp from a verb.
func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// keys distributes the keys of a line over the identity and the fields of ev.
func (p *parser) keys(ev *drbd.Event, rest, line string) error {
	fields := p.fields(strings.Count(rest, " ") + 1)
	for rest != "" {
		var word string
		word, rest, _ = strings.Cut(rest, " ")
		if word == "" {
			continue
		}
		key, value, _ := strings.Cut(word, ":")
		if identity(&ev.ID, key, value) {
			continue
		}
		if n := number(&ev.ID, key); n != nil {
			v, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return syntax(key, line)
			}
			*n = int(v)
			continue
		}
		fields = append(fields, drbd.Field{Key: key, Value: value})
	}
	ev.Fields = p.keep(fields)
	return nil
}

// identity stores value when key names a part of an object's identity.
func identity(id *drbd.ID, key, value string) bool {
	switch key {
	case "name":
		id.Resource = value
	case "conn-name":
		id.ConnName = value
	case "local":
		id.Local = value
	case "peer":
		id.Peer = value
	default:
		return false
	}
	return true
}

// number returns where a number that is part of an object's identity goes.
func number(id *drbd.ID, key string) *int {
	switch key {
	case "peer-node-id":
		return &id.PeerNodeID
	case "volume":
		return &id.Volume
	case "minor":
		return &id.Minor
	}
	return nil
}

// verbOf returns the constant for a known verb, so that an event of a known
// kind does not hold on to its line.
func verbOf(s string) drbd.Verb {
	switch v := drbd.Verb(s); v {
	case drbd.VerbExists:
		return drbd.VerbExists
	case drbd.VerbCreate:
		return drbd.VerbCreate
	case drbd.VerbChange:
		return drbd.VerbChange
	case drbd.VerbDestroy:
		return drbd.VerbDestroy
	default:
		return v
	}
}

// objectOf is verbOf for objects.
func objectOf(s string) drbd.Object {
	switch o := drbd.Object(s); o {
	case drbd.ObjectResource:
		return drbd.ObjectResource
	case drbd.ObjectConnection:
		return drbd.ObjectConnection
	case drbd.ObjectDevice:
		return drbd.ObjectDevice
	case drbd.ObjectPeerDevice:
		return drbd.ObjectPeerDevice
	case drbd.ObjectPath:
		return drbd.ObjectPath
	default:
		return o
	}
}

func syntax(what, line string) error {
	return fmt.Errorf("%w (%s): %.120q", ErrSyntax, what, line)
}
