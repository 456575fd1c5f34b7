package resources

import (
	"context"
	"encoding/xml"
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
)

// status is what crm_mon says. Pacemaker 2.1.5 and 2.1.7 print the same.
type status struct {
	Summary struct {
		DC struct {
			Present bool   `xml:"present,attr"`
			Quorum  string `xml:"with_quorum,attr"`
		} `xml:"current_dc"`
		Options struct {
			Maintenance bool `xml:"maintenance-mode,attr"`
		} `xml:"cluster_options"`
	} `xml:"summary"`
	Nodes    []member   `xml:"nodes>node"`
	Clones   []clone    `xml:"resources>clone"`
	Alone    []instance `xml:"resources>resource"` // what is left of a clone that was removed
	Failures []failure  `xml:"failures>failure"`
}

type member struct {
	Name    string `xml:"name,attr"`
	Online  bool   `xml:"online,attr"`
	Standby bool   `xml:"standby,attr"`
	Pending bool   `xml:"pending,attr"`
}

type clone struct {
	Disabled  bool       `xml:"disabled,attr"`
	Managed   string     `xml:"managed,attr"`
	Instances []instance `xml:"resource"`
}

type instance struct {
	ID      string `xml:"id,attr"`
	Role    string `xml:"role,attr"`
	Pending string `xml:"pending,attr"`
	Failed  bool   `xml:"failed,attr"`
	Nodes   []struct {
		Name string `xml:"name,attr"`
	} `xml:"node"`
}

// failure is a failed action.
type failure struct {
	Key    string `xml:"op_key,attr"`
	Node   string `xml:"node,attr"`
	Task   string `xml:"task,attr"`
	Status string `xml:"exitstatus,attr"`
	Reason string `xml:"exitreason,attr"`
}

// String is "start on drbdtest2 failed: no such device".
func (f failure) String() string {
	why := f.Reason
	if why == "" {
		why = f.Status
	}
	// crm_mon escapes the reason twice (seen with 2.1.5).
	return fmt.Sprintf("%s on %s failed: %s", f.Task, f.Node, html.UnescapeString(why))
}

func (s *Stage) status(ctx context.Context) (status, error) {
	res, err := s.machine.Run(ctx, host.Cmd{Op: "setup.cib.status", Name: "crm_mon", Args: []string{"--one-shot", "--output-as=xml"}})
	if err != nil {
		return status{}, err
	}
	var st status
	if err := xml.Unmarshal(res.Stdout, &st); err != nil {
		return status{}, fmt.Errorf("crm_mon: %w", err)
	}
	return st, nil
}

// instances are the copies of a resource. An instance of an anonymous clone may
// have its number behind its name.
func (st status) instances(id string) []instance {
	var out []instance
	for _, list := range append(clones(st.Clones), st.Alone) {
		for _, i := range list {
			if name, _, _ := strings.Cut(i.ID, ":"); name == id {
				out = append(out, i)
			}
		}
	}
	return out
}

func clones(list []clone) [][]instance {
	var out [][]instance
	for _, c := range list {
		out = append(out, c.Instances)
	}
	return out
}

// promoted lists the nodes on which a resource is Promoted. An instance that is
// being promoted is not.
func (st status) promoted(id string) []string {
	var out []string
	for _, i := range st.instances(id) {
		for _, n := range i.Nodes {
			if (i.Role == "Promoted" || i.Role == "Master") && !slices.Contains(out, n.Name) {
				out = append(out, n.Name)
			}
		}
	}
	return out
}

// running lists the nodes on which a resource runs in any role.
func (st status) running(id string) []string {
	var out []string
	for _, i := range st.instances(id) {
		for _, n := range i.Nodes {
			out = append(out, n.Name)
		}
	}
	return out
}

// monitoring is what crm_mon says of an instance whose monitor has not yet run.
const monitoring = "Monitoring"

// pending says what is being done to a resource, "" for nothing.
func (st status) pending(id string) string {
	for _, i := range st.instances(id) {
		if i.Pending != "" && i.Pending != monitoring {
			return i.Pending
		}
	}
	return ""
}

// settled reports whether clients are served and nothing is under way.
func (st status) settled(id string) bool {
	return len(st.promoted(id)) == 1 && st.pending(id) == ""
}

// off says why Pacemaker will not promote a resource for now.
func (st status) off(id string) string {
	if st.Summary.Options.Maintenance {
		return "the cluster is in maintenance mode: nothing is started or stopped"
	}
	for _, c := range st.Clones {
		mine := slices.ContainsFunc(c.Instances, func(i instance) bool {
			name, _, _ := strings.Cut(i.ID, ":")
			return name == id
		})
		switch {
		case mine && c.Disabled:
			return "disabled by somebody (target-role)"
		case mine && c.Managed == "false":
			return "unmanaged: it is neither started nor stopped"
		}
	}
	return ""
}

// failures are those of a resource.
func (st status) failures(id string) []failure {
	var out []failure
	for _, f := range st.Failures {
		if name, _, _ := strings.Cut(f.Key, "_"+f.Task+"_"); name == id || strings.HasPrefix(name, id+":") {
			out = append(out, f)
		}
	}
	return out
}
