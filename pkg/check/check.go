package check

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Severity says what a finding asks for.
type Severity string

// Severities.
const (
	Error   Severity = "error"   // clients or data are in danger, or a node cannot take over
	Warning Severity = "warning" // it works, and something should be put right
	Note    Severity = "note"    // to know
)

// Area groups findings.
type Area string

// Areas, in the order in which they are shown.
const (
	Nodes    Area = "nodes"
	Cluster  Area = "cluster"
	Fencing  Area = "fencing"
	DRBD     Area = "DRBD"
	Storage  Area = "storage"
	NFS      Area = "NFS"
	Network  Area = "network"
	Services Area = "services"
	Security Area = "security"
)

var areas = []Area{Nodes, Cluster, Fencing, DRBD, Storage, NFS, Network, Services, Security}

// Finding is one thing that was found.
type Finding struct {
	ID       string   `json:"id"` // of the check, see Checks
	Severity Severity `json:"severity"`
	Area     Area     `json:"area"`
	Node     string   `json:"node"`            // the node that it is about
	Thing    string   `json:"thing"`           // the object on it
	Found    string   `json:"found"`           // what is there
	Why      string   `json:"why"`             // why it matters
	Remedy   string   `json:"remedy"`          // what to type, or to decide
	Where    string   `json:"where,omitempty"` // the key's place in the configuration file
}

// Report is what one run found on one node.
type Report struct {
	Node     string    `json:"node"`
	Time     time.Time `json:"time"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Notes    int       `json:"notes"`
	Findings []Finding `json:"findings"` // by area, the worst first
}

// Worst is the highest severity of the report, "" without findings.
func (r Report) Worst() Severity {
	switch {
	case r.Errors > 0:
		return Error
	case r.Warnings > 0:
		return Warning
	case r.Notes > 0:
		return Note
	}
	return ""
}

// Limits of looking.
const (
	// SourceLimit bounds each source. All look at once.
	SourceLimit = 10 * time.Second
	// Limit bounds the whole.
	Limit = time.Minute
)

// Run looks at this node and judges what it saw. It changes nothing, and returns
// within [Limit], or soon after ctx ends; what had not answered until then is
// among the findings. It never fails as a whole.
func Run(ctx context.Context, o Options) Report {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	f := &Facts{Self: o.Self, Config: o.Config, Now: time.Now()}
	gather(ctx, f, o.sources(), SourceLimit)
	return summed(f.Self, f.Now, Judge(f))
}

// summed sorts and counts.
func summed(node string, at time.Time, list []Finding) Report {
	rank := []Severity{Error, Warning, Note}
	slices.SortStableFunc(list, func(a, b Finding) int {
		if n := slices.Index(areas, a.Area) - slices.Index(areas, b.Area); n != 0 {
			return n
		}
		if n := slices.Index(rank, a.Severity) - slices.Index(rank, b.Severity); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	r := Report{Node: node, Time: at.UTC().Truncate(time.Second), Findings: list}
	if list == nil {
		r.Findings = []Finding{}
	}
	for _, f := range list {
		switch f.Severity {
		case Error:
			r.Errors++
		case Warning:
			r.Warnings++
		default:
			r.Notes++
		}
	}
	return r
}
