package check

import (
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/spacei/drbdnfs/pkg/drbd"
)

// parseCIB takes out of the CIB what the checks need.
func parseCIB(doc *etree.Document) *CIB {
	c := &CIB{Fence: map[string]bool{}}
	if conf := doc.FindElement("/cib/configuration/constraints"); conf != nil {
		for _, el := range conf.ChildElements() {
			c.Constraints = append(c.Constraints, line(el.SelectAttrValue("id", "")))
		}
	}
	for _, el := range doc.FindElements("/cib/configuration/resources//primitive[@class='stonith']") {
		off := false
		for _, nv := range el.FindElements("./meta_attributes/nvpair[@name='target-role']") {
			off = strings.EqualFold(nv.SelectAttrValue("value", ""), "Stopped")
		}
		c.Fence[line(el.SelectAttrValue("id", ""))] = off
	}
	for _, state := range doc.FindElements("/cib/status/node_state") {
		node := line(state.SelectAttrValue("uname", ""))
		for _, nv := range state.FindElements("./transient_attributes//nvpair") {
			rest, ok := strings.CutPrefix(nv.SelectAttrValue("name", ""), "fail-count-")
			count := parseCount(nv.SelectAttrValue("value", ""))
			if !ok || count == 0 {
				continue
			}
			resource, operation, _ := strings.Cut(line(rest), "#")
			operation = strings.TrimSuffix(operation, "_0")
			c.FailCounts = append(c.FailCounts, FailCount{node, resource, operation, count})
		}
	}
	return c
}

// parseCount is -1 for INFINITY, which Pacemaker also writes as 1000000.
func parseCount(s string) int {
	n, err := strconv.Atoi(s)
	if s == "INFINITY" || n >= 1000000 {
		return -1
	}
	if err != nil {
		return 0
	}
	return n
}

// parseHistory reads stonith_admin's XML. 2.1.5 has the events in a list, other
// versions elsewhere: they are taken wherever they are.
func parseHistory(text string) ([]FenceEvent, error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromString(strings.TrimSpace(text)); err != nil {
		return nil, fmt.Errorf("stonith_admin: %w", err)
	}
	if doc.SelectElement("pacemaker-result") == nil {
		return nil, fmt.Errorf("stonith_admin: %w", &xml.SyntaxError{Msg: "no pacemaker-result"})
	}
	var out []FenceEvent
	for _, el := range doc.FindElements("//fence_event") {
		get := func(name string) string { return line(el.SelectAttrValue(name, "")) }
		out = append(out, FenceEvent{get("target"), get("action"), get("status"), get("completed"), get("exit-reason")})
	}
	return out, nil
}

var (
	linkLine = regexp.MustCompile(`^(?:LINK|RING) ID (\d+)`)
	peerLine = regexp.MustCompile(`^nodeid:?\s*(\d+):?\s+(.+)$`)
)

// parseLinks reads "corosync-cfgtool -s": of corosync 3 with a line for each
// node, "nodeid: 2: connected" or, before 3.0.3, "link enabled:1 link
// connected:1"; of corosync 2 with one for the ring, "status = ring 0 active with
// no faults".
func parseLinks(text string, names map[string]string) ([]string, error) {
	link, seen := "", false
	var down []string
	for row := range strings.Lines(text) {
		row = line(strings.Join(strings.Fields(row), " "))
		if m := linkLine.FindStringSubmatch(row); m != nil {
			link, seen = "link "+m[1], true
			continue
		}
		if strings.Contains(row, "FAULTY") {
			down = append(down, link+": "+row)
		}
		m := peerLine.FindStringSubmatch(row)
		if m == nil || !strings.Contains(m[2], "disconnected") && !strings.Contains(m[2], "connected:0") {
			continue
		}
		name := names[m[1]]
		if name == "" {
			name = "node id " + m[1]
		}
		down = append(down, link+" to "+name)
	}
	if !seen {
		return nil, errors.New("corosync-cfgtool -s prints no links")
	}
	return down, nil
}

var optionLine = regexp.MustCompile(`^\s*([a-z][a-z0-9-]*)\s+("[^"]*"|[^\s;]+)\s*;`)

// parseOptions reads "drbdsetup show", of DRBD 9 and of 8.4: every option with
// its values, one for each connection or volume that has one.
func parseOptions(text string) (map[string][]string, error) {
	out := map[string][]string{}
	for row := range strings.Lines(text) {
		if m := optionLine.FindStringSubmatch(row); m != nil {
			value := strings.Trim(m[2], `"`)
			if !slices.Contains(out[m[1]], value) {
				out[m[1]] = append(out[m[1]], value)
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("drbdsetup show prints no options")
	}
	return out, nil
}

// parseHandler returns the program of a handler in what "drbdadm dump" prints.
func parseHandler(text, name string) string {
	for row := range strings.Lines(text) {
		if m := optionLine.FindStringSubmatch(row); m != nil && m[1] == name {
			return strings.Trim(m[2], `"`)
		}
	}
	return ""
}

// parseSpace reads the four numbers of df.
func parseSpace(text string) (Volume, error) {
	rows := strings.Split(strings.TrimSpace(text), "\n")
	f := strings.Fields(rows[len(rows)-1])
	if len(rows) != 2 || len(f) != 4 {
		return Volume{}, fmt.Errorf("df prints %.80q", text)
	}
	var n [4]int64
	for i := range f {
		var err error
		if n[i], err = strconv.ParseInt(f[i], 10, 64); err != nil {
			return Volume{}, fmt.Errorf("read what df prints: %w", err)
		}
	}
	return Volume{n[0], n[1], n[2], n[3]}, nil
}

// ours are the beginnings of units that the group needs.
var ours = []string{"drbd", "corosync", "pacemaker", "pcsd", "linstor-", "nfs", "rpc", "chrony", "lvm2", "sbd"}

func parseFailed(text string) []string {
	var out []string
	for row := range strings.Lines(text) {
		f := strings.Fields(line(strings.TrimPrefix(strings.TrimSpace(row), "●")))
		if len(f) > 0 && slices.ContainsFunc(ours, func(p string) bool { return strings.HasPrefix(f[0], p) }) {
			out = append(out, f[0])
		}
	}
	return out
}

var (
	denied = regexp.MustCompile(`denied\s+\{ ([^}]*) \}`)
	field  = regexp.MustCompile(`\b(comm|name|path|scontext|tcontext|tclass)=("[^"]*"|\S+)`)
)

// concerned are parts of the names and labels of what the group runs and has.
var concerned = []string{"drbd", "nfs", "rpc", "cluster_t", "pacemaker", "corosync", "pcs", "linstor", "statd", "mountd", "exportfs"}

// parseDenials reads what ausearch prints, each kind of denial once.
func parseDenials(text string) []string {
	var out []string
	for row := range strings.Lines(text) {
		m := denied.FindStringSubmatch(row)
		if m == nil {
			continue
		}
		v := map[string]string{}
		for _, f := range field.FindAllStringSubmatch(row, -1) {
			v[f[1]] = strings.Trim(f[2], `"`)
		}
		about := v["comm"] + " " + v["scontext"] + " " + v["tcontext"]
		if !slices.ContainsFunc(concerned, func(w string) bool { return strings.Contains(about, w) }) {
			continue
		}
		what := v["path"]
		if what == "" {
			what = v["name"]
		}
		d := line(fmt.Sprintf("%s may not %s %s %s", v["comm"], strings.TrimSpace(m[1]), v["tclass"], what))
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

const day = 24 * time.Hour

// parseClock reads ping's time stamps: the first absolute, each further one as
// the milliseconds since the one before, this node's at both ends:
//
//	TS: 	192.168.2.61	73540123 absolute
//		192.168.2.62	3
//		192.168.2.62	0
//		192.168.2.61	-2
func parseClock(text, peer string) Clock {
	_, rest, ok := strings.Cut(text, "TS:")
	if !ok {
		return Clock{}
	}
	var steps []int
	for row := range strings.Lines(rest) {
		f := strings.Fields(row)
		if len(f) < 2 {
			break
		}
		n, err := strconv.Atoi(f[1])
		if err != nil || len(steps) == 1 && f[0] != peer {
			return Clock{}
		}
		steps = append(steps, n)
	}
	if len(steps) != 4 {
		return Clock{}
	}
	way := float64(steps[1]+steps[2]+steps[3]) / 2 // what the packet took in one direction
	ahead := time.Duration(math.Round(float64(steps[1])-way)) * time.Millisecond
	switch { // midnight was between the two
	case ahead > day/2:
		ahead -= day
	case ahead < -day/2:
		ahead += day
	}
	return Clock{Known: true, Ahead: ahead}
}

// parsePorts reads "rpcinfo -p": program, version, protocol, port, name.
func parsePorts(text string) []Port {
	var out []Port
	for row := range strings.Lines(text) {
		f := strings.Fields(row)
		if len(f) < 4 {
			continue
		}
		program, err := strconv.Atoi(f[0])
		port, err2 := strconv.Atoi(f[3])
		p := Port{program, f[2], port}
		if err == nil && err2 == nil && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// misfit says why DRBD's utilities do not fit the kernel's module.
func misfit(kernel, utils drbd.Version) string {
	switch {
	case kernel.Major >= 9 && utils.Major < 9:
		return fmt.Sprintf("utilities %s cannot run DRBD %s", utils, kernel)
	case kernel.Major >= 9 && utils.Compare(drbd.Version{Major: 9, Minor: 16}) < 0:
		return fmt.Sprintf("utilities %s are older than 9.16, the first that drbdnfsd can follow DRBD %s with all keys by", utils, kernel)
	}
	return ""
}
