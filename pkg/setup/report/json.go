package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/spacei/drbdnfs/pkg/setup"
)

// JSON writes for a program: one object a line. It implements [setup.Reporter].
type JSON struct {
	enc   *json.Encoder
	at    func(key string) string
	stage string
}

var _ setup.Reporter = (*JSON)(nil)

// NewJSON returns a JSON that writes to out; at may be nil.
func NewJSON(out io.Writer, at func(key string) string) *JSON {
	return &JSON{enc: json.NewEncoder(out), at: at}
}

// item is an item of a plan.
type item struct {
	Stage      string `json:"stage"`
	Object     string `json:"object"`
	Action     string `json:"action"`
	Detail     string `json:"detail,omitempty"`
	Why        string `json:"why,omitempty"`
	Key        string `json:"key,omitempty"`
	Where      string `json:"where,omitempty"`
	Interrupts string `json:"interrupts,omitempty"`
}

// planObject is a whole plan.
type planObject struct {
	Node       string `json:"node"`
	Pending    int    `json:"pending"`
	Refused    int    `json:"refused"`
	Interrupts bool   `json:"interrupts"`
	Items      []item `json:"items"`
}

// event is one step of an apply.
type event struct {
	Event string `json:"event"` // begin, waiting, progress, done, failed
	item
	Text     string   `json:"text,omitempty"`
	Fraction *float64 `json:"fraction,omitempty"`
	Seconds  *float64 `json:"seconds,omitempty"`
	Error    string   `json:"error,omitempty"`
}

func (j *JSON) item(stage string, it setup.Item) item {
	out := item{
		Stage: stage, Object: it.Object, Action: string(it.Action), Detail: it.Detail,
		Why: it.Why, Key: it.Key, Interrupts: it.Interrupts,
	}
	if it.Key != "" && j.at != nil {
		out.Where = j.at(it.Key)
	}
	return out
}

// Plan writes the plan as one object.
func (j *JSON) Plan(node string, p setup.Plan) {
	out := planObject{
		Node: node, Pending: p.Pending(), Refused: p.Count(setup.Refuse),
		Interrupts: p.Interrupts(), Items: []item{},
	}
	for _, part := range p.Parts {
		for _, it := range part.Items {
			out.Items = append(out.Items, j.item(part.Stage, it))
		}
	}
	j.write(out)
}

// Stage remembers the stage that the following items belong to.
func (j *JSON) Stage(name string) { j.stage = name }

// Begin writes that an item begins.
func (j *JSON) Begin(it setup.Item) setup.Progress {
	e := event{Event: "begin", item: j.item(j.stage, it)}
	j.write(e)
	return &jsonProgress{j: j, item: e.item}
}

// End writes how an item ended.
func (j *JSON) End(it setup.Item, took time.Duration, err error) {
	seconds := took.Seconds()
	e := event{Event: "done", item: j.item(j.stage, it), Seconds: &seconds}
	if err != nil {
		e.Event, e.Error = "failed", err.Error()
	}
	j.write(e)
}

// write drops what cannot be written: a reader that has gone away must not end an
// apply in the middle.
func (j *JSON) write(v any) { _ = j.enc.Encode(v) }

// jsonProgress writes what an item waits for when that changes, and a fraction
// when it has grown by a hundredth.
type jsonProgress struct {
	j    *JSON
	item item
	said string
	done float64
}

// Waiting writes what is waited for, when that changes.
func (p *jsonProgress) Waiting(what string) {
	if what != p.said {
		p.said = what
		p.j.write(event{Event: "waiting", item: p.item, Text: what})
	}
}

// Fraction writes how much is done.
func (p *jsonProgress) Fraction(done float64, text string) {
	if done-p.done >= 0.01 || done < p.done {
		p.done = done
		p.j.write(event{Event: "progress", item: p.item, Text: text, Fraction: &done})
	}
}
