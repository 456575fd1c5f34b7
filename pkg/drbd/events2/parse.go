package events2

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// ErrSyntax reports a line that is not one of events2: no verb, no object, a
// number that is none, or an object without the resource it belongs to.
var ErrSyntax = errors.New("not a line of events2")

// ErrCutOff is the [ErrSyntax] of a last line without its newline: whoever
// printed it was ended in the middle.
var ErrCutOff = fmt.Errorf("%w, cut off", ErrSyntax)

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
	clock clock
}

// fields returns an empty slice that nobody else uses, for the fields of rest.
func (p *parser) fields(rest string) []drbd.Field {
	if !p.slabs {
		return make([]drbd.Field, 0, strings.Count(rest, ":"))
	}
	return p.slab[:0]
}

// keep gives back what f, taken from fields, did not use.
func (p *parser) keep(f []drbd.Field) []drbd.Field {
	switch {
	case len(f) == 0:
		return nil
	case !p.slabs:
	case len(f) <= len(p.slab):
		p.slab = p.slab[len(f):]
	default: // append has moved f: the slab was too short for this line
		p.slab = make([]drbd.Field, slabSize)
	}
	return f[:len(f):len(f)]
}

func (p *parser) parse(line string) (drbd.Event, error) {
	ev := drbd.Event{ID: drbd.NoID()}
	rest := trim(line)
	if startsWithDigit(rest) {
		word, after, _ := strings.Cut(rest, " ")
		t, ok := p.clock.parse(word)
		if !ok {
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
		n, ok := number(rest)
		if !ok || object != "skipped" {
			return drbd.Event{}, syntax("number of skipped lines", line)
		}
		ev.Object, ev.Skipped = drbd.ObjectNone, n
		return ev, nil
	}
	if bad := p.keys(&ev, rest); bad != "" {
		return drbd.Event{}, syntax(bad, line)
	}
	if ev.ID.Resource == "" && ev.Object != drbd.ObjectNone {
		return drbd.Event{}, syntax("resource name", line)
	}
	return ev, nil
}

// trim cuts the newline and superfluous blanks off the end of s.
func trim(s string) string {
	n := len(s)
	for n > 0 && (s[n-1] == ' ' || s[n-1] == '\r' || s[n-1] == '\n') {
		n--
	}
	return s[:n]
}

// startsWithDigit tells a timestamp from a verb.
func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// keys distributes the keys of a line over the identity and the fields of ev.
// It returns what is wrong with them, or nothing.
func (p *parser) keys(ev *drbd.Event, rest string) (bad string) {
	if diff(rest) {
		return "output of --diff"
	}
	fields := p.fields(rest)
	for rest != "" {
		word := rest
		if i := strings.IndexByte(rest, ' '); i >= 0 {
			word, rest = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		if word == "" {
			continue
		}
		key, value := word, ""
		if i := strings.IndexByte(word, ':'); i >= 0 {
			key, value = word[:i], word[i+1:]
		}
		switch known, ok := identity(&ev.ID, key, value); {
		case !ok:
			return key
		case !known:
			fields = append(fields, drbd.Field{Key: key, Value: value})
		}
	}
	ev.Fields = p.keep(fields)
	return ""
}

// identity stores value when key names a part of an object's identity, and
// reports whether it does. ok is false for a number that is none.
func identity(id *drbd.ID, key, value string) (known, ok bool) {
	switch key {
	case "name":
		id.Resource = value
	case "conn-name":
		id.ConnName = value
	case "local":
		id.Local = value
	case "peer":
		id.Peer = value
	case "peer-node-id":
		id.PeerNodeID, ok = number(value)
		return true, ok
	case "volume":
		id.Volume, ok = number(value)
		return true, ok
	case "minor":
		id.Minor, ok = number(value)
		return true, ok
	default:
		return false, true
	}
	return true, true
}

// number reads a number below 2^31.
func number(s string) (n int, ok bool) {
	if len(s) == 1 && s[0] >= '0' && s[0] <= '9' { // nearly always
		return int(s[0] - '0'), true
	}
	v, err := strconv.ParseUint(s, 10, 31)
	return int(v), err == nil
}

// diff reports whether a value is that of --diff, "OLD->NEW". Names, of which
// some may hold anything but blanks, are never printed that way.
func diff(rest string) bool {
	if !strings.Contains(rest, "->") {
		return false
	}
	for word := range strings.SplitSeq(rest, " ") {
		key, value, _ := strings.Cut(word, ":")
		switch key {
		case "name", "conn-name", "new_name", "backing_dev":
		default:
			if strings.Contains(value, "->") {
				return true
			}
		}
	}
	return false
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
