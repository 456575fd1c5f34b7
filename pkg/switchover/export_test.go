package switchover

import (
	"encoding/xml"
	"time"

	"github.com/beevik/etree"
)

// The scheduler's inputs, and how its answer is read.
var (
	Swapped = swapped
	Favours = favours
)

// WithHold is a CIB with the constraint of a move to a node.
func WithHold(doc *etree.Document, to string, until time.Time) *etree.Document {
	return withHold(doc, Hold{Target: to, By: "drbdtest1", Until: until}, "nfs", "nfs-clone", roleWord(doc))
}

// WithStandby is a CIB with a node in standby.
var WithStandby = withStandby

// Forecast reads crm_simulate's XML: where the group is promoted and demoted,
// what is disturbed and fenced.
func Forecast(text []byte, group string) (promotes, demotes, disturbs, fences []string, err error) {
	var p planned
	err = xml.Unmarshal(text, &p)
	f := p.forecast(group)
	return f.Promotes, f.Demotes, f.Disturbs, f.Fences, err
}
