package daemon

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spacei/drbdnfs/pkg/host"
	"github.com/spacei/drbdnfs/pkg/host/hosttest"
)

// attrd is attrd_updater of a cluster whose daemons agree at once.
func (n *node) attrd(c host.Cmd) (string, error) {
	w := n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return "", hosttest.Exit(c, 102, "attrd_updater: Could not connect: Transport endpoint is not connected")
	}
	name := c.Args[slices.Index(c.Args, "--name")+1]
	value := ""
	if i := slices.Index(c.Args, "--update"); i >= 0 {
		value = c.Args[i+1]
	}
	switch {
	case slices.Contains(c.Args, "--query"):
		var b strings.Builder
		for _, from := range slices.Sorted(maps.Keys(w.private[name])) {
			if from == n.Name || !w.deaf[from] {
				fmt.Fprintf(&b, "name=%q host=%q value=%q\n", name, from, w.private[name][from])
			}
		}
		return b.String(), nil
	case slices.Contains(c.Args, "--private"):
		set(w.private, name, n.Name, value)
	default:
		set(w.flags, n.Name, name, value)
	}
	return "", nil
}

// set sets a value, or deletes it with "".
func set(m map[string]map[string]string, a, b, value string) {
	if m[a] == nil {
		m[a] = map[string]string{}
	}
	if m[a][b] = value; value == "" {
		delete(m[a], b)
	}
}

func (n *node) crmMon(c host.Cmd) (string, error) {
	w := n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return "", hosttest.Exit(c, 102, "crm_mon: Error: cluster is not available on this node")
	}
	var instances strings.Builder
	for _, n := range w.nodes {
		role := "Unpromoted"
		if n.Name == w.promoted {
			role = "Promoted"
		}
		fmt.Fprintf(&instances, `<resource id="nfs" role=%q managed="true" failed="false"><node name=%q/></resource>`, role, n.Name)
	}
	return fmt.Sprintf(`<pacemaker-result><summary><current_dc present="%v" name="drbdtest1" with_quorum="true"/>
<cluster_options maintenance-mode="false"/></summary>
<nodes><node name="drbdtest1" online="true"/><node name="drbdtest2" online="true"/></nodes>
<resources><clone id="nfs-clone" managed="true" disabled="false">%s</clone></resources>
<status code="0" message="OK"/></pacemaker-result>`, !w.noDC, instances.String()), nil
}

func (n *node) crmResource(c host.Cmd) (string, error) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	n.w.failures = append(n.w.failures, strings.Join(c.Args, " "))
	return "", nil
}

func (n *node) list(host.Cmd) (string, error) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	rows := []map[string]string{}
	for _, v := range n.lvs {
		role, invalid := "public", "-1"
		if v.origin != "" {
			role, invalid = "public,snapshot,thicksnapshot", "0"
		}
		rows = append(rows, map[string]string{
			"vg_name": "drbdpool", "vg_free": fmt.Sprint(n.free), "vg_extent_size": "4194304", "lv_name": v.name,
			"lv_size": fmt.Sprint(v.size), "lv_role": role, "lv_layout": "linear", "lv_tags": v.tags, "origin": v.origin,
			"lv_kernel_major": "253", "lv_kernel_minor": strconv.Itoa(v.minor), "lv_active_locally": "1", "lv_device_open": "0",
			"lv_snapshot_invalid": invalid, "data_percent": "0.00",
		})
	}
	out, err := json.Marshal(map[string]any{"report": []any{map[string]any{"lv": rows}}})
	return string(out), err
}

func (n *node) create(c host.Cmd) (string, error) {
	v := lv{origin: "res0_00000", minor: 20}
	var tags []string
	for i, a := range c.Args {
		switch a {
		case "--addtag":
			tags = append(tags, c.Args[i+1])
		case "--name":
			v.name = c.Args[i+1]
		case "--size":
			v.size, _ = strconv.ParseInt(strings.TrimSuffix(c.Args[i+1], "b"), 10, 64)
		}
	}
	v.tags = strings.Join(tags, ",")
	n.w.pair.mu.Lock()
	v.data = n.side.current
	n.w.pair.mu.Unlock()
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	n.lvs, n.free = append(n.lvs, v), n.free-v.size
	return "", nil
}
